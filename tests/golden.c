/* SPDX-License-Identifier: MIT */
#include "golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "kernels/quant.h"

#define EQUAL_DB 999.0

bt_store *golden_open(const char *name)
{
    char path[1024];
    bt_store *s = NULL;
    bt_error err = { 0 };
    if (*name == '/')
        snprintf(path, sizeof path, "%s", name);
    else
        snprintf(path, sizeof path, "%s/tests/golden/%s.safetensors", BT_SOURCE_DIR, name);
    if (bt_store_open(path, &s, &err) != BT_OK)
        fail_msg("%s", err.text);
    return s;
}

static const bt_tensor *need(const bt_store *s, const char *name, size_t *n)
{
    const bt_tensor *t = bt_store_find(s, name);
    if (!t)
        fail_msg("%s has no tensor %s", bt_store_path(s), name);
    *n = (size_t)bt_tensor_count(t);
    return t;
}

float *golden_floats(const bt_store *s, const char *tensor, size_t *n)
{
    size_t count;
    const bt_tensor *t = need(s, tensor, &count);
    float *v = malloc(count * sizeof *v + 1);
    assert_non_null(v);
    if (count)
        assert_int_equal(bt_dequantize_row(t->dtype, t->data, v, count), 0);
    if (n)
        *n = count;
    return v;
}

int64_t *golden_ints(const bt_store *s, const char *tensor, size_t *n)
{
    size_t count;
    const bt_tensor *t = need(s, tensor, &count);
    const size_t size = bt_dtypes[t->dtype].bytes;
    const bool is_unsigned = t->dtype == BT_U8;
    int64_t *v = malloc(count * sizeof *v + 1);
    assert_non_null(v);
    if (t->dtype != BT_I64 && t->dtype != BT_I32 && t->dtype != BT_I16 && t->dtype != BT_I8 &&
        !is_unsigned)
        fail_msg("%s: %s holds no integers", bt_store_path(s), tensor);
    for (size_t i = 0; i < count; i++) {
        uint64_t u = 0;
        for (size_t k = 0; k < size; k++)
            u |= (uint64_t)t->data[i * size + k] << (8 * k);
        const size_t shift = 64 - 8 * size;
        v[i] = is_unsigned ? (int64_t)u : (int64_t)(u << shift) >> shift;
    }
    if (n)
        *n = count;
    return v;
}

char *golden_text(const char *name, size_t *n)
{
    char path[1024], *text = NULL, *copy;
    size_t len = 0;
    bt_error err = { 0 };
    snprintf(path, sizeof path, "%s/tests/golden/%s", BT_SOURCE_DIR, name);
    if (bt_file_read(path, 64u << 20, &text, &len, &err) != BT_OK)
        fail_msg("%s", err.text);
    copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, text, len + 1);
    bt_release(text);
    if (n)
        *n = len;
    return copy;
}

const char *golden_data(const char *name, char *path, size_t size)
{
    const char *data = getenv("BOTTEGA_DATA"), *home = getenv("HOME");
    if (data)
        snprintf(path, size, "%s/%s", data, name);
    else
        snprintf(path, size, "%s/.local/share/bottega/%s", home ? home : "", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s is missing; scripts/check installs it", path);
    fclose(f);
    return path;
}

double golden_max_abs(const float *x, const float *ref, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)x[i] - ref[i]);
        if (!(d <= worst))
            worst = isnan(d) ? INFINITY : d;
    }
    return worst;
}

/* Energies of gain * x - ref and of ref. */
static void energies(const float *x, const float *ref, size_t n, double gain, double *noise,
                     double *signal)
{
    *noise = *signal = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = gain * x[i] - ref[i];
        *noise += d * d;
        *signal += (double)ref[i] * ref[i];
    }
}

double golden_rel_l2(const float *x, const float *ref, size_t n)
{
    double noise, signal;
    energies(x, ref, n, 1, &noise, &signal);
    if (noise == 0)
        return 0;
    return isnan(noise) ? INFINITY : sqrt(noise / signal);
}

static double snr_db(const float *x, const float *ref, size_t n, double gain)
{
    double noise, signal;
    energies(x, ref, n, gain, &noise, &signal);
    if (noise == 0)
        return EQUAL_DB;
    return isnan(noise) ? -EQUAL_DB : 10 * log10(signal / noise);
}

double golden_snr_db(const float *x, const float *ref, size_t n) { return snr_db(x, ref, n, 1); }

double golden_snr_gain_db(const float *x, const float *ref, size_t n)
{
    double dot = 0, energy = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)x[i] * ref[i];
        energy += (double)x[i] * x[i];
    }
    return snr_db(x, ref, n, energy > 0 ? dot / energy : 1);
}

double golden_psnr_db(const uint8_t *x, const uint8_t *ref, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)x[i] - ref[i]) * ((double)x[i] - ref[i]);
    return sum == 0 ? EQUAL_DB : 10 * log10(255.0 * 255.0 * (double)n / sum);
}
