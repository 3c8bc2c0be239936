/* SPDX-License-Identifier: MIT
 * For the tests of this folder: goldens, and SmolLM2's tokenizer.
 */
#ifndef TESTS_TEXT_GOLDEN_H
#define TESTS_TEXT_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "formats/store.h"
#include "text/bpe.h"

/* tests/<name>. cJSON cuts strings at \u0000, so it becomes U+F8FF here,
 * which no golden holds, and json_text turns it back. */
cJSON *json_load(const char *name);
char *json_text(const cJSON *string, size_t *n); /* free() */
/* Compares ids with a JSON list; says which string differs. */
int same_ids(const bt_ids *ids, const cJSON *want, const char *text);

char *read_file(const char *path, size_t *n); /* bt_release() */
bt_store *smollm2_open(void);
bt_bpe *smollm2_tokenizer(const bt_store *s);
bt_bpe *clip_tokenizer(const char *folder);
#define ICONS BT_SOURCE_DIR "/tests/text/clip-icons" /* tokenizer files of icons-128 */

#endif
