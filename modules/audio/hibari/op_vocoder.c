/* SPDX-License-Identifier: MIT
 * The ops of the vocoder: pulses, spectra to windows of samples, their sum.
 *
 * Frames are transformed LANES at a time (dsp/fft.h); what a frame comes out as depends on
 * it alone. Its noise is numbered by frame and bin.
 */
#include <math.h>
#include <string.h>

#include "audio/hibari/vocoder.h"
#include "base/rng.h"
#include "graph/ops.h"

enum { FFT = BT_HIBARI_FFT, BINS = BT_HIBARI_BINS, HOP = BT_HIBARI_HOP, LANES = 8 };
#define PI      3.14159265f
#define LOUDEST 7.0f /* most that a logarithm of a magnitude may be */

bt_status bt_hibari_tables_make(bt_hibari_tables *t, bt_error *err)
{
    for (int i = 0; i < FFT; i++) {
        t->window[i] = (float)(0.5 - 0.5 * cos(2 * 3.14159265358979323846 * i / FFT));
        t->source[i] = t->window[i] / (FFT / 4);
    }
    for (int j = 0; j < HOP; j++) {
        float sum = 0;
        for (int q = 0; q < FFT; q += HOP)
            sum += t->window[q + j] * t->window[q + j];
        t->norm[j] = 1 / sum;
    }
    return bt_fft_create(FFT, &t->fft, err);
}

/* ---- pulses ------------------------------------------------------------ */

/* sum over h <= H of cos(h t) = sin((H + 1/2) t) / (2 sin(t / 2)) - 1/2; order is H + 1/2.
 * Where the quotient is 0 / 0 it is H + 1/2. */
static void pulses_row(const bt_kernels *k, float *y, const float *phase, const float *order)
{
    float s[HOP], c[HOP], turn[HOP];
    for (int j = 0; j < HOP; j++)
        turn[j] = 0.5f * phase[j];
    k->sincos(HOP, s, c, turn);
    for (int j = 0; j < HOP; j++)
        turn[j] = order[j] * phase[j];
    k->sincos(HOP, y, c, turn);
    for (int j = 0; j < HOP; j++) {
        const float d = 2 * s[j];
        const float e = (fabsf(d) > 2e-3f ? y[j] / d : order[j]) - 0.5f;
        y[j] = order[j] > 0 ? e : 0;
    }
}

static int64_t pulses_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, LANES);
}

static void pulses_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    const int64_t end = bt_row_tile_end(n, LANES, tile);
    for (int64_t r = tile * LANES; r < end; r++)
        pulses_row(x->kernels, bt_row(n, r), bt_row(n->src[0], r), bt_row(n->src[1], r));
}

static const bt_op op_pulses = { .name = "pulses", .tiles = pulses_tiles, .run = pulses_run };

/* ---- spectra to windows of samples ------------------------------------- */

typedef struct attr {
    const bt_hibari_tables *tables;
} attr;

/* A tile's memory. Magnitudes and angles of one frame; both forms of LANES frames. */
typedef struct bench {
    float harmonic[2][BINS], rest[2][BINS], magnitude[BINS], angle[BINS], noise[2 * BINS];
    _Alignas(64) float time[FFT * LANES];
    float spectrum[2 * BINS * LANES];
    _Alignas(64) float work[2 * FFT * LANES];
} bench;

static size_t frames_scratch(const bt_node *n, const bt_kernels *k)
{
    (void)n, (void)k;
    return sizeof(bench);
}

/* A sample of the pulses, the ends mirrored. */
static float mirrored(const bt_node *pulses, int64_t at)
{
    const int64_t last = pulses->shape.w * HOP - 1;
    at = at < 0 ? -at : at;
    at = at > last ? 2 * last - at : at;
    at = at < 0 ? 0 : at; /* a sentence is longer than that; a chunk may be short */
    return bt_row(pulses, at / HOP)[at % HOP];
}

/* The pulses under the window of frame `row`: even and odd ones (dsp/fft.h). False: there
 * are none, it is unvoiced. */
static bool take_window(const bt_node *pulses, const float *window, int64_t row, int lanes,
                        int lane, float *time)
{
    float *even = time + lane, *odd = even + FFT / 2 * lanes;
    bool any = false;
    for (int q = 0; q < FFT / HOP; q++) {
        const int64_t r = row - FFT / HOP / 2 + q;
        float edge[HOP];
        const float *x = edge;
        if (r >= 0 && r < pulses->shape.w)
            x = bt_row(pulses, r);
        else
            for (int j = 0; j < HOP; j++)
                edge[j] = mirrored(pulses, r * HOP + j);
        for (int j = 0; j < HOP; j += 2, even += lanes, odd += lanes) {
            *even = x[j] * window[q * HOP + j];
            *odd = x[j + 1] * window[q * HOP + j + 1];
            any |= (x[j] != 0) | (x[j + 1] != 0);
        }
    }
    return any;
}

static void magnitudes(const bt_kernels *k, float *y, const float *x)
{
    for (int i = 0; i < BINS; i++)
        y[i] = x[i] < LOUDEST ? x[i] : LOUDEST;
    k->act(BINS, y, y, BT_ACT_EXP, 0);
}

/* What the network makes of the pulses of one frame. h: lh, th, ln, lr, phi. */
static void open_harmonic(const bt_kernels *k, const float *h, bench *b)
{
    float *re = b->harmonic[0], *im = b->harmonic[1];
    k->act(BINS, b->angle, h + BINS, BT_ACT_TANH, 0);
    k->scale(BINS, b->angle, b->angle, PI);
    k->sincos(BINS, im, re, b->angle);
    magnitudes(k, b->magnitude, h);
    k->mul(BINS, re, re, b->magnitude);
    k->mul(BINS, im, im, b->magnitude);
}

/* What it adds to them. */
static void open_rest(const bt_kernels *k, const float *h, uint64_t seed, uint64_t frame, bench *b)
{
    float *sre = b->rest[0], *sim = b->rest[1];
    k->sincos(BINS, sim, sre, h + 4 * BINS);
    magnitudes(k, b->magnitude, h + 3 * BINS);
    k->mul(BINS, sre, sre, b->magnitude);
    k->mul(BINS, sim, sim, b->magnitude);
    magnitudes(k, b->magnitude, h + 2 * BINS);
    bt_sum_noise(seed, frame * BINS, b->noise, BINS);
    for (int i = 0; i < BINS; i++) {
        sre[i] += b->magnitude[i] * b->noise[2 * i];
        sim[i] += b->magnitude[i] * b->noise[2 * i + 1];
    }
}

/* The frame's spectrum; of an unvoiced one just the rest. */
static void filter(int lanes, int lane, bool voiced, bench *b)
{
    float *re = b->spectrum + lane, *im = re + BINS * lanes;
    for (int i = 0; i < BINS && !voiced; i++) {
        re[i * lanes] = b->rest[0][i];
        im[i * lanes] = b->rest[1][i];
    }
    if (!voiced)
        return;
    for (int i = 0; i < BINS; i++) {
        const float u = re[i * lanes], v = im[i * lanes];
        const float c = b->harmonic[0][i], d = b->harmonic[1][i];
        re[i * lanes] = u * c - v * d + b->rest[0][i];
        im[i * lanes] = u * d + v * c + b->rest[1][i];
    }
}

static int64_t frames_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, LANES);
}

static void frames_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const bt_hibari_tables *t = ((const attr *)n->attr)->tables;
    const int64_t first = tile * LANES;
    const int lanes = (int)(bt_row_tile_end(n, LANES, tile) - first);
    const uint64_t seed = (uint64_t)x->params[BT_HIBARI_PARAM_SEED];
    const uint64_t frame = (uint64_t)(x->params[BT_HIBARI_PARAM_FRAME] + first);
    bench *b = x->scratch;
    bool voiced[LANES], any = false;
    (void)phase;
    for (int l = 0; l < lanes; l++) {
        voiced[l] = take_window(n->src[1], t->source, first + l, lanes, l, b->time);
        any |= voiced[l];
    }
    if (any)
        bt_fft_forward(t->fft, x->kernels, lanes, b->time, b->spectrum, b->work);
    for (int l = 0; l < lanes; l++) {
        const float *h = bt_row(n->src[0], first + l);
        if (voiced[l])
            open_harmonic(x->kernels, h, b);
        open_rest(x->kernels, h, seed, frame + (uint64_t)l, b);
        filter(lanes, l, voiced[l], b);
    }
    bt_fft_inverse(t->fft, x->kernels, lanes, b->spectrum, b->time, b->work);
    for (int l = 0; l < lanes; l++) {
        float *y = bt_row(n, first + l);
        const float *even = b->time + l, *odd = even + FFT / 2 * lanes;
        for (int i = 0; i < FFT / 2; i++) {
            y[2 * i] = even[i * lanes] * t->window[2 * i];
            y[2 * i + 1] = odd[i * lanes] * t->window[2 * i + 1];
        }
    }
}

static void frames_cost(const bt_node *n, double *flops, double *bytes)
{
    const double f = (double)n->shape.w;
    *flops = f * (2 * 2.5 * FFT * log2(FFT) + 200.0 * BINS);
    *bytes = 4 * f * (5 * BINS + HOP + FFT);
}

static const bt_op op_frames = {
    .name = "spectrum",
    .tiles = frames_tiles,
    .run = frames_run,
    .scratch = frames_scratch,
    .cost = frames_cost,
};

/* ---- overlap and sum --------------------------------------------------- */

/* What the squared windows of the frames that are there sum up to at the samples of frame r; at
 * the ends of a sentence some are missing. */
static float squares(const bt_node *n, const bt_hibari_tables *t, int64_t r, int j)
{
    float sum = 0;
    for (int q = 0; q < 4; q++) {
        const float w = t->window[q * HOP + j];
        if (r + 2 - q >= 0 && r + 2 - q < n->shape.w)
            sum += w * w;
    }
    return sum > 1e-11f ? sum : 1e-11f;
}

/* Samples of frame r: quarter q of frame r + 2 - q for q < 4, as far as these exist. */
static void overlap_row(const bt_node *n, const bt_kernels *k, const bt_hibari_tables *t, int64_t r)
{
    float *y = bt_row(n, r);
    int there = 0;
    memset(y, 0, HOP * sizeof *y);
    for (int q = 0; q < 4; q++) {
        const int64_t f = r + 2 - q;
        if (f < 0 || f >= n->shape.w)
            continue;
        k->add(HOP, y, y, bt_row(n->src[0], f) + q * HOP);
        there++;
    }
    if (there == 4)
        k->mul(HOP, y, y, t->norm);
    for (int j = 0; j < HOP && there < 4; j++)
        y[j] *= 1 / squares(n, t, r, j);
}

static void overlap_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const int64_t end = bt_row_tile_end(n, LANES, tile);
    (void)phase;
    for (int64_t r = tile * LANES; r < end; r++)
        overlap_row(n, x->kernels, ((const attr *)n->attr)->tables, r);
}

static const bt_op op_overlap = { .name = "overlap", .tiles = frames_tiles, .run = overlap_run };

bt_node *bt_hibari_vocoder(bt_graph *g, const bt_hibari *v, bt_node *spectrum, bt_node *phase,
                           bt_node *order)
{
    const attr a = { .tables = &v->tables };
    bt_shape s = bt_shape_of(spectrum);
    if (spectrum && s.c != 5 * BINS)
        return bt_graph_fail(g, "m.head does not make five spectra of %d bins", BINS);
    s.c = HOP;
    bt_node *pulses = bt_node_new(g, &op_pulses, s, (bt_node *[]){ phase, order }, 2, NULL, 0);
    s.c = FFT;
    bt_node *src[] = { spectrum, pulses };
    bt_node *frames = bt_node_new(g, &op_frames, s, src, 2, &a, sizeof a);
    s.c = HOP;
    return bt_node_new(g, &op_overlap, s, &frames, 1, &a, sizeof a);
}
