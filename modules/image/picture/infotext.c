/* SPDX-License-Identifier: MIT
 * The text that A1111 writes into a PNG's "parameters" chunk and reads back
 * (modules/infotext_utils.py): prompt, negative prompt, one line of fields.
 */
#include <math.h>
#include <string.h>

#include "image/diffusion.h"

/* A1111 quotes a value as JSON if it holds what separates fields. */
static void value(bt_buf *b, const char *s)
{
    if (strpbrk(s, ",:\n"))
        bt_buf_json(b, s, strlen(s));
    else
        bt_buf_puts(b, s);
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
                  "Size: %dx%d, Model: ",
                  i->steps, i->sampler, i->scheduler, i->cfg, (unsigned long long)i->seed, i->width,
                  i->height);
    value(&b, i->model);
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
    if (!isnan(i->eta))
        bt_buf_printf(&b, i->eta_ddim ? ", Eta DDIM: %.6g" : ", Eta: %.6g", i->eta);
    bt_buf_puts(&b, ", Version: bottega " BT_VERSION);
    return bt_buf_take(&b);
}
