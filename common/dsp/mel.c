/* SPDX-License-Identifier: MIT
 * See mel.h. LANES frames are transformed at a time (fft.h).
 */
#include "dsp/mel.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "dsp/fft.h"

enum { LANES = 8, MOST_MELS = 1024 };
#define TWO_PI 6.283185307179586

bt_mel_form bt_mel_hifigan(void)
{
    return (bt_mel_form){ .sample_rate = 22050,
                          .n_fft = 1024,
                          .hop = 256,
                          .win = 1024,
                          .n_mels = 80,
                          .pad = 384,
                          .fmax = 8000 };
}

bt_mel_form bt_mel_vocos(void)
{
    return (bt_mel_form){ .vocos = true,
                          .sample_rate = 24000,
                          .n_fft = 1024,
                          .hop = 256,
                          .win = 1024,
                          .n_mels = 100,
                          .pad = 512,
                          .fmax = 12000 };
}

bt_status bt_mel_check(const bt_mel_form *f, const char *name, bt_error *err)
{
    bt_fft *fft;
    if (f->sample_rate < 1000 || f->sample_rate > 384000 || f->n_mels < 1 ||
        f->n_mels > MOST_MELS || f->hop < 1 || f->win < 1 || f->win > f->n_fft ||
        f->hop > f->n_fft || f->pad < 0 || f->pad > f->n_fft || !(f->fmin >= 0) ||
        !(f->fmax > f->fmin) || f->fmax > f->sample_rate)
        return bt_fail(err, BT_EINVAL, "%s: no mel spectrogram has such settings", name);
    const bt_status st = bt_fft_create(f->n_fft, &fft, err);
    bt_fft_free(fft);
    return st;
}

int64_t bt_mel_frames(const bt_mel_form *f, size_t n)
{
    const int64_t padded = (int64_t)n + 2 * (int64_t)f->pad;
    if ((int64_t)n <= f->pad || padded < f->n_fft)
        return 0;
    return 1 + (padded - f->n_fft) / f->hop;
}

/* ---- filters ------------------------------------------------------------ */

/* Slaney: 3 mels in 200 Hz up to 1 kHz, then 27 to a factor of 6.4. */
static double mel_of(bool htk, double hz)
{
    if (htk)
        return 2595 * log10(1 + hz / 700);
    return hz < 1000 ? hz * 3 / 200 : 15 + 27 * log(hz / 1000) / log(6.4);
}

static double hz_of(bool htk, double mel)
{
    if (htk)
        return 700 * (pow(10, mel / 2595) - 1);
    return mel < 15 ? mel * 200 / 3 : 1000 * pow(6.4, (mel - 15) / 27);
}

/* A triangle over the bins [first, first + n). */
typedef struct band {
    int first, n;
    float *w;
} band;

/* Band i rises from point i to i + 1 and falls to point i + 2. */
static bool make_band(const bt_mel_form *f, int i, band *b)
{
    const double low = mel_of(f->vocos, f->fmin), high = mel_of(f->vocos, f->fmax);
    const double per_bin = (double)f->sample_rate / f->n_fft;
    double hz[3];
    for (int j = 0; j < 3; j++)
        hz[j] = hz_of(f->vocos, low + (high - low) * (i + j) / (f->n_mels + 1));
    const int bins = f->n_fft / 2 + 1, last = (int)floor(hz[2] / per_bin);
    b->first = (int)ceil(hz[0] / per_bin);
    b->n = last < bins ? last + 1 - b->first : bins - b->first;
    b->n = b->n > 0 ? b->n : 0;
    b->w = bt_calloc((size_t)b->n, sizeof *b->w);
    const double area = f->vocos ? 1 : 2 / (hz[2] - hz[0]);
    for (int j = 0; b->w && j < b->n; j++) {
        const double x = (b->first + j) * per_bin;
        const double rise = (x - hz[0]) / (hz[1] - hz[0]), fall = (hz[2] - x) / (hz[2] - hz[1]);
        b->w[j] = (float)(area * fmax(0, fmin(rise, fall)));
    }
    return b->w != NULL;
}

/* ---- frames ------------------------------------------------------------- */

typedef struct work {
    const bt_mel_form *f;
    bt_fft *fft;
    band *bands;
    float *window;                           /* [n_fft]: win values in its middle */
    float *time, *spectrum, *scratch, *size; /* as fft.h has them; a frame's magnitudes */
} work;

static void work_free(work *w)
{
    for (int i = 0; w->bands && i < w->f->n_mels; i++)
        bt_release(w->bands[i].w);
    bt_release(w->bands);
    bt_release(w->window);
    bt_release(w->time);
    bt_release(w->spectrum);
    bt_release(w->scratch);
    bt_release(w->size);
    bt_fft_free(w->fft);
}

static bt_status work_make(work *w, bt_error *err)
{
    const bt_mel_form *f = w->f;
    const size_t n = (size_t)f->n_fft, bins = n / 2 + 1;
    const bt_status st = bt_fft_create(f->n_fft, &w->fft, err);
    if (st != BT_OK)
        return st;
    w->bands = bt_calloc((size_t)f->n_mels, sizeof *w->bands);
    w->window = bt_calloc(n, sizeof *w->window);
    w->time = bt_calloc(n * LANES, sizeof *w->time);
    w->spectrum = bt_calloc(2 * bins * LANES, sizeof *w->spectrum);
    w->scratch = bt_calloc(bt_fft_work(f->n_fft, LANES), sizeof *w->scratch);
    w->size = bt_calloc(bins, sizeof *w->size);
    bool ok = w->bands && w->window && w->time && w->spectrum && w->scratch && w->size;
    for (int i = 0; ok && i < f->n_mels; i++)
        ok = make_band(f, i, &w->bands[i]);
    for (int i = 0; ok && i < f->win; i++)
        w->window[(f->n_fft - f->win) / 2 + i] = (float)(0.5 - 0.5 * cos(TWO_PI * i / f->win));
    return ok ? BT_OK : bt_no_memory(err, "the spectrogram");
}

/* The samples under the window of the frame that begins at `at`, ends mirrored. */
static void take(const work *w, const float *x, int64_t n, int64_t at, int lane)
{
    float *even = w->time + lane, *odd = even + (size_t)w->f->n_fft / 2 * LANES;
    for (int i = 0; i < w->f->n_fft; i++) {
        int64_t j = at + i < 0 ? -(at + i) : at + i;
        j = j >= n ? 2 * (n - 1) - j : j;
        *(i % 2 ? odd : even) = x[j] * w->window[i];
        *(i % 2 ? &odd : &even) += LANES;
    }
}

static void magnitudes(const work *w, int lane)
{
    const int bins = w->f->n_fft / 2 + 1;
    const float *re = w->spectrum + lane, *im = re + (size_t)bins * LANES;
    const float least = w->f->vocos ? 0 : 1e-9f;
    for (int i = 0; i < bins; i++) {
        const float a = re[i * LANES], b = im[i * LANES];
        w->size[i] = sqrtf(a * a + b * b + least);
    }
}

static void put(const work *w, float *mel, int64_t frames)
{
    const float floor = w->f->vocos ? 1e-7f : 1e-5f;
    for (int i = 0; i < w->f->n_mels; i++) {
        const band *b = &w->bands[i];
        double sum = 0;
        for (int j = 0; j < b->n; j++)
            sum += (double)b->w[j] * (double)w->size[b->first + j];
        mel[i * frames] = logf(fmaxf((float)sum, floor));
    }
}

bt_status bt_mel_make(const bt_mel_form *f, const bt_kernels *k, const float *x, size_t n,
                      float *mel, bt_error *err)
{
    const int64_t frames = bt_mel_frames(f, n);
    work w = { .f = f };
    const bt_status st = work_make(&w, err);
    for (int64_t t = 0; st == BT_OK && t < frames; t += LANES) {
        for (int l = 0; l < LANES; l++)
            if (t + l < frames)
                take(&w, x, (int64_t)n, (t + l) * f->hop - f->pad, l);
        bt_fft_forward(w.fft, k, LANES, w.time, w.spectrum, w.scratch);
        for (int l = 0; l < LANES && t + l < frames; l++) {
            magnitudes(&w, l);
            put(&w, mel + t + l, frames);
        }
    }
    work_free(&w);
    return st;
}
