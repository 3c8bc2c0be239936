/* SPDX-License-Identifier: MIT
 * Helpers of the tests against bottega.h: a scratch folder, tiny models, an
 * engine with the fake modules.
 */
#ifndef BT_TESTS_API_H
#define BT_TESTS_API_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bottega.h>
#include <cmocka.h>

const char *scratch(void);                  /* a folder of this process, removed at exit */
const char *scratch_file(const char *name); /* a path in it; valid until the next-but-7 call */
/* A safetensors file with the metadata "demo": `demo`; its path. */
const char *tiny_model(const char *demo);
void write_file(const char *path, const void *data, size_t n);
char *read_file(const char *path, size_t *n); /* free */
bt_engine *engine_with(const char *plugin);   /* NULL: none */
/* A job of the fake module `plugin` on its own kind of model. */
bt_job *job_with(const char *plugin, const char *demo);

#endif
