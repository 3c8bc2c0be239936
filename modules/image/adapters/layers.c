/* SPDX-License-Identifier: MIT
 * Names of layers: a key is "unet_", "te1_" or "te2_" and the path with "_" for ".",
 * as kohya's files have them. The UNet's layers have a second name, from the original
 * (LDM) code, which LoRAs for SDXL use; text encoders one without "text_model".
 */
#include "image/adapters/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the UNet's names in the original code ----------------------------------- */

typedef struct pair {
    const char *from, *to;
} pair;

/* What is left of a name behind `from`, with `to` before it. */
static const char *renamed(const pair *p, const char *name)
{
    for (; p->from; p++)
        if (strcmp(name, p->from) == 0)
            return p->to;
    return NULL;
}

/* Number of the first block of a level on the way down, and of a block's on the way up
 * (openaimodel.py: conv_in is input block 0; a halving is a block of its own). */
static int blocks_before(const sd_unet_config *u, int block, bool up)
{
    int n = up ? 0 : 1;
    for (int i = 0; i < block && i < u->levels; i++)
        n += 1 + u->layers[up ? u->levels - 1 - i : i];
    return n;
}

static const pair resnet[] = { { "conv1", "in_layers.2" },
                               { "time_emb_proj", "emb_layers.1" },
                               { "conv2", "out_layers.3" },
                               { "conv_shortcut", "skip_connection" },
                               { NULL, NULL } };

static const pair whole[] = { { "conv_in", "input_blocks.0.0" },
                              { "conv_out", "out.2" },
                              { "time_embedding.linear_1", "time_embed.0" },
                              { "time_embedding.linear_2", "time_embed.2" },
                              { "add_embedding.linear_1", "label_emb.0.0" },
                              { "add_embedding.linear_2", "label_emb.0.2" },
                              { NULL, NULL } };

/* A layer below down_blocks.B, up_blocks.B or mid_block: its part, number there, rest. */
static bool old_name_of(const sd_unet_config *u, const char *side, int block, const char *name,
                        char *out, size_t size)
{
    int i = 0, used = 0;
    const bool up = !strcmp(side, "output_blocks"), mid = !strcmp(side, "middle_block");
    const int level = up ? u->levels - 1 - block : block;
    if (block < 0 || level < 0 || block >= u->levels)
        return false;
    const int first = blocks_before(u, block, up), last = first + u->layers[level];
    if (sscanf(name, "resnets.%d.%n", &i, &used) == 1 && used) {
        const char *rest = renamed(resnet, name + used);
        if (rest && mid)
            snprintf(out, size, "%s.%d.%s", side, 2 * i, rest);
        else if (rest)
            snprintf(out, size, "%s.%d.0.%s", side, first + i, rest);
        return rest != NULL;
    }
    if (sscanf(name, "attentions.%d.%n", &i, &used) == 1 && used) {
        if (mid)
            snprintf(out, size, "%s.1.%s", side, name + used);
        else
            snprintf(out, size, "%s.%d.1.%s", side, first + i, name + used);
        return true;
    }
    if (!strcmp(name, "downsamplers.0.conv"))
        snprintf(out, size, "%s.%d.0.op", side, last);
    else if (!strcmp(name, "upsamplers.0.conv"))
        snprintf(out, size, "%s.%d.%d.conv", side, last, u->up_cross[level] ? 2 : 1);
    else
        return false;
    return true;
}

static bool old_name(const sd_unet_config *u, const char *path, char *out, size_t size)
{
    int block = 0, used = 0;
    const char *same = renamed(whole, path);
    if (same) {
        snprintf(out, size, "%s", same);
        return true;
    }
    if (sscanf(path, "down_blocks.%d.%n", &block, &used) == 1 && used)
        return old_name_of(u, "input_blocks", block, path + used, out, size);
    if (sscanf(path, "up_blocks.%d.%n", &block, &used) == 1 && used)
        return old_name_of(u, "output_blocks", block, path + used, out, size);
    if (!strncmp(path, "mid_block.", 10))
        return old_name_of(u, "middle_block", 0, path + 10, out, size);
    return false;
}

/* ---- the table ---------------------------------------------------------------- */

typedef struct building {
    sd_layers *l; /* with room for all */
    bt_buf text;
} building;

/* The key of the layer that was added last; pointers come when the text stands still. */
static void add_name(building *b, const char *part, const char *path)
{
    sd_layers *l = b->l;
    l->names[l->n_names++] = (sd_layer_name){ (const char *)(uintptr_t)b->text.len, l->n - 1 };
    const size_t start = b->text.len;
    bt_buf_printf(&b->text, "%s%s", part, path);
    for (size_t i = start; !b->text.failed && i < b->text.len; i++)
        if (b->text.data[i] == '.')
            b->text.data[i] = '_';
    bt_buf_add(&b->text, "", 1);
}

static void add_layer(building *b, const bt_weight *w, const char *part, const char *path,
                      const sd_unet_config *unet)
{
    sd_layers *l = b->l;
    const int64_t out = bt_weight_dim(w, 0), in = bt_weight_dim(w, 1);
    const int64_t taps = bt_tensor_count(bt_weight_tensor(w)) / (out * in);
    l->at[l->n++] = (sd_layer){ w, out, in, taps, !unet };
    add_name(b, part, path);
    char old[SD_KEY];
    if (unet && old_name(unet, path, old, sizeof old))
        add_name(b, part, old);
    if (!unet && !strncmp(path, "text_model.", 11))
        add_name(b, part, path + 11);
}

/* Matrices and convolutions; tables of embeddings are read row by row, as they are. */
static void add_tensor(building *b, bt_weights *ws, const bt_tensor *t, const sd_unet_config *unet)
{
    static const struct {
        const char *prefix, *part;
    } parts[] = { { "unet/", "unet_" },
                  { "text_encoder/", "te1_" },
                  { "text_encoder_2/", "te2_" } };
    char path[SD_KEY];
    const size_t n = strlen(t->name);
    if (t->n_dims < 2 || !bt_ends_with(t->name, ".weight") || bt_tensor_count(t) == 0 ||
        strstr(t->name, ".embeddings."))
        return;
    for (int i = 0; i < 3; i++) {
        const size_t skip = strlen(parts[i].prefix);
        if (strncmp(t->name, parts[i].prefix, skip) != 0 || n - skip >= sizeof path)
            continue;
        snprintf(path, sizeof path, "%.*s", (int)(n - skip - 7), t->name + skip);
        add_layer(b, bt_weight_find(ws, t->name), parts[i].part, path, i ? NULL : unet);
    }
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const sd_layer_name *)a)->key, ((const sd_layer_name *)b)->key);
}

bt_status sd_layers_create(bt_weights *ws, const bt_store *s, const sd_unet_config *unet,
                           sd_layers *out, bt_error *err)
{
    enum { NAMES = 2 }; /* of a layer, at most */
    const size_t n = bt_store_count(s);
    building b = { .l = out };
    *out = (sd_layers){ .at = bt_calloc(n + 1, sizeof *out->at),
                        .names = bt_calloc(n + 1, NAMES * sizeof *out->names) };
    for (size_t i = 0; i < n && out->at && out->names; i++)
        add_tensor(&b, ws, bt_store_at(s, i), unet);
    out->text = b.text.data;
    if (!out->at || !out->names || b.text.failed) {
        sd_layers_release(out);
        return bt_no_memory(err, "the names of layers");
    }
    for (size_t i = 0; i < out->n_names; i++)
        out->names[i].key = out->text + (uintptr_t)out->names[i].key;
    if (out->n_names)
        qsort(out->names, out->n_names, sizeof *out->names, by_key);
    return BT_OK;
}

void sd_layers_release(sd_layers *l)
{
    bt_release(l->at);
    bt_release(l->names);
    bt_release(l->text);
    *l = (sd_layers){ 0 };
}

const sd_layer *sd_layers_find(const sd_layers *l, const char *key)
{
    const sd_layer_name want = { key, 0 };
    const sd_layer_name *found =
        l->n_names ? bsearch(&want, l->names, l->n_names, sizeof want, by_key) : NULL;
    return found ? &l->at[found->layer] : NULL;
}

/* ---- a LoRA's names ------------------------------------------------------------ */

typedef struct ending {
    const char *text;
    sd_role role;
} ending;

/* kohya and LyCORIS; diffusers through its years; PEFT. */
static const ending endings[] = {
    { ".lora_down.weight", SD_LORA_DOWN },
    { ".lora_up.weight", SD_LORA_UP },
    { ".lora_mid.weight", SD_LORA_MID },
    { ".lora_A.weight", SD_LORA_DOWN },
    { ".lora_B.weight", SD_LORA_UP },
    { ".lora_A.default.weight", SD_LORA_DOWN },
    { ".lora_B.default.weight", SD_LORA_UP },
    { ".lora.down.weight", SD_LORA_DOWN },
    { ".lora.up.weight", SD_LORA_UP },
    { ".lora_linear_layer.down.weight", SD_LORA_DOWN },
    { ".lora_linear_layer.up.weight", SD_LORA_UP },
    { "_lora.down.weight", SD_LORA_DOWN },
    { "_lora.up.weight", SD_LORA_UP },
    { ".alpha", SD_ALPHA },
    { ".dora_scale", SD_DORA },
    { ".lora_magnitude_vector", SD_MAGNITUDE },
    { ".lora_magnitude_vector.weight", SD_MAGNITUDE },
    { ".lora_magnitude_vector.default.weight", SD_MAGNITUDE },
    { ".hada_w1_a", SD_HADA_W1A },
    { ".hada_w1_b", SD_HADA_W1B },
    { ".hada_w2_a", SD_HADA_W2A },
    { ".hada_w2_b", SD_HADA_W2B },
    { ".hada_t1", SD_HADA_T1 },
    { ".hada_t2", SD_HADA_T2 },
    { ".lokr_w1", SD_KRON_W1 },
    { ".lokr_w1_a", SD_KRON_W1A },
    { ".lokr_w1_b", SD_KRON_W1B },
    { ".lokr_w2", SD_KRON_W2 },
    { ".lokr_w2_a", SD_KRON_W2A },
    { ".lokr_w2_b", SD_KRON_W2B },
    { ".lokr_t2", SD_KRON_T2 },
    { ".diff", SD_DIFF },
};

/* The first that fits counts; what has no prefix is the UNet's. */
static const pair prefixes[] = {
    { "lora_unet_", "unet_" },
    { "lora_te1_", "te1_" },
    { "lora_te2_", "te2_" },
    { "lora_te_", "te1_" },
    { "unet.", "unet_" },
    { "text_encoder.", "te1_" },
    { "text_encoder_2.", "te2_" },
    { "model.diffusion_model.", "unet_" },
    { "diffusion_model.", "unet_" },
    { "text_model.", "te1_text_model_" },
    { "", "unet_" },
};

/* What diffusers' attention processors call the layers of theirs; behind "_lora". */
static const pair processors[] = { { "to_out", "to_out.0" }, { NULL, NULL } };
static const pair text_processors[] = { { "to_q", "q_proj" },
                                        { "to_k", "k_proj" },
                                        { "to_v", "v_proj" },
                                        { "to_out", "out_proj" },
                                        { NULL, NULL } };

static sd_role find_role(const char *name, size_t *stem)
{
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t m = strlen(endings[i].text);
        if (n > m && strcmp(name + n - m, endings[i].text) == 0) {
            *stem = n - m;
            return endings[i].role;
        }
    }
    return SD_ROLES;
}

/* "attn1.processor.to_out" to "attn1.to_out.0" */
static void of_processor(char *path, size_t size, bool text)
{
    char *at = strstr(path, ".processor.");
    if (at)
        memmove(at + 1, at + 11, strlen(at + 11) + 1);
    char *last = strrchr(path, '.');
    last = last ? last + 1 : path;
    const char *now = renamed(text ? text_processors : processors, last);
    if (now)
        snprintf(last, size - (size_t)(last - path), "%s", now);
}

sd_role sd_layer_key(const char *name, char key[SD_KEY])
{
    char path[SD_KEY];
    size_t stem = 0;
    if (!strncmp(name, "base_model.model.", 17))
        name += 17;
    const sd_role role = find_role(name, &stem);
    const pair *p = prefixes;
    while (strncmp(name, p->from, strlen(p->from)) != 0)
        p++;
    const size_t skip = strlen(p->from);
    key[0] = 0;
    if (role == SD_ROLES || stem < skip || stem - skip + 16 > SD_KEY)
        return SD_ROLES;
    snprintf(path, sizeof path, "%.*s", (int)(stem - skip), name + skip);
    if (!strncmp(name + stem, "_lora.", 6))
        of_processor(path, sizeof path, p->to[0] == 't');
    snprintf(key, SD_KEY, "%s%.*s", p->to, SD_KEY - 16, path);
    for (char *c = key; *c; c++)
        if (*c == '.')
            *c = '_';
    return role;
}
