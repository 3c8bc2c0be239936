/* SPDX-License-Identifier: MIT
 * A host for the audio module: opens a voice, sets options, collects samples
 * and reports, as the engine does.
 */
#ifndef TESTS_AUDIO_VOICE_HOST_H
#define TESTS_AUDIO_VOICE_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "module.h"
#include "tests/golden.h"

extern const bt_module bt_module_vits, bt_module_hibari, bt_module_kokoro;

#define JOE    "models/en_US-joe-medium.onnx"
#define HIBARI "models/hibari/hibari.onnx"

typedef struct host {
    const bt_module *module;
    bt_kernels kernels;
    bt_compute compute;
    void *model;
    bt_module_job *job;
    char *options;       /* the module's option struct */
    const bt_array *mel; /* the array "mel"; NULL: none */
    bt_error error;
    atomic_bool cancel;
    size_t cancel_at; /* samples after which the callback says stop; 0: never */
    float *samples;
    size_t n, cap, calls, first_call; /* first_call: samples of the first one */
    int rate;
    bt_buf report; /* name=json, a line each */
    bool wants_times;
    bool patient;     /* does not wait for the first samples */
    bt_timing *times; /* of the last run, their texts too */
    size_t n_times, cap_times;
    size_t stop_at_time; /* times after which the callback says stop; 0: never */
} host;

/* The first two are for Piper voices, host_setup_as for any.
 * `path`: absolute, or a name for golden_data. Fails the test on an error. */
void host_open(host *h, const char *path, const char *isa, int threads, bt_precision p);
bt_status host_try_open(host *h, const char *path); /* h set up by host_setup */
void host_setup(host *h, const char *isa, int threads, bt_precision p);
void host_setup_as(host *h, const bt_module *m, const char *isa, int threads, bt_precision p);
void host_open_as(host *h, const bt_module *m, const char *path, int threads, bt_precision p);
void host_close(host *h);
void host_set(host *h, const char *option, const char *value); /* value must live on */
bt_status host_try_run(host *h); /* samples and report are emptied before */
void host_run(host *h);
double host_fact(const host *h, const char *name); /* a number of the report */

/* Runs with times and checks what holds for every voice and text. Sentences begin where the
 * sound before them ends, `gap` samples later but for the first; ids follow each other. */
void host_run_timed(host *h, size_t gap);
/* The words or sentences of `source` that were told, each with a bar behind it. */
void host_assert_told(const host *h, bt_timing_kind kind, const char *source, const char *want);
/* Number `number` of that kind. */
const bt_timing *host_told(const host *h, bt_timing_kind kind, int number);

/* What a voice said, part by part; begins as zeros, x is the caller's to free. */
typedef struct host_sound {
    float *x;
    size_t n, calls;
} host_sound;

bt_status host_hear(void *of, const float *x, size_t n);

#endif
