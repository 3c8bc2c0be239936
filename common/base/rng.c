/* SPDX-License-Identifier: MIT
 * Random numbers: mt19937 and its normals as in torch, Philox, splitmix64.
 * The constants and the order of draws are those of
 * ATen/core/MT19937RNGEngine.h, ATen/core/DistributionsHelper.h and
 * ATen/native/cpu/DistributionTemplates.h; Philox follows Salmon et al., 2011.
 */
#include "rng.h"

#include <sys/random.h>
#include <math.h>

#define MT_N 624
#define MT_M 397
#define PI   3.14159265358979323846

/* init_genrand of Matsumoto and Nishimura (mt19937ar.c). */
void bt_torch_seed(bt_torch_rng *r, uint64_t seed)
{
    r->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < MT_N; i++)
        r->state[i] = 1812433253u * (r->state[i - 1] ^ (r->state[i - 1] >> 30)) + i;
    r->next = MT_N;
    r->has_cached = 0;
    r->cached = 0;
}

/* The next 624 words of state, in place. */
static void twist(bt_torch_rng *r)
{
    uint32_t *s = r->state;
    for (int i = 0; i < MT_N; i++) {
        const uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % MT_N] & 0x7fffffffu);
        s[i] = s[(i + MT_M) % MT_N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    r->next = 0;
}

uint32_t bt_torch_u32(bt_torch_rng *r)
{
    if (r->next == MT_N)
        twist(r);
    uint32_t y = r->state[r->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* 53 bits of two draws, the first one high. */
static double torch_uniform53(bt_torch_rng *r)
{
    const uint64_t high = bt_torch_u32(r);
    const uint64_t u = high << 32 | bt_torch_u32(r);
    return (double)(u & ((UINT64_C(1) << 53) - 1)) * (1.0 / 9007199254740992.0);
}

/* normal_distribution<double>: the second value of a pair waits for the next
 * call, across calls of randn. */
static double torch_normal(bt_torch_rng *r)
{
    if (r->has_cached) {
        r->has_cached = 0;
        return r->cached;
    }
    const double u1 = torch_uniform53(r);
    const double u2 = torch_uniform53(r);
    const double radius = sqrt(-2.0 * log1p(-u2));
    const double theta = 2.0 * PI * u1;
    r->cached = radius * sin(theta);
    r->has_cached = 1;
    return radius * cos(theta);
}

/* uniform_real_distribution<float>: 24 bits, all that a float holds. */
static void torch_uniform24(bt_torch_rng *r, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(bt_torch_u32(r) & 0xffffff) * (1.0f / 16777216.0f);
}

/* 16 uniforms to 16 normals. Why double: single-precision libm results differ
 * between processors, rounded double ones do not. */
static void torch_normal16(float *x)
{
    for (int j = 0; j < 8; j++) {
        const float u1 = 1.0f - x[j];
        const float theta = (float)(2.0 * PI) * x[j + 8];
        const double radius = sqrt((double)(-2.0f * (float)log((double)u1)));
        x[j] = (float)(radius * cos((double)theta));
        x[j + 8] = (float)(radius * sin((double)theta));
    }
}

void bt_torch_randn(bt_torch_rng *r, float *out, size_t n)
{
    if (n < 16) {
        for (size_t i = 0; i < n; i++)
            out[i] = (float)torch_normal(r);
        return;
    }
    torch_uniform24(r, out, n);
    for (size_t i = 0; i + 16 <= n; i += 16)
        torch_normal16(out + i);
    if (n % 16 != 0) { /* the last 16 are drawn again */
        torch_uniform24(r, out + n - 16, 16);
        torch_normal16(out + n - 16);
    }
}

/* One of ten rounds: two 32 x 32 bit products, their halves crossed. */
static void philox_round(uint32_t c[4], const uint32_t key[2])
{
    const uint64_t a = (uint64_t)c[0] * 0xd2511f53u;
    const uint64_t b = (uint64_t)c[2] * 0xcd9e8d57u;
    const uint32_t c1 = c[1], c3 = c[3];
    c[0] = (uint32_t)(b >> 32) ^ c1 ^ key[0];
    c[1] = (uint32_t)b;
    c[2] = (uint32_t)(a >> 32) ^ c3 ^ key[1];
    c[3] = (uint32_t)a;
}

void bt_philox_randn(uint64_t seed, uint32_t offset, float *out, size_t n)
{
    const double scale = 2.3283064e-10f;             /* 2^-32 */
    const double turn = 2.3283064e-10f * 6.2831855f; /* 2 pi 2^-32 */
    for (size_t i = 0; i < n; i++) {
        uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
        uint32_t c[4] = { offset, 0, (uint32_t)i, (uint32_t)((uint64_t)i >> 32) };
        for (int k = 0; k < 10; k++) {
            philox_round(c, key);
            key[0] += 0x9e3779b9u;
            key[1] += 0xbb67ae85u;
        }
        const double u = c[0] * scale + scale / 2;
        const double v = c[1] * turn + turn / 2;
        out[i] = (float)(sqrt(-2.0 * log(u)) * sin(v));
    }
}

#define SPLITMIX_STEP 0x9e3779b97f4a7c15u

static uint64_t splitmix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double bt_uniform(uint64_t *state)
{
    return (double)(splitmix(*state += SPLITMIX_STEP) >> 11) * (1.0 / 9007199254740992.0);
}

/* The sum of four 16-bit parts, each at most 510. */
static int32_t sum_parts(uint64_t x) { return (int32_t)(x * UINT64_C(0x0001000100010001) >> 48); }

void bt_sum_noise(uint64_t seed, uint64_t first, float *out, size_t n)
{
    const uint64_t bytes = UINT64_C(0x00ff00ff00ff00ff);
    const float scale = 6.76591684e-3f; /* sqrt(12 / (4 (256^2 - 1))) */
    uint64_t state = splitmix(seed + SPLITMIX_STEP) + first * SPLITMIX_STEP;
    for (size_t i = 0; i < n; i++) {
        const uint64_t z = splitmix(state += SPLITMIX_STEP);
        out[2 * i] = (float)(sum_parts(z & bytes) - 510) * scale;
        out[2 * i + 1] = (float)(sum_parts(z >> 8 & bytes) - 510) * scale;
    }
}

bt_status bt_seed_choose(int64_t wanted, uint64_t *seed, bt_error *err)
{
    uint32_t drawn = 0;
    *seed = (uint64_t)wanted;
    if (wanted >= 0)
        return BT_OK;
    if (getrandom(&drawn, sizeof drawn, 0) != sizeof drawn)
        return bt_fail(err, BT_EIO, "the system gave no random seed");
    *seed = drawn;
    return BT_OK;
}
