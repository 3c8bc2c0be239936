/* SPDX-License-Identifier: MIT
 * A picture on its way, as the network foresees it.
 *
 * Its latent is made small and goes through the autoencoder as any other: a table
 * of colours for latents would be cheaper, but there is one for few models only.
 */
#include <math.h>

#include "image/run/run.h"

enum { MOST = 24 }; /* latents on the longer side: a picture of 512 shows as 192 */

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

/* What a run of this small size would be. */
static sd_work small_work(const sd_work *k)
{
    sd_work small = *k;
    const int side = k->s.lw > k->s.lh ? k->s.lw : k->s.lh, f = k->j->m->vae.factor;
    const int lw = side > MOST ? k->s.lw * MOST / side : k->s.lw;
    const int lh = side > MOST ? k->s.lh * MOST / side : k->s.lh;
    small.s.lw = lw > 0 ? lw : 1;
    small.s.lh = lh > 0 ? lh : 1;
    small.s.w = small.s.lw * f;
    small.s.h = small.s.lh * f;
    return small;
}

static bt_status show(sd_work *small, const float *latent, int index)
{
    const bt_run *r = small->r;
    const size_t n = (size_t)small->s.w * (size_t)small->s.h;
    float *pixels = bt_calloc(n, 3 * sizeof *pixels);
    uint8_t *rgb = bt_calloc(n, 3);
    bt_status st = pixels && rgb ? BT_OK : sd_run_no_memory(small);
    if (st == BT_OK)
        st = sd_run_decode(small, latent, pixels);
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
    const sd_vae_config *v = sd_cache_vae(&k->j->cache, SD_DECODER);
    sd_work small = small_work(k);
    const size_t values = (size_t)small.s.lw * (size_t)small.s.lh * (size_t)v->latent;
    float *latent =
        sd_picture_scale(x0, k->s.lw, k->s.lh, small.s.lw, small.s.lh, v->latent, SD_TRIANGLE);
    if (!latent)
        return sd_run_no_memory(k);
    for (size_t i = 0; i < values; i++)
        latent[i] = latent[i] / v->scale + v->shift;
    const bt_status st = show(&small, latent, index);
    bt_release(latent);
    return st;
}
