/* SPDX-License-Identifier: MIT
 * A magic, a version, the length of a header, and the header: a Python dictionary such as
 * {'descr': '<f4', 'fortran_order': False, 'shape': (80, 431), }. Then the values.
 */
#include "npy.h"

#include <string.h>

#include "base/file.h"
#include "kernels/quant.h"

enum { MOST_HEADER = 1024, ALIGN = 64 /* of the values that are written */ };

static const char magic[] = "\x93NUMPY";

static bt_status bad(const char *name, const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "%s: %s", name, what);
}

/* What stands behind "'key':"; NULL: there is no such key. */
static const char *value_of(const char *header, const char *key)
{
    const char *p = strstr(header, key);
    if (!p)
        return NULL;
    p += strlen(key);
    p += strspn(p, " ");
    return *p == ':' ? p + 1 + strspn(p + 1, " ") : NULL;
}

static bool read_type(const char *descr, bt_dtype *type)
{
    static const struct {
        const char *name;
        bt_dtype type;
    } types[] = { { "'<f2'", BT_F16 }, { "'<f4'", BT_F32 }, { "'<f8'", BT_F64 } };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strncmp(descr, types[i].name, strlen(types[i].name)) == 0) {
            *type = types[i].type;
            return true;
        }
    return false;
}

/* "(80, 431)", "(80,)" or "()" */
static bool read_shape(const char *s, bt_npy *a)
{
    a->count = 1;
    if (*s++ != '(')
        return false;
    for (s += strspn(s, " "); *s != ')'; s += strspn(s, ", ")) {
        int64_t d = 0;
        const size_t digits = strspn(s, "0123456789");
        if (digits == 0 || digits > 12 || a->n_dims == BT_NPY_DIMS)
            return false;
        for (size_t i = 0; i < digits; i++)
            d = d * 10 + (*s++ - '0');
        if (d == 0 || !bt_mul_ok(a->count, (size_t)d, &a->count))
            return false;
        a->dims[a->n_dims++] = d;
    }
    return true;
}

bt_status bt_npy_parse(const char *name, const uint8_t *p, size_t n, bt_npy *out, bt_error *err)
{
    char header[MOST_HEADER + 1];
    bt_npy a = { 0 };
    size_t bytes;
    if (n < 12 || memcmp(p, magic, 6) != 0 || p[6] < 1 || p[6] > 3)
        return bad(name, "not a file of numpy's (.npy)", err);
    size_t len = p[8] | (size_t)p[9] << 8;
    const size_t at = p[6] == 1 ? 10 : 12;
    if (p[6] > 1)
        len |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (len > MOST_HEADER || len > n - at)
        return bad(name, "the header of this .npy is damaged", err);
    memcpy(header, p + at, len);
    header[len] = 0;
    const char *descr = value_of(header, "'descr'"), *shape = value_of(header, "'shape'");
    const char *order = value_of(header, "'fortran_order'");
    if (!descr || !shape || !order)
        return bad(name, "the header of this .npy is damaged", err);
    if (!read_type(descr, &a.type))
        return bt_fail(err, BT_EUNSUPPORTED,
                       "%s: an array of %.12s; only float16, 32 and 64 are read", name, descr);
    if (!read_shape(shape, &a))
        return bad(name, "an empty array, or one of more than four dimensions", err);
    a.fortran = strncmp(order, "True", 4) == 0;
    a.data = p + at + len;
    if (!bt_mul_ok(a.count, bt_dtypes[a.type].bytes, &bytes) || bytes > n - at - len)
        return bad(name, "this .npy is shorter than its shape says (is it cut?)", err);
    *out = a;
    return BT_OK;
}

/* x, whose first dimension runs fastest, to y, whose last one does. */
static void to_c_order(const bt_npy *a, const float *x, float *y)
{
    int64_t index[BT_NPY_DIMS] = { 0 }, stride[BT_NPY_DIMS], from = 0;
    for (int i = 0; i < a->n_dims; i++)
        stride[i] = i ? stride[i - 1] * a->dims[i - 1] : 1;
    for (size_t k = 0; k < a->count; k++) {
        y[k] = x[from];
        int i = a->n_dims - 1;
        for (; i >= 0 && ++index[i] == a->dims[i]; i--) {
            from -= (index[i] - 1) * stride[i];
            index[i] = 0;
        }
        from += i >= 0 ? stride[i] : 0;
    }
}

float *bt_npy_floats(const bt_npy *a, bt_error *err)
{
    float *x = bt_calloc(a->count, sizeof *x);
    float *y = x && a->fortran && a->n_dims > 1 ? bt_calloc(a->count, sizeof *y) : x;
    if (!y) {
        bt_release(x);
        bt_no_memory(err, "the array");
        return NULL;
    }
    bt_dequantize_row(a->type, a->data, x, a->count);
    if (y != x) {
        to_c_order(a, x, y);
        bt_release(x);
    }
    return y;
}

bt_status bt_npy_write(const char *path, int n_dims, const int64_t *dims, const float *x,
                       bt_error *err)
{
    bt_buf b = { 0 };
    bt_out out = { 0 };
    size_t count = 1;
    bt_buf_puts(&b, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < n_dims; i++) {
        bt_buf_printf(&b, i ? " %lld," : "%lld,", (long long)dims[i]);
        count *= (size_t)dims[i];
    }
    bt_buf_puts(&b, "), }");
    while (!b.failed && (10 + b.len + 1) % ALIGN)
        bt_buf_puts(&b, " ");
    bt_buf_puts(&b, "\n");
    bt_status st = b.failed ? bt_no_memory(err, path) : bt_out_open(path, &out, err);
    if (st == BT_OK) {
        const uint8_t start[4] = { 1, 0, (uint8_t)(b.len & 255), (uint8_t)(b.len >> 8) };
        fwrite(magic, 1, 6, out.f);
        fwrite(start, 1, sizeof start, out.f);
        fwrite(b.data, 1, b.len, out.f);
        fwrite(x, sizeof *x, count, out.f);
        st = bt_out_commit(&out, err);
    }
    bt_buf_free(&b);
    return st;
}
