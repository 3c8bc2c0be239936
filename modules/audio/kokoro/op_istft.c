/* SPDX-License-Identifier: MIT
 * An op of this module: samples from a spectrum (hexgrad's istftnet.py, the end of Generator;
 * torch.istft, centred, Hann window, hops of a quarter). Row r has log magnitudes l and the
 * sines p of which are the phases: X_b = e^l_b e^(i sin p_b). Every row makes `fft` samples;
 * what overlaps is added in order of rows and divided by the sum of the squared windows.
 */
#include <math.h>
#include <string.h>

#include "graph/op.h"
#include "audio/kokoro/kokoro.h"

enum { HOPS = 64, OVERLAP = 4 }; /* hops of a tile; rows that share a sample */
#define TWO_PI 6.283185307179586

typedef struct attr {
    int fft;
    float window[BT_KOK_MAX_FFT];
    /* what a real and an imaginary part add to sample i: [bin][i], the window included */
    float re[BT_KOK_MAX_FFT / 2 + 1][BT_KOK_MAX_FFT], im[BT_KOK_MAX_FFT / 2 + 1][BT_KOK_MAX_FFT];
} attr;

static int64_t istft_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    const int hop = ((const attr *)n->attr)->fft / 4;
    (void)x, (void)phase;
    return bt_row_tiles(n, HOPS * hop);
}

/* Sums and squared windows of a tile's samples and the frames that reach over its ends. */
static size_t istft_scratch(const bt_node *n, const bt_kernels *k)
{
    const int fft = ((const attr *)n->attr)->fft;
    (void)k;
    return 2 * (size_t)(HOPS * fft / 4 + 2 * fft) * sizeof(float);
}

static void add_frame(const attr *a, const bt_kernels *k, const float *row, float *y)
{
    const int bins = a->fft / 2 + 1;
    float size[BT_KOK_MAX_FFT / 2 + 1];
    k->act(bins, size, row, BT_ACT_EXP, 0);
    for (int b = 0; b < bins; b++) {
        const float p = sinf(row[bins + b]), re = size[b] * cosf(p), im = size[b] * sinf(p);
        for (int i = 0; i < a->fft; i++)
            y[i] += re * a->re[b][i] + im * a->im[b][i];
    }
}

static void istft_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const attr *a = n->attr;
    const int hop = a->fft / 4;
    const int64_t first = tile * HOPS * hop, end = bt_row_tile_end(n, HOPS * hop, tile);
    const int64_t rows = bt_rows(n->src[0]->shape);
    /* Sample s lies at s + fft / 2 of the uncut sum, row r at r * hop. */
    int64_t r = first / hop + 2 - (OVERLAP - 1), last = (end - 1) / hop + 2;
    const int64_t origin = r * hop;
    const int span = HOPS * hop + 2 * a->fft;
    float *sum = x->scratch, *squares = sum + span;
    (void)phase;
    memset(sum, 0, 2 * (size_t)span * sizeof *sum);
    for (; r <= last; r++) {
        if (r < 0 || r >= rows)
            continue;
        add_frame(a, x->kernels, bt_row(n->src[0], r), sum + (r * hop - origin));
        for (int i = 0; i < a->fft; i++)
            squares[r * hop - origin + i] += a->window[i] * a->window[i];
    }
    for (int64_t s = first; s < end; s++) {
        const int64_t at = s + a->fft / 2 - origin;
        *bt_row(n, s) = squares[at] > 1e-11f ? sum[at] / squares[at] : 0;
    }
}

static void istft_cost(const bt_node *n, double *flops, double *bytes)
{
    const double rows = (double)bt_rows(n->src[0]->shape), fft = ((const attr *)n->attr)->fft;
    *flops = 4 * rows * fft * (fft / 2 + 1);
    *bytes = 4 * (rows * (fft + 2) + (double)n->shape.w);
}

static const bt_op op_istft = {
    .name = "voice_istft",
    .tiles = istft_tiles,
    .run = istft_run,
    .scratch = istft_scratch,
    .cost = istft_cost,
};

bt_node *bt_kok_istft(bt_graph *g, bt_node *x)
{
    if (!x)
        return NULL;
    attr a = { .fft = (int)x->shape.c - 2 };
    const int bins = a.fft / 2 + 1;
    if (x->shape.c > BT_KOK_MAX_FFT || a.fft < 4 || a.fft % 4 || x->shape.n * x->shape.h != 1 ||
        x->shape.w < OVERLAP)
        return bt_graph_fail(g, "the vocoder's last layer has the wrong size");
    for (int i = 0; i < a.fft; i++)
        a.window[i] = (float)(0.5 - 0.5 * cos(TWO_PI * i / a.fft));
    for (int b = 0; b < bins; b++)
        for (int i = 0; i < a.fft; i++) {
            const double scale = (b == 0 || b == bins - 1 ? 1.0 : 2.0) / a.fft;
            const double angle = TWO_PI * (i * b % a.fft) / a.fft;
            a.re[b][i] = (float)(scale * (double)a.window[i] * cos(angle));
            a.im[b][i] =
                b == 0 || b == bins - 1 ? 0 : (float)(-scale * (double)a.window[i] * sin(angle));
        }
    const bt_shape s = { 1, 1, (x->shape.w - 1) * (a.fft / 4), 1 };
    return bt_node_new(g, &op_istft, s, &x, 1, &a, sizeof a);
}
