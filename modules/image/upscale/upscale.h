/* SPDX-License-Identifier: MIT
 * Upscalers: networks that make a picture larger. RRDBNet (ESRGAN, Wang et al. 2018;
 * Real-ESRGAN, Wang et al. 2021) and SRVGGNetCompact (Real-ESRGAN's small one), from files
 * with the tensor names of their own packages.
 *
 *     module.c   the descriptor, options, a job
 *     names.c    which tensors a file has, and so which network it is
 *     network.c  the network as a graph
 *     axis.c     how a long picture is cut into windows, and how they are put together
 *     run.c      a picture through the network, window by window
 */
#ifndef BT_IMAGE_UPSCALE_H
#define BT_IMAGE_UPSCALE_H

#include "module.h"

enum { BT_UPSCALER_NAME = 64, BT_UPSCALER_UPS = 3 };

typedef struct bt_upscaler {
    bt_store *store;
    const bt_compute *compute;
    bt_weights *ws;
    int form;           /* of its names: names.c */
    const char *prefix; /* of all of them */
    bool compact;       /* SRVGGNetCompact; else RRDBNet */
    int blocks;         /* RRDBs; of the compact one, convolutions */
    int scale;          /* rows and columns of the result for one of the picture */
    int unshuffle;      /* rows and columns of the picture that are one of the network's input */
    int shuffle;        /* rows and columns of the result that are one of its output */
    int ups;            /* doublings inside; each has a convolution */
    struct {            /* layers of RRDBNet outside its blocks */
        char first[BT_UPSCALER_NAME], body[BT_UPSCALER_NAME];
        char up[BT_UPSCALER_UPS][BT_UPSCALER_NAME];
        char hr[BT_UPSCALER_NAME], last[BT_UPSCALER_NAME];
    } name;
} bt_upscaler;

/* ---- names.c -------------------------------------------------------------- */

/* Is there an upscaler in s? Then *u (all but store, compute, ws) tells which. */
bool bt_upscaler_find(const bt_store *s, bt_upscaler *u);
/* The rest of *u from the sizes of tensors; BT_EFORMAT: they are not an upscaler's (the message
 * does not name the file). */
bt_status bt_upscaler_read(bt_upscaler *u, bt_error *err);
/* "body.3.rdb1.conv2", in the file's own way; block from 0, the others from 1. */
void bt_upscaler_block(const bt_upscaler *u, int block, int dense, int conv,
                       char out[BT_UPSCALER_NAME]);

/* ---- network.c ------------------------------------------------------------ */

/* x [1, h, w, 3 unshuffle^2] -> [1, h', w', 3 shuffle^2]; h' = h scale unshuffle / shuffle.
 * Channels of a colour follow each other: (colour, row, column), as torch's shuffles. */
bt_node *bt_upscaler_network(bt_graph *g, const bt_upscaler *u, bt_node *x);
/* op_prelu.c: x < 0 ? slope[channel] * x : x */
bt_node *bt_upscaler_prelu(bt_graph *g, bt_node *x, const bt_weight *slope);

/* ---- axis.c --------------------------------------------------------------- */

/* A picture's columns or rows: `count` windows of `size` begin at multiples of `step`, the
 * first at 0; the last ends where the picture does. Neighbours share at least
 * 2 BT_UPSCALE_OVERLAP - step. */
enum { BT_UPSCALE_OVERLAP = 16, BT_UPSCALE_LEAST = 32 };

typedef struct bt_upscale_axis {
    int length, size, count, step;
} bt_upscale_axis;

/* length: rounded up to a multiple of step, 1, 2 or 4; tile: at least BT_UPSCALE_LEAST, what
 * a window has besides what it shares; 0: one window. */
bt_upscale_axis bt_upscale_axis_cut(int length, int step, int tile);
int bt_upscale_axis_at(const bt_upscale_axis *a, int window);
/* w[i], i < size * scale: what window's value counts at its place i of the result. All
 * windows' together are 1. */
void bt_upscale_axis_weights(const bt_upscale_axis *a, int window, int scale, float *w);

/* ---- run.c ---------------------------------------------------------------- */

/* What a job keeps: the plan for the size of window that it met last. */
typedef struct bt_upscale_job {
    const bt_upscaler *u;
    bt_plan *plan;
    bt_node *in, *out;
    int w, h; /* of a window, pixels */
    bt_arena arena;
} bt_upscale_job;

/* The plan of windows of w x h pixels, multiples of u->unshuffle. */
bt_status bt_upscale_plan(bt_upscale_job *j, int w, int h, bt_error *err);
void bt_upscale_clear(bt_upscale_job *j);
/* The tile for a picture whose user did not choose one: the largest whose activations take
 * BT_UPSCALE_ARENA bytes at most, or fit a memory budget. The job then has its plan, or that
 * of the whole picture, if that is smaller; w, h 0: unknown. */
#define BT_UPSCALE_ARENA (UINT64_C(512) << 20)
bt_status bt_upscale_tile(bt_upscale_job *j, int w, int h, int *tile, bt_error *err);
/* img (1 or 3 channels) u->scale times as large: *rgb, bt_release. tile: as for the axes. */
bt_status bt_upscale_picture(bt_upscale_job *j, const bt_run *r, const bt_image *img, int tile,
                             uint8_t **rgb);

#endif
