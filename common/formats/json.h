/* SPDX-License-Identifier: MIT
 * JSON of foreign files: parsed with limits, read with defaults.
 *
 * cJSON bounds the nesting (CJSON_NESTING_LIMIT); the callers bound the bytes
 * before they parse. A getter leaves *v alone if the member is not there, so
 * `int64_t n = 4; bt_json_i64(o, "n", &n);` reads a setting with its default.
 */
#ifndef BT_FORMATS_JSON_H
#define BT_FORMATS_JSON_H

#include <cjson/cJSON.h>

#include "base/status.h"

#include <stdbool.h>

/* Parses a whole text of one object; `name` is for messages. On BT_OK free
 * *out with cJSON_Delete. */
bt_status bt_json_parse(const char *name, const char *text, size_t n, cJSON **out, bt_error *err);

/* Members of an object: false (and *v untouched) if there is none of that name
 * and type. Integers must be whole and within +-2^53. */
bool bt_json_i64(const cJSON *o, const char *key, int64_t *v);
bool bt_json_f64(const cJSON *o, const char *key, double *v);
bool bt_json_bool(const cJSON *o, const char *key, bool *v);
const char *bt_json_str(const cJSON *o, const char *key); /* NULL: none */

/* A whole number held by the item itself. */
bool bt_json_whole(const cJSON *item, int64_t *v);

#endif
