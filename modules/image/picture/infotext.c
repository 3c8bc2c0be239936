/* SPDX-License-Identifier: MIT
 * The text that A1111 writes into a PNG's "parameters" chunk and reads back
 * (modules/infotext_utils.py): prompt, negative prompt, one line of fields.
 */
#include <math.h>
#include <string.h>

#include "image/diffusion.h"

/* A1111 quotes a value as JSON if it holds what separates fields. */
static void text_field(bt_buf *b, const char *name, const char *value)
{
    bt_buf_printf(b, ", %s: ", name);
    if (strpbrk(value, ",:\n"))
        bt_buf_json(b, value, strlen(value));
    else
        bt_buf_puts(b, value);
}

/* What differs from plain text to picture, as A1111's "extra" fields. */
static void put_extras(bt_buf *b, const sd_info *i)
{
    if (!isnan(i->eta))
        bt_buf_printf(b, i->eta_ddim ? ", Eta DDIM: %.6g" : ", Eta: %.6g", i->eta);
    if (i->hires_upscaler) {
        bt_buf_printf(b, ", Hires upscale: %.6g", i->hires_scale);
        if (i->hires_steps)
            bt_buf_printf(b, ", Hires steps: %d", i->hires_steps);
        text_field(b, "Hires upscaler", i->hires_upscaler);
    }
    if (i->mask_blur > 0)
        bt_buf_printf(b, ", Mask blur: %.6g", i->mask_blur);
    if (i->mask_invert)
        bt_buf_puts(b, ", Mask mode: Inpaint not masked");
    if (i->masked_padding >= 0)
        bt_buf_printf(b, ", Inpaint area: Only masked, Masked area padding: %d", i->masked_padding);
    if (i->masked_content)
        text_field(b, "Masked content", i->masked_content);
    bt_buf_puts(b, i->controls);
}

/* Order and names of the fields are A1111's; "RNG: CPU" tells its readers that
 * the noise is not that of a GPU. */
char *sd_infotext(const sd_info *i)
{
    bt_buf b = { 0 };
    bt_buf_puts(&b, i->prompt);
    if (i->negative[0])
        bt_buf_printf(&b, "\nNegative prompt: %s", i->negative);
    bt_buf_printf(&b,
                  "\nSteps: %d, Sampler: %s, Schedule type: %s, CFG scale: %.6g, Seed: %llu, "
                  "Size: %dx%d",
                  i->steps, i->sampler, i->scheduler, i->cfg, (unsigned long long)i->seed, i->width,
                  i->height);
    if (i->model_hash[0])
        text_field(&b, "Model hash", i->model_hash);
    text_field(&b, "Model", i->model);
    if (i->variation > 0)
        bt_buf_printf(&b, ", Variation seed: %llu, Variation seed strength: %.6g",
                      (unsigned long long)i->variation_seed, i->variation);
    if (!isnan(i->strength))
        bt_buf_printf(&b, ", Denoising strength: %.6g", i->strength);
    if (i->clip_skip > 1)
        bt_buf_printf(&b, ", Clip skip: %d", i->clip_skip);
    if (i->ensd)
        bt_buf_printf(&b, ", ENSD: %lld", (long long)i->ensd);
    if (!i->philox)
        bt_buf_puts(&b, ", RNG: CPU");
    put_extras(&b, i);
    bt_buf_puts(&b, ", Version: bottega " BT_VERSION);
    return bt_buf_take(&b);
}
