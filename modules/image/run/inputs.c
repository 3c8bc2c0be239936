/* SPDX-License-Identifier: MIT
 * The first picture and its mask: to the size that is made, and what was made
 * back into its place.
 *
 *     first picture, mask -> margins -> soft edge -> box around the mask -> w x h
 *
 * As A1111 does it: the edge is softened at the picture's own size; where the
 * mask is half white or more, the picture is made anew; what was made covers the
 * first picture there, and fades out towards where the mask is black.
 */
#include <math.h>
#include <string.h>

#include "image/run/run.h"

typedef struct source {
    float *pixels, *mask;
    int w, h;
} source;

static bool has_margins(const sd_setup *s)
{
    const sd_margins m = s->margins;
    return m.left || m.right || m.top || m.bottom;
}

/* At the first picture's size, white where it changes. */
static float *load_mask(const sd_setup *s)
{
    const int w = s->init->width, h = s->init->height;
    if (!s->mask)
        return bt_calloc((size_t)w * (size_t)h, sizeof(float));
    float *m = sd_picture_resize(s->mask, w, h, 1);
    for (size_t i = 0; m && s->invert && i < (size_t)w * (size_t)h; i++)
        m[i] = 1 - m[i];
    return m;
}

static bool add_margins(const sd_setup *s, source *src)
{
    const sd_margins m = s->margins;
    float *pixels = sd_picture_extend(src->pixels, src->w, src->h, m, 3, true, 0);
    float *mask = sd_picture_extend(src->mask, src->w, src->h, m, 1, false, 1);
    bt_release(src->pixels);
    bt_release(src->mask);
    *src = (source){ pixels, mask, src->w + m.left + m.right, src->h + m.top + m.bottom };
    return pixels && mask;
}

static bool load(const sd_setup *s, source *src)
{
    *src = (source){ .pixels = sd_picture_floats(s->init, 3),
                     .w = s->init->width,
                     .h = s->init->height };
    if (!src->pixels || !s->repaints)
        return src->pixels;
    src->mask = load_mask(s);
    if (!src->mask || (has_margins(s) && !add_margins(s, src)))
        return false;
    return sd_mask_blur(src->mask, src->w, src->h, s->blur);
}

/* x, or its part, at the size that is made; takes x over. */
static float *fitted(const sd_work *k, float *x, int w, int h, int c)
{
    if (!x || (w == k->s.w && h == k->s.h))
        return x;
    float *y = sd_picture_scale(x, w, h, k->s.w, k->s.h, c, SD_TRIANGLE);
    bt_release(x);
    return y;
}

/* Keeps the source for sd_run_paste, and takes the mask's box of it. */
static bt_status take_box(sd_work *k, source *src)
{
    const sd_setup *s = &k->s;
    k->around = src->pixels;
    k->around_mask = src->mask;
    k->aw = src->w;
    k->ah = src->h;
    if (!sd_mask_box(src->mask, src->w, src->h, s->padding, s->w, s->h, &k->box))
        return bt_fail(k->r->error, BT_EINVAL, "the mask marks nothing");
    k->pixels = fitted(k, sd_picture_crop(k->around, k->aw, k->box, 3), k->box.w, k->box.h, 3);
    k->pixel_mask =
        fitted(k, sd_picture_crop(k->around_mask, k->aw, k->box, 1), k->box.w, k->box.h, 1);
    return BT_OK;
}

/* A latent row is repainted if half of its pixels are. */
static bt_status make_latent_mask(sd_work *k)
{
    const sd_setup *s = &k->s;
    k->mask = sd_picture_scale(k->pixel_mask, s->w, s->h, s->lw, s->lh, 1, SD_TRIANGLE);
    if (!k->mask)
        return sd_run_no_memory(k);
    for (size_t i = 0; i < (size_t)s->lw * (size_t)s->lh; i++)
        k->mask[i] = k->mask[i] >= 0.5f;
    return BT_OK;
}

bt_status sd_run_read_inputs(sd_work *k)
{
    const sd_setup *s = &k->s;
    source src;
    bt_status st = BT_OK;
    if (!s->init)
        return BT_OK;
    if (!load(s, &src)) {
        bt_release(src.pixels);
        bt_release(src.mask);
        return sd_run_no_memory(k);
    }
    if (s->repaints && !s->whole) {
        st = take_box(k, &src);
    } else {
        k->pixels = fitted(k, src.pixels, src.w, src.h, 3);
        k->pixel_mask = fitted(k, src.mask, src.w, src.h, 1);
    }
    if (st != BT_OK)
        return st;
    if (!k->pixels || (s->repaints && !k->pixel_mask))
        return sd_run_no_memory(k);
    return s->repaints ? make_latent_mask(k) : BT_OK;
}

/* ---- back into its place --------------------------------------------------- */

/* The share of what was made, where the mask has the value m. */
static float cover(float m) { return m < 0.5f ? 2 * m : 1; }

static uint8_t blend(float a, float made, float was)
{
    return (uint8_t)rintf(a * made + (1 - a) * 255 * was);
}

/* What was made at the size of the box. */
static float *scaled_back(const sd_work *k, uint8_t *rgb)
{
    const bt_image made = { sizeof made, k->s.w, k->s.h, 3, rgb };
    return sd_picture_resize(&made, k->box.w, k->box.h, 3);
}

static bt_status paste_box(const sd_work *k, uint8_t **rgb, int *w, int *h)
{
    const sd_box b = k->box;
    const size_t values = 3 * (size_t)k->aw * (size_t)k->ah;
    uint8_t *all = bt_alloc(values);
    float *made = scaled_back(k, *rgb);
    if (!all || !made) {
        bt_release(all);
        bt_release(made);
        return sd_run_no_memory(k);
    }
    for (size_t i = 0; i < values; i++)
        all[i] = blend(0, 0, k->around[i]);
    for (int y = 0; y < b.h; y++)
        for (int x = 0; x < b.w; x++) {
            const size_t to = (size_t)(b.y + y) * (size_t)k->aw + (size_t)(b.x + x);
            const size_t from = (size_t)y * (size_t)b.w + (size_t)x;
            const float a = cover(k->around_mask[to]);
            for (size_t c = 0; c < 3; c++)
                all[3 * to + c] = blend(a, 255 * made[3 * from + c], k->around[3 * to + c]);
        }
    bt_release(made);
    bt_release(*rgb);
    *rgb = all;
    *w = k->aw;
    *h = k->ah;
    return BT_OK;
}

bt_status sd_run_paste(const sd_work *k, uint8_t **rgb, int *w, int *h)
{
    if (k->around)
        return paste_box(k, rgb, w, h);
    for (size_t i = 0; k->mask && i < 3 * (size_t)k->s.w * (size_t)k->s.h; i++)
        (*rgb)[i] = blend(cover(k->pixel_mask[i / 3]), (*rgb)[i], k->pixels[i]);
    return BT_OK;
}

void sd_run_forget_inputs(sd_work *k)
{
    bt_release(k->moments);
    bt_release(k->kept_moments);
    bt_release(k->pixels);
    bt_release(k->mask);
    bt_release(k->pixel_mask);
    bt_release(k->around);
    bt_release(k->around_mask);
}
