/* SPDX-License-Identifier: MIT
 * Metadata: getters that convert between number types where the value fits.
 *
 * Writers of GGUF do not agree on types: a count may be u32, i32 or u64. So a
 * number is read as the widest of its kind and handed out if it fits; a float is
 * never taken for a whole number.
 */
#include <string.h>

#include "store_build.h"

typedef struct number {
    enum { NOT_A_NUMBER, UNSIGNED, SIGNED, FLOATING } kind;
    uint64_t u;
    int64_t i;
    double f;
} number;

size_t bt_meta_size(bt_meta_type t)
{
    static const uint8_t sizes[BT_META_COUNT] = {
        [BT_META_U8] = 1,  [BT_META_I8] = 1,  [BT_META_BOOL] = 1, [BT_META_U16] = 2,
        [BT_META_I16] = 2, [BT_META_U32] = 4, [BT_META_I32] = 4,  [BT_META_F32] = 4,
        [BT_META_U64] = 8, [BT_META_I64] = 8, [BT_META_F64] = 8,
    };
    return (unsigned)t < BT_META_COUNT ? sizes[t] : 0;
}

/* The number at p, little endian, any alignment. */
static number read_number(bt_meta_type t, const uint8_t *p)
{
    number v = { UNSIGNED, 0, 0, 0 };
    const size_t size = bt_meta_size(t);
    float f32;
    for (size_t k = 0; k < size; k++)
        v.u |= (uint64_t)p[k] << (8 * k);
    switch (t) {
    case BT_META_U8:
    case BT_META_U16:
    case BT_META_U32:
    case BT_META_U64:
    case BT_META_BOOL: break;
    case BT_META_I8:
    case BT_META_I16:
    case BT_META_I32:
    case BT_META_I64:
        v.kind = SIGNED;
        v.i = (int64_t)(v.u << (64 - 8 * size)) >> (64 - 8 * size);
        break;
    case BT_META_F32: {
        const uint32_t bits = (uint32_t)v.u;
        memcpy(&f32, &bits, 4);
        v.kind = FLOATING;
        v.f = f32;
        break;
    }
    case BT_META_F64:
        memcpy(&v.f, &v.u, 8);
        v.kind = FLOATING;
        break;
    default: v.kind = NOT_A_NUMBER;
    }
    return v;
}

/* Element i of an array of numbers. */
static number element(const bt_meta *m, size_t i)
{
    const size_t size = m ? bt_meta_size(m->elem) : 0;
    if (size == 0 || i >= m->n)
        return (number){ NOT_A_NUMBER, 0, 0, 0 };
    return read_number(m->elem, m->items + i * size);
}

static number scalar(const bt_store *s, const char *key)
{
    const bt_meta *m = bt_store_meta(s, key);
    return element(m && m->type != BT_META_ARRAY ? m : NULL, 0);
}

static bool as_i64(number v, int64_t *out)
{
    if (v.kind == SIGNED)
        *out = v.i;
    else if (v.kind == UNSIGNED && v.u <= INT64_MAX)
        *out = (int64_t)v.u;
    else
        return false;
    return true;
}

static bool as_f64(number v, double *out)
{
    if (v.kind == FLOATING)
        *out = v.f;
    else if (v.kind == SIGNED)
        *out = (double)v.i;
    else if (v.kind == UNSIGNED)
        *out = (double)v.u;
    return v.kind != NOT_A_NUMBER;
}

const char *bt_store_str(const bt_store *s, const char *key, size_t *len)
{
    const bt_meta *m = bt_store_meta(s, key);
    if (!m || m->type != BT_META_STR)
        return NULL;
    if (len)
        *len = m->str_n;
    return m->str;
}

bool bt_store_u64(const bt_store *s, const char *key, uint64_t *v)
{
    const number n = scalar(s, key);
    if (n.kind == UNSIGNED)
        *v = n.u;
    else if (n.kind == SIGNED && n.i >= 0)
        *v = (uint64_t)n.i;
    else
        return false;
    return true;
}

bool bt_store_i64(const bt_store *s, const char *key, int64_t *v)
{
    return as_i64(scalar(s, key), v);
}

bool bt_store_f64(const bt_store *s, const char *key, double *v)
{
    return as_f64(scalar(s, key), v);
}

bool bt_store_bool(const bt_store *s, const char *key, bool *v)
{
    const bt_meta *m = bt_store_meta(s, key);
    if (!m || m->type != BT_META_BOOL)
        return false;
    *v = m->items[0] != 0;
    return true;
}

const bt_meta *bt_store_array(const bt_store *s, const char *key, bt_meta_type *type, size_t *n)
{
    const bt_meta *m = bt_store_meta(s, key);
    if (!m || m->type != BT_META_ARRAY)
        return NULL;
    if (type)
        *type = m->elem;
    if (n)
        *n = m->n;
    return m;
}

const char *bt_store_array_str(const bt_meta *a, size_t i, size_t *len)
{
    if (a->elem != BT_META_STR || i >= a->n)
        return NULL;
    const uint8_t *p = a->raw + a->offs[i];
    if (len)
        *len = (size_t)read_number(BT_META_U64, p).u;
    return (const char *)p + 8;
}

bool bt_store_array_i64(const bt_meta *a, size_t i, int64_t *v) { return as_i64(element(a, i), v); }

bool bt_store_array_f64(const bt_meta *a, size_t i, double *v) { return as_f64(element(a, i), v); }
