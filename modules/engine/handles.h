/* SPDX-License-Identifier: MIT
 * Inside the engine: the structs behind bottega.h's handles.
 *
 * References point one way: a job holds its model, a model its engine. So
 * handles may be freed in any order, and an engine's plug-ins stay loaded as
 * long as anything uses them.
 */
#ifndef BT_ENGINE_HANDLES_H
#define BT_ENGINE_HANDLES_H

#include <locale.h>
#include <pthread.h>
#include <stdatomic.h>

#include "media/resample.h"
#include "module.h"

/* The last failure of one thread's latest call. */
typedef struct bt_slot {
    pthread_t thread;
    bt_error error;
    struct bt_slot *next;
} bt_slot;

/* A module in use, or replaced by a later one of the same name. */
typedef struct bt_loaded {
    const bt_module *module;
    char *file;     /* NULL: built in */
    void *handle;   /* of dlopen */
    char **choices; /* per option: its choices without their further spellings, or NULL */
    size_t n_options;
    bool replaced;
} bt_loaded;

struct bt_engine {
    atomic_long refs;
    bt_kernels kernels;
    bt_compute compute;
    locale_t locale; /* "C": numbers read and print the same in every host */

    bool wants_peaks;

    pthread_mutex_t lock; /* over what follows */
    bt_peaks peaks;       /* threads 0: not measured yet */
    bt_slot *slots;
    bt_loaded *modules;
    size_t n_modules;
};

struct bt_model {
    atomic_long refs;
    bt_engine *engine;
    const bt_module *module;
    void *impl;
    char *path;
};

/* An option of a job and where its value lies. */
typedef struct bt_value {
    const bt_option *option;
    void *field;
    char *text; /* canonical; a string option's field points here */
    char *used; /* as reported by the last run, or NULL */
} bt_value;

typedef struct bt_fact {
    char *name, *json, *text;
} bt_fact;

typedef struct bt_picture {
    char *name; /* of an input, or the infotext of a result */
    bt_image image;
} bt_picture;

typedef struct bt_pictures {
    bt_picture *at;
    size_t n;
} bt_pictures;

/* Options that the engine itself adds to every module's. */
typedef struct bt_common_options {
    int64_t rate; /* Hz of the sound; BT_INT_UNSET: the model's */
    int profile;
} bt_common_options;

struct bt_job {
    bt_model *model;
    bt_module_job *impl;
    void *options; /* the module's option struct */
    bt_common_options common;
    bt_value *values;
    size_t n_values;
    bt_pictures inputs;
    bt_array mel; /* the job's copy; values NULL: not set */
    bt_callbacks callbacks;
    atomic_bool cancel;
    locale_t host_locale; /* of the thread that runs the job; its callbacks get it back */
    bt_error error;

    /* results of the last run */
    bt_status status;
    double seconds;
    bt_pictures pictures;
    bt_buf text;
    bt_audio audio;
    float *samples;
    size_t samples_cap;
    int module_rate;         /* Hz of what the module makes */
    bt_resampler *resampler; /* to option "rate"; NULL: there is nothing to do */
    bt_fact *facts;
    size_t n_facts;
    bt_trace *trace;
};

/* ---- call.c ---- */

/* Starts a public call: forgets the thread's last message, sets the "C"
 * locale. The result goes to bt_leave. */
locale_t bt_enter(bt_engine *e);
void bt_leave(locale_t host);
/* This thread's message, or NULL when there is no memory for one. */
bt_error *bt_engine_error(bt_engine *e);
/* Copies a struct that starts with its size, as far as both sides know it; the
 * rest of dst becomes zero. dst keeps its own size. False: no sensible size. */
bool bt_struct_in(void *dst, size_t dst_size, const void *src);
bool bt_struct_out(void *dst, const void *src, size_t src_size);

/* ---- loader.c ---- */

bt_status bt_loader_builtin(bt_engine *e);
void bt_loader_free(bt_engine *e);
/* The module that is surest of a store; NULL: none claims it. */
const bt_module *bt_loader_probe(bt_engine *e, const bt_store *s);
void bt_loader_describe(bt_engine *e, bt_buf *json);

/* ---- options.c ---- */

/* Reads text into *field. *canonical (bt_release) is the value's usual
 * spelling; a string option's field then points to it. */
bt_status bt_option_read(const bt_option *o, const char *text, void *field, char **canonical,
                         bt_error *err);
/* The engine's own options of a kind of module, over bt_common_options. */
const bt_option *bt_engine_common(bt_kind kind);
/* The default, as text; never NULL. */
const char *bt_option_default(const bt_option *o);
/* Whether `name` is this option's name or alias ('-' and '_' are one). */
bool bt_option_is(const bt_option *o, const char *name);
/* A sane option whose field lies inside `size` bytes and whose default can be read. */
bt_status bt_option_check(const bt_option *o, size_t size, bt_error *err);
char *bt_option_choices(const bt_option *o); /* first spellings, comma-separated */
void bt_option_json(const bt_option *o, const char *text, bt_buf *json);
size_t bt_options_count(const bt_option *o); /* entries before the zeroed one; NULL has none */

/* ---- inputs.c ---- */

/* The option of that name or alias, NULL if there is none. */
bt_value *bt_job_value(const bt_job *j, const char *name);
/* Appends a table's options with their defaults; room for them is there. */
bt_status bt_job_add_values(bt_job *j, const bt_option *o, void *base, bt_error *err);
void bt_pictures_free(bt_pictures *p);
/* A copy of the pixels; takes `name` over, also on failure. */
bt_status bt_pictures_add(bt_pictures *p, char *name, const bt_image *img);
void bt_array_clear(bt_array *a); /* frees its values */

/* ---- report.c, host.c ---- */

void bt_job_forget(bt_job *j); /* frees results */
/* The calls that a module makes during a run. */
void bt_host_fill(bt_job *j, bt_run *r);
bt_status bt_host_end(bt_job *j); /* after a run that went well: what is still in a filter */

/* ---- engine.c ---- */

void bt_engine_retain(bt_engine *e); /* undone by bt_engine_free */
/* Measured at the first call; NULL: the engine was not asked to. */
const bt_peaks *bt_engine_peaks(bt_engine *e);

/* ---- system.c ---- */

/* A value of a /proc file in KiB lines ("MemTotal:"), in bytes; 0: unknown. */
uint64_t bt_proc_bytes(const char *file, const char *key);

#endif
