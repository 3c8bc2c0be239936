/* SPDX-License-Identifier: MIT
 * Latents to pixels and pixels to moments, whole or in tiles.
 *
 * Activations of the autoencoder grow with the picture, so a budget may ask for tiles. They overlap
 * by a quarter, and what two of them make of a place is mixed, more of the one the further its
 * edge is. A tile's group norms see the tile alone: the result is near to the whole one's and not
 * the same.
 */
#include <string.h>

#include "image/run/run.h"

/* One way to go over a picture: `side` rows and columns of latents at a time. */
typedef struct tiling {
    int h, w;   /* of a tile */
    int lh, lw; /* of the whole */
    int overlap;
} tiling;

static tiling tiling_of(const sd_setup *s)
{
    return (tiling){ .h = sd_run_piece(s, s->lh),
                     .w = sd_run_piece(s, s->lw),
                     .lh = s->lh,
                     .lw = s->lw,
                     .overlap = s->tile / 4 };
}

/* Where tile i along a side begins, and how many there are. */
static int tile_at(int i, int tile, int whole, int overlap)
{
    const int at = i * (tile - overlap);
    return at < whole - tile ? at : whole - tile;
}

static int tiles_of(int tile, int whole, int overlap)
{
    const int step = tile - overlap;
    return tile >= whole ? 1 : (whole - tile + step - 1) / step + 1;
}

/* The share of place i of n along a side that has `fade` places in common with its neighbours. */
static float share(int i, int n, bool first, bool last, int fade)
{
    const float left = first ? 1 : ((float)i + 0.5f) / (float)fade;
    const float right = last ? 1 : ((float)(n - 1 - i) + 0.5f) / (float)fade;
    const float least = left < right ? left : right;
    return least < 1 ? least : 1;
}

/* What tiles make, added up: sum [h * w][c] of shares times values, and the shares. */
typedef struct canvas {
    float *sum, *shares;
    int w, c; /* of a row; of a place */
} canvas;

/* A tile at (y0, x0) of latents; `f` places of the canvas are one of latents. */
static void add_tile(const canvas *to, const tiling *t, int y0, int x0, int f, const float *from)
{
    const bool top = y0 == 0, left = x0 == 0;
    const bool bottom = y0 + t->h == t->lh, right = x0 + t->w == t->lw;
    const int h = t->h * f, w = t->w * f, fade = t->overlap * f;
    for (int y = 0; y < h; y++) {
        const float of_row = share(y, h, top, bottom, fade);
        for (int x = 0; x < w; x++, from += to->c) {
            const size_t at = (size_t)(y0 * f + y) * (size_t)to->w + (size_t)(x0 * f + x);
            const float part = of_row * share(x, w, left, right, fade);
            to->shares[at] += part;
            for (int c = 0; c < to->c; c++)
                to->sum[at * (size_t)to->c + (size_t)c] += part * from[c];
        }
    }
}

static void finish_canvas(const canvas *to, size_t places)
{
    for (size_t i = 0; i < places; i++)
        for (int c = 0; c < to->c; c++)
            to->sum[i * (size_t)to->c + (size_t)c] /= to->shares[i];
}

/* Rows of a tile of x [.][w][c], whose upper left place is (y0, x0). */
static void cut_tile(const float *x, int w, int c, int y0, int x0, int th, int tw, float *out)
{
    const size_t row = (size_t)tw * (size_t)c;
    for (int y = 0; y < th; y++, out += row)
        memcpy(out, x + ((size_t)(y0 + y) * (size_t)w + (size_t)x0) * (size_t)c, row * sizeof *x);
}

/* One network over all tiles: `in` [.][in_w][in_c], in_f places of it and out_f of the canvas to
 * one of latents. */
typedef struct pass {
    sd_part part;
    const char *name;
    const float *in;
    int in_c, in_f, out_f;
} pass;

static bt_status run_tiles(sd_work *k, const pass *a, const canvas *to)
{
    const tiling t = tiling_of(&k->s);
    const int rows = tiles_of(t.h, t.lh, t.overlap), columns = tiles_of(t.w, t.lw, t.overlap);
    sd_plan *p;
    bt_status st;
    BT_TRY(sd_cache_ready_plan(&k->j->cache, a->part, 1, t.h, t.w, &p, k->r->error));
    for (int i = 0; i < rows * columns; i++) {
        const int y0 = tile_at(i / columns, t.h, t.lh, t.overlap);
        const int x0 = tile_at(i % columns, t.w, t.lw, t.overlap);
        cut_tile(a->in, t.lw * a->in_f, a->in_c, y0 * a->in_f, x0 * a->in_f, t.h * a->in_f,
                 t.w * a->in_f, sd_plan_data(p, p->in));
        BT_TRY(sd_run_plan(k, p, a->name));
        add_tile(to, &t, y0, x0, a->out_f, sd_plan_data(p, p->out));
    }
    sd_cache_rest(&k->j->cache, a->part);
fail:
    return st;
}

/* All at once: no shares. */
static bt_status run_whole(sd_work *k, const pass *a, size_t values, float *out)
{
    const size_t places = (size_t)k->s.lh * (size_t)k->s.lw * (size_t)(a->in_f * a->in_f);
    sd_plan *p;
    bt_status st;
    BT_TRY(sd_cache_ready_plan(&k->j->cache, a->part, 1, k->s.lh, k->s.lw, &p, k->r->error));
    memcpy(sd_plan_data(p, p->in), a->in, places * (size_t)a->in_c * sizeof *a->in);
    BT_TRY(sd_run_plan(k, p, a->name));
    memcpy(out, sd_plan_data(p, p->out), values * sizeof *out);
    sd_cache_rest(&k->j->cache, a->part);
fail:
    return st;
}

/* `out` [places][c], of which `to` is a view. */
static bt_status run_pass(sd_work *k, const pass *a, int c, float *out)
{
    const sd_setup *s = &k->s;
    const size_t places = (size_t)s->lh * (size_t)s->lw * (size_t)(a->out_f * a->out_f);
    if (sd_run_piece(s, s->lh) == s->lh && sd_run_piece(s, s->lw) == s->lw)
        return run_whole(k, a, places * (size_t)c, out);
    const canvas to = {
        .sum = out, .shares = bt_calloc(places, sizeof *out), .w = s->lw * a->out_f, .c = c
    };
    if (!to.shares)
        return sd_run_no_memory(k);
    memset(out, 0, places * (size_t)c * sizeof *out);
    const bt_status st = run_tiles(k, a, &to);
    if (st == BT_OK)
        finish_canvas(&to, places);
    bt_release(to.shares);
    return st;
}

bt_status sd_run_encode(sd_work *k, const float *pixels, float *moments)
{
    const sd_vae_config *v = &k->j->m->vae;
    const pass a = { SD_ENCODER, "encoder", pixels, v->in, v->factor, 1 };
    return run_pass(k, &a, 2 * v->latent, moments);
}

bt_status sd_run_decode(sd_work *k, sd_part part, float *latent, float *pixels)
{
    const sd_vae_config *v = sd_cache_vae(&k->j->cache, part);
    const size_t n = (size_t)k->s.lh * (size_t)k->s.lw * (size_t)v->latent;
    for (size_t i = 0; i < n; i++)
        latent[i] = latent[i] / v->scale + v->shift;
    const pass a = { part,     part == SD_PREVIEW ? "preview" : "decoder", latent, v->latent, 1,
                     v->factor };
    return run_pass(k, &a, v->out, pixels);
}
