/* SPDX-License-Identifier: MIT
 * Reading a JSON object key by key.
 */
#include "image/network/fields.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

sd_fields sd_fields_open(const bt_store *s, const char *file, bool required, bt_error *err)
{
    sd_fields f = { bt_store_path(s), file, NULL, err, BT_OK };
    size_t n = 0;
    const char *text = bt_store_file(s, file, &n);
    if (!text) {
        if (required)
            f.st = bt_fail(err, BT_EFORMAT, "%s: %s is missing", f.store, file);
        return f;
    }
    f.obj = cJSON_ParseWithLength(text, n);
    if (!cJSON_IsObject(f.obj))
        f.st = bt_fail(err, BT_EFORMAT, "%s: %s is not a JSON object", f.store, file);
    return f;
}

bt_status sd_fields_close(sd_fields *f)
{
    cJSON_Delete(f->obj);
    f->obj = NULL;
    return f->st;
}

bt_status sd_fields_fail(sd_fields *f, bt_status st, const char *key, const char *what)
{
    if (f->st == BT_OK)
        f->st = bt_fail(f->err, st, "%s: %s: \"%s\" %s", f->store, f->file, key, what);
    return f->st;
}

const cJSON *sd_fields_get(const sd_fields *f, const char *key)
{
    const cJSON *v = f->obj ? cJSON_GetObjectItemCaseSensitive(f->obj, key) : NULL;
    return cJSON_IsNull(v) ? NULL : v;
}

static bool int_of(const cJSON *v, int min, int max, int *out)
{
    if (!cJSON_IsNumber(v) || v->valuedouble != floor(v->valuedouble) || v->valuedouble < min ||
        v->valuedouble > max)
        return false;
    *out = (int)v->valuedouble;
    return true;
}

int sd_int(sd_fields *f, const char *key, int fallback, int min, int max)
{
    const cJSON *v = sd_fields_get(f, key);
    int out = fallback;
    if (v && !int_of(v, min, max, &out))
        sd_fields_fail(f, BT_EFORMAT, key, "is out of range");
    return out;
}

double sd_number(sd_fields *f, const char *key, double fallback, double min, double max)
{
    const cJSON *v = sd_fields_get(f, key);
    if (!v)
        return fallback;
    if (!cJSON_IsNumber(v) || !(v->valuedouble >= min && v->valuedouble <= max)) {
        sd_fields_fail(f, BT_EFORMAT, key, "is out of range");
        return fallback;
    }
    return v->valuedouble;
}

int sd_bool3(sd_fields *f, const char *key)
{
    const cJSON *v = sd_fields_get(f, key);
    if (v && !cJSON_IsBool(v))
        sd_fields_fail(f, BT_EFORMAT, key, "is not true or false");
    return v ? cJSON_IsTrue(v) : -1;
}

bool sd_bool(sd_fields *f, const char *key, bool fallback)
{
    int v = sd_bool3(f, key);
    return v < 0 ? fallback : v != 0;
}

const char *sd_string(sd_fields *f, const char *key)
{
    const cJSON *v = sd_fields_get(f, key);
    if (v && !cJSON_IsString(v))
        sd_fields_fail(f, BT_EFORMAT, key, "is not a string");
    return cJSON_IsString(v) ? v->valuestring : NULL;
}

int sd_choice(sd_fields *f, const char *key, const char *const *names, int fallback)
{
    const char *s = sd_string(f, key);
    if (!s)
        return fallback;
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], s))
            return i;
    char what[128];
    snprintf(what, sizeof what, "is \"%.80s\", which is not supported", s);
    sd_fields_fail(f, BT_EUNSUPPORTED, key, what);
    return fallback;
}

/* A number for all n, or an array of n. */
static void read_ints(sd_fields *f, const char *key, const cJSON *v, int min, int max, int *out,
                      int n)
{
    const bool list = cJSON_IsArray(v);
    if (list && cJSON_GetArraySize(v) != n) {
        sd_fields_fail(f, BT_EFORMAT, key, "has a wrong number of items");
        return;
    }
    const cJSON *item = list ? v->child : v;
    for (int i = 0; i < n; i++, item = list ? item->next : item)
        if (!int_of(item, min, max, &out[i]))
            sd_fields_fail(f, cJSON_IsArray(item) ? BT_EUNSUPPORTED : BT_EFORMAT, key,
                           cJSON_IsArray(item) ? "holds arrays, which is not supported"
                           : list              ? "holds a value out of range"
                                               : "is out of range");
}

static void fill(int *out, int n, int with)
{
    for (int i = 0; i < n; i++)
        out[i] = with;
}

void sd_ints(sd_fields *f, const char *key, int fallback, int min, int max, int *out, int n)
{
    const cJSON *v = sd_fields_get(f, key);
    fill(out, n, fallback);
    if (v)
        read_ints(f, key, v, min, max, out, n);
}

void sd_item_ints(sd_fields *f, const char *key, int at, int of, int fallback, int min, int max,
                  int *out, int n)
{
    const cJSON *v = sd_fields_get(f, key);
    fill(out, n, fallback);
    if (cJSON_IsArray(v) && cJSON_GetArraySize(v) != of)
        sd_fields_fail(f, BT_EFORMAT, key, "has a wrong number of items");
    else if (v)
        read_ints(f, key, cJSON_IsArray(v) ? cJSON_GetArrayItem(v, at) : v, min, max, out, n);
}

int sd_count(sd_fields *f, const char *key, int fallback, int max)
{
    const cJSON *v = sd_fields_get(f, key);
    if (!v)
        return fallback;
    int n = cJSON_GetArraySize(v);
    if (cJSON_IsArray(v) && n >= 1 && n <= max)
        return n;
    sd_fields_fail(f, BT_EFORMAT, key, "is not a short array");
    return fallback;
}

void sd_expect(sd_fields *f, const sd_only *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const cJSON *v = sd_fields_get(f, list[i].key);
        if (!v || cJSON_IsFalse(v))
            continue;
        if (list[i].allowed && cJSON_IsString(v) && !strcmp(v->valuestring, list[i].allowed))
            continue;
        sd_fields_fail(f, BT_EUNSUPPORTED, list[i].key, "has a value that is not supported");
    }
}
