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
#include "image/network/networks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/op.h"
#include "nn/layers.h"

enum { MAX_SKIPS = 1 + SD_MAX_BLOCKS * (SD_MAX_LAYERS + 1) };

typedef struct unet {
    const sd_unet_config *c;
    bt_graph *g;
    sd_block block;
    bt_node *context;
    bt_node *skips[MAX_SKIPS];
    int n_skips;
    sd_plan *plan;
} unet;

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

/* Layers that are cheap beside what int8 would cost the picture: those through which a
 * whole branch passes, and products of a gate, whose tails are heavy. */
static bt_node *held_linear(unet *u, bt_node *x, const char *prefix, const char *name)
{
    const bt_precision was = bt_graph_precision_of(u->g);
    if (was == BT_PREC_AUTO)
        bt_graph_precision(u->g, BT_PREC_BF16);
    x = bt_nn_linear(u->g, x, "%s.%s", prefix, name);
    bt_graph_precision(u->g, was);
    return x;
}

/* Self-attention (context = h) or cross-attention; adds to x. */
static bt_node *attend(unet *u, bt_node *x, bt_node *h, bt_node *context, int heads,
                       const char *prefix, const char *name)
{
    static const char *const names[] = { "to_q", "to_k", "to_v" };
    char layer[128];
    bt_node *y[3];                         /* q, k, v */
    const int read = context == h ? 3 : 1; /* of h */
    snprintf(layer, sizeof layer, "%s.%s", prefix, name);
    bt_precision was = sd_hold(u->g, "%s.norm%s", prefix, read == 3 ? "1" : "2");
    bt_nn_linears(u->g, h, layer, read, names, y);
    bt_graph_precision(u->g, was);
    if (read == 1)
        bt_nn_linears(u->g, context, layer, 2, names + 1, y + 1);
    h = bt_attention(u->g, y[0], y[1], y[2], heads, heads, 0, 0);
    return bt_add(u->g, x, held_linear(u, h, layer, "to_out.0"));
}

/* BasicTransformerBlock with GEGLU: value * gelu(gate) */
static bt_node *transformer_block(unet *u, bt_node *x, int heads, const char *prefix)
{
    bt_node *h = bt_nn_layer_norm(u->g, x, 1e-5f, "%s.norm1", prefix);
    x = attend(u, x, h, h, heads, prefix, "attn1");
    h = bt_nn_layer_norm(u->g, x, 1e-5f, "%s.norm2", prefix);
    x = attend(u, x, h, u->context, heads, prefix, "attn2");
    h = bt_nn_layer_norm(u->g, x, 1e-5f, "%s.norm3", prefix);
    bt_precision was = sd_hold(u->g, "%s.norm3", prefix);
    h = bt_nn_linear(u->g, h, "%s.ff.net.0.proj", prefix);
    bt_graph_precision(u->g, was);
    int64_t half = bt_shape_of(h).c / 2;
    h = bt_gate(u->g, bt_slice(u->g, h, 0, half), BT_ACT_NONE, bt_slice(u->g, h, half, 2 * half),
                BT_ACT_GELU);
    return bt_add(u->g, x, held_linear(u, h, prefix, "ff.net.2"));
}

/* Transformer2DModel. Projections are linear layers or 1x1 convolutions: the
 * same thing, channels last. */
static bt_node *transformer(unet *u, bt_node *x, int heads, int depth, const char *prefix)
{
    char block[96];
    bt_node *h = bt_nn_group_norm(u->g, x, u->c->groups, 1e-6f, "%s.norm", prefix);
    h = held_linear(u, h, prefix, "proj_in");
    for (int i = 0; i < depth; i++) {
        snprintf(block, sizeof block, "%s.transformer_blocks.%d", prefix, i);
        h = transformer_block(u, h, heads, block);
    }
    if (bt_w_opt(u->g, "%s.transformer_blocks.%d.norm1.weight", prefix, depth))
        return bt_graph_fail(u->g, "%s has more than the %d blocks that the settings say", prefix,
                             depth);
    return bt_add(u->g, x, held_linear(u, h, prefix, "proj_out"));
}

static void push(unet *u, bt_node *x) { u->skips[u->n_skips++] = x; }

/* A level's resnets, each with cross-attention if the level has it; then half
 * the size, but for the coarsest. */
static bt_node *down(unet *u, bt_node *x, int level)
{
    const sd_unet_config *c = u->c;
    char name[64];
    for (int i = 0; i < c->layers[level]; i++) {
        snprintf(name, sizeof name, "unet/down_blocks.%d.resnets.%d", level, i);
        x = sd_resnet(&u->block, x, name);
        snprintf(name, sizeof name, "unet/down_blocks.%d.attentions.%d", level, i);
        if (c->down_cross[level])
            x = transformer(u, x, c->heads[level], c->depth[level][i], name);
        push(u, x);
    }
    if (level == c->levels - 1)
        return x;
    bt_conv half = {
        .stride = 2, .top = c->pad, .left = c->pad, .bottom = c->pad, .right = c->pad
    };
    x = bt_nn_conv2d(u->g, x, half, "unet/down_blocks.%d.downsamplers.0.conv", level);
    push(u, x);
    return x;
}

/* resnet, attention, resnet at the coarsest level; some models leave parts out. */
static bt_node *middle(unet *u, bt_node *x)
{
    const sd_unet_config *c = u->c;
    int last = c->levels - 1;
    if (c->mid == SD_MID_NONE)
        return x;
    sd_block b = u->block;
    b.scale = c->mid_scale;
    x = sd_resnet(&b, x, "unet/mid_block.resnets.0");
    if (c->mid == SD_MID_RESNET)
        return x;
    x = transformer(u, x, c->heads[last], c->depth[last][0], "unet/mid_block.attentions.0");
    return sd_resnet(&b, x, "unet/mid_block.resnets.1");
}

/* Twice the size, or one row or column less where the way down rounded up. */
static bt_node *upsample(unet *u, bt_node *x, const bt_node *like, const char *name)
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
static bt_node *up(unet *u, bt_node *x, int level)
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
            x = transformer(u, x, c->heads[level], c->up_depth[level][i], name);
    }
    if (level == 0)
        return x;
    snprintf(name, sizeof name, "unet/up_blocks.%d.upsamplers.0.conv", block);
    return upsample(u, x, u->skips[u->n_skips - 1], name);
}

/* The timestep's embedding; with it those of the guidance that an LCM is told, and of
 * the text as a whole and the picture's size. */
static bt_node *embed_time(unet *u)
{
    const sd_unet_config *c = u->c;
    bt_node *t = u->plan->time;
    if (c->guide_dim) {
        u->plan->guide = bt_input(u->g, (bt_shape){ 1, 1, 1, c->guide_dim });
        t = bt_add(u->g, t, bt_nn_linear(u->g, u->plan->guide, "unet/time_embedding.cond_proj"));
    }
    t = bt_nn_linear(u->g, t, "unet/time_embedding.linear_1");
    t = bt_nn_linear(u->g, bt_act_of(u->g, t, c->act, 0), "unet/time_embedding.linear_2");
    if (c->added) {
        u->plan->added = bt_input(u->g, (bt_shape){ bt_shape_of(u->context).n, 1, 1, c->added });
        bt_node *a = bt_nn_linear(u->g, u->plan->added, "unet/add_embedding.linear_1");
        a = bt_nn_linear(u->g, bt_act_of(u->g, a, c->act, 0), "unet/add_embedding.linear_2");
        t = bt_add(u->g, a, t);
    }
    return bt_act_of(u->g, t, c->act, 0);
}

/* The ends of the network and the timestep, small parts on which every value
 * of the picture hangs, stay f32 whatever the precision. */
static bt_node *body(unet *u, bt_node *x, bt_precision precision)
{
    const sd_unet_config *c = u->c;
    bt_graph_precision(u->g, BT_PREC_F32);
    u->block.time = embed_time(u);
    x = sd_conv(u->g, x, c->kernel_in, "unet/conv_in");
    bt_graph_precision(u->g, precision);

    push(u, x);
    for (int i = 0; i < c->levels; i++)
        x = down(u, x, i);
    x = middle(u, x);
    for (int i = c->levels - 1; i >= 0; i--)
        x = up(u, x, i);
    bt_graph_precision(u->g, BT_PREC_F32);
    return sd_head(&u->block, x, "unet/conv_norm_out", "unet/conv_out", c->kernel_out);
}

bt_status sd_unet_plan(bt_weights *ws, const sd_unet_config *c, int n, int h, int w, int tokens,
                       sd_plan *p, bt_error *err)
{
    unet u = { .c = c, .plan = p };
    bt_status st = bt_graph_create(ws, &u.g);
    *p = (sd_plan){ 0 };
    if (st != BT_OK)
        return bt_fail(err, st, "out of memory");
    u.block = (sd_block){ u.g, c->groups, c->eps, c->act, NULL, 1, false };
    p->in = bt_input(u.g, (bt_shape){ n, h, w, c->in });
    p->time = bt_input(u.g, (bt_shape){ 1, 1, 1, c->channels[0] });
    u.context = p->context = bt_input(u.g, (bt_shape){ n, 1, tokens, c->context });
    bt_node *y = body(&u, p->in, sd_precision(bt_weights_compute(ws)));
    if (y && bt_shape_of(y).c != c->out)
        bt_graph_fail(u.g, "unet/conv_out does not have out_channels channels");
    return sd_plan_make(u.g, y, p, err);
}
