/* SPDX-License-Identifier: MIT
 * normalize.json: abbreviations, titles, units, signs, and what is read for them.
 */
#include "parts.h"

#include <stdlib.h>

#include "formats/json.h"
#include "text/utf8.h"

enum { LONGEST_FILE = 1 << 20 };

static bt_status bad(const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "normalize.json: no usable \"%s\"", what);
}

static const char *keep(bt_tables *t, const char *s)
{
    return bt_str_copy(&t->text, s, strlen(s) + 1).p;
}

static bool add(bt_tables *t, bt_readings *r, const char *word, const char *one, const char *many)
{
    const size_t bytes = strlen(word);
    uint32_t *c = bt_pool_take(&t->text, bytes * sizeof *c);
    const char *copy = keep(t, word);
    bt_reading *e = &r->v[r->n];
    *e = (bt_reading){ { copy, bytes }, c, 0, keep(t, one), keep(t, many) };
    if (!c || !copy || !e->one || !e->many)
        return false;
    for (size_t i = 0; i < bytes; e->n++)
        i += bt_utf8_next(word + i, bytes - i, &c[e->n]);
    r->n += e->n > 0;
    return true;
}

static int longer_first(const void *x, const void *y)
{
    const bt_reading *a = x, *b = y;
    return a->n != b->n ? (a->n < b->n ? 1 : -1) : strcmp(a->word.p, b->word.p);
}

/* Members of an object, word: reading or word: [one, many]; or the words of an array. */
static bt_status read_list(bt_tables *t, const cJSON *json, const char *name, bt_readings *r,
                           bt_error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, name), *item;
    if (!list || !list->child)
        return bad(name, err);
    r->v = bt_pool_take(&t->text, (size_t)cJSON_GetArraySize(list) * sizeof *r->v);
    if (!r->v)
        return bt_no_memory(err, name);
    cJSON_ArrayForEach(item, list)
    {
        const char *one = cJSON_GetStringValue(item), *many = one;
        if (cJSON_GetArraySize(item) == 2) {
            one = cJSON_GetStringValue(item->child);
            many = cJSON_GetStringValue(item->child->next);
        }
        if (!one || !many)
            return bad(name, err);
        if (!add(t, r, item->string ? item->string : one, one, many))
            return bt_no_memory(err, name);
    }
    return BT_OK;
}

/* Twelve of them, by their first three letters, in the order of the year; in texts they
 * also stand in full. */
static bt_status read_months(bt_tables *t, const cJSON *json, bt_error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "months"), *item;
    int n = 0;
    t->months.v = bt_pool_take(&t->text, 25 * sizeof *t->months.v);
    if (!t->months.v)
        return bt_no_memory(err, "months");
    cJSON_ArrayForEach(item, list)
    {
        char brief[4] = "";
        const char *full = cJSON_GetStringValue(item);
        if (n == 12 || !full || strlen(full) < 3)
            return bad("months", err);
        memcpy(brief, full, 3);
        t->month[n] = keep(t, full);
        if (!t->month[n] || !add(t, &t->months, full, full, full) ||
            !add(t, &t->months, brief, full, full))
            return bt_no_memory(err, "months");
        if (strcmp(brief, "Sep") == 0 && !add(t, &t->months, "Sept", full, full))
            return bt_no_memory(err, "months");
        n++;
    }
    return n == 12 ? BT_OK : bad("months", err);
}

static bt_status read_all(bt_tables *t, const cJSON *json, bt_error *err)
{
    const struct {
        const char *name;
        bt_readings *list;
    } lists[] = { { "titles", &t->titles },
                  { "abbreviations", &t->abbreviations },
                  { "units", &t->units },
                  { "symbols", &t->symbols },
                  { "currency", &t->currency },
                  { "roman_cardinal", &t->roman_cardinal },
                  { "roman_ordinal", &t->roman_ordinal } };
    bt_status st = read_months(t, json, err);
    for (size_t i = 0; st == BT_OK && i < sizeof lists / sizeof *lists; i++)
        st = read_list(t, json, lists[i].name, lists[i].list, err);
    return st;
}

bt_status bt_tables_open(const char *folder, bt_tables *t, bt_error *err)
{
    bt_buf path = { 0 };
    char *text = NULL;
    size_t n;
    cJSON *json;
    *t = (bt_tables){ 0 };
    bt_buf_printf(&path, "%s/normalize.json", folder);
    if (path.failed)
        return bt_no_memory(err, "normalize.json");
    bt_status st = bt_file_read(path.data, LONGEST_FILE, &text, &n, err);
    if (st == BT_OK)
        st = bt_json_parse(path.data, text, n, &json, err);
    if (st == BT_OK) {
        st = read_all(t, json, err);
        cJSON_Delete(json);
    }
    bt_release(text);
    bt_buf_free(&path);
    if (st != BT_OK) {
        bt_tables_close(t);
        return st;
    }
    /* Signs keep the order of the file, which is that of their rules. */
    bt_readings *const sorted[] = { &t->months,   &t->titles,         &t->abbreviations, &t->units,
                                    &t->currency, &t->roman_cardinal, &t->roman_ordinal };
    for (size_t i = 0; i < sizeof sorted / sizeof *sorted; i++)
        qsort(sorted[i]->v, sorted[i]->n, sizeof *sorted[i]->v, longer_first);
    return BT_OK;
}

void bt_tables_close(bt_tables *t)
{
    bt_pool_free(&t->text);
    *t = (bt_tables){ 0 };
}
