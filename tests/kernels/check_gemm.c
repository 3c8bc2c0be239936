/* SPDX-License-Identifier: MIT
 * Matrix multiply in f32 and bf16, expansion of packed panels, gemv. */
#include "kcheck.h"

#include <stdio.h>

static const bt_dtype types[] = { BT_F32,  BT_F16,  BT_BF16, BT_Q4_0, BT_Q4_1,   BT_Q5_0,  BT_Q5_1,
                                  BT_Q8_0, BT_Q2_K, BT_Q3_K, BT_Q4_K, BT_Q5_K,   BT_Q6_K,
                                  BT_IQ4_NL, BT_IQ4_XS, BT_I8, BT_I16, BT_I32, BT_I64, BT_U8 };
enum { N_TYPES = sizeof types / sizeof *types };

/* Rows of weights and their packed panels; bytes are one panel's. */
typedef struct weights {
    uint8_t *rows, *panels;
    size_t row_bytes, bytes;
} weights;

static weights make_weights(bt_dtype t, int np, int k, int exact)
{
    weights w = { .row_bytes = bt_row_bytes(t, (size_t)k), .bytes = bt_panel_bytes(t, k) };
    w.rows = kc_bytes(w.row_bytes * (size_t)(np * BT_NR));
    for (int r = 0; r < np * BT_NR; r++)
        kc_weights(t, w.rows + (size_t)r * w.row_bytes, (size_t)k, exact);
    w.panels = kc_pack(t, w.rows, np, k);
    return w;
}

/* The oracle is bt_dequantize_row, which test_quant checks against goldens.
 * Products with the scales fit a float, so every ISA must give its bytes. */
static void expand_type(const bt_kernels *t, bt_dtype type, int k, int k0)
{
    const int kc = k - k0;
    const weights w = make_weights(type, 1, k, 0);
    float *got = kc_floats((size_t)kc * BT_NR), *row = kc_floats((size_t)k);
    t->expand(type, got, w.panels, k0, kc);
    for (int r = 0; r < BT_NR; r++) {
        bt_dequantize_row(type, w.rows + (size_t)r * w.row_bytes, row, (size_t)k);
        for (int i = 0; i < kc; i++)
            if (got[i * BT_NR + r] != row[k0 + i])
                fail_msg("expand %s k %d row %d: %g for %g", bt_dtypes[type].name, i, r,
                         (double)got[i * BT_NR + r], (double)row[k0 + i]);
    }
    if (t->expand_bf16) {
        const int padded = (kc + BT_KB - 1) / BT_KB * BT_KB;
        uint16_t *half = kc_bytes((size_t)padded * BT_NR * 2);
        t->expand_bf16(type, half, w.panels, k0, kc);
        for (int i = 0; i < padded * BT_NR; i++) {
            const int kk = i / BT_NR, r = i % BT_NR;
            assert_int_equal(half[kk / 2 * 2 * BT_NR + 2 * r + kk % 2],
                             kk < kc ? bt_f32_to_bf16(got[i]) : 0);
        }
        if (type == BT_BF16 && k0 == 0)
            kc_same(w.panels, half, w.bytes, "packed bf16");
    }
    kc_release();
}

void check_expand(const bt_kernels *t)
{
    for (int i = 0; i < N_TYPES; i++) {
        const int block = (int)bt_dtypes[types[i]].block;
        expand_type(t, types[i], block, 0);
        expand_type(t, types[i], 4 * block, block == 1 ? 2 : block); /* even */
        expand_type(t, types[i], 2 * block, 2 * block); /* nothing */
        if (block == 1) {
            expand_type(t, types[i], 37, 0);
            expand_type(t, types[i], 70, 4);
        }
    }
}

/* ---- f32 ---- */

/* One tile in two chunks of k, checked against double. */
static void gemm_case(const bt_kernels *t, int m, int np, int k, int exact)
{
    const float *a[BT_MAX_MR];
    float *rows[BT_MAX_MR];
    const size_t ldp = (size_t)k * BT_NR + 3, ldc = (size_t)np * BT_NR + 5;
    float *b = kc_floats((size_t)(np - 1) * ldp + (size_t)k * BT_NR);
    float *c = kc_floats((size_t)(m - 1) * ldc + (size_t)np * BT_NR);
    for (int i = 0; i < m; i++) {
        a[i] = rows[i] = kc_floats((size_t)k);
        exact ? kc_ints(rows[i], (size_t)k, 8) : kc_noise(rows[i], (size_t)k, 1.0f);
    }
    for (int p = 0; p < np; p++) {
        float *panel = b + (size_t)p * ldp;
        exact ? kc_ints(panel, (size_t)k * BT_NR, 8) : kc_noise(panel, (size_t)k * BT_NR, 1.0f);
    }
    const int k1 = k / 3;
    t->gemm_f32(m, np, k1, a, b, ldp, c, ldc, 1);
    const float *rest[BT_MAX_MR];
    for (int i = 0; i < m; i++)
        rest[i] = a[i] + k1;
    t->gemm_f32(m, np, k - k1, rest, b + (size_t)k1 * BT_NR, ldp, c, ldc, 0);
    for (int i = 0; i < m; i++) {
        float alone[BT_NR];
        for (int n = 0; n < np * BT_NR; n++) {
            const float *col = b + (size_t)(n / BT_NR) * ldp + n % BT_NR;
            double sum = 0.0, mag = 0.0;
            for (int x = 0; x < k; x++) {
                sum += (double)a[i][x] * (double)col[x * BT_NR];
                mag += fabs((double)a[i][x] * (double)col[x * BT_NR]);
            }
            kc_close(c[(size_t)i * ldc + (size_t)n], sum, exact ? 0.0 : kc_sum_bound(k, mag),
                     "gemm_f32");
        }
        for (int p = 0; p < np; p++) { /* row i and panel p alone, in one chunk */
            t->gemm_f32(1, 1, k, a + i, b + (size_t)p * ldp, 0, alone, BT_NR, 1);
            kc_same(alone, c + (size_t)i * ldc + p * BT_NR, sizeof alone, "gemm_f32 alone");
        }
    }
    kc_release();
}

enum { MANY_ROWS = 40 };

/* Several taps at once: the bytes of one gemm_f32 for each. */
static void conv_case(const bt_kernels *t, int m, int np, int taps, int k, int first)
{
    const size_t sa = (size_t)m + 2, ldt = (size_t)k * BT_NR + 5, ldp = (size_t)taps * ldt + 1;
    const size_t ldc = (size_t)np * BT_NR + 3, n_c = (size_t)(m - 1) * ldc + (size_t)np * BT_NR;
    const float *a[5 * (MANY_ROWS + 2)];
    float *b = kc_floats((size_t)np * ldp), *c = kc_floats(n_c), *want = kc_floats(n_c);
    kc_noise(b, (size_t)np * ldp, 1.0f);
    kc_noise(c, n_c, 1.0f);
    memcpy(want, c, n_c * sizeof *c);
    for (size_t i = 0; i < (size_t)taps * sa; i++) {
        float *row = kc_floats((size_t)k);
        kc_noise(row, (size_t)k, 1.0f);
        a[i] = row;
    }
    t->conv_f32(m, np, taps, k, a, sa, b, ldt, ldp, c, ldc, first);
    for (int tap = 0; tap < taps; tap++)
        for (int i = 0; i < m; i++)
            for (int p = 0; p < np; p++)
                t->gemm_f32(1, 1, k, a + (size_t)tap * sa + i, b + tap * ldt + (size_t)p * ldp, 0,
                            want + (size_t)i * ldc + p * BT_NR, ldc, first && tap == 0);
    kc_same(c, want, n_c * sizeof *c, "conv_f32");
    kc_release();
}

void check_conv_f32(const bt_kernels *t)
{
    for (int m = 1; m <= t->gemm_mr; m++)
        for (int np = 1; np <= t->gemm_np; np++)
            for (int taps = 1; taps <= 5; taps += 2)
                for (int k = 1; k <= 33; k += 16)
                    conv_case(t, m, np, taps, k, (m + np + k) % 2);
    for (int np = 1; np <= BT_MAX_NP + 2; np++) /* more than one step each way */
        for (int m = t->gemm_mr + 1; m <= MANY_ROWS; m += 3)
            conv_case(t, m, np, 3, 33, (m + np) % 2);
}

/* Windows that overlap, in company and alone. */
static void dots_case(const bt_kernels *t, int m, int n, int step)
{
    const size_t n_x = (size_t)(m - 1) * (size_t)step + (size_t)n;
    float *x = kc_floats(n_x), *w = kc_floats((size_t)n), *y = kc_floats((size_t)m), alone;
    kc_noise(x, n_x, 1.0f);
    kc_noise(w, (size_t)n, 1.0f);
    t->dots_f32(m, n, x, (size_t)step, w, y);
    for (int i = 0; i < m; i++) {
        const float *xi = x + (size_t)i * (size_t)step;
        double sum = 0.0, mag = 0.0;
        for (int j = 0; j < n; j++) {
            sum += (double)xi[j] * (double)w[j];
            mag += fabs((double)xi[j] * (double)w[j]);
        }
        kc_close(y[i], sum, kc_sum_bound(n, mag), "dots_f32");
        t->dots_f32(1, n, xi, 1, w, &alone);
        kc_same(&alone, y + i, sizeof alone, "dots_f32 alone");
    }
    kc_release();
}

void check_dots_f32(const bt_kernels *t)
{
    for (int m = 1; m <= 9; m++)
        for (int n = 1; n <= 250; n += 31)
            dots_case(t, m, n, n < 40 ? 1 : 32);
}

void check_gemm_f32(const bt_kernels *t)
{
    static const int ks[] = { 0, 1, 2, 7, 64, 333 };
    assert_in_range(t->gemm_mr, 1, BT_MAX_MR);
    assert_in_range(t->gemm_np, 1, BT_MAX_NP);
    for (int m = 1; m <= t->gemm_mr; m++)
        for (int np = 1; np <= t->gemm_np; np++)
            for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
                gemm_case(t, m, np, ks[i], 1);
                gemm_case(t, m, np, ks[i], 0);
            }
}

/* Sums that floats hold exactly; in place, as the vocoder has it. */
static void join_case(const bt_kernels *t, int n, int with)
{
    float *v[5], *y = kc_floats((size_t)n), *z = kc_floats((size_t)n);
    uint16_t *half = kc_bytes((size_t)n * 2);
    for (int i = 0; i < 5; i++) { /* c, bias, a, b, what y is to be */
        v[i] = kc_floats((size_t)n);
        kc_ints(v[i], (size_t)n, 50);
    }
    const float *a = with & 1 ? v[2] : NULL, *b = with & 2 ? y : NULL;
    memcpy(y, v[3], (size_t)n * sizeof *y);
    for (int i = 0; i < n; i++)
        v[4][i] = v[0][i] + v[1][i] + (a ? a[i] : 0.0f) + (b ? b[i] : 0.0f);
    t->join_f32(n, y, with & 4 ? z : NULL, v[0], v[1], a, b, 0.25f);
    kc_same(y, v[4], (size_t)n * sizeof *y, "join_f32");
    for (int i = 0; i < n && with & 4; i++)
        assert_float_equal(z[i], y[i] < 0.0f ? 0.25f * y[i] : y[i], 0.0f);
    if (t->join_bf16) {
        memcpy(y, v[3], (size_t)n * sizeof *y);
        t->join_bf16(n, y, with & 4 ? half : NULL, v[0], v[1], a, b, 0.25f);
        kc_same(y, v[4], (size_t)n * sizeof *y, "join_bf16");
        for (int i = 0; i < n && with & 4; i++)
            assert_int_equal(half[i], bt_f32_to_bf16(z[i]));
    }
    kc_release();
}

void check_join(const bt_kernels *t)
{
    for (int n = 1; n <= 50; n += 7)
        for (int with = 0; with < 8; with++)
            join_case(t, n, with);
}

static void gemv_case(const bt_kernels *t, bt_dtype type, int np, int k)
{
    const weights w = make_weights(type, np, k, 0);
    float *x = kc_floats((size_t)k), *got = kc_floats((size_t)np * BT_NR);
    float *b = kc_floats((size_t)k * BT_NR), want[BT_NR];
    const float *a = x;
    kc_noise(x, (size_t)k, 1.0f);
    t->gemv_f32[type](np, k, x, w.panels, w.bytes, got);
    for (int p = 0; p < np; p++) {
        t->expand(type, b, w.panels + (size_t)p * w.bytes, 0, k);
        t->gemm_f32(1, 1, k, &a, b, 0, want, BT_NR, 1);
        kc_same(got + p * BT_NR, want, sizeof want, "gemv_f32");
    }
    kc_release();
}

void check_gemv_f32(const bt_kernels *t)
{
    for (int i = 0; i < N_TYPES; i++)
        for (int np = 0; t->gemv_f32[types[i]] && np <= 11; np++) {
            const int block = (int)bt_dtypes[types[i]].block;
            gemv_case(t, types[i], np, block);
            gemv_case(t, types[i], np, 5 * block);
            gemv_case(t, types[i], np, block == 1 ? 101 : 2 * block);
        }
}

/* ---- bf16 ---- */

enum { MAX_TAPS = 3, MAX_ROWS = 80 };

typedef struct bf16_job {
    const bt_kernels *t;
    int m, np, taps, k;
    const uint16_t *a[MAX_TAPS * MAX_ROWS];
    const uint16_t *b; /* [np][taps] panels, an odd distance apart */
    size_t ldt, ldp, ldc;
    float *c;
} bf16_job;

/* Rows of a tap lie in one block at a constant distance, or each for itself. */
static bf16_job bf16_make(const bt_kernels *t, int m, int np, int taps, int k, int block, int exact)
{
    bf16_job j = { .t = t, .m = m, .np = np, .taps = taps, .k = k, .ldc = (size_t)np * BT_NR + 3 };
    j.ldt = (size_t)k * BT_NR + 2;
    j.ldp = (size_t)taps * j.ldt + 4;
    float *row = kc_floats((size_t)k * BT_NR);
    uint16_t *all = block ? kc_bytes((size_t)taps * m * (k + 6) * 2) : NULL;
    for (int i = 0; i < taps * m; i++) {
        uint16_t *a = block ? all + (size_t)i * (k + 6) : kc_bytes((size_t)k * 2);
        exact ? kc_ints(row, (size_t)k, 8) : kc_noise(row, (size_t)k, 1.0f);
        t->to_bf16(k, row, a);
        j.a[i] = a;
        for (int x = 0; x < k; x++)
            assert_int_equal(a[x], bt_f32_to_bf16(row[x]));
    }
    uint16_t *b = kc_bytes((np * j.ldp - 4 - 2) * 2); /* no more than the last panel */
    for (int p = 0; p < np * taps; p++) {
        exact ? kc_ints(row, (size_t)k * BT_NR, 8) : kc_noise(row, (size_t)k * BT_NR, 1.0f);
        t->to_bf16(k * BT_NR, row, b + p / taps * j.ldp + p % taps * j.ldt);
    }
    j.b = b;
    j.c = kc_floats((size_t)(m - 1) * j.ldc + (size_t)np * BT_NR);
    return j;
}

static void bf16_cell(const bf16_job *j, int i, int n, int exact)
{
    double sum = 0.0, mag = 0.0;
    for (int x = 0; x < j->k * j->taps; x++) {
        const int t = x / j->k, k = x % j->k;
        const uint16_t *b = j->b + n / BT_NR * j->ldp + t * j->ldt + k / 2 * 2 * BT_NR;
        const double v = (double)bt_bf16_to_f32(j->a[t * j->m + i][k]) *
                         (double)bt_bf16_to_f32(b[n % BT_NR * 2 + k % 2]);
        sum += v;
        mag += fabs(v);
    }
    kc_close(j->c[(size_t)i * j->ldc + (size_t)n], sum,
             exact ? 0.0 : kc_sum_bound(j->k * j->taps, mag), "gemm_bf16");
}

/* Every row and panel alone, tap after tap and channels cut in two: the same bytes. */
static void bf16_alone(const bf16_job *j)
{
    const int cut = j->k / 2 / BT_KB * BT_KB;
    for (int i = 0; i < j->m; i++)
        for (int p = 0; p < j->np; p++) {
            float alone[BT_NR];
            for (int t = 0; t < j->taps; t++) {
                const uint16_t *b = j->b + p * j->ldp + t * j->ldt, *a = j->a[t * j->m + i];
                j->t->gemm_bf16(1, 1, 1, cut, &a, 0, b, 0, 0, alone, 0, t == 0);
                a += cut;
                j->t->gemm_bf16(1, 1, 1, j->k - cut, &a, 0, b + (size_t)cut * BT_NR, 0, 0, alone, 0,
                                0);
            }
            kc_same(alone, j->c + (size_t)i * j->ldc + p * BT_NR, sizeof alone, "gemm_bf16 alone");
        }
}

static void bf16_case(const bt_kernels *t, int m, int np, int taps, int k)
{
    for (int form = 0; form < 4; form++) {
        const int exact = form / 2;
        const bf16_job j = bf16_make(t, m, np, taps, k, form % 2, exact);
        t->gemm_bf16(m, np, taps, k, j.a, (size_t)m, j.b, j.ldt, j.ldp, j.c, j.ldc, 1);
        for (int i = 0; i < m; i++)
            for (int n = 0; n < np * BT_NR; n++)
                bf16_cell(&j, i, n, exact);
        bf16_alone(&j);
        kc_release();
    }
}

/* A filter over time: taps that look at one list of rows, at even distances or, with
 * `gap`, not, give the bytes of taps with lists of their own. */
static void bf16_windows(const bt_kernels *t, int m, int sa, int gap)
{
    enum { TAPS = 3, K = 32, NP = 2 };
    const int rows = m + (TAPS - 1) * sa;
    uint16_t *x = kc_bytes((size_t)(rows + 1) * K * 2 + 64);
    uint16_t *b = kc_bytes((size_t)NP * TAPS * K * BT_NR * 2);
    const uint16_t *one[MAX_ROWS + 2 * TAPS], *own[TAPS * MAX_ROWS];
    float *c = kc_floats((size_t)m * NP * BT_NR), *want = kc_floats((size_t)m * NP * BT_NR);
    x += (64 - (uintptr_t)x % 64) / 2 % 32;
    for (int i = 0; i < (rows + 1) * K; i++)
        x[i] = bt_f32_to_bf16((float)(kc_random() % 512) / 256.0f - 1.0f);
    for (int i = 0; i < NP * TAPS * K * BT_NR; i++)
        b[i] = bt_f32_to_bf16((float)(kc_random() % 512) / 256.0f - 1.0f);
    for (int i = 0; i < rows; i++)
        one[i] = x + (i + (gap && i > rows / 2)) * K;
    for (int i = 0; i < TAPS * m; i++)
        own[i] = one[i / m * sa + i % m];
    t->gemm_bf16(m, NP, TAPS, K, one, (size_t)sa, b, K * BT_NR, TAPS * K * BT_NR, c, NP * BT_NR, 1);
    t->gemm_bf16(m, NP, TAPS, K, own, (size_t)m, b, K * BT_NR, TAPS * K * BT_NR, want, NP * BT_NR,
                 1);
    kc_same(c, want, (size_t)m * NP * BT_NR * sizeof *c, "gemm_bf16 windows");
    kc_release();
}

void check_gemm_bf16(const bt_kernels *t)
{
    static const int ms[] = { 1, 2, 5, 6, 7, 13, 16, 17, 31, 32, 33, 48, 50, 80 };
    if (!t->gemm_bf16)
        return;
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        for (int np = 1; np <= 5; np++)
            bf16_case(t, ms[i], np, 1 + (ms[i] + np) % MAX_TAPS, np % 2 ? 96 : 32);
    for (int m = 2; m <= MAX_ROWS; m += 13)
        for (int sa = 0; sa <= 3; sa++) {
            bf16_windows(t, m, sa, 0);
            bf16_windows(t, m, sa, 1);
        }
    float x[40];
    uint16_t y[40];
    for (int n = 0; n < 40; n++) {
        kc_noise(x, 40, 1e30f);
        memset(y, 0, sizeof y);
        t->to_bf16(n, x, y);
        for (int i = 0; i < 40; i++)
            assert_int_equal(y[i], i < n ? bt_f32_to_bf16(x[i]) : 0);
    }
}

/* ---- speed ---- */

enum { DIM = 1024, CHUNK = 256, BLOCK = 128 /* rows */ };

typedef struct job {
    const bt_kernels *t;
    bt_dtype type;
    int n, k;
    size_t bytes;
    uint8_t *panels;
    float *x, *y, *b;
    uint16_t *xh, *bh;
} job;

/* BLOCK rows as an op would run them: expand a chunk of panels, then tiles. */
static void gemm_rows(const job *j, int i0)
{
    const bt_kernels *t = j->t;
    for (int p = 0; p < DIM / BT_NR; p += t->gemm_np)
        for (int k0 = 0; k0 < DIM; k0 += CHUNK) {
            const int np = DIM / BT_NR - p < t->gemm_np ? DIM / BT_NR - p : t->gemm_np;
            for (int q = 0; q < np; q++)
                t->expand(j->type, j->b + q * CHUNK * BT_NR,
                          j->panels + (size_t)(p + q) * j->bytes, k0, CHUNK);
            for (int i = 0; i < BLOCK; i += t->gemm_mr) {
                const float *a[BT_MAX_MR];
                const int m = BLOCK - i < t->gemm_mr ? BLOCK - i : t->gemm_mr;
                for (int r = 0; r < m; r++)
                    a[r] = j->x + (size_t)(i0 + i + r) * DIM + k0;
                t->gemm_f32(m, np, CHUNK, a, j->b, CHUNK * BT_NR,
                            j->y + (size_t)(i0 + i) * DIM + p * BT_NR, DIM, k0 == 0);
            }
        }
}

static void run_gemm(void *arg)
{
    for (int i = 0; i < DIM; i += BLOCK)
        gemm_rows(arg, i);
}

static void run_bf16(void *arg)
{
    const job *j = arg;
    const bt_kernels *t = j->t;
    for (int p = 0; p < DIM / BT_NR; p += BT_MAX_NP) {
        for (int q = 0; q < BT_MAX_NP; q++)
            t->expand_bf16(j->type, j->bh + q * DIM * BT_NR,
                           j->panels + (size_t)(p + q) * j->bytes, 0, DIM);
        for (int i = 0; i < DIM; i += BLOCK) {
            const uint16_t *a[BLOCK];
            for (int r = 0; r < BLOCK; r++)
                a[r] = j->xh + (size_t)(i + r) * DIM;
            t->gemm_bf16(BLOCK, BT_MAX_NP, 1, DIM, a, 0, j->bh, 0, DIM * BT_NR,
                         j->y + (size_t)i * DIM + p * BT_NR, DIM, 1);
        }
    }
}

static void run_gemv(void *arg)
{
    const job *j = arg;
    j->t->gemv_f32[j->type](j->n / BT_NR, j->k, j->x, j->panels, j->bytes, j->y);
}

static void run_expand(void *arg)
{
    const job *j = arg;
    j->t->expand(j->type, j->b, j->panels, 0, DIM);
}

static job make_job(const bt_kernels *t, bt_dtype type, int n, int k)
{
    const weights w = make_weights(type, n / BT_NR, k, 0);
    job j = { .t = t, .type = type, .n = n, .k = k, .bytes = w.bytes, .panels = w.panels };
    j.x = kc_floats((size_t)DIM * DIM);
    j.y = kc_floats((size_t)(n > DIM ? n : DIM) * DIM);
    j.b = kc_floats((size_t)DIM * BT_NR * BT_MAX_NP);
    j.xh = kc_bytes((size_t)DIM * DIM * 2);
    j.bh = kc_bytes((size_t)DIM * BT_NR * BT_MAX_NP * 2);
    kc_noise(j.x, (size_t)DIM * DIM, 1.0f);
    for (size_t i = 0; i < (size_t)DIM * DIM; i++)
        j.xh[i] = bt_f32_to_bf16(j.x[i]);
    return j;
}

void bench_gemm_f32(const bt_kernels *t)
{
    static const bt_dtype some[] = { BT_F32, BT_F16, BT_Q8_0, BT_Q4_1, BT_Q4_K };
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        char name[64];
        job j = make_job(t, some[i], DIM, DIM);
        snprintf(name, sizeof name, "gemm_f32 1024^3 %s", bt_dtypes[some[i]].name);
        kc_print_flops(name, 2.0 * DIM * DIM * DIM / kc_time(run_gemm, &j));
        kc_release();
    }
}

enum { CONV_C = 32, CONV_ROWS = 4096, CONV_TAPS = 7 };

typedef struct conv_job {
    const bt_kernels *t;
    const float *x, *b;
    float *c;
} conv_job;

/* A 1-D convolution as a vocoder has many: few channels, some taps. */
static void run_conv(void *p)
{
    const conv_job *j = p;
    const float *a[CONV_ROWS + CONV_TAPS];
    for (int i = 0; i < CONV_ROWS + CONV_TAPS; i++)
        a[i] = j->x + (size_t)i * CONV_C;
    j->t->conv_f32(CONV_ROWS, CONV_C / BT_NR, CONV_TAPS, CONV_C, a, 1, j->b, CONV_C * BT_NR,
                   CONV_TAPS * CONV_C * BT_NR, j->c, CONV_C, 1);
}

void bench_conv_f32(const bt_kernels *t)
{
    float *x = kc_floats((CONV_ROWS + CONV_TAPS) * CONV_C);
    float *b = kc_floats(CONV_TAPS * CONV_C * CONV_C), *c = kc_floats(CONV_ROWS * CONV_C);
    kc_noise(x, (CONV_ROWS + CONV_TAPS) * CONV_C, 1.0f);
    kc_noise(b, CONV_TAPS * CONV_C * CONV_C, 1.0f);
    conv_job j = { t, x, b, c };
    kc_print_flops("conv_f32 32 channels, 7 taps",
                   2.0 * CONV_ROWS * CONV_C * CONV_C * CONV_TAPS / kc_time(run_conv, &j));
    kc_release();
}

static void run_join(void *p)
{
    const conv_job *j = p;
    j->t->join_f32(CONV_ROWS * CONV_C, j->c, j->c, j->x, j->b, j->x, NULL, 0.1f);
}

void bench_join(const bt_kernels *t)
{
    const size_t n = CONV_ROWS * CONV_C;
    conv_job j = { t, kc_floats(n), kc_floats(n), kc_floats(n) };
    kc_noise((float *)(uintptr_t)j.x, n, 1.0f);
    kc_noise((float *)(uintptr_t)j.b, n, 1.0f);
    kc_print("join_f32", (double)n / kc_time(run_join, &j) * 1e-9, "G values/s");
    kc_release();
}

static void run_dots(void *p)
{
    const conv_job *j = p;
    j->t->dots_f32(CONV_ROWS, CONV_TAPS * CONV_C, j->x, CONV_C, j->b, j->c);
}

void bench_dots_f32(const bt_kernels *t)
{
    float *x = kc_floats((CONV_ROWS + CONV_TAPS) * CONV_C);
    float *b = kc_floats(CONV_TAPS * CONV_C), *c = kc_floats(CONV_ROWS);
    kc_noise(x, (CONV_ROWS + CONV_TAPS) * CONV_C, 1.0f);
    kc_noise(b, CONV_TAPS * CONV_C, 1.0f);
    conv_job j = { t, x, b, c };
    kc_print_flops("dots_f32 32 channels, 7 taps",
                   2.0 * CONV_ROWS * CONV_C * CONV_TAPS / kc_time(run_dots, &j));
    kc_release();
}

/* A tile of a multiply: panels in L2, or (the last) from memory. */
typedef struct tile_job {
    const bt_kernels *t;
    int m, np, taps, k;
    const uint16_t **a, *b;
    float *c;
} tile_job;

static void run_tile(void *arg)
{
    const tile_job *j = arg;
    j->t->gemm_bf16(j->m, j->np, j->taps, j->k, j->a, (size_t)j->m, j->b, (size_t)j->k * BT_NR,
                    (size_t)j->taps * j->k * BT_NR, j->c, (size_t)j->np * BT_NR, 1);
}

static void bench_tile(const bt_kernels *t, int m, int np, int taps, int k)
{
    const uint16_t **a = kc_bytes((size_t)taps * m * sizeof *a);
    uint16_t *x = kc_bytes((size_t)(m + taps) * k * 2 / 64 * 64);
    uint16_t *b = kc_bytes((size_t)np * taps * k * BT_NR * 2);
    for (int i = 0; i < taps * m; i++)
        a[i] = x + (size_t)(i / m + i % m) * k;
    tile_job j = { t, m, np, taps, k, a, b, kc_floats((size_t)m * np * BT_NR) };
    char name[64];
    snprintf(name, sizeof name, "gemm_bf16 %dx%d, %d taps of %d", m, np * BT_NR, taps, k);
    kc_print_bf16(name, 2.0 * m * np * BT_NR * taps * k / kc_time(run_tile, &j));
    kc_release();
}

void bench_gemm_bf16(const bt_kernels *t)
{
    if (!t->gemm_bf16)
        return;
    bench_tile(t, 128, 20, 1, 320);
    bench_tile(t, 128, 20, 1, 1280);
    bench_tile(t, 256, 6, 9, 320);
    bench_tile(t, 64, 40, 9, 1280);
    job j = make_job(t, BT_Q8_0, DIM, DIM);
    kc_print_bf16("gemm_bf16 1024^3 q8_0", 2.0 * DIM * DIM * DIM / kc_time(run_bf16, &j));
    kc_release();
}

void bench_gemv_f32(const bt_kernels *t)
{
    for (int i = 0; i < N_TYPES; i++) {
        char name[64];
        if (!t->gemv_f32[types[i]])
            continue;
        for (int big = 0; big < 2; big++) { /* from cache, from memory */
            const int n = big ? 64 * 1024 : 512, k = DIM;
            job j = make_job(t, types[i], n, k);
            snprintf(name, sizeof name, "gemv_f32 %dx%d %s", n, k, bt_dtypes[types[i]].name);
            const double bytes = (double)j.bytes * (n / BT_NR);
            kc_print(name, bytes * 1e-9 / kc_time(run_gemv, &j), "GB/s");
            kc_release();
        }
    }
}

static void run_expand_bf16(void *arg)
{
    const job *j = arg;
    j->t->expand_bf16(j->type, j->bh, j->panels, 0, DIM);
}

void bench_expand(const bt_kernels *t)
{
    for (int i = 0; i < N_TYPES; i++) {
        char name[64];
        job j = make_job(t, types[i], BT_NR, DIM);
        snprintf(name, sizeof name, "expand %s", bt_dtypes[types[i]].name);
        kc_print(name, DIM * BT_NR * 1e-9 / kc_time(run_expand, &j), "Gvalues/s");
        snprintf(name, sizeof name, "expand_bf16 %s", bt_dtypes[types[i]].name);
        if (t->expand_bf16)
            kc_print(name, DIM * BT_NR * 1e-9 / kc_time(run_expand_bf16, &j), "Gvalues/s");
        kc_release();
    }
}
