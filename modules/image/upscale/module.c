/* SPDX-License-Identifier: MIT
 * The module of upscalers: model, options, descriptor.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "image/picture/resample.h"
#include "image/upscale/upscale.h"

typedef struct options {
    int64_t tile;
    double scale;
} options;

enum { MOST_SIDE = 65535 };

static const bt_option table[] = {
    { "tile", NULL, "tile_size", BT_OPT_INT, offsetof(options, tile), "", 0, 4096, NULL, "pixels",
      "upscalers: sides of the pieces that a picture is cut into; 0 = none" },
    { "scale", NULL, "outscale", BT_OPT_FLOAT, offsetof(options, scale), "", 0.1, 32, NULL, NULL,
      "upscalers: how many times as large the result is, when not as the model makes it" },
    { 0 },
};

/* ---- the model ---------------------------------------------------------- */

static int probe(const bt_store *s)
{
    bt_upscaler u = { 0 };
    return bt_upscaler_find(s, &u) ? 90 : 0;
}

static void close_model(void *model)
{
    bt_upscaler *u = model;
    bt_weights_free(u->ws);
    bt_store_close(u->store);
    bt_release(u);
}

static bt_status read_model(bt_upscaler *u, bt_error *err)
{
    bt_upscale_job j = { .u = u };
    bt_error why = { 0 };
    bt_upscaler_find(u->store, u);
    bt_status st = bt_weights_create(u->store, u->compute, &u->ws, &why);
    if (st == BT_OK)
        st = bt_upscaler_read(u, &why);
    if (st == BT_OK) /* planned once, so that a file that lacks a tensor is refused here */
        st = bt_upscale_plan(&j, 4, 4, &why);
    bt_upscale_clear(&j);
    return st == BT_OK ? st : bt_fail(err, st, "%s: %s", bt_store_path(u->store), why.text);
}

static bt_status open_model(bt_store *s, const bt_compute *c, void **model, bt_error *err)
{
    bt_upscaler *u = bt_calloc(1, sizeof *u);
    *model = NULL;
    if (!u)
        return bt_no_memory(err, "the upscaler");
    u->store = s;
    u->compute = c;
    const bt_status st = read_model(u, err);
    if (st == BT_OK) {
        *model = u;
        return BT_OK;
    }
    u->store = NULL; /* stays the caller's */
    close_model(u);
    return st;
}

static bt_status describe(void *model, bt_buf *json)
{
    const bt_upscaler *u = model;
    bt_buf_printf(json,
                  "{\"architecture\":\"upscaler\",\"network\":\"%s\",\"parameters\":%.0f,"
                  "\"blocks\":%d,\"scale\":%d}",
                  u->compact ? "SRVGGNetCompact" : "RRDBNet", bt_store_parameters(u->store),
                  u->blocks, u->scale);
    return json->failed ? BT_ENOMEM : BT_OK;
}

/* ---- a job -------------------------------------------------------------- */

struct bt_module_job {
    bt_upscale_job j;
};

static bt_status job_open(void *model, bt_module_job **out, bt_error *err)
{
    bt_module_job *j = *out = bt_calloc(1, sizeof *j);
    if (!j)
        return bt_no_memory(err, "the job");
    j->j.u = model;
    return BT_OK;
}

static void job_close(bt_module_job *j)
{
    if (j)
        bt_upscale_clear(&j->j);
    bt_release(j);
}

/* The tile, with the plan for it; w, h 0: of a picture that is not known yet. */
static bt_status choose_tile(bt_module_job *j, const options *o, int w, int h, int *tile,
                             bt_error *err)
{
    if (o->tile == BT_INT_UNSET)
        return bt_upscale_tile(&j->j, w, h, tile, err);
    *tile = (int)o->tile;
    if (o->tile > 0 && o->tile < BT_UPSCALE_LEAST)
        return bt_fail(err, BT_EINVAL, "tile: %d is not 0 or at least %d", *tile, BT_UPSCALE_LEAST);
    return BT_OK;
}

/* Of one window: how many a picture needs is not known before the run. */
static bt_status estimate(bt_module_job *j, const bt_run *r, bt_estimate *out)
{
    int tile;
    bt_status st = choose_tile(j, r->options, 0, 0, &tile, r->error);
    if (st == BT_OK) {
        const int size = bt_upscale_axis_cut(1 << 20, j->j.u->unshuffle, tile).size;
        st = bt_upscale_plan(&j->j, tile ? size : BT_UPSCALE_LEAST, tile ? size : BT_UPSCALE_LEAST,
                             r->error);
    }
    if (st != BT_OK)
        return st;
    out->weights = bt_plan_weights(j->j.plan);
    out->arena = bt_plan_arena(j->j.plan);
    out->flops = bt_plan_flops(j->j.plan);
    return BT_OK;
}

static bt_status report(const bt_run *r, int w, int h, double scale, int tile)
{
    char text[32];
    const struct {
        const char *name;
        double value;
    } facts[] = { { "width", w }, { "height", h }, { "scale", scale }, { "tile", tile } };
    bt_status st = BT_OK;
    for (size_t i = 0; i < sizeof facts / sizeof *facts && st == BT_OK; i++) {
        snprintf(text, sizeof text, "%.6g", facts[i].value);
        st = r->report(r->host, facts[i].name, text);
    }
    return st;
}

/* From what the network made to the size asked for. */
static bt_status put_out(const bt_upscaler *u, const bt_run *r, const bt_image *img, int w, int h,
                         uint8_t *rgb)
{
    const bt_image made = { .width = img->width * u->scale,
                            .height = img->height * u->scale,
                            .channels = 3,
                            .pixels = rgb };
    if (w == made.width && h == made.height)
        return r->image(r->host, w, h, rgb, "");
    uint8_t *resized = sd_picture_resample(&made, w, h);
    if (!resized)
        return bt_no_memory(r->error, "the picture");
    const bt_status st = r->image(r->host, w, h, resized, "");
    bt_release(resized);
    return st;
}

static bt_status run(bt_module_job *j, const bt_run *r)
{
    const options *o = r->options;
    const bt_upscaler *u = j->j.u;
    const bt_image *img = r->image_in(r->host, "init");
    uint8_t *rgb = NULL;
    int tile;
    bt_status st;
    if (!img)
        return bt_fail(r->error, BT_EINVAL, "an upscaler needs a picture (init)");
    const double scale = isnan(o->scale) ? u->scale : o->scale;
    const double w = rint(img->width * scale), h = rint(img->height * scale);
    if (w < 1 || h < 1 || w > MOST_SIDE || h > MOST_SIDE)
        return bt_fail(r->error, BT_EINVAL, "scale: %g times %d x %d is too %s", scale, img->width,
                       img->height, w < 1 || h < 1 ? "small" : "large");
    BT_TRY(choose_tile(j, o, img->width, img->height, &tile, r->error));
    BT_TRY(bt_upscale_picture(&j->j, r, img, tile, &rgb));
    BT_TRY(put_out(u, r, img, (int)w, (int)h, rgb));
    BT_TRY(report(r, (int)w, (int)h, scale, tile));
fail:
    bt_release(rgb);
    return st;
}

const bt_module bt_module_upscaler = {
    .abi = BT_MODULE_ABI,
    .version = BT_VERSION,
    .name = "upscaler",
    .kind = BT_KIND_IMAGE,
    .options = table,
    .options_size = sizeof(options),
    .probe = probe,
    .open = open_model,
    .close = close_model,
    .describe = describe,
    .job_open = job_open,
    .job_close = job_close,
    .estimate = estimate,
    .run = run,
};
