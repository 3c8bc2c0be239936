/* SPDX-License-Identifier: MIT
 * From a latent to a picture in the host's hands.
 */
#include <math.h>

#include "base/threads.h"
#include "image/run/run.h"

static void paste_kept(const sd_work *k, uint8_t *rgb)
{
    for (size_t i = 0; i < 3 * (size_t)k->s.w * (size_t)k->s.h; i++) {
        float a = k->pixel_mask[i / 3];
        rgb[i] = (uint8_t)rintf(a * (float)rgb[i] + (1 - a) * 255 * k->pixels[i]);
    }
}

static bt_status hand_over(const sd_work *k, const sd_making *pic, const uint8_t *rgb)
{
    const sd_setup *s = &k->s;
    sd_info info = {
        .prompt = pic->asked->prompt,
        .negative = pic->asked->negative,
        .sampler = s->sampler->label,
        .scheduler = sd_grid_label(s->kind),
        .model = k->j->m->name,
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
        .strength = s->init ? s->strength : NAN,
        .seed = pic->seed,
    };
    char *text = sd_infotext(&info);
    if (!text)
        return sd_run_no_memory(k);
    bt_status st = k->r->image(k->r->host, s->w, s->h, rgb, text);
    bt_release(text);
    return st;
}

bt_status sd_run_finish(sd_work *k, const sd_making *pic)
{
    const sd_vae_config *v = sd_cache_vae(&k->j->cache, SD_DECODER);
    const sd_setup *s = &k->s;
    const size_t n = (size_t)s->w * (size_t)s->h;
    const double start = bt_now();
    float *latent = pic->p.tmp, *pixels = bt_alloc(3 * n * sizeof *pixels);
    uint8_t *rgb = bt_alloc(3 * n);
    bt_status st = pixels && rgb ? BT_OK : sd_run_no_memory(k);
    for (size_t i = 0; i < k->n; i++)
        latent[i] = pic->p.x[i] / v->scale + v->shift;
    if (st == BT_OK)
        st = sd_run_decode(k, latent, pixels);
    if (st == BT_OK) {
        sd_picture_bytes(pixels, n, rgb);
        if (k->mask)
            paste_kept(k, rgb);
        k->decode += bt_now() - start;
        st = hand_over(k, pic, rgb);
    }
    bt_release(pixels);
    bt_release(rgb);
    return st;
}
