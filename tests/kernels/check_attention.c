/* SPDX-License-Identifier: MIT */
#include "kcheck.h"

#include "kernels/half.h"

#include <stdbool.h>
#include <stdio.h>

/* A problem with rows farther apart than d; nothing lies behind the last row. */
static bt_attn make(const bt_kernels *t, int nq, int nk, int d, int causal)
{
    const size_t ld = (size_t)d + 3;
    bt_attn a = { .ldo = ld,
                  .ldq = ld,
                  .ldk = ld,
                  .ldv = ld,
                  .nq = nq,
                  .nk = nk,
                  .d = d,
                  .causal = causal,
                  .scale = 1.0f / sqrtf((float)d) };
    float *q = kc_floats(ld * (size_t)(nq - 1) + (size_t)d);
    float *k = kc_floats(ld * (size_t)(nk - 1) + (size_t)d);
    float *v = kc_floats(ld * (size_t)(nk - 1) + (size_t)d);
    kc_noise(q, ld * (size_t)(nq - 1) + (size_t)d, 3.0f);
    kc_noise(k, ld * (size_t)(nk - 1) + (size_t)d, 3.0f);
    kc_noise(v, ld * (size_t)(nk - 1) + (size_t)d, 1.0f);
    a.out = kc_floats(ld * (size_t)(nq - 1) + (size_t)d);
    a.q = q;
    a.k = k;
    a.v = v;
    a.scratch = kc_bytes((t->attention_scratch(nq, d) + 63) & ~(size_t)63);
    return a;
}

static int seen(const bt_attn *a, int i)
{
    return a->causal >= 0 && a->causal + i + 1 < a->nk ? a->causal + i + 1 : a->nk;
}

/* Rounding of a score is at most 4 sqrt(d) eps sum|q k| scale; it moves every
 * weight by that factor (twice: numerator and sum), and |v| <= 1. */
static void check_row(const bt_attn *a, int i)
{
    const int nk = seen(a, i);
    double *p = malloc(sizeof *p * (size_t)nk), max = -1e300, sum = 0.0, mag = 0.0;
    assert_non_null(p);
    for (int j = 0; j < nk; j++) {
        double s = 0.0, m = 0.0;
        for (int x = 0; x < a->d; x++) {
            const double v = (double)a->q[(size_t)i * a->ldq + (size_t)x] *
                             (double)a->k[(size_t)j * a->ldk + (size_t)x];
            s += v;
            m += fabs(v);
        }
        p[j] = s * (double)a->scale;
        max = fmax(max, p[j]);
        mag = fmax(mag, m * (double)a->scale);
    }
    for (int j = 0; j < nk; j++)
        sum += p[j] = exp(p[j] - max);
    const double bound = 2 * kc_sum_bound(a->d, mag) + kc_sum_bound(nk, 1.0) + 1e-6;
    for (int x = 0; x < a->d; x++) {
        double want = 0.0;
        for (int j = 0; j < nk; j++)
            want += p[j] / sum * (double)a->v[(size_t)j * a->ldv + (size_t)x];
        kc_close((double)a->out[(size_t)i * a->ldo + (size_t)x], want, bound, "attention");
    }
    free(p);
}

/* Row i alone, with the keys it does not see cut off: the same bytes. */
static void check_alone(const bt_kernels *t, const bt_attn *a, int i)
{
    bt_attn one = *a;
    float out[256];
    one.out = out;
    one.q = a->q + (size_t)i * a->ldq;
    one.nq = 1;
    one.nk = seen(a, i);
    one.causal = -1;
    one.scratch = kc_bytes((t->attention_scratch(1, a->d) + 63) & ~(size_t)63);
    t->attention(&one);
    kc_same(out, a->out + (size_t)i * a->ldo, (size_t)a->d * sizeof *out, "attention row alone");
    if (i + 1 < a->nq) { /* the rows from i on, in place of all */
        bt_attn some = *a;
        some.out = kc_floats(a->ldo * (size_t)(a->nq - i - 1) + (size_t)a->d);
        some.q = one.q;
        some.nq = a->nq - i;
        some.causal = a->causal < 0 ? -1 : a->causal + i;
        t->attention(&some);
        kc_same(some.out, a->out + (size_t)i * a->ldo, (size_t)a->d * sizeof *out,
                "attention from a later row");
    }
}

static void attention_case(const bt_kernels *t, int nq, int nk, int d, int causal)
{
    bt_attn a = make(t, nq, nk, d, causal);
    t->attention(&a);
    for (int i = 0; i < nq; i++)
        check_row(&a, i);
    for (int i = 0; i < nq; i += 1 + i)
        check_alone(t, &a, i);
    kc_release();
}

/* Equal scores: the mean of whole numbers over 2^n keys is exact. */
static void check_mean(const bt_kernels *t, int nk, int d)
{
    bt_attn a = make(t, 3, nk, d, -1);
    float *v = kc_floats(a.ldv * (size_t)nk);
    kc_ints(v, a.ldv * (size_t)nk, 100);
    a.v = v;
    a.scale = 0.0f;
    t->attention(&a);
    for (int i = 0; i < 3; i++)
        for (int x = 0; x < d; x++) {
            double sum = 0.0;
            for (int j = 0; j < nk; j++)
                sum += (double)v[(size_t)j * a.ldv + (size_t)x];
            kc_close((double)a.out[(size_t)i * a.ldo + (size_t)x], sum / nk, 0.0, "attention mean");
        }
    kc_release();
}

/* The halves of n values, which become what those halves stand for. */
static uint16_t *halves(const bt_kernels *t, float *x, size_t n)
{
    uint16_t *h = kc_bytes(n * sizeof *h);
    t->to_f16((int)n, x, h);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(h[i], bt_f32_to_f16(x[i]));
        x[i] = bt_f16_to_f32(h[i]);
    }
    return h;
}

/* Keys and values as halves give the bytes of the same numbers as floats; with
 * a state, out divided by its sum is what it would have been without. */
static void check_forms(const bt_kernels *t, int d)
{
    bt_attn a = make(t, 17, 200, d, 150);
    const size_t n = a.ldk * 199 + (size_t)d;
    float *want = kc_floats(a.ldo * 16 + (size_t)d), (*state)[2] = kc_bytes(17 * sizeof *state);
    uint16_t *k = halves(t, (float *)(uintptr_t)a.k, n), *v = halves(t, (float *)(uintptr_t)a.v, n);
    bt_attn b = a;
    b.out = want;
    t->attention(&b);
    a.k16 = k;
    a.v16 = v;
    a.k = a.v = NULL;
    for (int form = 0; form < 2; form++) {
        a.state = form ? state : NULL;
        t->attention(&a);
        for (int i = 0; i < 17; i++) {
            float *y = a.out + (size_t)i * a.ldo;
            if (form)
                t->scale(d, y, y, 1.0f / state[i][1]);
            kc_same(y, want + (size_t)i * a.ldo, (size_t)d * sizeof *y, "attention's forms");
        }
    }
    kc_release();
}

void check_attention(const bt_kernels *t)
{
    for (int d = 3; d < 200; d += 37)
        check_forms(t, d);
    static const int dims[] = { 1, 3, 16, 40, 64, 80, 129, 256 };
    static const int nqs[] = { 1, 5, 17, 40 };
    static const int nks[] = { 1, 15, 63, 64, 65, 200 };
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (size_t q = 0; q < sizeof nqs / sizeof *nqs; q++)
            for (size_t k = 0; k < sizeof nks / sizeof *nks; k++) {
                attention_case(t, nqs[q], nks[k], dims[d], -1);
                if (nks[k] >= nqs[q]) {
                    attention_case(t, nqs[q], nks[k], dims[d], 0);
                    attention_case(t, nqs[q], nks[k], dims[d], nks[k] - nqs[q]);
                }
            }
    for (int nk = 1; nk <= 256; nk *= 4)
        check_mean(t, nk, 40);
}

/* ---- over stored keys and values: bf16, int8 ---- */

/* Rounding q and k moves a score of size 3 by 1 %, and by less on average: `bound` is
 * asked of data like a model's, in the 2-norm. whole: blocks of keys are stored whole. */
typedef struct form {
    const char *name;
    const bt_attn_form *f;
    double bound;
    bool whole;
} form;

/* The same problem with keys and values stored in pieces; the rest is zeros. */
static bt_attn_stored make_stored(const form *form, const bt_attn *a, const int *pieces,
                                  const float *centre)
{
    const size_t bytes = form->f->bytes(a->nk, a->d);
    uint8_t *kv = kc_bytes((bytes + 63) & ~(size_t)63);
    memset(kv, 0, bytes);
    for (int j = 0, i = 0; j < a->nk; i = (i + 1) % 4) {
        const int n = pieces[i] < a->nk - j ? pieces[i] : a->nk - j;
        form->f->store(kv, j, n, a->d, a->k + (size_t)j * a->ldk, a->ldk, a->v + (size_t)j * a->ldv,
                       a->ldv, centre);
        j += n;
    }
    return (bt_attn_stored){ .out = a->out,
                             .q = a->q,
                             .kv = kv,
                             .ldo = a->ldo,
                             .ldq = a->ldq,
                             .nq = a->nq,
                             .nk = a->nk,
                             .d = a->d,
                             .causal = a->causal,
                             .scale = a->scale,
                             .scratch = kc_bytes((form->f->scratch(a->d) + 63) & ~(size_t)63) };
}

/* sqrt(sum (out - want)^2 / sum want^2) over all rows */
static double l2_error(const bt_attn *a)
{
    double err = 0.0, norm = 0.0, *p = malloc(sizeof *p * (size_t)a->nk);
    assert_non_null(p);
    for (int i = 0; i < a->nq; i++) {
        const int nk = seen(a, i);
        double max = -1e300, sum = 0.0;
        for (int j = 0; j < nk; j++) {
            p[j] = 0.0;
            for (int x = 0; x < a->d; x++)
                p[j] += (double)a->scale * (double)a->q[(size_t)i * a->ldq + (size_t)x] *
                        (double)a->k[(size_t)j * a->ldk + (size_t)x];
            max = fmax(max, p[j]);
        }
        for (int j = 0; j < nk; j++)
            sum += p[j] = exp(p[j] - max);
        for (int x = 0; x < a->d; x++) {
            double want = 0.0;
            for (int j = 0; j < nk; j++)
                want += p[j] / sum * (double)a->v[(size_t)j * a->ldv + (size_t)x];
            const double got = (double)a->out[(size_t)i * a->ldo + (size_t)x];
            err += (got - want) * (got - want);
            norm += want * want;
        }
    }
    free(p);
    return sqrt(err / norm);
}

/* A row by itself gives the bytes that it gives in company, with a state or without. */
static void row_alone(const form *form, const bt_kernels *t, const bt_attn *a,
                      const bt_attn_stored *b, int i)
{
    float out[1024], state[1][2];
    bt_attn_stored one = *b;
    one.out = out;
    one.q = b->q + (size_t)i * b->ldq;
    one.nq = 1;
    one.nk = seen(a, i);
    one.causal = -1;
    form->f->run(&one);
    kc_same(out, b->out + (size_t)i * b->ldo, (size_t)b->d * sizeof *out, "stored: row alone");
    one.state = state;
    form->f->run(&one);
    t->scale(b->d, out, out, 1.0f / state[0][1]);
    for (int x = 0; x < b->d; x++)
        kc_close(out[x], b->out[(size_t)i * b->ldo + (size_t)x], 1e-6, "stored: with a state");
}

static void stored_case(const form *form, const bt_kernels *t, const int *shape, float amp)
{
    static const int whole[] = { 1 << 20, 1, 1, 1 }, cut[] = { 33, 1, 64, 7 },
                     blocks[] = { 64, 128, 64, 192 };
    const int nq = shape[0], nk = shape[1], d = shape[2];
    bt_attn a = make(t, nq, nk, d, shape[3]);
    kc_noise((float *)(uintptr_t)a.q, a.ldq * (size_t)(nq - 1) + (size_t)d, amp);
    kc_noise((float *)(uintptr_t)a.k, a.ldk * (size_t)(nk - 1) + (size_t)d, amp);
    bt_attn_stored b = make_stored(form, &a, form->whole ? blocks : cut, NULL);
    bt_attn_stored c = make_stored(form, &a, whole, NULL);
    kc_same(b.kv, c.kv, form->f->bytes(nk, d), "stored in pieces");
    form->f->run(&b);
    kc_close(l2_error(&a), 0.0, form->bound, form->name);
    for (int i = 0; i < nq; i += 1 + i)
        row_alone(form, t, &a, &b, i);
    kc_release();
}

/* The maximum rises from block to block by more than the kernel's slack. */
static void rising_case(const form *form, const bt_kernels *t, float step)
{
    static const int whole[] = { 640, 1, 1, 1 };
    bt_attn a = make(t, 20, 640, 16, -1);
    float *k = (float *)(uintptr_t)a.k, *q = (float *)(uintptr_t)a.q;
    for (int i = 0; i < 20; i++)
        q[(size_t)i * a.ldq] = step * (float)(4 + i);
    for (int j = 0; j < 640; j++)
        k[(size_t)j * a.ldk] = step * (float)(j / 64 * 4);
    bt_attn_stored b = make_stored(form, &a, whole, NULL);
    form->f->run(&b);
    kc_close(l2_error(&a), 0.0, 2 * form->bound, "stored, rising");
    kc_release();
}

/* What all keys have in common costs no bits once it is taken from them. */
static void centre_case(const form *form, const bt_kernels *t)
{
    static const int whole[] = { 640, 1, 1, 1 };
    enum { D = 40, NK = 300 };
    float mean[D] = { 0 };
    bt_attn a = make(t, 20, NK, D, -1);
    float *k = (float *)(uintptr_t)a.k;
    for (int j = 0; j < NK; j++)
        for (int x = 0; x < D; x++) {
            k[(size_t)j * a.ldk + (size_t)x] += x % 7 ? 0.0f : 30.0f;
            mean[x] += k[(size_t)j * a.ldk + (size_t)x] / (float)NK;
        }
    bt_attn_stored b = make_stored(form, &a, whole, mean);
    form->f->run(&b);
    kc_close(l2_error(&a), 0.0, form->bound, "stored, less the mean");
    kc_release();
}

/* One weight is large and a thousand are small, together as much: none may be lost. */
static void tail_case(const form *form, const bt_kernels *t)
{
    static const int whole[] = { 1 << 20, 1, 1, 1 };
    enum { D = 4, NK = 1024 };
    bt_attn a = make(t, 1, NK, D, -1);
    memset((void *)(uintptr_t)a.q, 0, D * sizeof(float));
    *(float *)(uintptr_t)a.q = 1.0f;
    a.scale = 1.0f;
    for (int j = 0; j < NK; j++)
        for (int x = 0; x < D; x++) {
            ((float *)(uintptr_t)a.k)[(size_t)j * a.ldk + (size_t)x] = j || x ? 0.0f : 7.0f;
            ((float *)(uintptr_t)a.v)[(size_t)j * a.ldv + (size_t)x] = j ? 1.0f : -2.0f;
        }
    bt_attn_stored b = make_stored(form, &a, whole, NULL);
    form->f->run(&b);
    kc_close(l2_error(&a), 0.0, 2 * form->bound, "stored, a long tail");
    kc_release();
}

static void check_form(const form *form, const bt_kernels *t)
{
    static const int shapes[][4] = {
        { 1, 1, 1, -1 },      { 5, 77, 40, -1 },     { 33, 128, 40, -1 },    { 64, 1000, 80, -1 },
        { 40, 129, 160, -1 }, { 17, 300, 512, -1 },  { 70, 70, 64, 0 },      { 70, 300, 64, 230 },
        { 33, 129, 3, 96 },   { 9, 500, 1024, 491 }, { 15, 2000, 64, 1700 }, { 31, 65, 24, -1 },
    };
    if (!form->f->run)
        return;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int amp = 1; amp <= 3; amp++)
            stored_case(form, t, shapes[i], (float)amp);
    rising_case(form, t, form->whole ? 0.3f : 1.0f); /* of large scores a byte keeps little */
    centre_case(form, t);
    tail_case(form, t);
}

void check_attention_stored(const bt_kernels *t)
{
    const form forms[] = { { "attention in bf16", &t->attention_bf16, 1.5e-2, false },
                           { "attention in int8", &t->attention_int8, 2e-2, true } };
    for (int i = 0; i < 2; i++)
        check_form(&forms[i], t);
}

/* ---- speed ---- */

typedef struct job {
    const bt_kernels *t;
    bt_attn a;
} job;

static void run(void *arg)
{
    const job *j = arg;
    j->t->attention(&j->a);
}

/* SD 1.5's self-attention, its cross-attention, the autoencoder's; a language
 * model's prompt and one token. */
static const int shapes[][3] = { { 64, 4096, 40 }, { 64, 1024, 80 },  { 64, 256, 160 },
                                 { 64, 77, 40 },   { 64, 4096, 512 }, { 64, 1024, 64 },
                                 { 3, 1024, 64 } };
enum { SHAPES = sizeof shapes / sizeof *shapes };

void bench_attention(const bt_kernels *t)
{
    for (size_t i = 0; i < SHAPES; i++) {
        const int nq = shapes[i][0], nk = shapes[i][1], d = shapes[i][2];
        char name[64];
        job j = { t, make(t, nq, nk, d, -1) };
        snprintf(name, sizeof name, "attention %d x %d, d %d", nq, nk, d);
        const double s = kc_time(run, &j);
        kc_print_flops(name, 4.0 * nq * nk * d / s);
        if (nq == 3)
            kc_print("  of keys and values", 8.0 * nk * d * 1e-9 / s, "GB/s");
        kc_release();
    }
}

typedef struct stored_job {
    form form;
    bt_attn a;
    bt_attn_stored b;
} stored_job;

static void run_stored(void *arg)
{
    const stored_job *j = arg;
    j->form.f->run(&j->b);
}

static void run_store(void *arg)
{
    const stored_job *j = arg;
    j->form.f->store((void *)(uintptr_t)j->b.kv, 0, j->a.nk, j->a.d, j->a.k, j->a.ldk, j->a.v,
                     j->a.ldv, NULL);
}

static void bench_form(const form *form, const bt_kernels *t,
                       void (*print)(const char *, double flops))
{
    static const int whole[] = { 1 << 20, 1, 1, 1 };
    for (size_t i = 0; form->f->run && i < SHAPES; i++) {
        const int nq = shapes[i][0], nk = shapes[i][1], d = shapes[i][2];
        char name[64];
        stored_job j = { .form = *form, .a = make(t, nq, nk, d, -1) };
        j.b = make_stored(form, &j.a, whole, NULL);
        snprintf(name, sizeof name, "%s %d x %d, d %d", form->name, nq, nk, d);
        print(name, 4.0 * nq * nk * d / kc_time(run_stored, &j));
        kc_print("  storing keys and values", 12.0 * nk * d * 1e-9 / kc_time(run_store, &j),
                 "GB/s");
        kc_release();
    }
}

void bench_attention_stored(const bt_kernels *t)
{
    bench_form(&(form){ .name = "attention bf16", .f = &t->attention_bf16 }, t, kc_print_bf16);
    bench_form(&(form){ .name = "attention int8", .f = &t->attention_int8 }, t, kc_print_int8);
}
