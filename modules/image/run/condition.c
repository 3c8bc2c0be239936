/* SPDX-License-Identifier: MIT
 * What a UNet is told besides the prompt's rows and the timestep.
 */
#include <string.h>

#include "image/run/run.h"

/* diffusers, StableDiffusionXLPipeline._get_add_time_ids: the original picture's
 * height and width, where it was cropped, the size to make; SDXL's refiner has a
 * score of beauty instead of the last two, lower for what is not wanted. */
void sd_run_fill_added(const sd_work *k, bool negative, const float *pooled, float *out)
{
    enum { MOST = 6 };
    const sd_model *m = k->j->m;
    const float h = (float)k->s.h, w = (float)k->s.w;
    const float base[MOST] = { h, w, 0, 0, h, w };
    const float refiner[MOST] = { h, w, 0, 0, negative ? 2.5f : 6.0f };
    if (m->pipeline.aesthetic)
        sd_unet_added(&m->unet, pooled, 5, refiner, out);
    else
        sd_unet_added(&m->unet, pooled, MOST, base, out);
}

/* diffusers, StableDiffusionInpaintPipeline.prepare_mask_latents. No mask: nothing is kept.
 * StableDiffusionInstructPix2PixPipeline.prepare_image_latents: the means, unscaled. */
bt_status sd_run_read_kept(sd_work *k)
{
    const size_t pixels = (size_t)k->s.w * (size_t)k->s.h;
    const size_t rows = (size_t)k->s.lw * (size_t)k->s.lh;
    const bool all = sd_edits(k->j->m);
    float *x = bt_calloc(3 * pixels, sizeof *x);
    k->kept_moments = bt_calloc(2 * rows * (size_t)k->j->m->vae.latent, sizeof *x);
    bt_status st = x && k->kept_moments ? BT_OK : sd_run_no_memory(k);
    for (size_t i = 0; i < 3 * pixels && st == BT_OK; i++)
        if (all || (k->pixel_mask && k->pixel_mask[i / 3] < 0.5f))
            x[i] = 2 * k->pixels[i] - 1;
    if (st == BT_OK)
        st = sd_run_encode(k, x, k->kept_moments);
    bt_release(x);
    return st;
}

void sd_run_fill_kept(const sd_work *k, sd_making *pic)
{
    sd_latent *p = &pic->p;
    const size_t c = (size_t)p->shape.c, rows = k->n / c;
    if (sd_edits(k->j->m)) {
        for (size_t r = 0; r < rows; r++)
            memcpy(pic->kept + r * c, k->kept_moments + 2 * r * c, c * sizeof *pic->kept);
        return;
    }
    sd_run_sample(k, k->kept_moments, p->noise);
    for (size_t r = 0; r < rows; r++) {
        float *to = pic->kept + r * (1 + c);
        to[0] = k->mask ? k->mask[r] : 1;
        memcpy(to + 1, p->noise + r * c, c * sizeof *to);
    }
}
