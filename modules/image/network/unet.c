/* SPDX-License-Identifier: MIT
 * The denoiser (diffusers, models/unets/unet_2d_condition.py and
 * unet_2d_blocks.py; models/transformers/transformer_2d.py).
 *
 *     conv_in - down 0 - down 1 - ... - middle - ... - up 1 - up 0 - conv_out
 *                  \________\_____________________________/______/
 *
 * Every resnet and every halving on the way down pushes its result; every
 * resnet on the way up takes one back, the last first, as further channels.
 * Pictures are [n, h, w, channels]; attention sees the same memory as rows
 * [n, 1, h * w, channels]. Names are the files' own, below "unet/".
 */
#include "image/network/encoder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nn/layers.h"

/* get_timestep_embedding (models/embeddings.py), in float as there; `n` values */
static void waves(float t, int n, int shift, bool flip, float *out)
{
    int half = n / 2;
    for (int i = 0; i < half; i++) {
        float exponent = -logf(10000.0f) * (float)i / (float)(half - shift);
        float angle = t * expf(exponent);
        out[flip ? i : half + i] = cosf(angle);
        out[flip ? half + i : i] = sinf(angle);
    }
}

void sd_unet_time(const sd_unet_config *c, float t, float *out)
{
    waves(t, c->channels[0], c->freq_shift, c->flip, out);
}

void sd_unet_added(const sd_unet_config *c, const float *pooled, int n_sizes, const float *sizes,
                   float *out)
{
    const int text = c->added - n_sizes * c->added_dim;
    if (pooled)
        memcpy(out, pooled, (size_t)text * sizeof *out);
    else
        memset(out, 0, (size_t)text * sizeof *out);
    for (int i = 0; i < n_sizes; i++)
        waves(sizes[i], c->added_dim, c->freq_shift, c->flip, out + text + i * c->added_dim);
}

/* get_guidance_scale_embedding (pipelines/latent_consistency_models) */
void sd_unet_guide(const sd_unet_config *c, float cfg, float *out)
{
    waves((cfg - 1) * 1000, c->guide_dim, 1, false, out);
}

/* Twice the size, or one row or column less where the way down rounded up. */
static bt_node *upsample(sd_encoder *u, bt_node *x, const bt_node *like, const char *name)
{
    bt_shape from = bt_shape_of(x), to = bt_shape_of(like);
    bt_conv c = { .top = 1, .left = 1, .bottom = 1, .right = 1, .upsample = 2 };
    if (x && (to.h != 2 * from.h || to.w != 2 * from.w)) {
        int k = u->plan->n_gathers++;
        bt_node *ids = bt_input_ids(u->g, from.n * to.h * to.w);
        u->plan->gathers[k].ids = ids;
        u->plan->gathers[k].n = (int)from.n;
        u->plan->gathers[k].from_h = (int)from.h, u->plan->gathers[k].from_w = (int)from.w;
        u->plan->gathers[k].to_h = (int)to.h, u->plan->gathers[k].to_w = (int)to.w;
        c.upsample = 0;
        x = bt_reshape(u->g, bt_gather(u->g, x, ids), (bt_shape){ from.n, to.h, to.w, from.c });
    }
    return bt_nn_conv2d(u->g, x, c, "%s", name);
}

/* One resnet more than on the way down: it takes back what came in there. */
static bt_node *up(sd_encoder *u, bt_node *x, int level)
{
    const sd_unet_config *c = u->c;
    int block = c->levels - 1 - level;
    char name[64];
    for (int i = 0; i <= c->layers[level]; i++) {
        x = bt_concat(u->g, x, u->skips[--u->n_skips]);
        snprintf(name, sizeof name, "unet/up_blocks.%d.resnets.%d", block, i);
        x = sd_resnet(&u->block, x, name);
        snprintf(name, sizeof name, "unet/up_blocks.%d.attentions.%d", block, i);
        if (c->up_cross[level])
            x = sd_transformer(u, x, c->heads[level], c->up_depth[level][i], name);
    }
    if (level == 0)
        return x;
    snprintf(name, sizeof name, "unet/up_blocks.%d.upsamplers.0.conv", block);
    return upsample(u, x, u->skips[u->n_skips - 1], name);
}

/* What ControlNets found goes to what the way down pushed and to the middle, as inputs. */
static bt_node *steer(sd_encoder *u, bt_node *middle)
{
    sd_plan *p = u->plan;
    for (int i = 0; i < u->n_skips; i++) {
        p->residuals[i] = bt_input(u->g, bt_shape_of(u->skips[i]));
        u->skips[i] = bt_add(u->g, u->skips[i], p->residuals[i]);
    }
    p->n_residuals = u->n_skips + 1;
    p->residuals[u->n_skips] = bt_input(u->g, bt_shape_of(middle));
    return bt_add(u->g, middle, p->residuals[u->n_skips]);
}

bt_status sd_unet_plan(bt_weights *ws, const sd_unet_config *c, int n, int h, int w, int tokens,
                       bool steered, sd_plan *p, bt_error *err)
{
    sd_encoder u;
    const bt_status st = sd_encoder_open(&u, ws, c, "unet/", n, h, w, c->in, tokens, p, err);
    if (st != BT_OK)
        return st;
    bt_node *x = sd_encode(&u, NULL, sd_precision(bt_weights_compute(ws)));
    if (steered)
        x = steer(&u, x);
    for (int i = c->levels - 1; i >= 0; i--)
        x = up(&u, x, i);
    bt_graph_precision(u.g, BT_PREC_F32);
    x = sd_head(&u.block, x, "unet/conv_norm_out", "unet/conv_out", c->kernel_out);
    if (x && bt_shape_of(x).c != c->out)
        bt_graph_fail(u.g, "unet/conv_out does not have out_channels channels");
    return sd_plan_make(u.g, x, p, err);
}
