/* SPDX-License-Identifier: MIT
 * Shows a checkpoint in one file as the diffusers folder of the same model.
 */
#include "checkpoint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernels/quant.h"

const bt_tensor *bt_ldm_find(const bt_ldm *l, const char *fmt, ...)
{
    char name[192];
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    return n < (int)sizeof name ? bt_store_find(l->s, name) : NULL;
}

/* ---- how the UNet is built ------------------------------------------------ */

/* Resnets on the way down until a halving ends the level. */
static void walk_down(bt_ldm *l)
{
    int level = 0, at = 0, i = 0;
    for (; i < BT_LDM_BLOCKS && level < BT_LDM_LEVELS; i++) {
        if (bt_ldm_find(l, "%sinput_blocks.%d.0.op.weight", l->unet, i + 1)) {
            l->in[i] = (bt_ldm_place){ level++, -1 };
            at = 0;
        } else if (bt_ldm_find(l, "%sinput_blocks.%d.0.in_layers.0.weight", l->unet, i + 1)) {
            l->in[i] = (bt_ldm_place){ level, at++ };
            l->layers[level] = at;
        } else {
            break;
        }
    }
    l->n_in = i;
    l->levels = level < BT_LDM_LEVELS && l->layers[level] > 0 ? level + 1 : level;
}

/* The way up has one resnet more per level, coarsest first. */
static void walk_up(bt_ldm *l)
{
    for (int block = 0; block < l->levels; block++)
        for (int at = 0; at <= l->layers[l->levels - 1 - block] && l->n_out < BT_LDM_BLOCKS; at++)
            l->out[l->n_out++] = (bt_ldm_place){ block, at };
}

void bt_ldm_measure(bt_ldm *l)
{
    walk_down(l);
    walk_up(l);
    while (l->vae_levels < BT_LDM_LEVELS &&
           (bt_ldm_find(l, "%sdecoder.up.%d.block.0.conv1.weight", l->vae, l->vae_levels) ||
            bt_ldm_find(l, "decoder.up_blocks.%d.resnets.0.conv1.weight", l->vae_levels)))
        l->vae_levels++;
}

/* ---- tensors ---------------------------------------------------------------- */

static bt_status bad(const bt_store *s, size_t i, const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "%s: tensor '%.200s' %s", bt_store_path(s),
                   bt_store_at(s, i)->name, what);
}

bt_status bt_ldm_rename(bt_store *s, size_t i, const char *name, bt_error *err)
{
    if (bt_store_find(s, name))
        return bad(s, i, "is there twice", err);
    const char *copy = bt_store_own_str(s, name, strlen(name));
    return copy ? bt_store_rename(s, i, copy, err) : bt_store_no_memory(s, err);
}

/* Queries, keys and values, one below the other in one tensor, as three: it becomes the
 * queries. */
static bt_status cut_in_three(bt_store *s, size_t i, const char *name, bt_error *err)
{
    static const char *const parts[] = { "q_proj", "k_proj", "v_proj" };
    const char *at = strstr(name, "in_proj.");
    bt_tensor third = *bt_store_at(s, i);
    char cut[256];
    const size_t whole = third.bytes;
    const bool even = third.n_dims > 0 && third.n_dims < 3 && third.dims[0] % 3 == 0;
    third.dims[0] /= 3;
    if (!even || !bt_tensor_measure(&third) || whole == 0 || third.bytes * 3 != whole)
        return bad(s, i, "cannot be cut in three", err);
    bt_status st = BT_OK;
    for (int k = 0; k < 3 && st == BT_OK; k++, third.data += third.bytes) {
        snprintf(cut, sizeof cut, "%.*s%s%s", (int)(at - name), name, parts[k], at + 7);
        if (k == 0) {
            *bt_store_edit(s, i) = third;
            st = bt_ldm_rename(s, i, cut, err);
            continue;
        }
        third.name = bt_store_own_str(s, cut, strlen(cut));
        st = third.name ? bt_store_add(s, bt_store_path(s), &third, err)
                        : bt_store_no_memory(s, err);
    }
    return st;
}

/* open_clip multiplies by the projection itself, transformers by its transpose. */
static bt_status turn(bt_store *s, size_t i, bt_error *err)
{
    const bt_tensor t = *bt_store_at(s, i);
    const size_t rows = (size_t)t.dims[0], cols = (size_t)t.dims[1];
    bt_tensor turned = { .name = t.name, .n_dims = 2, .dims = { t.dims[1], t.dims[0] } };
    turned.dtype = BT_F32;
    if (t.n_dims != 2 || !bt_tensor_measure(&turned) || turned.bytes == 0)
        return bad(s, i, "is no matrix", err);
    float *values = bt_alloc(turned.bytes), *to = bt_store_own(s, turned.bytes);
    bt_status st = values && to ? BT_OK : bt_store_no_memory(s, err);
    if (st == BT_OK && bt_dequantize_row(t.dtype, t.data, values, rows * cols) != 0)
        st = bad(s, i, "has a type that cannot be read", err);
    for (size_t r = 0; r < rows && st == BT_OK; r++)
        for (size_t c = 0; c < cols; c++)
            to[c * rows + r] = values[r * cols + c];
    bt_release(values);
    turned.data = (const uint8_t *)to;
    if (st == BT_OK)
        *bt_store_edit(s, i) = turned;
    return st;
}

/* Is the projection as open_clip has it? Only transformers' own name says that not. */
static bool is_open_projection(const char *old, const char *name)
{
    return bt_ends_with(name, "text_projection.weight") &&
           !strstr(old, "transformer.text_projection.");
}

static bt_status adopt_tensor(bt_store *s, size_t i, const char *name, bt_error *err)
{
    if (strstr(name, ".self_attn.in_proj."))
        return cut_in_three(s, i, name, err);
    const bt_status st =
        is_open_projection(bt_store_at(s, i)->name, name) ? turn(s, i, err) : BT_OK;
    return st == BT_OK ? bt_ldm_rename(s, i, name, err) : st;
}

/* UNets of the same shape that are asked otherwise: of EDM's noise levels, of videos. */
static bool is_other(const bt_store *s)
{
    return bt_store_find(s, "edm_mean") ||
           bt_store_find(s, BT_LDM_UNET "input_blocks.1.0.time_stack.in_layers.0.weight");
}

/* Settings beside an autoencoder's file, if they are one's. */
static const char *own_config(const bt_store *s)
{
    const char *text = bt_store_file(s, "config.json", NULL);
    return text && strstr(text, "\"Autoencoder") ? text : NULL;
}

/* An autoencoder alone: in the original names, in diffusers' (named), or a tiny one. */
static bt_status adopt_vae(bt_ldm *l, bt_store *s, bool *named, bt_error *err)
{
    const bool tiny = bt_store_find(s, "decoder.layers.2.conv.0.weight");
    const char *text = own_config(s);
    *named = tiny || bt_store_find(s, "decoder.up_blocks.0.resnets.0.conv1.weight");
    if (*named || bt_store_find(s, "decoder.up.0.block.0.conv1.weight"))
        l->vae = "";
    bt_ldm_measure(l);
    if (tiny && !text)
        text = "{\"_class_name\":\"AutoencoderTiny\"}";
    if (*named && text)
        return bt_store_add_file(s, "vae/config.json", text, strlen(text), err);
    return l->vae_levels ? bt_ldm_add_vae_config(l, s, err) : BT_OK;
}

/* Of an autoencoder, by a name without what its names begin with? */
static bool is_of_vae(const char *name)
{
    static const char *const begins[] = { "encoder.", "decoder.", "quant_conv.",
                                          "post_quant_conv." };
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (strncmp(name, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

/* The tensor's name in the folder; false: it keeps its own, as does all that lies beside an
 * autoencoder (whole: not) in its file. */
static bool new_name(const bt_ldm *l, bool whole, bool named, const char *name, bt_buf *out)
{
    const size_t n = strlen(l->vae);
    out->len = 0;
    if (!whole && (strncmp(name, l->vae, n) != 0 || !is_of_vae(name + n)))
        return false;
    if (!named)
        return bt_ldm_name(l, name, out);
    bt_buf_printf(out, "vae/%s", name);
    return true;
}

/* Values that are to be multiplied by another tensor ("scaled fp8"). */
static bt_status refuse_scaled(const bt_store *s, bt_error *err)
{
    for (size_t i = 0; i < bt_store_count(s); i++)
        if (strstr(bt_store_at(s, i)->name, ".scale_weight"))
            return bt_fail(err, BT_EUNSUPPORTED,
                           "%s: tensor '%.200s': 8-bit floats with scales are not supported",
                           bt_store_path(s), bt_store_at(s, i)->name);
    return BT_OK;
}

bt_status bt_ldm_adopt(bt_store *s, bt_error *err)
{
    bt_ldm l = { .s = s, .unet = BT_LDM_UNET, .folder = "unet/", .vae = "first_stage_model." };
    const bool whole = bt_store_find(s, BT_LDM_UNET "input_blocks.0.0.weight");
    bool named = false;
    bt_status st = bt_ldm_adopt_control(s, err);
    if (st != BT_OK || bt_store_file(s, "unet/config.json", NULL) ||
        bt_store_file(s, "vae/config.json", NULL) || is_other(s))
        return st;
    if (whole) {
        bt_ldm_measure(&l);
        st = refuse_scaled(s, err);
        if (st == BT_OK)
            st = bt_ldm_add_config(&l, s, err);
    } else {
        st = adopt_vae(&l, s, &named, err);
    }
    if (!whole && !bt_store_file(s, "vae/config.json", NULL))
        return st;
    bt_buf name = { 0 };
    for (size_t i = 0, n = bt_store_count(s); i < n && st == BT_OK; i++) {
        if (!new_name(&l, whole, named, bt_store_at(s, i)->name, &name))
            continue;
        st = name.failed ? bt_store_no_memory(s, err) : adopt_tensor(s, i, name.data, err);
    }
    bt_buf_free(&name);
    return st;
}
