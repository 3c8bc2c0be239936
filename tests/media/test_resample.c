/* SPDX-License-Identifier: MIT
 * Sample rates: a tone keeps its pitch and level, a piece boundary changes nothing.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/resample.h"

enum { N = 44100 };

static const double PI = 3.14159265358979323846;

/* All of x in pieces of at most `piece` frames; free. */
static float *convert(const float *x, size_t n, int from, int to, int channels, size_t piece,
                      size_t *total)
{
    bt_resampler *r;
    bt_error err = { 0 };
    const float *y;
    size_t m;
    const size_t room = (size_t)((double)n * to / from) + 16;
    float *all = calloc(room * (size_t)channels, sizeof *all);
    assert_int_equal(bt_resampler_create(from, to, channels, &r, &err), BT_OK);
    *total = 0;
    for (size_t i = 0, k; i < n + 1; i += k) { /* one round more: the end, without samples */
        k = i == n ? 1 : n - i < piece ? n - i : piece;
        const size_t now = i == n ? 0 : k;
        assert_int_equal(bt_resampler_push(r, x + i * (size_t)channels, now, i == n, &y, &m, &err),
                         BT_OK);
        assert_true(*total + m <= room);
        memcpy(all + *total * (size_t)channels, y, m * (size_t)channels * sizeof *y);
        *total += m;
    }
    bt_resampler_free(r);
    return all;
}

/* Against the same tone at the other rate, away from the ends. */
static void a_tone_stays_itself(void **state)
{
    (void)state;
    static const int rates[][2] = { { 22050, 48000 },  { 24000, 8000 },  { 16000, 44100 },
                                    { 24000, 192000 }, { 22050, 16000 }, { 22050, 22051 } };
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        const int from = rates[k][0], to = rates[k][1];
        static float x[N];
        double noise = 0, level = 0;
        size_t m;
        for (int i = 0; i < N; i++)
            x[i] = 0.5f * (float)sin(2 * PI * 440 * i / from);
        float *y = convert(x, N, from, to, 1, 1000, &m);
        assert_true(fabs((double)m - (double)N * to / from) <= 1);
        for (size_t i = m / 8; i < m - m / 8; i++) {
            const double want = 0.5 * sin(2 * PI * 440 * (double)i / to);
            noise += (y[i] - want) * (y[i] - want);
            level += want * want;
        }
        if (10 * log10(level / noise) < 90)
            fail_msg("%d to %d Hz: SNR %.1f dB", from, to, 10 * log10(level / noise));
        free(y);
    }
}

static void pieces_change_nothing(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 7, 256, 4095, 4096, 4097 };
    static const int to[] = { 8000, 44100, 192000 };
    static float x[9000];
    uint32_t seed = 1;
    for (size_t i = 0; i < 9000; i++)
        x[i] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / (1 << 23) - 1;
    for (int channels = 1; channels <= 2; channels++)
        for (size_t k = 0; k < 3; k++) {
            const size_t n = 9000 / (size_t)channels;
            size_t m, m2;
            float *whole = convert(x, n, 22050, to[k], channels, n, &m);
            for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
                float *y = convert(x, n, 22050, to[k], channels, pieces[p], &m2);
                assert_int_equal(m, m2);
                assert_memory_equal(whole, y, m * (size_t)channels * sizeof *y);
                free(y);
            }
            free(whole);
        }
}

static void short_sounds_and_bad_rates(void **state)
{
    (void)state;
    const float x[3] = { 0.5f, 0.5f, 0.5f };
    bt_resampler *r;
    bt_error err = { 0 };
    size_t m;
    free(convert(x, 0, 22050, 48000, 1, 1, &m));
    assert_int_equal(m, 0);
    free(convert(x, 3, 8000, 48000, 1, 2, &m));
    assert_in_range(m, 17, 19);
    assert_int_equal(bt_resampler_create(0, 8000, 1, &r, &err), BT_EINVAL);
    assert_int_equal(bt_resampler_create(100, 192000, 1, &r, &err), BT_EINVAL);
    assert_int_equal(bt_resampler_create(8000, 16000, 0, &r, &err), BT_EINVAL);
    assert_null(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tone_stays_itself),
        cmocka_unit_test(pieces_change_nothing),
        cmocka_unit_test(short_sounds_and_bad_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
