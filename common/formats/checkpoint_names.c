/* SPDX-License-Identifier: MIT
 * Names of tensors: from the original code's to diffusers' (checkpoint.h).
 */
#include <string.h>

#include "checkpoint.h"

typedef struct pair {
    const char *from, *to;
} pair;

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Steps over `with` if the text begins so. */
static bool take(const char **p, const char *with)
{
    const size_t n = strlen(with);
    if (strncmp(*p, with, n) != 0)
        return false;
    *p += n;
    return true;
}

/* Steps over a number and the point after it. */
static bool take_number(const char **p, int *n)
{
    const char *s = *p;
    for (*n = 0; *s >= '0' && *s <= '9' && *n < 1000; s++)
        *n = *n * 10 + (*s - '0');
    if (s == *p || *s != '.')
        return false;
    *p = s + 1;
    return true;
}

/* What begins with an entry of the table gets that entry's other name. */
static const char *exchange(const char **p, const pair *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (take(p, table[i].from))
            return table[i].to;
    return "";
}

/* ---- UNet --------------------------------------------------------------- */

static const pair unet_ends[] = {
    { "time_embed.0.", "time_embedding.linear_1." },
    { "time_embed.2.", "time_embedding.linear_2." },
    { "label_emb.0.0.", "add_embedding.linear_1." },
    { "label_emb.0.2.", "add_embedding.linear_2." },
    { "input_blocks.0.0.", "conv_in." },
    { "out.0.", "conv_norm_out." },
    { "out.2.", "conv_out." },
};

static const pair unet_resnet[] = {
    { "in_layers.0.", "norm1." },          { "in_layers.2.", "conv1." },
    { "emb_layers.1.", "time_emb_proj." }, { "out_layers.0.", "norm2." },
    { "out_layers.3.", "conv2." },         { "skip_connection.", "conv_shortcut." },
};

/* Part k of a block: the resnet, then its attention. */
static void put_part(const bt_ldm *l, bt_buf *out, const char *list, int block, int at, int k,
                     const char *p)
{
    const char *to = k == 0 ? exchange(&p, unet_resnet, COUNT(unet_resnet)) : "";
    bt_buf_printf(out, "%s%s.%d.%s.%d.%s%s", l->folder, list, block,
                  k == 0 ? "resnets" : "attentions", at, to, p);
}

static bool down_name(const bt_ldm *l, const char *p, bt_buf *out)
{
    int i, k;
    if (!take_number(&p, &i) || !take_number(&p, &k) || i < 1 || i > l->n_in)
        return false;
    const bt_ldm_place *place = &l->in[i - 1];
    if (place->at < 0 && take(&p, "op."))
        bt_buf_printf(out, "%sdown_blocks.%d.downsamplers.0.conv.%s", l->folder, place->block, p);
    else
        put_part(l, out, "down_blocks", place->block, place->at, k, p);
    return true;
}

static bool up_name(const bt_ldm *l, const char *p, bt_buf *out)
{
    int i, k;
    if (!take_number(&p, &i) || !take_number(&p, &k) || i >= l->n_out)
        return false;
    const bt_ldm_place *place = &l->out[i];
    if (k > 0 && take(&p, "conv."))
        bt_buf_printf(out, "%sup_blocks.%d.upsamplers.0.conv.%s", l->folder, place->block, p);
    else
        put_part(l, out, "up_blocks", place->block, place->at, k, p);
    return true;
}

static bool unet_name(const bt_ldm *l, const char *p, bt_buf *out)
{
    int k;
    const char *end = exchange(&p, unet_ends, COUNT(unet_ends));
    if (*end) {
        bt_buf_printf(out, "%s%s%s", l->folder, end, p);
        return true;
    }
    if (take(&p, "input_blocks."))
        return down_name(l, p, out);
    if (take(&p, "output_blocks."))
        return up_name(l, p, out);
    if (!take(&p, "middle_block.") || !take_number(&p, &k) || k > 2)
        return false;
    const char *to = k == 1 ? "" : exchange(&p, unet_resnet, COUNT(unet_resnet));
    bt_buf_printf(out, "%smid_block.%s.%d.%s%s", l->folder, k == 1 ? "attentions" : "resnets",
                  k / 2, to, p);
    return true;
}

/* input_hint_block.0, 2, 4, ...: between them are activations. */
bool bt_ldm_control_name(const bt_ldm *l, int hints, const char *p, bt_buf *out)
{
    int i, k;
    if (!take(&p, l->unet))
        return false;
    if (take(&p, "input_hint_block.") && take_number(&p, &i)) {
        bt_buf_printf(out, "%scontrolnet_cond_embedding.", l->folder);
        if (i == 0 || i == hints)
            bt_buf_printf(out, "conv_%s.%s", i == 0 ? "in" : "out", p);
        else
            bt_buf_printf(out, "blocks.%d.%s", i / 2 - 1, p);
        return true;
    }
    if (take(&p, "zero_convs.") && take_number(&p, &i) && take_number(&p, &k)) {
        bt_buf_printf(out, "%scontrolnet_down_blocks.%d.%s", l->folder, i, p);
        return true;
    }
    if (take(&p, "middle_block_out.") && take_number(&p, &k)) {
        bt_buf_printf(out, "%scontrolnet_mid_block.%s", l->folder, p);
        return true;
    }
    return unet_name(l, p, out);
}

/* ---- autoencoder --------------------------------------------------------- */

static const pair vae_middle[] = {
    { "mid.block_1.", "mid_block.resnets.0." },
    { "mid.block_2.", "mid_block.resnets.1." },
    { "mid.attn_1.norm.", "mid_block.attentions.0.group_norm." },
    { "mid.attn_1.q.", "mid_block.attentions.0.to_q." },
    { "mid.attn_1.k.", "mid_block.attentions.0.to_k." },
    { "mid.attn_1.v.", "mid_block.attentions.0.to_v." },
    { "mid.attn_1.proj_out.", "mid_block.attentions.0.to_out.0." },
    { "norm_out.", "conv_norm_out." },
};

/* encoder.down.1.block.0.nin_shortcut, decoder.up.1.upsample.conv: the decoder
 * counts its levels from the finest, diffusers from the coarsest. */
static bool vae_level(const bt_ldm *l, bool down, const char *p, const char *side, bt_buf *out)
{
    int level, at;
    const char *list = down ? "down_blocks" : "up_blocks";
    if (!take_number(&p, &level) || level >= l->vae_levels)
        return false;
    if (!down)
        level = l->vae_levels - 1 - level;
    if (take(&p, "downsample.conv.")) {
        bt_buf_printf(out, "vae/%s.%s.%d.downsamplers.0.conv.%s", side, list, level, p);
    } else if (take(&p, "upsample.conv.")) {
        bt_buf_printf(out, "vae/%s.%s.%d.upsamplers.0.conv.%s", side, list, level, p);
    } else if (take(&p, "block.") && take_number(&p, &at)) {
        const char *to = take(&p, "nin_shortcut.") ? "conv_shortcut." : "";
        bt_buf_printf(out, "vae/%s.%s.%d.resnets.%d.%s%s", side, list, level, at, to, p);
    } else {
        return false;
    }
    return true;
}

static bool vae_name(const bt_ldm *l, const char *p, bt_buf *out)
{
    const bool encoder = take(&p, "encoder.");
    if (!encoder && !take(&p, "decoder.")) { /* quant_conv, post_quant_conv */
        bt_buf_printf(out, "vae/%s", p);
        return true;
    }
    const char *side = encoder ? "encoder" : "decoder";
    if (take(&p, encoder ? "down." : "up."))
        return vae_level(l, encoder, p, side, out);
    const char *to = exchange(&p, vae_middle, COUNT(vae_middle));
    bt_buf_printf(out, "vae/%s.%s%s", side, to, p);
    return true;
}

/* ---- text encoders ------------------------------------------------------- */

static const pair clip_ends[] = {
    { "positional_embedding", "text_model.embeddings.position_embedding.weight" },
    { "token_embedding.", "text_model.embeddings.token_embedding." },
    { "ln_final.", "text_model.final_layer_norm." },
    { "text_projection.weight", "text_projection.weight" },
    { "text_projection", "text_projection.weight" },
};

static const pair clip_layer[] = {
    { "attn.in_proj_", "self_attn.in_proj." },
    { "attn.out_proj.", "self_attn.out_proj." },
    { "ln_1.", "layer_norm1." },
    { "ln_2.", "layer_norm2." },
    { "mlp.c_fc.", "mlp.fc1." },
    { "mlp.c_proj.", "mlp.fc2." },
};

/* open_clip's names */
static bool open_clip_name(const char *folder, const char *p, bt_buf *out)
{
    int i;
    if (take(&p, "transformer.resblocks.") && take_number(&p, &i)) {
        const char *to = exchange(&p, clip_layer, COUNT(clip_layer));
        bt_buf_printf(out, "%s/text_model.encoder.layers.%d.%s%s", folder, i, to, p);
        return true;
    }
    const char *to = exchange(&p, clip_ends, COUNT(clip_ends));
    bt_buf_printf(out, "%s/%s%s", folder, to, p);
    return *to != 0;
}

/* transformers' names, with or without "text_model."; stable-diffusion.cpp has the
 * projection below it. */
static bool clip_name(const char *folder, const char *p, bt_buf *out)
{
    take(&p, "text_model.");
    const bool projection = take(&p, "text_projection");
    bt_buf_printf(out, "%s/%s%s", folder, projection ? "text_projection.weight" : "text_model.",
                  projection ? "" : p);
    return true;
}

const bt_ldm_encoder bt_ldm_encoders[] = {
    { "cond_stage_model.model.", "text_encoder", true },
    { "cond_stage_model.transformer.", "text_encoder", false },
    { "cond_stage_model.1.transformer.", "text_encoder_2", false },
    { "cond_stage_model.1.model.", "text_encoder_2", true },
    { "conditioner.embedders.0.transformer.", "text_encoder", false },
    { "conditioner.embedders.0.model.", "text_encoder_2", true }, /* the refiner's only one */
    { "conditioner.embedders.1.model.", "text_encoder_2", true },
    { NULL, NULL, false },
};

bool bt_ldm_name(const bt_ldm *l, const char *name, bt_buf *out)
{
    if (take(&name, l->unet))
        return unet_name(l, name, out);
    if (take(&name, l->vae))
        return vae_name(l, name, out);
    for (const bt_ldm_encoder *e = bt_ldm_encoders; e->prefix; e++)
        if (take(&name, e->prefix))
            return e->open ? open_clip_name(e->folder, name, out) : clip_name(e->folder, name, out);
    return false;
}
