/* SPDX-License-Identifier: MIT
 * A generator's sizes from the shapes of its tensors; its reach, and where chunks may begin.
 */
#include <stdarg.h>
#include <stdio.h>

#include "audio/hifigan/hifigan.h"
#include "audio/speak/parts.h"
#include "graph/minimal.h"

enum {
    MOST_ALIGN = 64, /* frames */
    MOST_HOP = 1 << 16,
    MOST_DILATION = 4096,
};

int bt_weight_size(bt_weights *ws, int i, const char *fmt, ...)
{
    char name[192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const bt_weight *w = bt_weight_find(ws, name);
    const int64_t d = w ? bt_weight_dim(w, i) : 0;
    return d > 0 && d <= 1 << 20 ? (int)d : 0;
}

static bt_status bad(const char *file, const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "%s: not a HiFi-GAN generator: %s", file, what);
}

static const char *list_of(const bt_hifigan *d) { return d->block_pairs ? "convs1" : "convs"; }

static int up_size(const bt_hifigan *d, int i, int stage)
{
    return bt_weight_size(d->ws, i, "%sups.%d.weight", d->prefix, stage);
}

/* Dimension i of convolution j of block b. */
static int block_size(const bt_hifigan *d, int i, int b, int j)
{
    return bt_weight_size(d->ws, i, "%sresblocks.%d.%s.%d.weight", d->prefix, b, list_of(d), j);
}

bt_status bt_hifigan_count(bt_hifigan *d, const char *file, bt_error *err)
{
    int blocks = 0, stages = 0, convs = 0;
    d->block_pairs = bt_weight_size(d->ws, 0, "%sresblocks.0.convs1.0.weight", d->prefix) > 0;
    while (stages <= BT_HIFIGAN_STAGES && up_size(d, 0, stages))
        stages++;
    while (blocks <= BT_HIFIGAN_STAGES * BT_HIFIGAN_KERNELS && block_size(d, 0, blocks, 0))
        blocks++;
    while (convs <= BT_HIFIGAN_CONVS && block_size(d, 0, 0, convs))
        convs++;
    if (!stages || stages > BT_HIFIGAN_STAGES || !blocks || blocks % stages ||
        blocks / stages > BT_HIFIGAN_KERNELS)
        return bad(file, "the decoder is missing", err);
    if (convs > BT_HIFIGAN_CONVS)
        return bad(file, "the decoder's residual blocks have too many filters", err);
    d->n_stages = stages;
    d->n_kernels = blocks / stages;
    d->block_convs = convs;
    return BT_OK;
}

/* ---- residual blocks ---------------------------------------------------- */

/* The published configurations: ResBlock1 has 1, 3, 5 (V1, V2), ResBlock2 has 1, 2 and 2, 6
 * and 3, 12 (V3). */
static int usual_dilation(const bt_hifigan *d, int kernel, int conv)
{
    static const int three[] = { 1, 3, 5 }, two[][2] = { { 1, 2 }, { 2, 6 }, { 3, 12 } };
    if (d->block_pairs)
        return conv < 3 ? three[conv] : 0;
    return kernel < 3 && conv < 2 ? two[kernel][conv] : 0;
}

static bt_status block_shapes(bt_hifigan *d, const char *file, bt_error *err)
{
    for (int i = 0; i < d->n_kernels; i++) {
        d->block_k[i] = block_size(d, 2, i, 0);
        if (d->block_k[i] % 2 == 0)
            return bad(file, "the decoder's filters have even lengths", err);
        for (int b = i; b < d->n_stages * d->n_kernels; b += d->n_kernels)
            for (int j = 0; j < d->block_convs; j++)
                if (block_size(d, 2, b, j) != d->block_k[i])
                    return bad(file, "the decoder's stages differ in their filters", err);
        for (int j = 0; j < d->block_convs; j++) {
            if (d->dilation[i][j] == 0)
                d->dilation[i][j] = usual_dilation(d, i, j);
            if (d->dilation[i][j] < 1 || d->dilation[i][j] > MOST_DILATION)
                return bad(file, "the decoder's dilations are not known", err);
        }
    }
    return BT_OK;
}

/* ---- where chunks begin, and how far they look -------------------------- */

/* f32 that nobody asked for by name: f32 itself is the reference, and has plain sums. */
static bool may_be_minimal(const bt_hifigan *d)
{
    const bt_compute *c = bt_weights_compute(d->ws);
    const bool named = c->precision != BT_PREC_AUTO && c->precision != BT_PREC_INT8;
    return !named && bt_sound_auto(c) == BT_PREC_F32;
}

int bt_hifigan_outs(const bt_hifigan *d, int c, int taps, int dilation)
{
    return d->minimal && dilation <= BT_HIFIGAN_GROUPS ? bt_minimal_outs(taps, c, c) : 0;
}

int64_t bt_common_multiple(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

/* Frames whose rows are whole groups of every filter, in every stage. */
static int64_t whole_groups(const bt_hifigan *d)
{
    int64_t frames = 1, rows = 1;
    for (int s = 0; s < d->n_stages; s++) {
        const int c = up_size(d, 1, s);
        rows *= d->stride[s];
        for (int i = 0; i < d->n_kernels; i++)
            for (int j = 0; j < d->block_convs && frames <= MOST_ALIGN; j++) {
                const int dilation = d->dilation[i][j];
                const int block = bt_hifigan_outs(d, c, d->block_k[i], dilation) * dilation;
                if (block)
                    frames = bt_common_multiple(frames, bt_common_multiple(block, rows) / rows);
            }
    }
    return frames;
}

/* Chunks begin where groups of minimal filtering do, so that these lie where they do in
 * the whole. Not for filters that this would cost too much. */
static void align(bt_hifigan *d)
{
    d->minimal = may_be_minimal(d);
    const int64_t frames = whole_groups(d);
    d->minimal = d->minimal && frames <= MOST_ALIGN;
    d->align = d->minimal ? (int)frames : 1;
}

/* Rows to each side of one filter's output that it reads: half the filter, and with
 * minimal filtering what its group reads. */
static int filter_reach(const bt_hifigan *d, int c, int kernel, int dilation)
{
    const int outs = bt_hifigan_outs(d, c, d->block_k[kernel], dilation);
    return dilation * (d->block_k[kernel] / 2 + (outs ? outs - 1 : 0));
}

/* Frames to each side that can reach a frame's samples, last layer first: r rows
 * on either side of a layer's output need so many of its input. An upsampling by s
 * divides by s, rounded outwards.
 * With this margin a long input decoded in chunks gives the bytes of one decoded whole. */
static int reach(const bt_hifigan *d)
{
    int r = bt_weight_size(d->ws, 2, "%sconv_post.weight", d->prefix) / 2;
    for (int s = d->n_stages - 1; s >= 0; s--) {
        const int c = up_size(d, 1, s);
        int most = 0;
        for (int i = 0; i < d->n_kernels; i++) {
            int sum = 0;
            for (int j = 0; j < d->block_convs; j++)
                sum += filter_reach(d, c, i, d->dilation[i][j]) +
                       (d->block_pairs ? filter_reach(d, c, i, 1) : 0);
            most = sum > most ? sum : most;
        }
        r += most;
        int left = (r + d->up_k[s] - 1 - d->pad[s] + d->stride[s] - 1) / d->stride[s];
        int right = (r - 1 + d->pad[s]) / d->stride[s] + 1;
        r = left > right ? left : right;
    }
    return r + bt_weight_size(d->ws, 2, "%sconv_pre.weight", d->prefix) / 2;
}

bt_status bt_hifigan_shapes(bt_hifigan *d, const char *file, bt_error *err)
{
    d->hop = 1;
    d->channels = bt_weight_size(d->ws, 1, "%sconv_pre.weight", d->prefix);
    for (int i = 0; i < d->n_stages; i++) {
        const int k = d->up_k[i] = up_size(d, 2, i);
        d->stride[i] = d->stride[i] ? d->stride[i] : k / 2;
        d->pad[i] = d->pad[i] >= 0 ? d->pad[i] : (k - d->stride[i]) / 2;
        if (d->stride[i] < 1 || d->stride[i] > k || k - 2 * d->pad[i] != d->stride[i])
            return bad(file, "the decoder's upsampling does not fit", err);
        if (d->hop > MOST_HOP)
            return bad(file, "the decoder makes too many samples of a frame", err);
        d->hop *= d->stride[i];
    }
    const bt_status st = block_shapes(d, file, err);
    if (st != BT_OK)
        return st;
    align(d);
    d->margin = reach(d);
    return BT_OK;
}
