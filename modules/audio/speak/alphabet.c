/* SPDX-License-Identifier: MIT
 * See alphabet.h.
 */
#include "audio/speak/alphabet.h"

#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "text/utf8.h"

enum { MOST = 10000 };

static int by_code(const void *a, const void *b)
{
    const bt_letter *x = a, *y = b;
    return (x->code > y->code) - (x->code < y->code);
}

static bt_status read_letters(bt_alphabet *a, const cJSON *o, int first, int ids, const char *name,
                              bt_error *err)
{
    const int n = cJSON_IsObject(o) ? cJSON_GetArraySize(o) : 0;
    const cJSON *item;
    if (n < 1 || n > MOST)
        return bt_fail(err, BT_EFORMAT, "%s: no sensible number of phonemes", name);
    a->v = bt_calloc((size_t)n, sizeof *a->v);
    if (!a->v)
        return bt_no_memory(err, "the voice");
    cJSON_ArrayForEach(item, o)
    {
        const size_t len = strlen(item->string);
        uint32_t code = 0;
        int64_t id;
        if (len == 0 || bt_utf8_next(item->string, len, &code) != len)
            return bt_fail(err, BT_EFORMAT, "%s: a phoneme that is not one character", name);
        if (!bt_json_whole(item, &id) || id < first || id >= ids)
            return bt_fail(err, BT_EFORMAT, "%s: an id that is outside the model's symbols", name);
        a->v[a->n++] = (bt_letter){ code, (int32_t)id };
    }
    qsort(a->v, (size_t)a->n, sizeof *a->v, by_code);
    return BT_OK;
}

bt_status bt_alphabet_read(bt_alphabet *a, const char *text, size_t n, const char *member,
                           int first, int ids, const char *name, bt_error *err)
{
    cJSON *root;
    bt_status st = bt_json_parse(name, text, n, &root, err);
    if (st != BT_OK)
        return st;
    const cJSON *o = member ? cJSON_GetObjectItemCaseSensitive(root, member) : root;
    st = read_letters(a, o, first, ids, name, err);
    cJSON_Delete(root);
    if (st != BT_OK)
        bt_alphabet_free(a);
    return st;
}

void bt_alphabet_free(bt_alphabet *a)
{
    bt_release(a->v);
    *a = (bt_alphabet){ 0 };
}

int32_t bt_alphabet_id(const bt_alphabet *a, uint32_t code)
{
    const bt_letter key = { .code = code };
    const bt_letter *p = a->n ? bsearch(&key, a->v, (size_t)a->n, sizeof key, by_code) : NULL;
    return p ? p->id : -1;
}

bt_status bt_alphabet_check(const bt_alphabet *a, const char *s, size_t n, bt_error *err)
{
    for (size_t at = 0; at < n;) {
        uint32_t c;
        const size_t len = bt_utf8_next(s + at, n - at, &c);
        if (bt_alphabet_id(a, c) < 0)
            return bt_fail(err, BT_EINVAL, "the voice has no phoneme \"%.*s\" (U+%04X)", (int)len,
                           s + at, (unsigned)c);
        at += len;
    }
    return BT_OK;
}

int bt_alphabet_count(const bt_alphabet *a, const char *s, size_t n)
{
    int count = 0;
    uint32_t c;
    for (size_t at = 0; at < n; count += bt_alphabet_id(a, c) >= 0)
        at += bt_utf8_next(s + at, n - at, &c);
    return count;
}

bool bt_alphabet_add(const bt_alphabet *a, const char *s, size_t n, size_t base, bt_utterances *out,
                     bt_utterance *u)
{
    bool ok = true;
    for (size_t at = 0, end; ok && at < n; at = end) {
        uint32_t c;
        end = at + bt_utf8_next(s + at, n - at, &c);
        const int32_t id = bt_alphabet_id(a, c);
        if (id < 0)
            bt_utterances_lack(out, c);
        else
            ok = bt_utterance_add_at(u, &id, 1, base + at, base + end);
    }
    return ok;
}
