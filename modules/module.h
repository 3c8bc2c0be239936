/* SPDX-License-Identifier: MIT
 * The plug-in ABI: a module is one const descriptor.
 *
 * The in-tree modules use nothing that a plug-in could not. A shared object
 * exports `const bt_module *bt_module_entry(void)`; it is loaded only by the
 * exact version it was built for (BT_MODULE_ABI and BT_VERSION).
 */
#ifndef BT_MODULES_MODULE_H
#define BT_MODULES_MODULE_H

#include <bottega.h>

#include "base/alloc.h"
#include "dsp/mel.h"
#include "formats/store.h"
#include "graph/graph.h"

#define BT_MODULE_ABI 2

/* An option: where its value lies in the module's option struct, and all that
 * a command line, a JSON job, a help page or a dialog needs to know of it.
 * Field types: BOOL, CHOICE: int (the choice's index); INT: int64_t; UINT64:
 * uint64_t; FLOAT: double; STRING, LIST: const char * (never NULL; may hold any
 * text; the job's). A default of "" on a number or choice means "unset":
 * BT_INT_UNSET, UINT64_MAX, NAN or -1, and the module fills in the model's own
 * value and reports it. */
typedef struct bt_option {
    const char *name, *short_name, *aliases;
    bt_option_type type;
    size_t offset;
    const char *default_value;
    double min, max;
    /* "a,b=c,=d": "b" and "c" are spellings of choice 1; choice 2 is taken, but not listed. */
    const char *choices;
    const char *unit;
    const char *help;
} bt_option;

#define BT_INT_UNSET INT64_MIN

typedef struct bt_module_job bt_module_job; /* a module's own; opaque to the engine */

/* What a run gets from the engine and gives back to it. All calls are safe to
 * make from the thread that runs the job only. What they are given is copied
 * or used up before they return. A status that is not BT_OK ends the run: the
 * module cleans up and returns it. */
typedef struct bt_run {
    void *host;                /* the engine's */
    const void *options;       /* the module's option struct, filled and checked */
    const atomic_bool *cancel; /* see bt_run_plan */
    bool hurry;                /* somebody waits for the first samples */
    /* "init", "mask", "control", "control2", ...; NULL: not set. 1 or 3 channels; the job's, for
     * the run. */
    const bt_image *(*image_in)(void *host, const char *name);
    /* "mel"; NULL: not set. The job's, for the run. */
    const bt_array *(*array_in)(void *host, const char *name);
    bt_trace *trace; /* NULL unless profiling; see bt_run_plan */
    bt_error *error; /* one line, for a run that fails */

    /* Each returns BT_OK, BT_ECANCELLED, or BT_ENOMEM. progress: total 0 if
     * unknown. token: whole UTF-8 characters; appends to the job's text.
     * samples: n of them, -1..1, in order; appends to the job's sound, which
     * has one rate (Hz). */
    bt_status (*progress)(void *host, const char *stage, int done, int total);
    bt_status (*token)(void *host, int32_t id, const char *text, size_t len);
    bt_status (*samples)(void *host, int sample_rate, const float *mono, size_t n);
    /* A picture on its way, every preview_interval steps; copied. NULL: nobody asks. */
    bt_status (*preview)(void *host, int index, int width, int height, const uint8_t *rgb);
    int preview_interval; /* at least 1 */
    /* A finished picture, RGB rows from the top, copied; infotext as A1111's. */
    bt_status (*image)(void *host, int width, int height, const uint8_t *rgb, const char *infotext);
    /* A fact for the report: a JSON value as text ("12.5", "\"ddim\""). Also
     * becomes the option's value in force if `name` is an option. */
    bt_status (*report)(void *host, const char *name, const char *json);
    /* When what is said (bottega.h); struct_size is the engine's to fill. NULL: nobody asks. */
    bt_status (*timing)(void *host, const bt_timing *t);
} bt_run;

/* A part of the run; `name`, a literal, is what a profile calls it. */
static inline bt_status bt_run_plan(const bt_run *r, bt_plan *p, const char *name)
{
    bt_trace_attach(p, r->trace, name);
    const bt_status st = bt_plan_run(p, r->cancel, r->error);
    bt_trace_attach(p, NULL, NULL);
    return st;
}

/* All but tokenize, detokenize and mel_form must be there. Functions that take `err` put
 * one line into it when they fail (it may be NULL). `open`, `describe`,
 * `job_open`, `tokenize` and `detokenize` may be called by several threads at
 * once; the calls on one job never overlap. Locale is "C" during all of them. */
typedef struct bt_module {
    uint32_t abi;        /* BT_MODULE_ABI; it and version never move */
    const char *version; /* BT_VERSION it was built with */
    const char *name;    /* "llama", "diffusion", "vits" */
    bt_kind kind;
    const bt_option *options; /* ends with a zeroed entry */
    size_t options_size;      /* sizeof the option struct */

    /* 0: not mine; else how sure, 100 = certain; the last loaded wins a draw.
     * Looks at names and metadata only. */
    int (*probe)(const bt_store *s);
    /* The module keeps `s` and closes it in `close` if open succeeds; else `s`
     * stays the engine's. `c` outlives the model. A model is immutable and used
     * by many jobs at once. Find missing or misshapen tensors here, not in run. */
    bt_status (*open)(bt_store *s, const bt_compute *c, void **model, bt_error *err);
    void (*close)(void *model);
    bt_status (*describe)(void *model, bt_buf *json); /* a JSON object */

    bt_status (*job_open)(void *model, bt_module_job **job, bt_error *err);
    void (*job_close)(bt_module_job *job);
    /* Memory and work of this run, without packing or running: of r only the options and what
     * is put in are looked at, which may be less than a run needs. *out is zeroed. It is also
     * what a memory budget is held against. */
    bt_status (*estimate)(bt_module_job *job, const bt_run *r, bt_estimate *out);
    bt_status (*run)(bt_module_job *job, const bt_run *r);

    /* Optional (NULL). Results: bt_alloc'ed; *text ends with a zero. */
    bt_status (*tokenize)(void *model, const char *text, size_t len, int special, int32_t **ids,
                          size_t *n, bt_error *err);
    bt_status (*detokenize)(void *model, const int32_t *ids, size_t n, char **text, size_t *len,
                            bt_error *err);
    /* Optional (NULL): of a vocoder, the spectrogram that it takes as the array "mel". */
    void (*mel_form)(void *model, bt_mel_form *out);
} bt_module;

/* modules/registry.c: the modules built in, ends with NULL. */
extern const bt_module *const bt_modules[];

#endif
