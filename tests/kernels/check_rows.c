/* SPDX-License-Identifier: MIT
 * Norms, softmax, rotary embedding, depthwise convolution, channel sums. */
#include "kcheck.h"

static const int sizes[] = { 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 100, 333, 1280 };
enum { N_SIZES = sizeof sizes / sizeof *sizes, MAX_N = 1280 };
static const double eps = (double)FLT_EPSILON;

/* center: a mean far from zero shows sums kept in float. */
static void norm_case(const bt_kernels *t, int n, float center, int form, int rms)
{
    float *x = kc_floats((size_t)n), *y = kc_floats((size_t)n);
    float *gamma = form & 1 ? kc_floats((size_t)n) : NULL;
    float *beta = form & 2 && !rms ? kc_floats((size_t)n) : NULL;
    kc_noise(x, (size_t)n, 1.0f);
    if (gamma)
        kc_noise(gamma, (size_t)n, 2.0f);
    if (beta)
        kc_noise(beta, (size_t)n, 2.0f);
    double mean = 0.0, var = 0.0;
    for (int i = 0; i < n; i++)
        mean += (double)(x[i] += center) / n;
    mean = rms ? 0.0 : mean;
    for (int i = 0; i < n; i++)
        var += ((double)x[i] - mean) * ((double)x[i] - mean) / n;
    if (rms)
        t->rms_norm(n, y, x, gamma, 1e-5f);
    else
        t->layer_norm(n, y, x, gamma, beta, 1e-5f);
    for (int i = 0; i < n; i++) {
        const double g = gamma ? (double)gamma[i] : 1.0, b = beta ? (double)beta[i] : 0.0;
        const double v = ((double)x[i] - mean) / sqrt(var + (double)1e-5f) * g;
        kc_close((double)y[i], v + b, 4 * eps * (fabs(v) + fabs(b)) + 1e-9 * fabs((double)center),
                 rms ? "rms_norm" : "layer_norm");
    }
    if (rms) /* in place gives the same bytes */
        t->rms_norm(n, x, x, gamma, 1e-5f);
    else
        t->layer_norm(n, x, x, gamma, beta, 1e-5f);
    kc_same(x, y, (size_t)n * sizeof *x, "norm in place");
    kc_release();
}

static void norms(const bt_kernels *t, int rms)
{
    for (int i = 0; i < N_SIZES; i++)
        for (int form = 0; form < 4; form++) {
            norm_case(t, sizes[i], 0.0f, form, rms);
            norm_case(t, sizes[i], 1000.0f, form, rms);
        }
    float none;
    if (rms)
        t->rms_norm(0, &none, &none, NULL, 1e-5f);
    else
        t->layer_norm(0, &none, &none, NULL, NULL, 1e-5f);
}

void check_layer_norm(const bt_kernels *t)
{
    norms(t, 0);
}

void check_rms_norm(const bt_kernels *t)
{
    norms(t, 1);
}

void check_channel_sums(const bt_kernels *t)
{
    for (int c = 0; c <= 140; c += 7)
        for (int rows = 0; rows <= 9; rows += 3) {
            const size_t ldx = (size_t)c + 3;
            float *x = kc_floats(rows ? ldx * (size_t)(rows - 1) + (size_t)c : 0);
            double *sum = kc_bytes((size_t)c * 8), *sq = kc_bytes((size_t)c * 8);
            for (int r = 0; r < rows; r++)
                kc_ints(x + (size_t)r * ldx, (size_t)c, 1000);
            for (int i = 0; i < c; i++)
                sum[i] = sq[i] = 5.0;
            t->channel_sums(rows, c, x, ldx, sum, sq);
            for (int i = 0; i < c; i++) {
                double s = 5.0, q = 5.0;
                for (int r = 0; r < rows; r++) {
                    const double v = (double)x[(size_t)r * ldx + (size_t)i];
                    s += v;
                    q += v * v;
                }
                assert_true(sum[i] == s && sq[i] == q);
            }
            kc_release();
        }
}

void check_softmax(const bt_kernels *t)
{
    for (int s = 0; s < N_SIZES; s++)
        for (int amp = 1; amp <= 100; amp *= 10) {
            const int n = sizes[s];
            float *x = kc_floats((size_t)n), *y = kc_floats((size_t)n);
            double max = -1e30, sum = 0.0;
            kc_noise(x, (size_t)n, (float)amp);
            for (int i = 0; i < n; i++)
                max = fmax(max, (double)x[i]);
            for (int i = 0; i < n; i++)
                sum += exp((double)x[i] - max);
            t->softmax(n, y, x);
            for (int i = 0; i < n; i++) {
                /* exp(v (1 + eps/2)) is off by |v| eps/2 */
                const double v = (double)x[i] - max, want = exp(v) / sum;
                kc_close((double)y[i], want, want * (8e-7 + fabs(v) * eps) + (double)FLT_MIN,
                         "softmax");
            }
            t->softmax(n, x, x);
            kc_same(x, y, (size_t)n * sizeof *x, "softmax in place");
            kc_release();
        }
    float same[64];
    for (int i = 0; i < 64; i++)
        same[i] = 3.0f;
    t->softmax(64, same, same);
    for (int i = 0; i < 64; i++)
        assert_true(same[i] == 1.0f / 64.0f);
    t->softmax(0, same, same);
}

void check_rope(const bt_kernels *t)
{
    for (int d = 0; d <= 160; d += 2)
        for (int form = 0; form < 4; form++) {
            const int neox = form & 1, exact = form & 2, half = d / 2;
            float *x = kc_floats((size_t)d), before[160];
            float *c = kc_floats((size_t)half), *s = kc_floats((size_t)half);
            exact ? kc_ints(x, (size_t)d, 100) : kc_noise(x, (size_t)d, 1.0f);
            exact ? kc_ints(c, (size_t)half, 100) : kc_noise(c, (size_t)half, 1.0f);
            exact ? kc_ints(s, (size_t)half, 100) : kc_noise(s, (size_t)half, 1.0f);
            memcpy(before, x, (size_t)d * sizeof *x);
            t->rope(d, x, c, s, neox);
            for (int i = 0; i < half; i++) {
                const int p = neox ? i : 2 * i, q = neox ? i + half : 2 * i + 1;
                const double a = (double)before[p], b = (double)before[q];
                const double ci = (double)c[i], si = (double)s[i];
                const double bound = exact ? 0.0 : 2 * eps;
                kc_close((double)x[p], a * ci - b * si, bound * (fabs(a * ci) + fabs(b * si)),
                         "rope");
                kc_close((double)x[q], a * si + b * ci, bound * (fabs(a * si) + fabs(b * ci)),
                         "rope");
            }
            kc_release();
        }
}

void check_depthwise(const bt_kernels *t)
{
    for (int c = 0; c <= 70; c += 7)
        for (int taps = 1; taps <= 7; taps += 2)
            for (int exact = 0; exact < 2; exact++) {
                const float *x[7];
                float *w = kc_floats((size_t)(taps * c)), *y = kc_floats((size_t)c);
                float *bias = taps > 3 ? kc_floats((size_t)c) : NULL;
                exact ? kc_ints(w, (size_t)(taps * c), 50) : kc_noise(w, (size_t)(taps * c), 1.0f);
                if (bias)
                    exact ? kc_ints(bias, (size_t)c, 50) : kc_noise(bias, (size_t)c, 1.0f);
                for (int i = 0; i < taps; i++) {
                    float *row = kc_floats((size_t)c);
                    exact ? kc_ints(row, (size_t)c, 50) : kc_noise(row, (size_t)c, 1.0f);
                    x[i] = i == taps / 2 && taps > 1 ? NULL : row;
                }
                t->depthwise(c, taps, y, x, w, bias);
                for (int i = 0; i < c; i++) {
                    double sum = bias ? (double)bias[i] : 0.0, mag = fabs(sum);
                    for (int k = 0; k < taps; k++)
                        if (x[k]) {
                            const double v = (double)x[k][i] * (double)w[k * c + i];
                            sum += v;
                            mag += fabs(v);
                        }
                    kc_close((double)y[i], sum, exact ? 0.0 : kc_sum_bound(taps, mag),
                             "depthwise");
                }
                kc_release();
            }
}

/* ---- speed ---- */

enum { BENCH_N = 1024 };

typedef struct job {
    const bt_kernels *t;
    float *x, *y, *w;
    double *sum;
} job;

static void run_layer_norm(void *arg)
{
    const job *j = arg;
    j->t->layer_norm(BENCH_N, j->y, j->x, j->w, j->w, 1e-5f);
}

static void run_rms_norm(void *arg)
{
    const job *j = arg;
    j->t->rms_norm(BENCH_N, j->y, j->x, j->w, 1e-5f);
}

static void run_channel_sums(void *arg)
{
    const job *j = arg;
    j->t->channel_sums(16, BENCH_N / 16, j->x, BENCH_N / 16, j->sum, j->sum + BENCH_N);
}

static void run_softmax(void *arg)
{
    const job *j = arg;
    j->t->softmax(BENCH_N, j->y, j->x);
}

static void run_rope(void *arg)
{
    const job *j = arg;
    for (int i = 0; i < BENCH_N; i += 64)
        j->t->rope(64, j->y + i, j->w, j->w + 32, 0);
}

static void run_depthwise(void *arg)
{
    const job *j = arg;
    const float *const rows[3] = { j->x, j->x, j->x };
    j->t->depthwise(BENCH_N, 3, j->y, rows, j->w, NULL);
}

static void bench(const bt_kernels *t, const char *what, void (*fn)(void *))
{
    job j = { t, kc_floats(BENCH_N), kc_floats(BENCH_N), kc_floats(3 * BENCH_N),
              kc_bytes(2 * BENCH_N * sizeof(double)) };
    memset(j.sum, 0, 2 * BENCH_N * sizeof *j.sum);
    memset(j.y, 0, BENCH_N * sizeof *j.y);
    kc_noise(j.x, BENCH_N, 1.0f);
    kc_noise(j.w, 3 * BENCH_N, 1.0f);
    kc_print(what, BENCH_N * 1e-9 / kc_time(fn, &j), "Gvalues/s");
    kc_release();
}

void bench_layer_norm(const bt_kernels *t)
{
    bench(t, "layer_norm", run_layer_norm);
}

void bench_rms_norm(const bt_kernels *t)
{
    bench(t, "rms_norm", run_rms_norm);
}

void bench_channel_sums(const bt_kernels *t)
{
    bench(t, "channel_sums", run_channel_sums);
}

void bench_softmax(const bt_kernels *t)
{
    bench(t, "softmax", run_softmax);
}

void bench_rope(const bt_kernels *t)
{
    bench(t, "rope", run_rope);
}

void bench_depthwise(const bt_kernels *t)
{
    bench(t, "depthwise 3 taps", run_depthwise);
}
