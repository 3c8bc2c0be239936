/* SPDX-License-Identifier: MIT
 * What a UNet is told besides the prompt's rows and the timestep.
 */
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
