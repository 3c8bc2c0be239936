/* SPDX-License-Identifier: MIT
 * An op of this module: the source of a harmonic-plus-noise vocoder (Wang et al. 2019, as
 * hexgrad's istftnet.py SineGen and SourceModuleHnNSF have it) and its spectrum.
 *
 * Pitch p is known 80 times a second, at frame i, which covers `hop` samples. Harmonic h
 * goes through r_i = frac(h p_i / rate) cycles a sample; its phase is hop * (r_0 + .. + r_i)
 * at the frame's middle and linear between middles, held before the first and after the
 * last. wave = tanh(bias + sum_h w_h 0.1 sin(phase_h) [p > 10] + noise), the noise scaled as
 * nine normal numbers would be by w: its own input, 0.003 |w| where voiced, 0.1 / 3 |w| else.
 *
 * Then frames of `fft` samples, a quarter apart, centred, reflected at the ends, under a
 * Hann window: magnitudes and angles. Phases are double and turned by multiplication from
 * a sine and cosine per half frame.
 */
#include <math.h>
#include <string.h>

#include "graph/op.h"
#include "audio/kokoro/kokoro.h"

enum { FRAMES = 8, ROWS = 64, MAX_HARMONICS = 32 };
#define AMPLITUDE 0.1
#define VOICED    10.0f /* Hz */
#define NOISE     0.003
#define TWO_PI    6.283185307179586
#define UNVOICED  (AMPLITUDE / 3)

typedef struct attr {
    int harmonics, fft, hop; /* hop: samples of a frame of pitch, 300 */
    float bias, norm;        /* norm: |w| */
    float w[MAX_HARMONICS];
    /* what sample i of a frame adds to a bin, the window included: [i][bin] */
    double re[BT_KOK_MAX_FFT][BT_KOK_MAX_FFT / 2 + 1], im[BT_KOK_MAX_FFT][BT_KOK_MAX_FFT / 2 + 1];
} attr;

static int64_t frames(const bt_node *n) { return bt_rows(n->src[0]->shape); }
static int64_t samples(const bt_node *n) { return frames(n) * ((const attr *)n->attr)->hop; }

/* Shared memory: cycles up to a frame [harmonics][frames] double, wave [samples] float. */
static double *cycles(const bt_node *n, const bt_exec *x, int h)
{
    return (double *)x->shared + h * frames(n);
}
static float *wave(const bt_node *n, const bt_exec *x)
{
    return (float *)(void *)cycles(n, x, ((const attr *)n->attr)->harmonics);
}

static size_t source_shared(const bt_node *n, const bt_kernels *k)
{
    const attr *a = n->attr;
    (void)k;
    return (size_t)frames(n) * (size_t)a->harmonics * sizeof(double) +
           (size_t)samples(n) * sizeof(float);
}

static int64_t source_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x;
    switch (phase) {
    case 0: return ((const attr *)n->attr)->harmonics;
    case 1: return (frames(n) + FRAMES - 1) / FRAMES;
    default: return bt_row_tiles(n, ROWS);
    }
}

static double rate_of(const bt_node *n, int h, int64_t frame)
{
    const float r = *bt_row(n->src[0], frame) * (float)(h + 1) / BT_KOK_RATE;
    return (double)(r - floorf(r));
}

static void add_cycles(const bt_node *n, const bt_exec *x, int h)
{
    double sum = 0, *c = cycles(n, x, h);
    for (int64_t i = 0; i < frames(n); i++)
        c[i] = sum += rate_of(n, h, i);
}

/* Harmonic h over `count` samples from `first` on, all in one half of a frame, added to y:
 * between the middles of frames `from` and `from` + 1. */
static void add_sine(const bt_node *n, const bt_exec *x, int h, int64_t from, int64_t first,
                     int count, double *y)
{
    const attr *a = n->attr;
    const double *c = cycles(n, x, h);
    const bool held = from < 0 || from + 1 >= frames(n);
    const double rate = held ? 0 : rate_of(n, h, from + 1);
    double at = (double)a->hop * c[from < 0 ? 0 : from];
    at += rate * ((double)first + 0.5 - ((double)from + 0.5) * a->hop);
    at = TWO_PI * (at - floor(at));
    const double turn_c = cos(TWO_PI * rate), turn_s = sin(TWO_PI * rate);
    double re = cos(at), im = sin(at);
    for (int i = 0; i < count; i++) {
        y[i] += (double)a->w[h] * im;
        const double next = re * turn_c - im * turn_s;
        im = re * turn_s + im * turn_c;
        re = next;
    }
}

static void make_frame(const bt_node *n, const bt_exec *x, int64_t frame)
{
    const attr *a = n->attr;
    double y[1024];
    const bool voiced = *bt_row(n->src[0], frame) > VOICED;
    const double noise = (voiced ? NOISE : UNVOICED) * (double)a->norm;
    const int64_t first = frame * a->hop;
    float *out = wave(n, x) + first;
    memset(y, 0, (size_t)a->hop * sizeof *y);
    for (int h = 0; voiced && h < a->harmonics; h++) {
        const int half = a->hop / 2;
        add_sine(n, x, h, frame - 1, first, half, y);
        add_sine(n, x, h, frame, first + half, a->hop - half, y + half);
    }
    for (int i = 0; i < a->hop; i++)
        out[i] = tanhf((float)(AMPLITUDE * y[i] + noise * (double)*bt_row(n->src[1], first + i)) +
                       a->bias);
}

/* Row r of the spectrum: fft / 2 + 1 magnitudes, then as many angles. */
static void make_row(const bt_node *n, const bt_exec *x, int64_t r)
{
    const attr *a = n->attr;
    const int64_t len = samples(n);
    const float *in = wave(n, x);
    double re[BT_KOK_MAX_FFT / 2 + 1] = { 0 }, im[BT_KOK_MAX_FFT / 2 + 1] = { 0 };
    float *y = bt_row(n, r);
    const int bins = a->fft / 2 + 1;
    for (int i = 0; i < a->fft; i++) {
        int64_t at = r * (a->fft / 4) + i - a->fft / 2;
        at = at < 0 ? -at : at;
        const double v = (double)in[at < len ? at : 2 * (len - 1) - at];
        for (int b = 0; b < bins; b++) {
            re[b] += v * a->re[i][b];
            im[b] += v * a->im[i][b];
        }
    }
    for (int b = 0; b < bins; b++) {
        /* Where a frame is its own mirror image (at both ends) and in the first and last bin
         * there is no imaginary part: rounding must not choose between -pi and +pi. */
        const double part = fabs(im[b]) > 1e-9 * fabs(re[b]) ? im[b] : 0;
        y[b] = (float)sqrt(re[b] * re[b] + part * part);
        y[bins + b] = atan2f((float)part, (float)re[b]);
    }
}

static void make_tables(attr *a)
{
    for (int i = 0; i < a->fft; i++)
        for (int b = 0; b <= a->fft / 2; b++) {
            const double window = 0.5 - 0.5 * cos(TWO_PI * i / a->fft);
            const double angle = TWO_PI * (i * b % a->fft) / a->fft;
            a->re[i][b] = window * cos(angle);
            a->im[i][b] = -window * sin(angle);
        }
}

static void source_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    if (phase == 0)
        add_cycles(n, x, (int)tile);
    for (int64_t f = tile * FRAMES; phase == 1 && f < (tile + 1) * FRAMES && f < frames(n); f++)
        make_frame(n, x, f);
    for (int64_t r = tile * ROWS; phase == 2 && r < bt_row_tile_end(n, ROWS, tile); r++)
        make_row(n, x, r);
}

static const bt_op op_source = {
    .name = "voice_source",
    .phases = 3,
    .tiles = source_tiles,
    .run = source_run,
    .shared = source_shared,
};

bt_node *bt_kok_source(bt_graph *g, const bt_kokoro *k, bt_node *pitch, bt_node *noise)
{
    const bt_weight *w = bt_kok_w(g, k, "decoder.generator.m_source.l_linear.weight");
    const bt_weight *b = bt_kok_w(g, k, "decoder.generator.m_source.l_linear.bias");
    if (!pitch || !noise || !w || !b)
        return NULL;
    attr a = { .harmonics = k->harmonics, .fft = k->fft, .hop = k->hop / 2 };
    const float *values = bt_weight_channels(g, w, k->harmonics);
    const float *bias = bt_weight_channels(g, b, 1);
    const int64_t len = pitch->shape.w * a.hop;
    if (!values || !bias)
        return NULL;
    if (pitch->shape.c != 1 || noise->shape.c != 1 || noise->shape.w != len || len <= k->fft)
        return bt_graph_fail(g, "a source of %lld samples does not fit", (long long)len);
    double norm = 0;
    for (int h = 0; h < a.harmonics; h++) {
        a.w[h] = values[h];
        norm += (double)values[h] * (double)values[h];
    }
    a.norm = (float)sqrt(norm);
    a.bias = *bias;
    make_tables(&a);
    const bt_shape s = { 1, 1, len / (a.fft / 4) + 1, a.fft + 2 };
    return bt_node_new(g, &op_source, s, (bt_node *[]){ pitch, noise }, 2, &a, sizeof a);
}
