/* SPDX-License-Identifier: MIT
 * Embedding, rotary positions, RMS norm, attention with and without a cache:
 * against plain loops in double, and the same bytes however they are cut.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/naive.h"

static const char *const isas[] = { "scalar", "avx2", "auto" };
enum { N_ISA = 3 };

static bt_plan *plan(fixture *f)
{
    bt_error err = { 0 };
    bt_status st = bt_plan_create(f->g, &f->p, &err);
    f->g = NULL;
    if (st != BT_OK)
        fail_msg("%s", err.text);
    return f->p;
}

static void run(bt_plan *p)
{
    bt_error err = { 0 };
    if (bt_plan_run(p, NULL, &err) != BT_OK)
        fail_msg("%s", err.text);
}

static float *noise(size_t n, unsigned seed)
{
    float *v = malloc(n * sizeof *v);
    assert_non_null(v);
    fill_noise(v, n, seed);
    return v;
}

static void put(fixture *f, const bt_node *x, const float *v)
{
    bt_shape s = bt_shape_of(x);
    memcpy(bt_plan_data(f->p, x), v, (size_t)(s.n * s.h * s.w * s.c) * sizeof *v);
}

static void test_embed(void **state)
{
    (void)state;
    enum { ROWS = 50, C = 37, N = 19 };
    fixture f;
    float *w;
    fixture_open(&f, "auto", 2, BT_PREC_F32);
    const bt_weight *table = random_weight(&f, "t", 2, (int64_t[]){ ROWS, C }, 0, 1, &w);
    bt_node *ids = bt_input_ids(f.g, N), *y = bt_output(f.g, bt_embed(f.g, ids, table));
    plan(&f);
    int32_t *id = bt_plan_data(f.p, ids);
    for (int i = 0; i < N; i++)
        id[i] = i * 7 % ROWS;
    id[3] = -1, id[4] = ROWS, id[5] = INT32_MIN, id[6] = INT32_MAX; /* rows of zeros */
    run(f.p);
    const float *r = bt_plan_data(f.p, y);
    for (int i = 0; i < N * C; i++)
        assert_true(r[i] == (i / C >= 3 && i / C <= 6 ? 0 : w[i / C * 7 % ROWS * C + i % C]));
    free(w);
    fixture_close(&f);
}

static void test_rms_norm(void **state)
{
    (void)state;
    enum { ROWS = 35, C = 193 };
    for (int isa = 0; isa < N_ISA; isa++) {
        fixture f;
        float *w, *v = noise(ROWS * C, 2);
        double want[ROWS * C];
        fixture_open(&f, isas[isa], 2, BT_PREC_F32);
        const bt_weight *gamma = random_weight(&f, "g", 1, (int64_t[]){ C }, 0, 3, &w);
        bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, ROWS, C });
        bt_node *y = bt_output(f.g, bt_rms_norm(f.g, x, gamma, 1e-2f));
        plan(&f);
        put(&f, x, v);
        run(f.p);
        for (int i = 0; i < ROWS; i++) {
            double sum = 0;
            for (int c = 0; c < C; c++)
                sum += (double)v[i * C + c] * v[i * C + c];
            for (int c = 0; c < C; c++)
                want[i * C + c] = v[i * C + c] / sqrt(sum / C + 1e-2f) * w[c];
        }
        assert_true(relative_error(bt_plan_data(f.p, y), want, ROWS * C) < 1e-6);
        free(w);
        free(v);
        fixture_close(&f);
    }
}

/* heads of d, pairs by `neox`, positions from pos */
static void check_rope(const char *isa, int d, int heads, int neox, int factors, int pos)
{
    enum { ROWS = 21 };
    size_t n = (size_t)ROWS * heads * d;
    fixture f;
    float *w = NULL, *v = noise(n, 4);
    double *want = malloc(n * sizeof *want);
    fixture_open(&f, isa, 2, BT_PREC_F32);
    const bt_weight *fw = NULL;
    if (factors) {
        fw = random_weight(&f, "f", 1, (int64_t[]){ d / 2 }, 1, 5, &w);
    }
    bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, ROWS, heads * d });
    bt_node *y = bt_output(f.g, bt_rope(f.g, x, d, 10000, 0.5f, fw, neox));
    plan(&f);
    put(&f, x, v);
    bt_plan_param(f.p, BT_PARAM_POS, pos);
    run(f.p);
    for (size_t i = 0; i < n / 2; i++) {
        size_t row = i / (size_t)(d / 2) * (size_t)d, j = i % (size_t)(d / 2);
        size_t a = row + (neox ? j : 2 * j), b = neox ? a + (size_t)d / 2 : a + 1;
        double angle = (pos + (double)(row / (size_t)(heads * d))) * 0.5 *
                       pow(10000, -2.0 * (double)j / d) / (w ? w[j] : 1);
        want[a] = v[a] * cos(angle) - v[b] * sin(angle);
        want[b] = v[a] * sin(angle) + v[b] * cos(angle);
    }
    /* the angle is a float of up to `pos`: half an ulp of it turns the row */
    assert_true(relative_error(bt_plan_data(f.p, y), want, n) < 2e-7 + pos * 1.2e-7);
    free(want);
    free(w);
    free(v);
    fixture_close(&f);
}

static void test_rope(void **state)
{
    (void)state;
    for (int isa = 0; isa < N_ISA; isa++)
        for (int neox = 0; neox < 2; neox++)
            for (int factors = 0; factors < 2; factors++) {
                check_rope(isas[isa], 64, 3, neox, factors, 0);
                check_rope(isas[isa], 10, 2, neox, factors, 77);
                check_rope(isas[isa], 128, 1, neox, factors, 3000);
            }
}

typedef struct sizes {
    int n, nq, nk, heads, kv, d, causal;
    float scale;
} sizes;

/* causal: -1, or the position of query row 0 */
static void naive_attention(const sizes *s, const float *q, const float *k, const float *v,
                            double *y)
{
    double *p = malloc((size_t)s->nk * sizeof *p);
    double scale = s->scale != 0 ? s->scale : 1 / sqrt(s->d);
    int cq = s->heads * s->d, ck = s->kv * s->d;
    for (int b = 0; b < s->n; b++)
        for (int h = 0; h < s->heads; h++)
            for (int i = 0; i < s->nq; i++) {
                const float *qi = q + (size_t)(b * s->nq + i) * cq + h * s->d;
                size_t kv0 = (size_t)b * s->nk * ck + (size_t)(h / (s->heads / s->kv)) * s->d;
                int see = s->causal < 0 ? s->nk : s->causal + i + 1;
                double max = -INFINITY, sum = 0;
                for (int j = 0; j < see; j++) {
                    p[j] = 0;
                    for (int c = 0; c < s->d; c++)
                        p[j] += scale * qi[c] * k[kv0 + (size_t)j * ck + c];
                    max = fmax(max, p[j]);
                }
                for (int j = 0; j < see; j++)
                    sum += p[j] = exp(p[j] - max);
                for (int c = 0; c < s->d; c++) {
                    double out = 0;
                    for (int j = 0; j < see; j++)
                        out += p[j] / sum * v[kv0 + (size_t)j * ck + c];
                    y[(size_t)(b * s->nq + i) * cq + h * s->d + c] = out;
                }
            }
    free(p);
}

static const sizes cases[] = {
    { 1, 1, 1, 1, 1, 8, -1, 0 },
    { 2, 70, 70, 4, 4, 40, -1, 0 },      /* a picture's self attention, batch of 2 */
    { 2, 130, 77, 2, 2, 24, -1, 0.125 }, /* cross attention */
    { 2, 77, 77, 3, 3, 20, 0, 0 },       /* CLIP's causal one */
    { 1, 65, 65, 6, 2, 16, 0, 0 },       /* grouped queries */
    { 1, 64, 129, 2, 1, 256, -1, 0 },
    { 3, 5, 200, 1, 1, 3, -1, 1 },
};

/* y of one case; k and v are slices of one node, as after a fused projection. */
static void attend(const sizes *s, const char *isa, int threads, bt_precision precision,
                   const float *q, const float *kv, float *y)
{
    int cq = s->heads * s->d, ck = s->kv * s->d;
    fixture f;
    fixture_open(&f, isa, threads, precision);
    bt_node *xq = bt_input(f.g, (bt_shape){ s->n, 1, s->nq, cq });
    bt_node *xkv = bt_input(f.g, (bt_shape){ s->n, 1, s->nk, 2 * ck });
    bt_node *out = bt_attention(f.g, xq, bt_slice(f.g, xkv, 0, ck), bt_slice(f.g, xkv, ck, 2 * ck),
                                s->heads, s->kv, s->scale, s->causal >= 0);
    bt_output(f.g, out);
    plan(&f);
    put(&f, xq, q);
    put(&f, xkv, kv);
    run(f.p);
    memcpy(y, bt_plan_data(f.p, out), (size_t)s->n * s->nq * cq * sizeof *y);
    fixture_close(&f);
}

static void check_attention(const sizes *s)
{
    int cq = s->heads * s->d, ck = s->kv * s->d;
    size_t nq = (size_t)s->n * s->nq * cq, nk = (size_t)s->n * s->nk * ck;
    float *q = noise(nq, 1), *kv = noise(2 * nk, 2), *y = noise(nq, 0), *other = noise(nq, 0);
    float *k = malloc(nk * sizeof *k), *v = malloc(nk * sizeof *v);
    double *want = malloc(nq * sizeof *want);
    for (size_t j = 0; j < nk; j++) {
        k[j] = kv[j / ck * 2 * ck + j % ck];
        v[j] = kv[j / ck * 2 * ck + ck + j % ck];
    }
    naive_attention(s, q, k, v, want);
    for (int isa = 0; isa < N_ISA; isa++) {
        attend(s, isas[isa], 2, BT_PREC_F32, q, kv, y);
        assert_true(relative_error(y, want, nq) < 2e-6);
    }
    attend(s, "auto", 1, BT_PREC_AUTO, q, kv, y); /* where there is AMX, in bf16 */
    assert_true(relative_error(y, want, nq) < 1e-2);
    attend(s, "auto", 3, BT_PREC_AUTO, q, kv, other);
    assert_memory_equal(other, y, nq * sizeof *y);
    free(q), free(kv), free(k), free(v), free(want), free(y), free(other);
}

static void test_attention(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_attention(&cases[i]);
}

enum { HEADS = 6, KV = 2, D = 20, LEN = 700, LAYERS = 2 };

/* Runs LEN tokens through a cache in the given cuts (the last repeats), with
 * layer 1 of 2; out[LEN][HEADS * D]. */
static void run_cuts(const char *isa, bt_precision precision, int threads, const int *cuts,
                     const float *q, const float *k, const float *v, float *out)
{
    fixture f;
    bt_kv_cache *kv;
    fixture_open(&f, isa, threads, precision);
    assert_int_equal(bt_kv_create(&f.compute, LAYERS, LEN, KV, D, &kv), BT_OK);
    assert_int_equal(bt_kv_bytes(kv), 0);
    for (int pos = 0; pos < LEN; pos += *cuts, cuts += cuts[1] != 0) {
        int n = *cuts < LEN - pos ? *cuts : LEN - pos;
        if (!f.g)
            assert_int_equal(bt_graph_create(f.ws, &f.g), BT_OK);
        bt_node *xq = bt_input(f.g, (bt_shape){ 1, 1, n, HEADS * D });
        bt_node *xk = bt_input(f.g, (bt_shape){ 1, 1, n, KV * D });
        bt_node *xv = bt_input(f.g, (bt_shape){ 1, 1, n, KV * D });
        bt_node *y = bt_output(f.g, bt_attention_kv(f.g, xq, xk, xv, kv, 1, HEADS, KV, 0));
        plan(&f);
        assert_int_equal(bt_kv_reserve(kv, pos + n, NULL), BT_OK);
        put(&f, xq, q + (size_t)pos * HEADS * D);
        put(&f, xk, k + (size_t)pos * KV * D);
        put(&f, xv, v + (size_t)pos * KV * D);
        bt_plan_param(f.p, BT_PARAM_POS, pos);
        run(f.p);
        memcpy(out + (size_t)pos * HEADS * D, bt_plan_data(f.p, y),
               (size_t)n * HEADS * D * sizeof *out);
        bt_plan_free(f.p);
        f.p = NULL;
    }
    const uint64_t values = (uint64_t)LAYERS * 2 * LEN * KV * D;
    if (precision == BT_PREC_F32)
        assert_int_equal(bt_kv_bytes(kv), values * sizeof(float));
    else if (!f.kernels.attention_bf16.run)
        assert_int_equal(bt_kv_bytes(kv), values * sizeof(uint16_t));
    bt_kv_free(kv);
    fixture_close(&f);
}

/* Is the cache of precision AUTO f16, or is attention bf16 there? */
static bool f16_cache(const char *isa)
{
    bt_kernels k;
    bt_kernels_init(&k, bt_cpu_flags() & (uint32_t)bt_cpu_cap(isa));
    return !k.attention_bf16.run;
}

static void test_cache(void **state)
{
    (void)state;
    static const int cuts[][6] = { { LEN }, { 1 }, { 256 }, { 3, 1, 64, 65, 7 }, { 500, 1 } };
    size_t nq = (size_t)LEN * HEADS * D, nk = (size_t)LEN * KV * D;
    float *q = noise(nq, 1), *k = noise(nk, 2), *v = noise(nk, 3);
    float *first = malloc(nq * sizeof *first), *out = malloc(nq * sizeof *out);
    double *want = malloc(nq * sizeof *want);
    sizes s = { 1, LEN, LEN, HEADS, KV, D, 0, 0 };
    naive_attention(&s, q, k, v, want);
    for (int isa = 0; isa < 2 * (N_ISA + 1); isa++) {
        const char *name = isa / 2 < N_ISA ? isas[isa / 2] : "avx512vnni";
        const bt_precision p = isa % 2 ? BT_PREC_AUTO : BT_PREC_F32;
        run_cuts(name, p, 1, cuts[0], q, k, v, first);
        const double bound = p == BT_PREC_F32 ? 2e-6 : f16_cache(name) ? 1e-3 : 1e-2;
        assert_true(relative_error(first, want, nq) < bound);
        for (int i = 0; i < 5; i++) {
            run_cuts(name, p, 1 + i % 3, cuts[i], q, k, v, out);
            assert_memory_equal(out, first, nq * sizeof *out);
        }
    }
    free(q), free(k), free(v), free(first), free(out), free(want);
}

static void test_cache_limits(void **state)
{
    (void)state;
    fixture f;
    bt_kv_cache *kv;
    bt_error err = { 0 };
    fixture_open(&f, "auto", 1, BT_PREC_F32);
    assert_int_equal(bt_kv_create(&f.compute, 1, 300, 2, 2, &kv), BT_OK);
    assert_int_equal(bt_kv_reserve(kv, 1, &err), BT_OK);
    assert_int_equal(bt_kv_bytes(kv), 2 * 256 * 4 * sizeof(float));
    assert_int_equal(bt_kv_reserve(kv, 257, &err), BT_OK);
    assert_int_equal(bt_kv_bytes(kv), 2 * 300 * 4 * sizeof(float));
    assert_int_equal(bt_kv_reserve(kv, 301, &err), BT_EINVAL);
    bt_kv_free(kv);
    assert_int_equal(bt_kv_create(&f.compute, 0, 300, 2, 2, &kv), BT_EINVAL);
    assert_null(kv);
    bt_graph_free(f.g);
    fixture_close(&f);
}

/* Each of these graphs must be refused with a line of text. */
static void test_errors(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++) {
        fixture f;
        bt_error err = { 0 };
        bt_kv_cache *kv;
        bt_plan *p;
        fixture_open(&f, "scalar", 1, BT_PREC_F32);
        assert_int_equal(bt_kv_create(&f.compute, 1, 10, 2, 4, &kv), BT_OK);
        const bt_weight *w = random_weight(&f, "w", 2, (int64_t[]){ 6, 4 }, 0, 1, NULL);
        bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, 5, 16 }), *y = NULL;
        bt_node *k = bt_input(f.g, (bt_shape){ 1, 1, 5, 8 });
        bt_node *k2 = bt_input(f.g, (bt_shape){ 2, 1, 5, 8 });
        switch (i) {
        case 0: y = bt_embed(f.g, x, w); break;
        case 1: y = bt_rms_norm(f.g, x, w, 1); break;
        case 2: y = bt_rope(f.g, x, 3, 1e4f, 1, NULL, 0); break;
        case 3: y = bt_rope(f.g, x, 8, 1e4f, 1, w, 0); break;
        case 4: y = bt_attention(f.g, x, k, k, 4, 3, 0, 0); break;
        case 5: y = bt_attention(f.g, x, k2, k2, 4, 2, 0, 0); break;
        case 6: y = bt_attention(f.g, x, k, k, 4, 1, 0, 0); break;
        case 7: y = bt_attention_kv(f.g, x, k, k, kv, 1, 4, 2, 0); break;
        case 8: y = bt_attention_kv(f.g, x, x, x, kv, 0, 4, 4, 0); break;
        }
        assert_null(y);
        assert_int_equal(bt_plan_create(f.g, &p, &err), BT_EFORMAT);
        assert_true(err.text[0]);
        bt_kv_free(kv);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed),  cmocka_unit_test(test_rms_norm),
        cmocka_unit_test(test_rope),   cmocka_unit_test(test_attention),
        cmocka_unit_test(test_cache),  cmocka_unit_test(test_cache_limits),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
