/* SPDX-License-Identifier: MIT
 * Shows a ControlNet as the folder "controlnet" of a diffusers pipeline.
 */
#include <string.h>

#include "checkpoint.h"

/* Tensors of networks that have a ControlNet's others too, but are asked otherwise. */
static const char *const more[] = { "lora_controlnet", "difference", "task_embedding",
                                    "control_add_embedding.linear_1.weight" };

/* ---- settings ------------------------------------------------------------------ */

static long long dim(const bt_tensor *t, int i) { return t && i < t->n_dims ? t->dims[i] : 0; }

#define DOWN       "controlnet/down_blocks.%d."
#define RESNET     "resnets.%d.conv1.weight"
#define BLOCKS     "attentions.0.transformer_blocks.%d."
#define MID        "controlnet/mid_block."
#define ATTN_WIDTH "attn2.to_k.weight"

/* Transformer blocks of a level's attentions, 0: it has none. */
static int depth(const bt_ldm *l, int level)
{
    int n = 0;
    while (n < 64 && bt_ldm_find(l, DOWN BLOCKS ATTN_WIDTH, level, n))
        n++;
    return n;
}

static int middle_depth(const bt_ldm *l)
{
    int n = 0;
    while (n < 64 && bt_ldm_find(l, MID BLOCKS ATTN_WIDTH, n))
        n++;
    return n;
}

typedef struct shape {
    int levels, middle; /* depth of the middle */
    int channels[BT_LDM_LEVELS], layers[BT_LDM_LEVELS], depth[BT_LDM_LEVELS];
    const bt_tensor *listens; /* a cross-attention's keys; NULL: there is none */
    const bt_tensor *project; /* a layer before attention: a convolution in SD 1 alone */
} shape;

static shape measure(const bt_ldm *l)
{
    shape v = { .middle = middle_depth(l) };
    const bt_tensor *t;
    for (int i = 0; i < BT_LDM_LEVELS && (t = bt_ldm_find(l, DOWN RESNET, i, 0)); i++, v.levels++) {
        v.channels[i] = (int)dim(t, 0);
        while (v.layers[i] < 64 && bt_ldm_find(l, DOWN RESNET, i, v.layers[i]))
            v.layers[i]++;
        v.depth[i] = depth(l, i);
        if (v.depth[i] && !v.listens) {
            v.listens = bt_ldm_find(l, DOWN BLOCKS ATTN_WIDTH, i, 0);
            v.project = bt_ldm_find(l, DOWN "attentions.0.proj_in.weight", i);
        }
    }
    if (!v.listens && v.middle) {
        v.listens = bt_ldm_find(l, MID BLOCKS ATTN_WIDTH, 0);
        v.project = bt_ldm_find(l, MID "attentions.0.proj_in.weight");
    }
    return v;
}

/* One entry for each level. */
static void put(bt_buf *b, const char *key, const shape *v, int (*of)(const shape *v, int i))
{
    bt_buf_printf(b, ",\"%s\":[", key);
    for (int i = 0; i < v->levels; i++)
        bt_buf_printf(b, i ? ",%d" : "%d", of(v, i));
    bt_buf_puts(b, "]");
}

static int channels_of(const shape *v, int i) { return v->channels[i]; }
static int layers_of(const shape *v, int i) { return v->layers[i]; }

/* 8 heads in SD 1, of 64 channels since */
static int heads_of(const shape *v, int i)
{
    if (dim(v->project, 2))
        return 8;
    return v->channels[i] < 64 ? 1 : v->channels[i] / 64;
}

static int depth_of(const shape *v, int i)
{
    const int middle = i == v->levels - 1 ? v->middle : 0;
    return middle ? middle : v->depth[i] ? v->depth[i] : 1;
}

static void put_config(bt_buf *b, const bt_ldm *l)
{
    enum { LISTENS_XL = 2048 }; /* its smallest ControlNets have no attention that says so */
    const bt_store *s = l->s;
    const shape v = measure(l);
    const bt_tensor *added = bt_store_find(s, "controlnet/add_embedding.linear_1.weight");
    bt_buf_printf(b, "{\"_class_name\":\"ControlNetModel\",\"in_channels\":%lld",
                  dim(bt_store_find(s, "controlnet/conv_in.weight"), 1));
    put(b, "block_out_channels", &v, channels_of);
    put(b, "layers_per_block", &v, layers_of);
    put(b, "attention_head_dim", &v, heads_of);
    put(b, "transformer_layers_per_block", &v, depth_of);
    bt_buf_puts(b, ",\"down_block_types\":[");
    for (int i = 0; i < v.levels; i++)
        bt_buf_printf(b, "%s\"%s\"", i ? "," : "",
                      v.depth[i] ? "CrossAttnDownBlock2D" : "DownBlock2D");
    bt_buf_printf(b, "],\"mid_block_type\":\"%s\",\"cross_attention_dim\":%lld",
                  v.middle ? "UNetMidBlock2DCrossAttn" : "UNetMidBlock2D",
                  v.listens ? dim(v.listens, 1) : LISTENS_XL);
    bt_buf_printf(b, ",\"time_embedding_dim\":%lld",
                  dim(bt_store_find(s, "controlnet/time_embedding.linear_1.weight"), 0));
    if (added)
        bt_buf_printf(b,
                      ",\"addition_embed_type\":\"text_time\",\"addition_time_embed_dim\":256,"
                      "\"projection_class_embeddings_input_dim\":%lld",
                      dim(added, 1));
    bt_buf_puts(b, "}");
}

/* Settings beside the file if they are its own, else what shapes say. */
static bt_status add_config(const bt_ldm *l, bt_store *s, bt_error *err)
{
    static const char name[] = "controlnet/config.json";
    size_t n = 0;
    const char *own = bt_store_file(s, "config.json", &n);
    if (own && strstr(own, "\"ControlNetModel\""))
        return bt_store_add_file(s, name, own, n, err);
    bt_buf b = { 0 };
    put_config(&b, l);
    const char *text = b.failed ? NULL : bt_store_own_str(s, b.data, b.len);
    n = b.len;
    bt_buf_free(&b);
    return text ? bt_store_add_file(s, name, text, n, err) : bt_store_no_memory(s, err);
}

/* ---- names --------------------------------------------------------------------- */

static bool is_more(const bt_store *s)
{
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (bt_store_find(s, more[i]))
            return true;
    return false;
}

/* Number of the last layer that reads the picture. */
static int last_hint(const bt_ldm *l)
{
    int i = 0;
    while (i < 64 && bt_ldm_find(l, "%sinput_hint_block.%d.weight", l->unet, i + 2))
        i += 2;
    return i;
}

bt_status bt_ldm_adopt_control(bt_store *s, bt_error *err)
{
    bt_ldm l = { .s = s, .unet = "control_model.", .folder = "controlnet/", .vae = "" };
    const bool named = bt_store_find(s, "controlnet_cond_embedding.conv_in.weight");
    bt_status st = BT_OK;
    if (bt_store_find(s, "input_hint_block.0.weight"))
        l.unet = "";
    if ((!named && !bt_ldm_find(&l, "%sinput_hint_block.0.weight", l.unet)) || is_more(s))
        return BT_OK;
    bt_ldm_measure(&l);
    const int hints = last_hint(&l);
    bt_buf name = { 0 };
    for (size_t i = 0, n = bt_store_count(s); i < n && st == BT_OK; i++) {
        const char *old = bt_store_at(s, i)->name;
        name.len = 0;
        if (named)
            bt_buf_printf(&name, "controlnet/%s", old);
        else if (!bt_ldm_control_name(&l, hints, old, &name))
            continue;
        st = name.failed ? bt_store_no_memory(s, err) : bt_ldm_rename(s, i, name.data, err);
    }
    bt_buf_free(&name);
    return st == BT_OK ? add_config(&l, s, err) : st;
}
