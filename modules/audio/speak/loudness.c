/* SPDX-License-Identifier: MIT
 * See loudness.h. Speech has peaks 15 dB and more above its loudness, so a factor alone would
 * leave sentences as far apart as their highest peaks are. Peaks are limited instead: the gain
 * around a peak is the least that any sample within REACH of it needs, averaged over as much,
 * and so never above what the sample itself needs. The whole sentence is at hand, so the
 * gain moves before the peak does; it moves over milliseconds, which is not heard.
 */
#include "audio/speak/loudness.h"

#include <ebur128.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum {
    PASSES = 4,      /* of limiting, which takes some loudness away */
    OVER = 4,        /* samples that a true peak is looked for at, for each one */
    TAPS = 8,        /* on either side, of the filter that interpolates them */
    REACH_US = 5000, /* of a peak's gain, to each side */
};

#define QUIET  (-50.0) /* LUFS; below it there is no speech */
#define MARGIN 0.1     /* dB that the limiter stays below the bound; LU that are near enough */

static double factor_of(double db) { return pow(10, db / 20); }

typedef struct level {
    double lufs, peak; /* -HUGE_VAL: silence; peak as a factor */
} level;

/* What is shorter than a second is measured as if it were repeated: gating has blocks of
 * 0.4 s. The zeros let the last peak through libebur128's filter. */
static bt_status measure(const float *x, size_t n, int rate, level *out, bt_error *err)
{
    static const float zeros[64];
    ebur128_state *s = ebur128_init(1, (unsigned)rate, EBUR128_MODE_I | EBUR128_MODE_TRUE_PEAK);
    int bad = s == NULL;
    for (size_t done = 0; !bad && (done == 0 || done < (size_t)rate); done += n)
        bad = ebur128_add_frames_float(s, x, n);
    bad = bad || ebur128_add_frames_float(s, zeros, 64) || ebur128_loudness_global(s, &out->lufs) ||
          ebur128_true_peak(s, 0, &out->peak);
    if (s)
        ebur128_destroy(&s);
    return bad ? bt_no_memory(err, "loudness") : BT_OK;
}

/* Windowed sinc: weights of samples i - TAPS + 1 .. i + TAPS for the point i + phase / OVER. */
static void make_filter(float filter[OVER][2 * TAPS])
{
    for (int p = 0; p < OVER; p++)
        for (int t = 0; t < 2 * TAPS; t++) {
            const double d = t - (TAPS - 1) - (double)p / OVER;
            const double sinc = d == 0 ? 1 : sin(M_PI * d) / (M_PI * d);
            filter[p][t] = (float)(sinc * (0.5 + 0.5 * cos(M_PI * d / TAPS)));
        }
}

/* The highest value from sample i up to the next. */
static float peak_at(const float *x, size_t n, size_t i, float filter[OVER][2 * TAPS])
{
    float peak = fabsf(x[i]);
    for (int p = 1; p < OVER; p++) {
        float sum = 0;
        for (int t = 0; t < 2 * TAPS; t++) {
            const size_t k = i + (size_t)t; /* sample k - TAPS + 1 */
            if (k + 1 >= TAPS && k + 1 - TAPS < n)
                sum += filter[p][t] * x[k + 1 - TAPS];
        }
        peak = fmaxf(peak, fabsf(sum));
    }
    return peak;
}

/* y = factor * x with what rises above `most` held down. gain: n floats of room. */
static void limit(const float *x, size_t n, double factor, float most, size_t reach, float *gain,
                  float *y)
{
    float filter[OVER][2 * TAPS];
    double sum = 0;
    make_filter(filter);
    for (size_t i = 0; i < n; i++) {
        y[i] = (float)(x[i] * factor);
        gain[i] = 1;
    }
    for (size_t i = 0; i < n; i++) {
        /* between samples of less than half the bound nothing rises above it */
        if (fabsf(y[i]) < most / 2 && (i + 1 == n || fabsf(y[i + 1]) < most / 2))
            continue;
        const float peak = peak_at(y, n, i, filter), need = most / peak;
        if (peak <= most)
            continue;
        for (size_t k = i > reach ? i - reach : 0; k < n && k <= i + reach; k++)
            gain[k] = fminf(gain[k], need);
    }
    /* The average over 2 * reach + 1; beyond the ends the gain is that of the ends. */
    for (size_t k = 0; k <= 2 * reach; k++)
        sum += gain[k > reach ? (k - reach < n ? k - reach : n - 1) : 0];
    for (size_t i = 0; i < n; i++) {
        y[i] *= (float)(sum / (double)(2 * reach + 1));
        sum += gain[i + reach + 1 < n ? i + reach + 1 : n - 1] - gain[i > reach ? i - reach : 0];
    }
}

static bt_status set_with(float *x, size_t n, int rate, double target, double *factor, bool speech,
                          float *room, bt_error *err)
{
    const float most = (float)factor_of(BT_TRUE_PEAK - MARGIN);
    const size_t reach = (size_t)rate * REACH_US / 1000000;
    float *y = room, *gain = room + n;
    level now = { 0 };
    bt_status st = BT_OK;
    for (int pass = 0; pass < PASSES; pass++) {
        limit(x, n, *factor, most, reach, gain, y);
        st = measure(y, n, rate, &now, err);
        if (st != BT_OK || !speech || !(fabs(now.lufs - target) > MARGIN) || pass == PASSES - 1)
            break;
        *factor *= factor_of(target - now.lufs);
    }
    const double over = now.peak / factor_of(BT_TRUE_PEAK);
    for (size_t i = 0; i < n && st == BT_OK; i++)
        x[i] = (float)(over > 1 ? y[i] / over : y[i]);
    return st;
}

bt_status bt_loudness_set(float *x, size_t n, int rate, double target, double *gain, bt_error *err)
{
    level was;
    if (n == 0)
        return BT_OK;
    bt_status st = measure(x, n, rate, &was, err);
    if (st != BT_OK)
        return st;
    const bool speech = was.lufs > QUIET;
    double factor = speech ? factor_of(target - was.lufs) : *gain;
    float *room = bt_calloc(n, 2 * sizeof *room);
    if (!room)
        return bt_no_memory(err, "loudness");
    st = set_with(x, n, rate, target, &factor, speech, room, err);
    *gain = factor;
    bt_release(room);
    return st;
}
