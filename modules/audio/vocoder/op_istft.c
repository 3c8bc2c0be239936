/* SPDX-License-Identifier: MIT
 * The ops at the end of Vocos: spectra to windows of samples, and their sum (its
 * spectral_ops.py ISTFT; torch.istft): what overlaps is added in order of frames and divided
 * by the sum of the squared windows.
 *
 * Frames are transformed LANES at a time (dsp/fft.h); what a frame comes out as depends on
 * it alone.
 */
#include <math.h>

#include "audio/vocoder/vocoder.h"
#include "graph/op.h"

enum { LANES = 8 };
#define LOUDEST 100.0f /* of a magnitude */

typedef struct attr {
    const bt_vocos *v;
} attr;

static const bt_vocos *vocos_of(const bt_node *n) { return ((const attr *)n->attr)->v; }

static int64_t tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, LANES);
}

/* ---- spectra to windows of samples -------------------------------------- */

/* Floats of a thread's memory, each part a multiple of 16: LANES spectra, then their samples; work;
 * a frame's magnitudes, sines and cosines. */
static size_t spectra_size(const bt_vocos *v) { return ((size_t)v->n_fft + 2) * LANES; }
static size_t bins_size(const bt_vocos *v) { return ((size_t)v->n_fft / 2 + 16) / 16 * 16; }

static size_t frames_scratch(const bt_node *n, const bt_kernels *k)
{
    const bt_vocos *v = vocos_of(n);
    (void)k;
    return (spectra_size(v) + bt_fft_work(v->n_fft, LANES) + 3 * bins_size(v)) * sizeof(float);
}

/* exp(m), limited, times e^(i p), as lane l's spectrum. */
static void open_spectrum(const bt_kernels *k, const bt_vocos *v, const float *row, int lanes,
                          int l, float *spectrum, float *size)
{
    const int bins = v->n_fft / 2 + 1;
    float *s = size + bins_size(v), *c = s + bins_size(v);
    float *re = spectrum + l, *im = re + (size_t)bins * (size_t)lanes;
    k->act(bins, size, row, BT_ACT_EXP, 0);
    k->sincos(bins, s, c, row + bins);
    for (int i = 0; i < bins; i++) {
        const float m = size[i] < LOUDEST ? size[i] : LOUDEST;
        re[i * lanes] = m * c[i];
        im[i * lanes] = m * s[i];
    }
}

static void frames_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const bt_vocos *v = vocos_of(n);
    const int64_t first = tile * LANES;
    const int lanes = (int)(bt_row_tile_end(n, LANES, tile) - first), half = v->n_fft / 2;
    float *time = x->scratch, *work = time + spectra_size(v);
    float *size = work + bt_fft_work(v->n_fft, LANES);
    (void)phase;
    for (int l = 0; l < lanes; l++)
        open_spectrum(x->kernels, v, bt_row(n->src[0], first + l), lanes, l, time, size);
    bt_fft_inverse(v->fft, x->kernels, lanes, time, time, work);
    for (int l = 0; l < lanes; l++) {
        float *y = bt_row(n, first + l);
        const float *even = time + l, *odd = even + (size_t)half * (size_t)lanes;
        for (int i = 0; i < half; i++) {
            y[2 * i] = even[i * lanes] * v->window[2 * i];
            y[2 * i + 1] = odd[i * lanes] * v->window[2 * i + 1];
        }
    }
}

static void frames_cost(const bt_node *n, double *flops, double *bytes)
{
    const double f = (double)n->shape.w, fft = (double)n->shape.c;
    *flops = f * fft * (2.5 * log2(fft) + 20);
    *bytes = 4 * f * 2 * fft;
}

static const bt_op op_frames = {
    .name = "vocos_frames",
    .tiles = tiles,
    .run = frames_run,
    .scratch = frames_scratch,
    .cost = frames_cost,
};

/* ---- overlap and sum ----------------------------------------------------- */

static size_t overlap_scratch(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    return (size_t)n->shape.c * sizeof(float);
}

/* Samples r * hop and on, which lie `cut` further on in the uncut sum, where frame f begins at
 * f * hop. */
static void overlap_row(const bt_node *n, const bt_vocos *v, int64_t r, float *squares)
{
    const int64_t hop = v->hop, cut = (v->same ? v->n_fft - hop : v->n_fft) / 2;
    const int64_t begin = r * hop + cut, frames = n->src[0]->shape.w;
    int64_t f = begin < v->n_fft ? 0 : (begin - v->n_fft) / hop + 1;
    float *y = bt_row(n, r);
    for (int64_t j = 0; j < hop; j++)
        y[j] = squares[j] = 0;
    for (; f < frames && f * hop < begin + hop; f++) {
        const int64_t at = begin - f * hop; /* of y[0] in the frame; below 0: before it */
        const int64_t to = v->n_fft - at < hop ? v->n_fft - at : hop;
        const float *x = bt_row(n->src[0], f);
        for (int64_t j = at < 0 ? -at : 0; j < to; j++) {
            y[j] += x[at + j];
            squares[j] += v->window[at + j] * v->window[at + j];
        }
    }
    for (int64_t j = 0; j < hop; j++)
        y[j] /= squares[j] > 1e-11f ? squares[j] : 1e-11f;
}

static void overlap_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const int64_t end = bt_row_tile_end(n, LANES, tile);
    (void)phase;
    for (int64_t r = tile * LANES; r < end; r++)
        overlap_row(n, vocos_of(n), r, x->scratch);
}

static const bt_op op_overlap = {
    .name = "vocos_overlap",
    .tiles = tiles,
    .run = overlap_run,
    .scratch = overlap_scratch,
};

bt_node *bt_vocos_istft(bt_graph *g, const bt_vocos *v, bt_node *x)
{
    const attr a = { .v = v };
    bt_shape s = bt_shape_of(x);
    if (x && (s.c != v->n_fft + 2 || s.w < 2))
        return bt_graph_fail(g, "head.out has the wrong size");
    s.c = v->n_fft;
    bt_node *frames = bt_node_new(g, &op_frames, s, &x, 1, &a, sizeof a);
    s.c = v->hop;
    s.w -= v->same ? 0 : 1;
    return bt_node_new(g, &op_overlap, s, &frames, 1, &a, sizeof a);
}
