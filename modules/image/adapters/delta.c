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

/* y[m][n] += s a[m][k] b[k][n], eight rows of b at a time: y is read and written an
 * eighth as often, and compilers make vectors of it. */
static void add_product(float *y, const float *a, const float *b, int64_t m, int64_t k, int64_t n,
                        float s)
{
    enum { AT_ONCE = 8 };
    for (int64_t i = 0; i < m; i++, y += n, a += k) {
        int64_t t = 0;
        for (; t + AT_ONCE <= k; t += AT_ONCE) {
            const float *c = a + t, *p = b + t * n;
            for (int64_t j = 0; j < n; j++)
                y[j] += s * (c[0] * p[j] + c[1] * p[j + n] + c[2] * p[j + 2 * n] +
                             c[3] * p[j + 3 * n] + c[4] * p[j + 4 * n] + c[5] * p[j + 5 * n] +
                             c[6] * p[j + 6 * n] + c[7] * p[j + 7 * n]);
        }
        for (; t < k; t++)
            for (int64_t j = 0; j < n; j++)
                y[j] += s * a[t] * b[t * n + j];
    }
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

/* y[rows][cols] += s * factor */
static bool add_factor(const factor *f, float *y, float s, bt_error *err)
{
    matrices m = { 0 };
    int64_t rows, cols, rank;
    factor_shape(f, &rows, &cols, &rank);
    const bool ok = f->whole ? (m.a = values(f->whole, err)) != NULL : read_pair(f, &m, err);
    if (ok && f->whole)
        for (int64_t i = 0; i < rows * cols; i++)
            y[i] += s * m.a[i];
    else if (ok)
        add_product(y, m.a, m.b, rows, m.k, cols, s);
    bt_release(m.a);
    bt_release(m.b);
    return ok;
}

/* The factor as a matrix of its own; NULL: no memory. */
static float *dense(const factor *f, int64_t *rows, int64_t *cols, bt_error *err)
{
    int64_t rank;
    factor_shape(f, rows, cols, &rank);
    float *y = bt_calloc((size_t)*rows, (size_t)*cols * sizeof *y);
    if (y && add_factor(f, y, 1, err))
        return y;
    bt_release(y);
    return NULL;
}

static bool add_hada(const sd_delta *d, float *w, float s, bt_error *err)
{
    const factor one = hada_of(d, false), two = hada_of(d, true);
    int64_t rows = 0, cols = 0;
    float *x = dense(&one, &rows, &cols, err), *y = x ? dense(&two, &rows, &cols, err) : NULL;
    for (int64_t i = 0; y && i < rows * cols; i++)
        w[i] += s * x[i] * y[i];
    const bool ok = y != NULL;
    bt_release(x);
    bt_release(y);
    return ok;
}

/* w[o1 O2 + o2][i1 I2 + i2][tap] += s w1[o1][i1] w2[o2][i2][tap] */
static bool add_kron(const sd_delta *d, float *w, float s, bt_error *err)
{
    const factor one = kron_of(d, false), two = kron_of(d, true);
    int64_t o1 = 0, i1 = 0, o2 = 0, cols = 0;
    float *x = dense(&one, &o1, &i1, err), *y = x ? dense(&two, &o2, &cols, err) : NULL;
    for (int64_t row = 0; y && row < o1 * o2; row++)
        for (int64_t i = 0; i < i1; i++) {
            const float v = s * x[row / o2 * i1 + i], *from = y + row % o2 * cols;
            float *to = w + (row * i1 + i) * cols;
            for (int64_t c = 0; c < cols; c++)
                to[c] += v * from[c];
        }
    const bool ok = y != NULL;
    bt_release(x);
    bt_release(y);
    return ok;
}

/* w += s D, with the LoRA's own scale in it. */
static bool add_change(const sd_delta *d, float *w, float s, bt_error *err)
{
    int64_t rows, cols, rank;
    delta_shape(d, &rows, &cols, &rank);
    if (rank && !isnan(d->alpha)) /* two whole factors have no rank, and no scale */
        s *= d->alpha / (d->rank_stable ? sqrtf((float)rank) : (float)rank);
    if (has(d, SD_HADA_W1A, SD_HADA_T2))
        return add_hada(d, w, s, err);
    if (has(d, SD_KRON_W1, SD_KRON_T2))
        return add_kron(d, w, s, err);
    const factor f = d->at[SD_DIFF] ? (factor){ .whole = d->at[SD_DIFF] } : lora_of(d);
    return add_factor(&f, w, s, err);
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

static bool add_dora(const sd_delta *d, const float *own, float *w, bt_error *err)
{
    const sd_layer *l = d->layer;
    const size_t n = (size_t)(l->out * l->in * l->taps);
    float *norm = values(d->at[SD_DORA] ? d->at[SD_DORA] : d->at[SD_MAGNITUDE], err);
    float *whole = bt_calloc(n, sizeof *whole);
    if (whole)
        memcpy(whole, own, n * sizeof *whole);
    const bool ok =
        norm && whole && add_change(d, whole, 1, err) && normalize(l, norm, norms_of(d), whole);
    for (size_t i = 0; ok && i < n; i++)
        w[i] += d->strength * (whole[i] - own[i]);
    bt_release(norm);
    bt_release(whole);
    return ok;
}

bt_status sd_delta_add(const sd_delta *d, const float *own, float *w, bt_error *err)
{
    bt_error why = { 0 };
    const bool dora = d->at[SD_DORA] || d->at[SD_MAGNITUDE];
    if (dora ? add_dora(d, own, w, &why) : add_change(d, w, d->strength, &why))
        return BT_OK;
    if (why.status != BT_OK)
        return bt_fail(err, why.status, "%s", why.text);
    return bt_fail(err, BT_ENOMEM, "no memory for a LoRA's values");
}
