/* SPDX-License-Identifier: MIT
 * The forms of LoRAs. Shapes are checked once (sd_delta_fits); then values are read,
 * one layer's at a time.
 */
#include "image/adapters/delta.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A matrix as a file has it: whole, or a b, or a (core b). */
typedef struct factor {
    const bt_weight *whole, *a, *b, *core;
    bool a_by_rank; /* a is [r][rows], not [rows][r] */
} factor;

static int64_t count(const bt_weight *w) { return bt_tensor_count(bt_weight_tensor(w)); }

static int64_t first(const bt_weight *w) { return bt_weight_dim(w, 0); }

/* Columns if `rows` rows make up the weight; 0: they do not. */
static int64_t columns(const bt_weight *w, int64_t rows)
{
    return rows > 0 && count(w) % rows == 0 ? count(w) / rows : 0;
}

/* ---- shapes -------------------------------------------------------------------- */

/* false: its tensors do not belong together. rank 0: whole. */
static bool factor_shape(const factor *f, int64_t *rows, int64_t *cols, int64_t *rank)
{
    *rank = 0;
    if (f->whole) {
        *rows = first(f->whole);
        *cols = columns(f->whole, *rows);
        return *cols > 0;
    }
    if (!f->a || !f->b)
        return false;
    const int64_t k = f->core ? first(f->core) : first(f->b);
    *rank = first(f->b);
    *rows = columns(f->a, k);
    if (*rank < 1 || *rows < 1 || first(f->a) != (f->a_by_rank ? k : *rows))
        return false;
    *cols = columns(f->b, *rank);
    if (!f->core)
        return *cols > 0;
    const int64_t taps = bt_weight_dim(f->core, 1) == *rank ? columns(f->core, k * *rank) : 0;
    return taps > 0 && taps <= 4096 && !__builtin_mul_overflow(*cols, taps, cols) && *cols > 0;
}

static factor lora_of(const sd_delta *d)
{
    return (factor){ NULL, d->at[SD_LORA_UP], d->at[SD_LORA_DOWN], d->at[SD_LORA_MID], false };
}

static factor hada_of(const sd_delta *d, bool second)
{
    const bt_weight *core = d->at[second ? SD_HADA_T2 : SD_HADA_T1];
    return (factor){ NULL, d->at[second ? SD_HADA_W2A : SD_HADA_W1A],
                     d->at[second ? SD_HADA_W2B : SD_HADA_W1B], core, core != NULL };
}

static factor kron_of(const sd_delta *d, bool second)
{
    const bt_weight *core = second ? d->at[SD_KRON_T2] : NULL;
    const int from = second ? SD_KRON_W2 : SD_KRON_W1;
    return (factor){ d->at[from], d->at[from + 1], d->at[from + 2], core, core != NULL };
}

static bool has(const sd_delta *d, int from, int to)
{
    for (int i = from; i <= to; i++)
        if (d->at[i])
            return true;
    return false;
}

/* Rows and columns of the change, and the rank that alpha is divided by. */
static bool delta_shape(const sd_delta *d, int64_t *rows, int64_t *cols, int64_t *rank)
{
    int64_t r2, c2, k2;
    const bool lora = has(d, SD_LORA_DOWN, SD_LORA_MID), hada = has(d, SD_HADA_W1A, SD_HADA_T2);
    const bool kron = has(d, SD_KRON_W1, SD_KRON_T2), diff = d->at[SD_DIFF];
    if (lora + hada + kron + diff != 1)
        return false;
    const factor one = lora ? lora_of(d) : hada ? hada_of(d, false) : kron_of(d, false);
    const factor two = hada ? hada_of(d, true) : kron_of(d, true);
    const factor all = diff ? (factor){ .whole = d->at[SD_DIFF] } : one;
    if (!factor_shape(&all, rows, cols, rank))
        return false;
    if (!hada && !kron)
        return true;
    if (!factor_shape(&two, &r2, &c2, &k2))
        return false;
    if (hada)
        return r2 == *rows && c2 == *cols;
    *rank = k2 ? k2 : *rank; /* LyCORIS: of the second, if that is a product */
    return !__builtin_mul_overflow(*rows, r2, rows) && !__builtin_mul_overflow(*cols, c2, cols);
}

/* Norms of outputs or of inputs? 'o', 'i', or 0: of neither. */
static char norms_of(const sd_delta *d)
{
    const sd_layer *l = d->layer;
    const bt_weight *m = d->at[SD_DORA];
    if (!m)
        return count(d->at[SD_MAGNITUDE]) == l->out ? 'o' : 0;
    if (first(m) == l->out && count(m) == l->out)
        return 'o';
    return first(m) == 1 && count(m) == l->in ? 'i' : 0;
}

bool sd_delta_fits(const sd_delta *d, char *why, size_t n)
{
    const sd_layer *l = d->layer;
    int64_t rows = 0, cols = 0, rank = 0;
    if (!delta_shape(d, &rows, &cols, &rank)) {
        snprintf(why, n, "its tensors do not make a change");
        return false;
    }
    if (rows != l->out || cols != l->in * l->taps) {
        snprintf(why, n, "%lld x %lld for %lld x %lld", (long long)rows, (long long)cols,
                 (long long)l->out, (long long)(l->in * l->taps));
        return false;
    }
    if ((d->at[SD_DORA] || d->at[SD_MAGNITUDE]) && !norms_of(d)) {
        snprintf(why, n, "its norms are not one for each output or input");
        return false;
    }
    return true;
}

/* ---- values -------------------------------------------------------------------- */

/* The system may have the pages of the file back: a layer is read once. */
static float *values(const bt_weight *w, bt_error *err)
{
    float *v = bt_weight_values(w, err);
    bt_tensor_drop(bt_weight_tensor(w));
    return v;
}

static float *transposed(const float *a, int64_t rows, int64_t cols)
{
    float *t = bt_calloc((size_t)(rows * cols), sizeof *t);
    for (int64_t i = 0; t && i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            t[j * rows + i] = a[i * cols + j];
    return t;
}

/* [i][in][tap] = sum over j of core[i][j][tap] b[j][in] */
static float *contracted(const float *core, const float *b, int64_t rank, int64_t rank_b,
                         int64_t in, int64_t taps)
{
    float *y = bt_calloc((size_t)(rank * in), (size_t)taps * sizeof *y);
    for (int64_t i = 0; y && i < rank; i++)
        for (int64_t j = 0; j < rank_b; j++)
            for (int64_t c = 0; c < in; c++)
                for (int64_t t = 0; t < taps; t++)
                    y[(i * in + c) * taps + t] += core[(i * rank_b + j) * taps + t] * b[j * in + c];
    return y;
}

/* a [rows][k], b [k][cols]; release both. */
typedef struct matrices {
    float *a, *b;
    int64_t k;
} matrices;

static bool read_pair(const factor *f, matrices *m, bt_error *err)
{
    m->a = values(f->a, err);
    m->b = values(f->b, err);
    m->k = f->core ? first(f->core) : first(f->b);
    if (m->a && f->a_by_rank) {
        float *t = transposed(m->a, m->k, columns(f->a, m->k));
        bt_release(m->a);
        m->a = t;
    }
    if (m->b && f->core) {
        const int64_t rank = first(f->b), taps = count(f->core) / (m->k * rank);
        float *core = values(f->core, err);
        float *b = core ? contracted(core, m->b, m->k, rank, columns(f->b, rank), taps) : NULL;
        bt_release(core);
        bt_release(m->b);
        m->b = b;
    }
    return m->a && m->b;
}

/* Some rows of a change, and what multiplies them. */
typedef struct span {
    const bt_kernels *kernels;
    int64_t first, n;
} span;

/* y[n][cols] += s * these rows of the factor */
static bool add_factor(const factor *f, const span *r, float *y, float s, bt_error *err)
{
    matrices m = { 0 };
    int64_t rows, cols, rank;
    factor_shape(f, &rows, &cols, &rank);
    bool ok = f->whole ? (m.a = values(f->whole, err)) != NULL : read_pair(f, &m, err);
    if (ok && f->whole)
        for (int64_t i = 0; i < r->n * cols; i++)
            y[i] += s * m.a[r->first * cols + i];
    else if (ok)
        ok = bt_product_add(r->kernels, y, m.a + r->first * m.k, m.b, r->n, m.k, cols, s);
    bt_release(m.a);
    bt_release(m.b);
    return ok;
}

/* These rows of the factor as a matrix of their own; NULL: no memory. */
static float *dense(const factor *f, const span *r, int64_t *cols, bt_error *err)
{
    int64_t rows, rank;
    factor_shape(f, &rows, cols, &rank);
    float *y = bt_calloc((size_t)r->n, (size_t)*cols * sizeof *y);
    if (y && add_factor(f, r, y, 1, err))
        return y;
    bt_release(y);
    return NULL;
}

static bool add_hada(const sd_delta *d, const span *r, float *w, float s, bt_error *err)
{
    const factor one = hada_of(d, false), two = hada_of(d, true);
    int64_t cols = 0;
    float *x = dense(&one, r, &cols, err), *y = x ? dense(&two, r, &cols, err) : NULL;
    for (int64_t i = 0; y && i < r->n * cols; i++)
        w[i] += s * x[i] * y[i];
    const bool ok = y != NULL;
    bt_release(x);
    bt_release(y);
    return ok;
}

/* w[o1 O2 + o2][i1 I2 + i2][tap] += s w1[o1][i1] w2[o2][i2][tap] */
static bool add_kron(const sd_delta *d, const span *r, float *w, float s, bt_error *err)
{
    const factor one = kron_of(d, false), two = kron_of(d, true);
    span w1 = *r, w2 = *r;
    int64_t i1 = 0, cols = 0, rank;
    w1.first = w2.first = 0;
    factor_shape(&one, &w1.n, &i1, &rank);
    factor_shape(&two, &w2.n, &cols, &rank);
    float *x = dense(&one, &w1, &i1, err), *y = x ? dense(&two, &w2, &cols, err) : NULL;
    for (int64_t k = 0; y && k < r->n; k++)
        for (int64_t i = 0; i < i1; i++) {
            const int64_t row = r->first + k;
            const float v = s * x[row / w2.n * i1 + i], *from = y + row % w2.n * cols;
            float *to = w + (k * i1 + i) * cols;
            for (int64_t c = 0; c < cols; c++)
                to[c] += v * from[c];
        }
    const bool ok = y != NULL;
    bt_release(x);
    bt_release(y);
    return ok;
}

/* w += s D, with the LoRA's own scale in it. */
static bool add_change(const sd_delta *d, const span *r, float *w, float s, bt_error *err)
{
    int64_t rows, cols, rank;
    delta_shape(d, &rows, &cols, &rank);
    if (rank && !isnan(d->alpha)) /* two whole factors have no rank, and no scale */
        s *= d->alpha / (d->rank_stable ? sqrtf((float)rank) : (float)rank);
    if (has(d, SD_HADA_W1A, SD_HADA_T2))
        return add_hada(d, r, w, s, err);
    if (has(d, SD_KRON_W1, SD_KRON_T2))
        return add_kron(d, r, w, s, err);
    const factor f = d->at[SD_DIFF] ? (factor){ .whole = d->at[SD_DIFF] } : lora_of(d);
    return add_factor(&f, r, w, s, err);
}

/* ---- DoRA ---------------------------------------------------------------------- */

/* w[o][i][:] times norm[o or i] / |w|, the norm over all of that output or input. The
 * epsilon is LyCORIS'. */
static bool normalize(const sd_layer *l, const float *norm, char of, float *w)
{
    const bool out = of == 'o';
    const int64_t n = out ? l->out : l->in;
    double *sum = bt_calloc((size_t)n, sizeof *sum);
    if (!sum)
        return false;
    for (int64_t o = 0; o < l->out; o++)
        for (int64_t i = 0; i < l->in; i++)
            for (int64_t t = 0; t < l->taps; t++) {
                const double v = (double)w[(o * l->in + i) * l->taps + t];
                sum[out ? o : i] += v * v;
            }
    for (int64_t k = 0; k < n; k++)
        sum[k] = (double)norm[k] / (sqrt(sum[k]) + (double)FLT_EPSILON);
    for (int64_t o = 0; o < l->out; o++)
        for (int64_t i = 0; i < l->in; i++)
            for (int64_t t = 0; t < l->taps; t++)
                w[(o * l->in + i) * l->taps + t] *= (float)sum[out ? o : i];
    bt_release(sum);
    return true;
}

static bool add_dora(const sd_delta *d, const span *r, const float *own, float *w, bt_error *err)
{
    const sd_layer *l = d->layer;
    const size_t n = (size_t)(l->out * l->in * l->taps);
    float *norm = values(d->at[SD_DORA] ? d->at[SD_DORA] : d->at[SD_MAGNITUDE], err);
    float *whole = bt_calloc(n, sizeof *whole);
    if (whole)
        memcpy(whole, own, n * sizeof *whole);
    const bool ok =
        norm && whole && add_change(d, r, whole, 1, err) && normalize(l, norm, norms_of(d), whole);
    for (size_t i = 0; ok && i < n; i++)
        w[i] += d->strength * (whole[i] - own[i]);
    bt_release(norm);
    bt_release(whole);
    return ok;
}

bt_status sd_delta_add(const sd_delta *d, const bt_kernels *kernels, int64_t first, int64_t n,
                       const float *own, float *w, bt_error *err)
{
    bt_error why = { 0 };
    const span r = { kernels, first, n };
    if (sd_delta_is_dora(d) ? add_dora(d, &r, own, w, &why)
                            : add_change(d, &r, w, d->strength, &why))
        return BT_OK;
    if (why.status != BT_OK)
        return bt_fail(err, why.status, "%s", why.text);
    return bt_fail(err, BT_ENOMEM, "no memory for a LoRA's values");
}
