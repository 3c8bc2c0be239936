/* SPDX-License-Identifier: MIT
 * JSON of foreign files (json.h): a thin face over cJSON.
 */
#include "json.h"

#include <math.h>

bt_status bt_json_parse(const char *name, const char *text, size_t n, cJSON **out, bt_error *err)
{
    const char *end = NULL;
    *out = cJSON_ParseWithLengthOpts(text, n, &end, 0);
    if (!*out) {
        const size_t at = end && end >= text && end <= text + n ? (size_t)(end - text) : 0;
        return bt_fail(err, BT_EFORMAT, "%s: malformed JSON near byte %zu", name, at);
    }
    if (cJSON_IsObject(*out))
        return BT_OK;
    cJSON_Delete(*out);
    *out = NULL;
    return bt_fail(err, BT_EFORMAT, "%s: no JSON object", name);
}

bool bt_json_whole(const cJSON *item, int64_t *v)
{
    if (!cJSON_IsNumber(item))
        return false;
    const double d = item->valuedouble;
    /* cJSON keeps numbers as doubles: whole ones are exact up to 2^53. */
    if (!(fabs(d) <= 9007199254740992.0) || d != floor(d))
        return false;
    *v = (int64_t)d;
    return true;
}

bool bt_json_i64(const cJSON *o, const char *key, int64_t *v)
{
    return bt_json_whole(cJSON_GetObjectItemCaseSensitive(o, key), v);
}

bool bt_json_f64(const cJSON *o, const char *key, double *v)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!cJSON_IsNumber(item))
        return false;
    *v = item->valuedouble;
    return true;
}

bool bt_json_bool(const cJSON *o, const char *key, bool *v)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!cJSON_IsBool(item))
        return false;
    *v = cJSON_IsTrue(item);
    return true;
}

const char *bt_json_str(const cJSON *o, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}
