/* SPDX-License-Identifier: MIT
 * Runs the text module through its descriptor, as the engine does, and keeps
 * what it hands back. A call that must work and fails, fails the test.
 */
#ifndef TESTS_MODULES_TEXT_HOST_H
#define TESTS_MODULES_TEXT_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "modules/text/llm.h"

#define SMOLLM2 "models/SmolLM2-135M-Instruct.Q4_1.gguf"
#define TINY    BT_SOURCE_DIR "/tests/golden/tiny-llama-"

extern const bt_module bt_module_llama;

typedef struct host {
    bt_kernels kernels;
    bt_compute compute;
    bt_llm_model *model;
    bt_module_job *job;
    bt_llm_options options;
    atomic_bool cancel;
    bt_error error;
    bt_buf text, report; /* report: "name=value\n" */
    bt_ids ids;          /* of the token callbacks */
    int cancel_at;       /* token callback that cancels, 1.., 0: none */
} host;

/* NULL, 0, BT_PREC_AUTO: the machine's best, one thread */
void host_init(host *h, const char *isa, int threads, bt_precision p);
bt_status host_try_open(host *h, const char *path);
void host_open(host *h, const char *path); /* with a job and default options */
void host_open_smollm2(host *h);
void host_new_job(host *h); /* a fresh one in place of the old one */
void host_close(host *h);
bt_status host_try_run(host *h, const char *prompt);
const char *host_run(host *h, const char *prompt);   /* the text */
double host_number(const host *h, const char *name); /* of the report; NAN */
bool host_says(const host *h, const char *line);     /* report has "name=value" */

#endif
