/* SPDX-License-Identifier: MIT
 * A picture through the network, window by window, row of windows by row: what windows of
 * one row make is summed in floats by their weights; rows that no further window reaches
 * become bytes.
 */
#include <math.h>
#include <string.h>

#include "image/upscale/upscale.h"

enum { COLOURS = 3 };

/* ---- plans ----------------------------------------------------------------- */

void bt_upscale_clear(bt_upscale_job *j)
{
    bt_plan_free(j->plan);
    bt_arena_free(&j->arena);
    *j = (bt_upscale_job){ .u = j->u };
}

bt_status bt_upscale_plan(bt_upscale_job *j, int w, int h, bt_error *err)
{
    const bt_upscaler *u = j->u;
    bt_graph *g;
    if (j->plan && j->w == w && j->h == h)
        return BT_OK;
    bt_plan_free(j->plan);
    j->plan = NULL;
    if (bt_graph_create(u->ws, &g) != BT_OK)
        return bt_no_memory(err, "a graph");
    const int n = u->unshuffle;
    j->in = bt_input(g, (bt_shape){ 1, h / n, w / n, COLOURS * n * n });
    j->out = bt_output(g, bt_upscaler_network(g, u, j->in));
    const bt_status st = bt_plan_create(g, &j->plan, err);
    if (st != BT_OK)
        return st;
    bt_plan_share(j->plan, &j->arena);
    j->w = w;
    j->h = h;
    return BT_OK;
}

/* For activations, besides the plan's weights, two copies of the result and the strip. */
static uint64_t room_for(const bt_upscale_job *j, int w, int h)
{
    const uint64_t budget = j->u->compute->memory, s = (uint64_t)j->u->scale;
    const uint64_t row = COLOURS * s * (uint64_t)w, strip = row * s * (uint64_t)j->h;
    const uint64_t taken =
        bt_plan_weights(j->plan) + 2 * row * s * (uint64_t)h + strip * sizeof(float);
    const uint64_t left = budget > taken ? budget - taken : 0;
    return budget && left < BT_UPSCALE_ARENA ? left : BT_UPSCALE_ARENA;
}

bt_status bt_upscale_tile(bt_upscale_job *j, int w, int h, int *tile, bt_error *err)
{
    static const int sizes[] = { 480, 352, 256, 192, 128, 96, 64, BT_UPSCALE_LEAST };
    const int n = (int)(sizeof sizes / sizeof *sizes), step = j->u->unshuffle;
    bt_status st = BT_OK;
    for (int i = 0; i < n && st == BT_OK; i++) {
        const int most = sizes[i] + 2 * BT_UPSCALE_OVERLAP;
        const int across = w ? bt_upscale_axis_cut(w, step, sizes[i]).size : most;
        const int down = h ? bt_upscale_axis_cut(h, step, sizes[i]).size : most;
        *tile = sizes[i];
        st = bt_upscale_plan(j, across, down, err);
        if (st == BT_OK && bt_plan_arena(j->plan) <= room_for(j, w, h))
            break;
    }
    return st;
}

/* ---- one window ------------------------------------------------------------ */

typedef struct work {
    bt_upscale_job *j;
    const bt_run *r;
    const bt_image *img;
    bt_upscale_axis across, down;
    int width;      /* of the result's rows, the padding of an odd picture included */
    float *strip;   /* [down.size * scale][width][3]: sums, from the row of windows' first row */
    float *columns; /* [across.size * scale] weights */
    float *rows;    /* [down.size * scale] */
    uint8_t *rgb;
} work;

/* A place past the border is that as far on this side of it. */
static int reflected(int i, int n)
{
    if (i >= n)
        i = 2 * n - 2 - i;
    return i < 0 ? 0 : i;
}

static float *pixel_of(const bt_upscaler *u, float *x, int64_t rows_width, int row, int column)
{
    const int n = u->unshuffle;
    const int64_t at = row / n * rows_width + column / n;
    return x + at * COLOURS * n * n + row % n * n + column % n;
}

static void fill(const work *k, int x0, int y0, float *in)
{
    const bt_upscaler *u = k->j->u;
    const bt_image *img = k->img;
    const int n = u->unshuffle;
    for (int y = 0; y < k->down.size; y++)
        for (int x = 0; x < k->across.size; x++) {
            const size_t row = (size_t)reflected(y0 + y, img->height);
            const size_t column = (size_t)reflected(x0 + x, img->width);
            const uint8_t *p =
                img->pixels + (row * (size_t)img->width + column) * (size_t)img->channels;
            float *to = pixel_of(u, in, k->across.size / n, y, x);
            for (int c = 0; c < COLOURS; c++)
                to[c * n * n] = (float)p[img->channels == COLOURS ? c : 0] / 255;
        }
}

/* Row y of the window's result, weighted, into the strip from column x0 on. False: a value
 * is no number. */
static bool add_row(const work *k, const float *in, const float *out, int x0, int y)
{
    const bt_upscaler *u = k->j->u;
    const int s = u->scale, f = u->shuffle, w = k->across.size * s;
    float *to = k->strip + ((size_t)y * (size_t)k->width + (size_t)x0) * COLOURS;
    float check = 0;
    for (int x = 0; x < w; x++) {
        const int64_t at = (int64_t)(y / f) * (w / f) + x / f;
        const float *v = out + at * COLOURS * f * f + y % f * f + x % f;
        const float *base =
            u->compact ? in + ((int64_t)(y / s) * k->across.size + x / s) * COLOURS : NULL;
        const float weight = k->rows[y] * k->columns[x];
        for (int c = 0; c < COLOURS; c++) {
            const float value = v[c * f * f] + (base ? base[c] : 0);
            check += value * 0;
            to[x * COLOURS + c] += weight * value;
        }
    }
    return check == 0;
}

static bt_status run_window(const work *k, int i, int y0)
{
    bt_upscale_job *j = k->j;
    const int s = j->u->scale, x0 = bt_upscale_axis_at(&k->across, i);
    float *in = bt_plan_data(j->plan, j->in);
    if (!in)
        return bt_no_memory(k->r->error, "the upscaler; smaller tiles (tile) need less");
    fill(k, x0, y0, in);
    const bt_status st = bt_run_plan(k->r, j->plan, "upscaler");
    if (st != BT_OK)
        return st;
    const float *out = bt_plan_data(j->plan, j->out);
    bool numbers = true;
    bt_upscale_axis_weights(&k->across, i, s, k->columns);
    for (int y = 0; y < k->down.size * s; y++)
        numbers = add_row(k, in, out, x0 * s, y) && numbers;
    return numbers ? BT_OK
                   : bt_fail(k->r->error, BT_EFORMAT, "%s: makes values that are no numbers",
                             bt_store_path(j->u->store));
}

/* ---- the picture ----------------------------------------------------------- */

/* The strip's rows 0..n are finished; the others become its first. y0: of the result. */
static void finish_rows(const work *k, int y0, int n)
{
    const int s = k->j->u->scale;
    const size_t row = (size_t)k->width * COLOURS, all = (size_t)(k->down.size * s);
    const size_t w = (size_t)(k->img->width * s) * COLOURS;
    for (int y = 0; y < n && y0 + y < k->img->height * s; y++)
        for (size_t i = 0; i < w; i++) {
            const float v = k->strip[(size_t)y * row + i];
            k->rgb[(size_t)(y0 + y) * w + i] = (uint8_t)rintf((v > 0 ? v < 1 ? v : 1 : 0) * 255);
        }
    const size_t rest = (all - (size_t)n) * row;
    memmove(k->strip, k->strip + (size_t)n * row, rest * sizeof *k->strip);
    memset(k->strip + rest, 0, (size_t)n * row * sizeof *k->strip);
}

static bt_status run_all(const work *k)
{
    const int s = k->j->u->scale, total = k->across.count * k->down.count;
    bt_status st = k->r->progress(k->r->host, "upscale", 0, total);
    for (int j = 0; j < k->down.count && st == BT_OK; j++) {
        const int y0 = bt_upscale_axis_at(&k->down, j);
        const int end =
            j + 1 < k->down.count ? bt_upscale_axis_at(&k->down, j + 1) : k->down.length;
        bt_upscale_axis_weights(&k->down, j, s, k->rows);
        for (int i = 0; i < k->across.count && st == BT_OK; i++) {
            st = run_window(k, i, y0);
            if (st == BT_OK)
                st = k->r->progress(k->r->host, "upscale", j * k->across.count + i + 1, total);
        }
        if (st == BT_OK)
            finish_rows(k, y0 * s, (end - y0) * s);
    }
    return st;
}

static bool take_memory(work *k)
{
    const size_t s = (size_t)k->j->u->scale, down = (size_t)k->down.size * s;
    size_t bytes;
    if (!bt_mul_ok((size_t)k->img->width * s, (size_t)k->img->height * s * COLOURS, &bytes))
        return false;
    k->strip = bt_calloc(down * (size_t)k->width, COLOURS * sizeof *k->strip);
    k->columns = bt_calloc((size_t)k->across.size * s, sizeof *k->columns);
    k->rows = bt_calloc(down, sizeof *k->rows);
    k->rgb = bt_calloc(bytes, 1);
    return k->strip && k->columns && k->rows && k->rgb;
}

bt_status bt_upscale_picture(bt_upscale_job *j, const bt_run *r, const bt_image *img, int tile,
                             uint8_t **rgb)
{
    const int step = j->u->unshuffle;
    work k = { .j = j, .r = r, .img = img };
    k.across = bt_upscale_axis_cut(img->width, step, tile);
    k.down = bt_upscale_axis_cut(img->height, step, tile);
    k.width = k.across.length * j->u->scale;
    bt_status st = bt_upscale_plan(j, k.across.size, k.down.size, r->error);
    if (st == BT_OK)
        st = take_memory(&k) ? run_all(&k) : bt_no_memory(r->error, "the picture");
    bt_release(k.strip);
    bt_release(k.columns);
    bt_release(k.rows);
    if (st != BT_OK)
        bt_release(k.rgb);
    *rgb = st == BT_OK ? k.rgb : NULL;
    return st;
}
