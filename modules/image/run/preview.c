/* SPDX-License-Identifier: MIT
 * A picture on its way, as the network foresees it.
 *
 * Its latent goes through the autoencoder as any other, a tiny one if there is one; for others
 * it is made small first. A table of colours for latents would be cheaper, but there is one for
 * few models only.
 */
#include <math.h>

#include "image/run/run.h"

/* Latents on the longer side: a picture of 512 shows as 192, or whole. */
enum { MOST = 24, MOST_TINY = 64 };

/* Whatever the sampler makes of the answer: the network sees and says the same. */
void sd_run_foresee(sd_work *k, const float *in, float t, const float *out)
{
    const sd_train *train = &k->j->m->train;
    const int at = t < 0 ? 0 : t < (float)(train->n - 1) ? (int)(t + 0.5f) : train->n - 1;
    const float abar = train->abar[at] > 1e-4f ? train->abar[at] : 1e-4f;
    const float a = sqrtf(abar), b = sqrtf(1 - abar);
    for (size_t i = 0; i < (size_t)k->b * k->n; i++)
        k->seen[i] = sd_foreseen(k->s.schedule.prediction, in[i], out[i], a, b);
}

sd_part sd_run_preview_size(const sd_cache *c, int *w, int *h)
{
    const sd_part part = c->preview.ws ? SD_PREVIEW : SD_DECODER;
    const int most = sd_cache_vae(c, part)->tiny ? MOST_TINY : MOST, side = *w > *h ? *w : *h;
    if (side > most) {
        *w = *w * most / side > 0 ? *w * most / side : 1;
        *h = *h * most / side > 0 ? *h * most / side : 1;
    }
    return part;
}

/* What a run of this small size would be. */
static sd_work small_work(const sd_work *k, sd_part *part)
{
    sd_work small = *k;
    const int f = k->j->m->vae.factor;
    *part = sd_run_preview_size(&k->j->cache, &small.s.lw, &small.s.lh);
    small.s.w = small.s.lw * f;
    small.s.h = small.s.lh * f;
    return small;
}

static bt_status show(sd_work *small, sd_part part, float *latent, int index)
{
    const bt_run *r = small->r;
    const size_t n = (size_t)small->s.w * (size_t)small->s.h;
    float *pixels = bt_calloc(n, 3 * sizeof *pixels);
    uint8_t *rgb = bt_calloc(n, 3);
    bt_status st = pixels && rgb ? BT_OK : sd_run_no_memory(small);
    if (st == BT_OK)
        st = sd_run_decode(small, part, latent, pixels);
    if (st == BT_OK) {
        sd_picture_bytes(pixels, n, rgb);
        st = r->preview(r->host, index, small->s.w, small->s.h, rgb);
    }
    bt_release(pixels);
    bt_release(rgb);
    return st;
}

bt_status sd_run_preview(const sd_work *k, const float *x0, int index)
{
    sd_part part;
    sd_work small = small_work(k, &part);
    const int c = k->j->m->vae.latent;
    float *latent = sd_picture_scale(x0, k->s.lw, k->s.lh, small.s.lw, small.s.lh, c, SD_TRIANGLE);
    if (!latent)
        return sd_run_no_memory(k);
    const bt_status st = show(&small, part, latent, index);
    bt_release(latent);
    return st;
}
