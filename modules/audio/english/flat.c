/* SPDX-License-Identifier: MIT
 * Tables of flat JSON files. The lexicons and the tagger's weights are millions of bytes
 * of `"key":value,`; a tree of them would take longer to make than a sentence to speak.
 * So one scan notes where each key lies, by its hash, and values stay text until they are
 * asked for.
 */
#include "parts.h"

#include "base/hash.h"

enum {
    PROBES = 256, /* equal keys aside, tables of honest files need a tenth of this */
    FIRST_SLOTS = 1 << 15
};

typedef struct bt_flat_slot {
    uint32_t hash;
    uint32_t at; /* of the key's first byte behind its quote; 0: free */
} slot;

static uint32_t hash_of(const char *p, size_t n)
{
    const uint64_t h = bt_hash(BT_HASH_INIT, p, n);
    return (uint32_t)(h ^ h >> 32);
}

/* ---- scanning ----------------------------------------------------------- */

static size_t skip_space(const char *s, size_t n, size_t i)
{
    while (i < n && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t'))
        i++;
    return i;
}

/* Behind the closing quote of the string whose opening one is s[i]; 0: there is none. */
static size_t skip_string(const char *s, size_t n, size_t i)
{
    for (i++; i < n; i++) {
        if (s[i] == '"')
            return i + 1;
        if (s[i] == '\\')
            i++;
    }
    return 0;
}

/* Behind the bracket that closes the one at s[i]; 0: none, or one more is inside. */
static size_t skip_nest(const char *s, size_t n, size_t i)
{
    const char close = s[i] == '{' ? '}' : ']';
    for (i++; i < n; i++) {
        if (s[i] == close)
            return i + 1;
        if (s[i] == '{' || s[i] == '[' || s[i] == '}' || s[i] == ']')
            return 0;
        if (s[i] == '"') {
            i = skip_string(s, n, i);
            if (i == 0)
                return 0;
            i--;
        }
    }
    return 0;
}

/* Behind the value at s[i]; 0: there is none. */
static size_t skip_value(const char *s, size_t n, size_t i)
{
    if (i >= n)
        return 0;
    if (s[i] == '"')
        return skip_string(s, n, i);
    if (s[i] == '{' || s[i] == '[')
        return skip_nest(s, n, i);
    const size_t from = i;
    while (i < n && (bt_is_ascii_letter((uint8_t)s[i]) || bt_is_ascii_digit((uint8_t)s[i]) ||
                     s[i] == '-' || s[i] == '+' || s[i] == '.'))
        i++;
    return i > from ? i : 0;
}

/* ---- tables --------------------------------------------------------------- */

static bool grow(bt_flat *f, size_t size)
{
    slot *slots = bt_calloc(size, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; f->slots && i <= f->mask; i++) {
        if (f->slots[i].at == 0)
            continue;
        size_t k = f->slots[i].hash & (size - 1);
        while (slots[k].at != 0)
            k = (k + 1) & (size - 1);
        slots[k] = f->slots[i];
    }
    bt_release(f->slots);
    f->slots = slots;
    f->mask = size - 1;
    return true;
}

/* False: too many keys of one hash. */
static bool insert(bt_flat *f, size_t at, size_t n)
{
    const uint32_t h = hash_of(f->data + at, n);
    size_t k = h & f->mask, probes = 0;
    while (f->slots[k].at != 0) {
        k = (k + 1) & f->mask;
        if (++probes > PROBES)
            return false;
    }
    f->slots[k] = (slot){ h, (uint32_t)at };
    f->n++;
    if (n > f->longest)
        f->longest = n;
    return true;
}

/* One member at s[*i], or one string of an array; *i moves behind it. */
static bool read_member(bt_flat *f, size_t size, bool object, size_t *i)
{
    const char *s = f->data;
    const size_t key = *i + 1;
    size_t end = *i < size && s[*i] == '"' ? skip_string(s, size, *i) : 0;
    if (end == 0 || !insert(f, key, end - 1 - key))
        return false;
    if (object) {
        end = skip_space(s, size, end);
        if (end >= size || s[end] != ':')
            return false;
        end = skip_value(s, size, skip_space(s, size, end + 1));
        if (end == 0)
            return false;
    }
    *i = skip_space(s, size, end);
    return *i < size;
}

bt_status bt_flat_read(const char *name, const char *data, size_t size, size_t *at, bt_flat *out,
                       bt_error *err)
{
    size_t i = skip_space(data, size, *at);
    *out = (bt_flat){ .data = data };
    if (size > UINT32_MAX || i >= size || (data[i] != '{' && data[i] != '['))
        return bt_fail(err, BT_EFORMAT, "%s: no table where one should be", name);
    const bool object = data[i] == '{';
    if (!grow(out, FIRST_SLOTS))
        return bt_no_memory(err, name);
    i = skip_space(data, size, i + 1);
    while (i < size && data[i] == '"') {
        if (out->n > out->mask / 2 && !grow(out, 2 * (out->mask + 1)))
            return bt_no_memory(err, name);
        if (!read_member(out, size, object, &i))
            break;
        if (data[i] != ',')
            break;
        i = skip_space(data, size, i + 1);
    }
    if (i >= size || data[i] != (object ? '}' : ']'))
        return bt_fail(err, BT_EFORMAT, "%s: malformed table near byte %zu", name, i);
    *at = i + 1;
    return BT_OK;
}

void bt_flat_free(bt_flat *f)
{
    bt_release(f->slots);
    *f = (bt_flat){ 0 };
}

bt_str bt_flat_get(const bt_flat *f, bt_str key)
{
    if (key.n > f->longest || !f->slots)
        return BT_NO_STR;
    const uint32_t h = hash_of(key.p, key.n);
    for (size_t k = h & f->mask; f->slots[k].at != 0; k = (k + 1) & f->mask) {
        const char *p = f->data + f->slots[k].at;
        if (f->slots[k].hash != h || strncmp(p, key.p, key.n) != 0 || p[key.n] != '"')
            continue;
        /* The scan has been here, so the value is whole and within the file. */
        const char *v = p + key.n + 1;
        while (*v == ' ' || *v == '\n' || *v == '\r' || *v == '\t')
            v++;
        if (*v != ':')
            return (bt_str){ v, 0 };
        v++;
        while (*v == ' ' || *v == '\n' || *v == '\r' || *v == '\t')
            v++;
        return (bt_str){ v, skip_value(v, SIZE_MAX / 2, 0) };
    }
    return BT_NO_STR;
}

bt_str bt_flat_escape(bt_arena *a, bt_str key)
{
    if (!bt_str_has(key, '"') && !bt_str_has(key, '\\'))
        return key;
    char *out = bt_arena_take(a, 2 * key.n);
    size_t n = 0;
    for (size_t i = 0; out && i < key.n; i++) {
        if (key.p[i] == '"' || key.p[i] == '\\')
            out[n++] = '\\';
        out[n++] = key.p[i];
    }
    return (bt_str){ out, n };
}

/* ---- values ----------------------------------------------------------------- */

bool bt_flat_next(bt_str raw, size_t *at, bt_str *key, bt_str *value)
{
    size_t i = skip_space(raw.p, raw.n, *at == 0 ? 1 : *at);
    *key = BT_NO_STR;
    if (raw.n < 2 || i >= raw.n || raw.p[i] != '"')
        return false;
    size_t end = skip_string(raw.p, raw.n, i);
    if (end == 0)
        return false;
    if (raw.p[0] == '{') {
        *key = (bt_str){ raw.p + i + 1, end - i - 2 };
        i = skip_space(raw.p, raw.n, end);
        if (i >= raw.n || raw.p[i] != ':')
            return false;
        i = skip_space(raw.p, raw.n, i + 1);
        end = skip_value(raw.p, raw.n, i);
        if (end == 0)
            return false;
    }
    *value = (bt_str){ raw.p + i, end - i };
    i = skip_space(raw.p, raw.n, end);
    *at = i < raw.n && raw.p[i] == ',' ? i + 1 : raw.n;
    return true;
}

bt_str bt_flat_string(bt_str raw)
{
    if (raw.n < 2 || raw.p[0] != '"' || bt_str_has(raw, '\\'))
        return BT_NO_STR;
    return (bt_str){ raw.p + 1, raw.n - 2 };
}

bool bt_flat_member(const char *data, size_t size, size_t *at, bt_str *key)
{
    size_t i = skip_space(data, size, *at);
    if (i < size && (data[i] == '{' || data[i] == ','))
        i = skip_space(data, size, i + 1);
    const size_t end = i < size && data[i] == '"' ? skip_string(data, size, i) : 0;
    if (end == 0)
        return false;
    *key = (bt_str){ data + i + 1, end - i - 2 };
    i = skip_space(data, size, end);
    if (i >= size || data[i] != ':')
        return false;
    *at = i + 1;
    return true;
}
