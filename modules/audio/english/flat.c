/* SPDX-License-Identifier: MIT
 * Tables of flat JSON files. The lexicons and the tagger's weights are millions of bytes
 * of `"key":value,`; a tree of them would take longer to make than a sentence to speak.
 * So one scan notes where each key lies, by its hash, and values stay text until they are
 * asked for.
 */
#include "parts.h"

#include <endian.h>

enum {
    PROBES = 256, /* equal keys aside, tables of honest files need a tenth of this */
    FIRST_SLOTS = 1 << 15
};

typedef struct bt_flat_slot {
    uint32_t hash;
    uint32_t at; /* of the key's first byte behind its quote; 0: free */
} slot;

/* ---- eight bytes at a time ------------------------------------------------- */

#define EACH(byte) (0x0101010101010101u * (byte))

static inline uint64_t load(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return le64toh(w);
}

/* The lowest bit set is in the lowest byte that is 0. */
static inline uint64_t zero_byte(uint64_t w) { return (w - EACH(1)) & ~w & EACH(0x80); }

/* The first " or \ at or behind s[i]; n: there is none. */
static inline size_t find_end(const char *s, size_t n, size_t i)
{
    for (; n - i >= 8; i += 8) {
        const uint64_t w = load(s + i);
        const uint64_t m = zero_byte(w ^ EACH('"')) | zero_byte(w ^ EACH('\\'));
        if (m)
            return i + (size_t)__builtin_ctzll(m) / 8;
    }
    while (i < n && s[i] != '"' && s[i] != '\\')
        i++;
    return i;
}

/* Of s[i..i + len); `n` is where the bytes that may be read end. */
static inline uint32_t hash_of(const char *s, size_t n, size_t i, size_t len)
{
    uint64_t h = len, tail = 0;
    for (; len >= 8; i += 8, len -= 8)
        h = (h ^ load(s + i)) * 0x9E3779B97F4A7C15u, h ^= h >> 29;
    if (len > 0 && n - i >= 8)
        tail = load(s + i) & (~0ull >> (64 - 8 * len));
    else
        for (size_t k = 0; k < len; k++)
            tail |= (uint64_t)(uint8_t)s[i + k] << 8 * k;
    h = (h ^ tail) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 32);
}

/* ---- scanning ----------------------------------------------------------- */

static inline size_t skip_space(const char *s, size_t n, size_t i)
{
    while (i < n && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t'))
        i++;
    return i;
}

/* Behind the closing quote of the string whose opening one is s[i]; 0: there is none. */
static inline size_t skip_string(const char *s, size_t n, size_t i)
{
    for (i++; i < n; i += 2) {
        i = find_end(s, n, i);
        if (i < n && s[i] == '"')
            return i + 1;
    }
    return 0;
}

/* Behind the bracket that closes the array of strings at s[i]; 0: there is none. */
static size_t skip_array(const char *s, size_t n, size_t i)
{
    for (i++; i < n; i++) {
        if (s[i] == ']')
            return i + 1;
        if (s[i] == '"') {
            const size_t end = skip_string(s, n, i);
            if (end == 0)
                return 0;
            i = end - 1;
        } else if (s[i] != ' ' && s[i] != ',') {
            return 0;
        }
    }
    return 0;
}

/* Behind the value at s[i]; 0: there is none. */
static inline size_t skip_value(const char *s, size_t n, size_t i)
{
    if (i >= n)
        return 0;
    if (s[i] == '"')
        return skip_string(s, n, i);
    if (s[i] == '[')
        return skip_array(s, n, i);
    if (s[i] == '{') { /* whose strings hold no } */
        const char *end = memchr(s + i, '}', n - i);
        return end ? (size_t)(end - s) + 1 : 0;
    }
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
static inline bool insert(bt_flat *f, size_t size, size_t at, size_t n)
{
    const uint32_t h = hash_of(f->data, size, at, n);
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
static inline bool read_member(bt_flat *f, size_t size, bool object, size_t *i)
{
    const char *s = f->data;
    const size_t key = *i + 1;
    size_t end = *i < size && s[*i] == '"' ? skip_string(s, size, *i) : 0;
    if (end == 0 || !insert(f, size, key, end - 1 - key))
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

bt_status bt_flat_read(const char *name, const char *data, size_t size, size_t *at, size_t keys,
                       bt_flat *out, bt_error *err)
{
    size_t i = skip_space(data, size, *at), slots = FIRST_SLOTS;
    *out = (bt_flat){ .data = data, .end = data + size };
    if (size > UINT32_MAX || i >= size || (data[i] != '{' && data[i] != '['))
        return bt_fail(err, BT_EFORMAT, "%s: no table where one should be", name);
    const bool object = data[i] == '{';
    while (slots < 2 * keys)
        slots *= 2;
    if (!grow(out, slots))
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
    if (!key.p || key.n > f->longest || !f->slots)
        return BT_NO_STR;
    const uint32_t h = hash_of(key.p, key.n, 0, key.n);
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
        return (bt_str){ v, skip_value(v, (size_t)(f->end - v), 0) };
    }
    return BT_NO_STR;
}

bt_str bt_flat_escape(bt_pool *a, bt_str key)
{
    if (!bt_str_has(key, '"') && !bt_str_has(key, '\\'))
        return key;
    char *out = bt_pool_take(a, 2 * key.n);
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
