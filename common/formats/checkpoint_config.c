/* SPDX-License-Identifier: MIT
 * The settings that a checkpoint in one file leaves out, from the shapes of its
 * tensors, as the files of a diffusers folder.
 *
 * What shapes do not say follows from the family: how many heads an attention has,
 * the noise schedule, the latents' scale, what the network predicts.
 */
#include "checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/quant.h"

typedef enum family { ALONE, SD1, SD2, XL, REFINER } family; /* ALONE: an autoencoder */

typedef struct model {
    const bt_ldm *l;
    family family;
    int in, out; /* channels of the UNet */
    bool v, zero_snr;
} model;

/* Dimension i of a tensor, 0: there is none. */
static long long dim(const bt_tensor *t, int i) { return t && i < t->n_dims ? t->dims[i] : 0; }

/* ---- family ------------------------------------------------------------------ */

/* The first cross-attention of the way down: its projection is a convolution in SD 1
 * and a matrix since. */
static const bt_tensor *find_down(const bt_ldm *l, const char *what)
{
    const bt_tensor *t = NULL;
    for (int i = 1; i <= l->n_in && !t; i++)
        t = bt_ldm_find(l, BT_LDM_UNET "input_blocks.%d.1.%s", i, what);
    return t;
}

static const bt_tensor *embedding(const bt_ldm *l, const bt_ldm_encoder *e, bool position)
{
    if (e->open)
        return bt_ldm_find(l, "%s%s", e->prefix,
                           position ? "positional_embedding" : "token_embedding.weight");
    return bt_ldm_find(l, "%stext_model.embeddings.%s_embedding.weight", e->prefix,
                       position ? "position" : "token");
}

/* The text encoder that goes into this folder, NULL: the file has none. */
static const bt_ldm_encoder *find_encoder(const bt_ldm *l, const char *folder)
{
    for (const bt_ldm_encoder *e = bt_ldm_encoders; e->prefix; e++)
        if (strcmp(e->folder, folder) == 0 && embedding(l, e, false))
            return e;
    return NULL;
}

/* SD 2's two kinds have the same shapes. This bias is spread wider in those that
 * predict v (ComfyUI tells them apart by the same bound). */
static bool predicts_v(const bt_ldm *l)
{
    enum { MAX = 8192 };
    const bt_tensor *t = NULL;
    float x[MAX];
    for (int i = l->n_out - 1; i >= 0 && !t; i--)
        t = bt_ldm_find(l, BT_LDM_UNET "output_blocks.%d.1.transformer_blocks.0.norm1.bias", i);
    const long long n = dim(t, 0);
    if (n < 1 || n > MAX || t->n_dims != 1 || bt_dequantize_row(t->dtype, t->data, x, (size_t)n))
        return false;
    double sum = 0, squares = 0;
    for (long long i = 0; i < n; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    return squares / (double)n - sum / (double)n * (sum / (double)n) > 0.09 * 0.09;
}

static model recognize(const bt_ldm *l)
{
    model m = { .l = l };
    m.in = (int)dim(bt_ldm_find(l, BT_LDM_UNET "input_blocks.0.0.weight"), 1);
    m.out = (int)dim(bt_ldm_find(l, BT_LDM_UNET "out.2.weight"), 0);
    if (bt_ldm_find(l, BT_LDM_UNET "label_emb.0.0.weight"))
        m.family = find_encoder(l, "text_encoder") ? XL : REFINER;
    else
        m.family = dim(find_down(l, "proj_in.weight"), 2) ? SD1 : SD2;
    m.v = bt_ldm_find(l, "v_pred") || (m.family == SD2 && m.in == m.out && predicts_v(l));
    m.zero_snr = bt_ldm_find(l, "ztsnr") != NULL;
    return m;
}

/* ---- UNet --------------------------------------------------------------------- */

/* Transformer blocks of an attention, 0: there is no attention. block -1: the middle's. */
static int depth(const bt_ldm *l, const char *list, int block)
{
    int n = 0;
    char at[64];
    snprintf(at, sizeof at, block < 0 ? "%s" : "%s.%d", list, block);
    while (n < 64 && bt_ldm_find(l, BT_LDM_UNET "%s.1.transformer_blocks.%d.norm1.weight", at, n))
        n++;
    return n;
}

/* Block number of a level's first resnet. */
static int first_in(const bt_ldm *l, int level)
{
    int i = 0;
    while (i < l->n_in && l->in[i].block < level)
        i++;
    return i;
}

static int first_out(const bt_ldm *l, int block)
{
    int i = 0;
    while (i < l->n_out && l->out[i].block < block)
        i++;
    return i;
}

typedef struct levels {
    int channels[BT_LDM_LEVELS], heads[BT_LDM_LEVELS];
    int down[BT_LDM_LEVELS], up[BT_LDM_LEVELS]; /* depths of first attentions; up: coarsest first */
    int depth[BT_LDM_LEVELS];
    bool even; /* depth says those of all attentions */
} levels;

static levels read_levels(const model *m, int middle)
{
    const bt_ldm *l = m->l;
    levels v = { 0 };
    for (int i = 0; i < l->levels; i++) {
        const int in = first_in(l, i) + 1;
        v.channels[i] =
            (int)dim(bt_ldm_find(l, BT_LDM_UNET "input_blocks.%d.0.out_layers.3.weight", in), 0);
        /* 8 heads in SD 1, of 64 channels since */
        v.heads[i] = m->family == SD1 ? 8 : v.channels[i] < 64 ? 1 : v.channels[i] / 64;
        v.down[i] = depth(l, "input_blocks", in);
        v.up[i] = depth(l, "output_blocks", first_out(l, i));
    }
    for (int i = 0; i < l->levels; i++) {
        const int up = v.up[l->levels - 1 - i], last = i == l->levels - 1 ? middle : 0;
        v.depth[i] = last ? last : v.down[i] ? v.down[i] : up ? up : 1;
    }
    v.even = true;
    for (int i = 0; i < l->n_in; i++)
        if (l->in[i].at >= 0 && v.down[l->in[i].block])
            v.even &= depth(l, "input_blocks", i + 1) == v.depth[l->in[i].block];
    for (int i = 0; i < l->n_out; i++)
        if (v.up[l->out[i].block])
            v.even &= depth(l, "output_blocks", i) == v.depth[l->levels - 1 - l->out[i].block];
    return v;
}

static void put_ints(bt_buf *b, const char *key, const int *v, int n)
{
    bt_buf_printf(b, ",\"%s\":[", key);
    for (int i = 0; i < n; i++)
        bt_buf_printf(b, i ? ",%d" : "%d", v[i]);
    bt_buf_puts(b, "]");
}

/* Which levels have attention. */
static void put_types(bt_buf *b, const char *key, const int *depths, int n, const char *with,
                      const char *without)
{
    bt_buf_printf(b, ",\"%s\":[", key);
    for (int i = 0; i < n; i++)
        bt_buf_printf(b, "%s\"%s\"", i ? "," : "", depths[i] ? with : without);
    bt_buf_puts(b, "]");
}

/* The depth of each attention, level by level (SSD-1B, Vega: SDXL with blocks left out). */
static void put_depths(bt_buf *b, const char *key, const bt_ldm *l, bool down)
{
    const int n = down ? l->n_in : l->n_out;
    const bt_ldm_place *place = down ? l->in : l->out;
    bt_buf_printf(b, ",\"%s\":[", key);
    for (int i = 0; i < n; i++) {
        const int d = depth(l, down ? "input_blocks" : "output_blocks", down ? i + 1 : i);
        if (place[i].at >= 0)
            bt_buf_printf(b, "%s%d", place[i].at ? "," : place[i].block ? "],[" : "[", d ? d : 1);
    }
    bt_buf_puts(b, "]]");
}

static int sample_size(const model *m)
{
    return m->family >= XL ? 128 : m->family == SD2 && m->v ? 96 : 64;
}

static void put_unet(bt_buf *b, const model *m)
{
    const bt_ldm *l = m->l;
    const int mid = depth(l, "middle_block", -1);
    const levels v = read_levels(m, mid);
    const bool resnets = bt_ldm_find(l, BT_LDM_UNET "middle_block.0.in_layers.0.weight");
    bt_buf_printf(b,
                  "{\"_class_name\":\"UNet2DConditionModel\",\"in_channels\":%d,"
                  "\"out_channels\":%d,\"sample_size\":%d",
                  m->in, m->out, sample_size(m));
    put_ints(b, "block_out_channels", v.channels, l->levels);
    put_ints(b, "layers_per_block", l->layers, l->levels);
    put_ints(b, "attention_head_dim", v.heads, l->levels);
    if (v.even) {
        put_ints(b, "transformer_layers_per_block", v.depth, l->levels);
    } else {
        put_depths(b, "transformer_layers_per_block", l, true);
        put_depths(b, "reverse_transformer_layers_per_block", l, false);
    }
    put_types(b, "down_block_types", v.down, l->levels, "CrossAttnDownBlock2D", "DownBlock2D");
    put_types(b, "up_block_types", v.up, l->levels, "CrossAttnUpBlock2D", "UpBlock2D");
    bt_buf_printf(b, ",\"mid_block_type\":%s",
                  mid       ? "\"UNetMidBlock2DCrossAttn\""
                  : resnets ? "\"UNetMidBlock2D\""
                            : "null");
    bt_buf_printf(b, ",\"cross_attention_dim\":%lld,\"time_embedding_dim\":%lld",
                  dim(find_down(l, "transformer_blocks.0.attn2.to_k.weight"), 1),
                  dim(bt_ldm_find(l, BT_LDM_UNET "time_embed.0.weight"), 0));
    if (m->family >= XL)
        bt_buf_printf(b,
                      ",\"addition_embed_type\":\"text_time\",\"addition_time_embed_dim\":256,"
                      "\"projection_class_embeddings_input_dim\":%lld",
                      dim(bt_ldm_find(l, BT_LDM_UNET "label_emb.0.0.weight"), 1));
    bt_buf_puts(b, "}");
}

/* Gives the text to the store and empties the buffer. */
static bt_status add_file(bt_store *s, const char *name, bt_buf *b, bt_error *err)
{
    const char *text = b->failed ? NULL : bt_store_own_str(s, b->data, b->len);
    const size_t n = b->len;
    bt_buf_free(b);
    return text ? bt_store_add_file(s, name, text, n, err) : bt_store_no_memory(s, err);
}

/* ---- the other parts ------------------------------------------------------------ */

/* First convolution of a block of the decoder, levels counted from the finest. */
static const bt_tensor *decoder_conv(const bt_ldm *l, int level, int block)
{
    const bt_tensor *t =
        bt_ldm_find(l, "%sdecoder.up.%d.block.%d.conv1.weight", l->vae, level, block);
    return t ? t
             : bt_ldm_find(l, "decoder.up_blocks.%d.resnets.%d.conv1.weight",
                           l->vae_levels - 1 - level, block);
}

static void put_vae(bt_buf *b, const model *m)
{
    const bt_ldm *l = m->l;
    int channels[BT_LDM_LEVELS], layers = 0, ones[BT_LDM_LEVELS];
    const bt_tensor *in = bt_ldm_find(l, "%sdecoder.conv_in.weight", l->vae);
    for (int i = 0; i < l->vae_levels; i++) {
        channels[i] = (int)dim(decoder_conv(l, i, 0), 0);
        ones[i] = 1;
    }
    while (layers < 64 && decoder_conv(l, 0, layers))
        layers++;
    bt_buf_printf(b,
                  "{\"_class_name\":\"AutoencoderKL\",\"latent_channels\":%lld,"
                  "\"layers_per_block\":%d",
                  dim(in ? in : bt_ldm_find(l, "decoder.conv_in.weight"), 1), layers - 1);
    if (m->family != ALONE)
        bt_buf_printf(b, ",\"scaling_factor\":%s", m->family >= XL ? "0.13025" : "0.18215");
    put_ints(b, "block_out_channels", channels, l->vae_levels);
    put_types(b, "down_block_types", ones, l->vae_levels, "DownEncoderBlock2D", "");
    put_types(b, "up_block_types", ones, l->vae_levels, "UpDecoderBlock2D", "");
    bt_buf_puts(b, "}");
}

static const bt_tensor *first_matrix(const bt_ldm *l, const bt_ldm_encoder *e, int layer)
{
    return bt_ldm_find(l,
                       e->open ? "%stransformer.resblocks.%d.mlp.c_fc.weight"
                               : "%stext_model.encoder.layers.%d.mlp.fc1.weight",
                       e->prefix, layer);
}

/* SD 2 leaves out open_clip's last layer; files made from diffusers' do not have it. Queries,
 * keys and values in one are open_clip's, whatever the names. */
static int used_layers(const model *m, const bt_ldm_encoder *e)
{
    enum { OF_SD2 = 24 };
    const bool whole = e->open || bt_ldm_find(m->l,
                                              "%stext_model.encoder.layers.0.self_attn.in_proj."
                                              "weight",
                                              e->prefix);
    int n = 0;
    while (n < 64 && first_matrix(m->l, e, n))
        n++;
    return m->family == SD2 && n > 1 && (whole || n == OF_SD2) ? n - 1 : n;
}

/* Heads are of 64 channels in all of them; open_clip's have the exact GELU and pad
 * with "!", token 0. */
static bt_status add_encoder(const model *m, bt_store *s, const bt_ldm_encoder *e, bt_error *err)
{
    const bool second = strcmp(e->folder, "text_encoder") != 0;
    const bool open = second || m->family == SD2;
    const bt_tensor *t = embedding(m->l, e, false);
    const long long hidden = dim(t, 1);
    bt_buf b = { 0 };
    char name[64];
    bt_buf_printf(&b,
                  "{\"model_type\":\"clip_text_model\",\"vocab_size\":%lld,\"hidden_size\":%lld,"
                  "\"max_position_embeddings\":%lld,\"intermediate_size\":%lld,"
                  "\"num_hidden_layers\":%d,\"num_attention_heads\":%lld,\"hidden_act\":\"%s\"",
                  dim(t, 0), hidden, dim(embedding(m->l, e, true), 0),
                  dim(first_matrix(m->l, e, 0), 0), used_layers(m, e),
                  hidden < 64 ? 1 : hidden / 64, open ? "gelu" : "quick_gelu");
    if (second)
        bt_buf_printf(&b, ",\"architectures\":[\"CLIPTextModelWithProjection\"]");
    bt_buf_puts(&b, "}");
    snprintf(name, sizeof name, "%s/config.json", e->folder);
    bt_status st = add_file(s, name, &b, err);
    if (st != BT_OK || !open)
        return st;
    bt_buf_puts(&b, "{\"pad_token\":\"!\"}");
    snprintf(name, sizeof name, "tokenizer%s/special_tokens_map.json", second ? "_2" : "");
    return add_file(s, name, &b, err);
}

/* As the files that diffusers has for each family. */
static void put_schedule(bt_buf *b, const model *m)
{
    bt_buf_printf(b,
                  "{\"_class_name\":\"%s\",\"beta_schedule\":\"scaled_linear\","
                  "\"beta_start\":0.00085,\"beta_end\":0.012,\"num_train_timesteps\":1000,"
                  "\"clip_sample\":false,\"set_alpha_to_one\":false,\"steps_offset\":1,"
                  "\"prediction_type\":\"%s\",\"rescale_betas_zero_snr\":%s%s}",
                  m->family >= XL ? "EulerDiscreteScheduler" : "PNDMScheduler",
                  m->v ? "v_prediction" : "epsilon", m->zero_snr ? "true" : "false",
                  m->family >= XL ? ",\"timestep_spacing\":\"leading\"" : "");
}

static void put_index(bt_buf *b, const model *m)
{
    bt_buf_printf(b, "{\"_class_name\":\"StableDiffusion%sPipeline\"", m->family >= XL ? "XL" : "");
    if (m->family >= XL)
        bt_buf_printf(b, ",\"force_zeros_for_empty_prompt\":%s,\"requires_aesthetics_score\":%s",
                      m->family == XL ? "true" : "false", m->family == XL ? "false" : "true");
    bt_buf_puts(b, "}");
}

bt_status bt_ldm_add_vae_config(const bt_ldm *l, bt_store *s, bt_error *err)
{
    const model m = { .l = l, .family = ALONE };
    bt_buf b = { 0 };
    put_vae(&b, &m);
    return add_file(s, "vae/config.json", &b, err);
}

bt_status bt_ldm_add_config(const bt_ldm *l, bt_store *s, bt_error *err)
{
    static const struct {
        const char *file;
        void (*put)(bt_buf *b, const model *m);
    } files[] = {
        { "model_index.json", put_index },
        { "unet/config.json", put_unet },
        { "scheduler/scheduler_config.json", put_schedule },
        { "vae/config.json", put_vae },
    };
    static const char *const folders[] = { "text_encoder", "text_encoder_2" };
    const model m = recognize(l);
    const size_t n = sizeof files / sizeof *files - (l->vae_levels ? 0 : 1);
    bt_status st = BT_OK;
    for (size_t i = 0; i < n && st == BT_OK; i++) {
        bt_buf b = { 0 };
        files[i].put(&b, &m);
        st = add_file(s, files[i].file, &b, err);
    }
    for (int i = 0; i < 2 && st == BT_OK; i++) {
        const bt_ldm_encoder *e = find_encoder(l, folders[i]);
        if (e)
            st = add_encoder(&m, s, e, err);
    }
    return st;
}
