/* SPDX-License-Identifier: MIT
 * From a latent to a picture in the host's hands.
 */
#include <math.h>
#include <string.h>

#include "base/threads.h"
#include "image/run/run.h"

/* A1111's names. */
static const char *fill_label(const sd_setup *s)
{
    static const char *const labels[] = { NULL, "fill", "latent noise", "latent nothing" };
    return s->repaints ? labels[s->fill] : NULL;
}

static bt_status hand_over(const sd_work *k, const sd_making *pic, const uint8_t *rgb, int w, int h)
{
    const sd_setup *s = k->base ? k->base : &k->s;
    const bool hires = s->hires_scale > 1;
    sd_info info = {
        .prompt = pic->asked->prompt,
        .negative = pic->asked->negative,
        .sampler = s->sampler->label,
        .scheduler = sd_grid_label(s->kind),
        .model = k->j->m->name,
        .model_hash = s->model_hash,
        .steps = s->steps,
        .width = s->w,
        .height = s->h,
        .clip_skip = s->skip + 1,
        .philox = s->philox,
        .cfg = s->cfg,
        .eta = s->eta == s->sampler->eta ? (double)NAN : s->eta,
        .eta_ddim = s->sampler->rules.family == SD_DDIM,
        .variation = s->variation,
        .variation_seed = pic->variation_seed,
        .ensd = s->ensd,
        .strength = s->init || hires ? s->strength : NAN,
        .hires_upscaler = hires ? sd_hires_label(s) : NULL,
        .hires_scale = s->hires_scale,
        .hires_steps = s->hires_steps,
        .seed = pic->seed,
        .masked_content = fill_label(s),
        .mask_blur = s->repaints ? s->blur : 0,
        .mask_invert = s->repaints && s->invert,
        .masked_padding = s->repaints && !s->whole ? s->padding : -1,
    };
    bt_buf controls = { 0 };
    sd_control_text(&s->controls, &controls);
    info.controls = controls.data ? controls.data : "";
    char *text = controls.failed ? NULL : sd_infotext(&info);
    bt_buf_free(&controls);
    if (!text)
        return sd_run_no_memory(k);
    bt_status st = k->r->image(k->r->host, w, h, rgb, text);
    bt_release(text);
    return st;
}

bt_status sd_run_finish(sd_work *k, const sd_making *pic)
{
    const sd_setup *s = &k->s;
    const size_t n = (size_t)s->w * (size_t)s->h;
    const char *own = bt_store_path(k->j->m->store), *other = k->j->cache.other.path;
    const double start = bt_now();
    int w = s->w, h = s->h;
    float *latent = pic->p.tmp, *pixels = bt_alloc(3 * n * sizeof *pixels);
    uint8_t *rgb = bt_alloc(3 * n);
    bt_status st = pixels && rgb ? BT_OK : sd_run_no_memory(k);
    memcpy(latent, pic->p.x, k->n * sizeof *latent);
    if (st == BT_OK)
        st = sd_numbers(own, "the network", latent, k->n, k->r->error);
    if (st == BT_OK)
        st = sd_run_decode(k, SD_DECODER, latent, pixels);
    if (st == BT_OK)
        st = sd_numbers(other ? other : own, "the autoencoder", pixels, 3 * n, k->r->error);
    if (st == BT_OK) {
        sd_picture_bytes(pixels, n, rgb);
        st = sd_run_paste(k, &rgb, &w, &h);
    }
    k->decode += bt_now() - start;
    if (st == BT_OK)
        st = hand_over(k, pic, rgb, w, h);
    bt_release(pixels);
    bt_release(rgb);
    return st;
}
