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
        if (bt_ldm_find(l, BT_LDM_UNET "input_blocks.%d.0.op.weight", i + 1)) {
            l->in[i] = (bt_ldm_place){ level++, -1 };
            at = 0;
        } else if (bt_ldm_find(l, BT_LDM_UNET "input_blocks.%d.0.in_layers.0.weight", i + 1)) {
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

static void measure(bt_ldm *l)
{
    walk_down(l);
    walk_up(l);
    while (l->vae_levels < BT_LDM_LEVELS &&
           bt_ldm_find(l, "first_stage_model.decoder.up.%d.block.0.conv1.weight", l->vae_levels))
        l->vae_levels++;
}

/* ---- tensors ---------------------------------------------------------------- */

static bt_status add_named(bt_store *s, const bt_tensor *t, const char *name, bt_error *err)
{
    bt_tensor copy = *t;
    copy.name = bt_store_own_str(s, name, strlen(name));
    return copy.name ? bt_store_add(s, bt_store_path(s), &copy, err) : bt_store_no_memory(s, err);
}

/* Queries, keys and values, one below the other in one tensor, as three. */
static bt_status add_thirds(bt_store *s, const bt_tensor *t, const char *name, bt_error *err)
{
    static const char *const parts[] = { "q_proj", "k_proj", "v_proj" };
    const char *at = strstr(name, "in_proj.");
    bt_tensor third = *t;
    char cut[256];
    if (t->n_dims < 1 || t->n_dims > 2 || t->dims[0] % 3 || t->bytes == 0)
        return bt_fail(err, BT_EFORMAT, "%s: tensor '%.200s' cannot be cut in three",
                       bt_store_path(s), t->name);
    third.dims[0] /= 3;
    third.bytes /= 3;
    bt_status st = BT_OK;
    for (int i = 0; i < 3 && st == BT_OK; i++) {
        snprintf(cut, sizeof cut, "%.*s%s%s", (int)(at - name), name, parts[i], at + 7);
        st = add_named(s, &third, cut, err);
        third.data += third.bytes;
    }
    return st;
}

/* open_clip multiplies by the projection itself, transformers by its transpose. */
static bt_status add_projection(bt_store *s, const bt_tensor *t, const char *name, bt_error *err)
{
    const size_t rows = (size_t)t->dims[0], cols = (size_t)t->dims[1];
    bt_tensor turned = { .dtype = BT_F32, .n_dims = 2, .dims = { t->dims[1], t->dims[0] } };
    if (t->n_dims != 2 || !bt_tensor_measure(&turned) || turned.bytes == 0)
        return bt_fail(err, BT_EFORMAT, "%s: tensor '%.200s' is no matrix", bt_store_path(s),
                       t->name);
    float *values = bt_alloc(turned.bytes), *to = bt_store_own(s, turned.bytes);
    bt_status st = values && to ? BT_OK : bt_store_no_memory(s, err);
    if (st == BT_OK && bt_dequantize_row(t->dtype, t->data, values, rows * cols) != 0)
        st = bt_fail(err, BT_EUNSUPPORTED, "%s: tensor '%.200s' has type %s, which cannot be read",
                     bt_store_path(s), t->name, bt_dtypes[t->dtype].name);
    for (size_t r = 0; r < rows && st == BT_OK; r++)
        for (size_t c = 0; c < cols; c++)
            to[c * rows + r] = values[r * cols + c];
    bt_release(values);
    turned.data = (const uint8_t *)to;
    return st == BT_OK ? add_named(s, &turned, name, err) : st;
}

/* Is the projection as open_clip has it? Only transformers' own name says that not. */
static bool is_open_projection(const char *old, const char *name)
{
    const size_t n = strlen(name), m = strlen("text_projection.weight");
    return n > m && strcmp(name + n - m, "text_projection.weight") == 0 &&
           !strstr(old, "transformer.text_projection.");
}

static bt_status adopt_tensor(bt_store *s, size_t i, const char *name, bt_error *err)
{
    const bt_tensor t = *bt_store_at(s, i);
    if (strstr(name, ".self_attn.in_proj."))
        return add_thirds(s, &t, name, err);
    if (is_open_projection(t.name, name))
        return add_projection(s, &t, name, err);
    if (bt_store_find(s, name))
        return bt_fail(err, BT_EFORMAT, "%s: tensor '%.200s' is there twice", bt_store_path(s),
                       name);
    const char *copy = bt_store_own_str(s, name, strlen(name));
    return copy ? bt_store_rename(s, i, copy, err) : bt_store_no_memory(s, err);
}

bt_status bt_ldm_adopt(bt_store *s, bt_error *err)
{
    bt_ldm l = { .s = s };
    if (!bt_store_find(s, BT_LDM_UNET "input_blocks.0.0.weight"))
        return BT_OK;
    measure(&l);
    bt_buf name = { 0 };
    bt_status st = bt_ldm_add_config(&l, s, err);
    for (size_t i = 0, n = bt_store_count(s); i < n && st == BT_OK; i++) {
        name.len = 0;
        if (!bt_ldm_name(&l, bt_store_at(s, i)->name, &name))
            continue;
        st = name.failed ? bt_store_no_memory(s, err) : adopt_tensor(s, i, name.data, err);
    }
    bt_buf_free(&name);
    return st;
}
