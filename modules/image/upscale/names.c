/* SPDX-License-Identifier: MIT
 * The names under which upscalers' tensors are found, and what their sizes tell.
 *
 * RRDBNet has three families of names: BasicSR's (Real-ESRGAN), ESRGAN's, and those of
 * ESRGAN's first version, whose layers are numbered because it was a torch.nn.Sequential.
 */
#include <stdio.h>
#include <string.h>

#include "image/upscale/upscale.h"

enum { MOST_BLOCKS = 256, COLOURS = 3 };

typedef struct form {
    const char *first, *trunk, *dense, *end; /* <trunk>.<block>.<dense><n>.conv<n><end> */
    const char *body, *up, *hr, *last;       /* NULL: numbered, as members of "model" */
} form;

static const form forms[] = {
    { "conv_first", "body", "rdb", "", "conv_body", "conv_up", "conv_hr", "conv_last" },
    { "conv_first", "RRDB_trunk", "RDB", "", "trunk_conv", "upconv", "HRconv", "conv_last" },
    { "model.0", "model.1.sub", "RDB", ".0", NULL, NULL, NULL, NULL },
};
/* What training scripts put before all names. */
static const char *const prefixes[] = { "", "params_ema.", "params.", "module." };

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const bt_tensor *weight_of(const bt_store *s, const char *layer)
{
    char name[BT_UPSCALER_NAME + 8];
    snprintf(name, sizeof name, "%s.weight", layer);
    return bt_store_find(s, name);
}

void bt_upscaler_block(const bt_upscaler *u, int block, int dense, int conv,
                       char out[BT_UPSCALER_NAME])
{
    const form *f = &forms[u->form];
    snprintf(out, BT_UPSCALER_NAME, "%s%s.%d.%s%d.conv%d%s", u->prefix, f->trunk, block, f->dense,
             dense, conv, f->end);
}

static bool has_block(const bt_store *s, const bt_upscaler *u, int i)
{
    char name[BT_UPSCALER_NAME];
    bt_upscaler_block(u, i, 1, 1, name);
    return weight_of(s, name) != NULL;
}

static bool is_rrdb(const bt_store *s, bt_upscaler *u)
{
    snprintf(u->name.first, BT_UPSCALER_NAME, "%s%s", u->prefix, forms[u->form].first);
    return weight_of(s, u->name.first) && has_block(s, u, 0);
}

/* "body.<i>", a convolution (even i) or slopes. */
static const bt_tensor *compact_layer(const bt_store *s, const bt_upscaler *u, int i)
{
    char name[BT_UPSCALER_NAME];
    snprintf(name, sizeof name, "%sbody.%d", u->prefix, i);
    return weight_of(s, name);
}

bool bt_upscaler_find(const bt_store *s, bt_upscaler *u)
{
    for (int p = 0; p < COUNT(prefixes); p++) {
        u->prefix = prefixes[p];
        for (u->form = 0; u->form < COUNT(forms); u->form++)
            if (is_rrdb(s, u))
                return true;
        const bt_tensor *conv = compact_layer(s, u, 0), *slope = compact_layer(s, u, 1);
        u->compact = conv && conv->n_dims == 4 && slope && slope->n_dims == 1;
        if (u->compact)
            return true;
    }
    return false;
}

/* ---- sizes ----------------------------------------------------------------- */

/* The n of channels = 3 n^2; 0: there is none. */
static int shuffled(int64_t channels)
{
    for (int n = 1; n <= 16; n++)
        if (channels == COLOURS * n * n)
            return n;
    return 0;
}

static int64_t dim_of(const bt_upscaler *u, const char *layer, int dim)
{
    char name[BT_UPSCALER_NAME + 8];
    snprintf(name, sizeof name, "%s.weight", layer);
    const bt_weight *w = bt_weight_find(u->ws, name);
    return w ? bt_weight_dim(w, dim) : 0;
}

/* Convolutions after a doubling: "conv_up1", or members 3, 6, .. of "model". */
static void name_up(const bt_upscaler *u, int i, char out[BT_UPSCALER_NAME])
{
    const char *up = forms[u->form].up;
    if (up)
        snprintf(out, BT_UPSCALER_NAME, "%s%s%d", u->prefix, up, i + 1);
    else
        snprintf(out, BT_UPSCALER_NAME, "%smodel.%d", u->prefix, 3 * (i + 1));
}

/* Numbered, each layer has its activation after it, and each doubling a place before it. */
static void name_ends(bt_upscaler *u)
{
    const form *f = &forms[u->form];
    if (f->body) {
        snprintf(u->name.body, BT_UPSCALER_NAME, "%s%s", u->prefix, f->body);
        snprintf(u->name.hr, BT_UPSCALER_NAME, "%s%s", u->prefix, f->hr);
        snprintf(u->name.last, BT_UPSCALER_NAME, "%s%s", u->prefix, f->last);
        return;
    }
    snprintf(u->name.body, BT_UPSCALER_NAME, "%s%s.%d", u->prefix, f->trunk, u->blocks);
    snprintf(u->name.hr, BT_UPSCALER_NAME, "%smodel.%d", u->prefix, 3 * u->ups + 2);
    snprintf(u->name.last, BT_UPSCALER_NAME, "%smodel.%d", u->prefix, 3 * u->ups + 4);
}

static bt_status read_rrdb(bt_upscaler *u, bt_error *err)
{
    while (u->blocks < MOST_BLOCKS && has_block(u->store, u, u->blocks))
        u->blocks++;
    for (; u->ups < BT_UPSCALER_UPS; u->ups++) {
        name_up(u, u->ups, u->name.up[u->ups]);
        if (!weight_of(u->store, u->name.up[u->ups]))
            break;
    }
    if (u->ups < 2 && forms[u->form].up) /* these have two at least */
        return bt_fail(err, BT_EFORMAT, "tensor %s.weight is missing", u->name.up[u->ups]);
    name_ends(u);
    u->unshuffle = shuffled(dim_of(u, u->name.first, 1));
    u->shuffle = 1;
    if (u->unshuffle == 0 || u->unshuffle > 4 || (1 << u->ups) % u->unshuffle)
        return bt_fail(err, BT_EFORMAT, "%s takes other than 3, 12 or 48 channels", u->name.first);
    u->scale = (1 << u->ups) / u->unshuffle;
    if (dim_of(u, u->name.last, 0) != COLOURS)
        return bt_fail(err, BT_EFORMAT, "%s makes other than 3 channels", u->name.last);
    return BT_OK;
}

static bt_status read_compact(bt_upscaler *u, bt_error *err)
{
    char last[BT_UPSCALER_NAME];
    while (u->blocks < MOST_BLOCKS && compact_layer(u->store, u, 2 * u->blocks))
        u->blocks++;
    snprintf(last, sizeof last, "%sbody.%d", u->prefix, 2 * (u->blocks - 1));
    u->unshuffle = 1;
    u->scale = u->shuffle = shuffled(dim_of(u, last, 0));
    if (u->blocks < 2 || u->scale == 0)
        return bt_fail(err, BT_EFORMAT, "%s makes other than 3 channels for a pixel", last);
    return BT_OK;
}

bt_status bt_upscaler_read(bt_upscaler *u, bt_error *err)
{
    return u->compact ? read_compact(u, err) : read_rrdb(u, err);
}
