/* SPDX-License-Identifier: MIT
 * Reading a JSON object key by key. The first failure sticks; it names the
 * file and the key. null counts as "not there".
 */
#ifndef BT_IMAGE_FIELDS_H
#define BT_IMAGE_FIELDS_H

#include <stdbool.h>

#include <cjson/cJSON.h>

#include "formats/store.h"

typedef struct sd_fields {
    const char *store, *file; /* for messages */
    cJSON *obj;               /* NULL: no such file (all defaults) */
    bt_error *err;
    bt_status st;
} sd_fields;

/* Opens a side file of the store; `required`: its absence is a failure. */
sd_fields sd_fields_open(const bt_store *s, const char *file, bool required, bt_error *err);
bt_status sd_fields_close(sd_fields *f); /* the first failure */

const cJSON *sd_fields_get(const sd_fields *f, const char *key);
bt_status sd_fields_fail(sd_fields *f, bt_status st, const char *key, const char *what);

int sd_int(sd_fields *f, const char *key, int fallback, int min, int max);
double sd_number(sd_fields *f, const char *key, double fallback, double min, double max);
bool sd_bool(sd_fields *f, const char *key, bool fallback);
int sd_bool3(sd_fields *f, const char *key); /* -1: not there */
/* NULL if not there. */
const char *sd_string(sd_fields *f, const char *key);
/* Index of the string in the list (ends with NULL); fallback if not there;
 * BT_EUNSUPPORTED if not in the list. */
int sd_choice(sd_fields *f, const char *key, const char *const *names, int fallback);
/* A number for all `n`, or an array of exactly n. */
void sd_ints(sd_fields *f, const char *key, int fallback, int min, int max, int *out, int n);
/* The same by item `at` of an array of `of`; what is no array is each item. */
void sd_item_ints(sd_fields *f, const char *key, int at, int of, int fallback, int min, int max,
                  int *out, int n);
/* Length of an array of at most max items; fallback if not there. */
int sd_count(sd_fields *f, const char *key, int fallback, int max);

/* Keys that must be absent, null, false, or equal to `allowed` (may be NULL). */
typedef struct sd_only {
    const char *key, *allowed;
} sd_only;
void sd_expect(sd_fields *f, const sd_only *list, size_t n);

#endif
