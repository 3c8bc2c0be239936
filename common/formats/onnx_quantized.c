/* SPDX-License-Identifier: MIT
 * Weights that onnxruntime's quantizer made, under the names of their torch modules.
 *
 * Linear layers and convolutions (MatMulInteger, ConvInteger) keep their whole numbers:
 * "<module>.weight" of i8 or u8, "<module>.weight_scale" and, unless it is left out (0),
 * "<module>.weight_zero_point"; weight = (q - zero point) * scale, with one scale or one per
 * output. Linear layers multiply from the right, so theirs is [in][out] and called
 * "<module>.weight_turned". An LSTM's are ".W", ".R" and ".B", laid out as ONNX has them
 * (quantized ones turned round: [directions][inputs][4 h]), with ".W_scale" and so on.
 *
 * The tensors stay under their own names as well: zero points and scales are shared.
 */
#include <string.h>

#include "onnx_names.h"

enum { WEIGHT = 1, ZERO_POINT = 3 };

static const bt_tensor *input_tensor(const bt_onnx *o, const bt_onnx_node *n, int i)
{
    char name[BT_ONNX_NAME];
    const size_t len = i < n->n_inputs ? bt_span_len(n->inputs[i]) : 0;
    if (len == 0 || len >= sizeof name)
        return NULL;
    memcpy(name, n->inputs[i].p, len);
    name[len] = 0;
    return bt_store_find(o->s, name);
}

/* t once more as "<module><role>", if that name is free. t NULL: nothing. */
static bt_status add_name(const bt_onnx *o, const bt_tensor *t, const char *module,
                          const char *role)
{
    char name[BT_ONNX_NAME + 32];
    if (!t)
        return BT_OK;
    strcat(strcpy(name, module), role);
    if (bt_store_find(o->s, name))
        return BT_OK;
    bt_tensor copy = *t;
    copy.name = bt_store_own_str(o->s, name, strlen(name));
    return copy.name ? bt_store_add(o->s, o->file, &copy, o->err)
                     : bt_store_no_memory(o->s, o->err);
}

/* The scale that goes with "x_quantized" is "x_scale": nodes have it only multiplied
 * with that of the input. */
static const bt_tensor *scale_of(const bt_onnx *o, const bt_tensor *weight)
{
    static const char end[] = "_quantized";
    char name[BT_ONNX_NAME];
    const size_t n = strlen(weight->name), m = sizeof end - 1;
    if (n <= m || n >= sizeof name || strcmp(weight->name + n - m, end) != 0)
        return NULL;
    memcpy(name, weight->name, n - m);
    strcpy(name + n - m, "_scale");
    return bt_store_find(o->s, name);
}

static bt_status name_product(const bt_onnx *o, const bt_onnx_node *n, const char *module)
{
    const bt_tensor *t = input_tensor(o, n, WEIGHT);
    bt_status st;
    if (!t || (t->dtype != BT_I8 && t->dtype != BT_U8))
        return BT_OK;
    const bt_tensor weight = *t; /* adding moves what t points to */
    BT_TRY(add_name(o, scale_of(o, &weight), module, ".weight_scale"));
    BT_TRY(add_name(o, input_tensor(o, n, ZERO_POINT), module, ".weight_zero_point"));
    const bool turned = bt_span_is(n->op, "MatMulInteger");
    BT_TRY(add_name(o, &weight, module, turned ? ".weight_turned" : ".weight"));
fail:
    return st;
}

bt_status bt_onnx_name_quantized(const bt_onnx *o, const bt_onnx_node *n, const char *module)
{
    static const char *const lstm[BT_ONNX_INPUTS] = { [1] = ".W",
                                                      [2] = ".R",
                                                      [3] = ".B",
                                                      [8] = ".W_scale",
                                                      [9] = ".W_zero_point",
                                                      [10] = ".R_scale",
                                                      [11] = ".R_zero_point" };
    bt_status st = BT_OK;
    if (bt_span_is(n->op, "MatMulInteger") || bt_span_is(n->op, "ConvInteger"))
        return name_product(o, n, module);
    if (!bt_span_is(n->op, "LSTM") && !bt_span_is(n->op, "DynamicQuantizeLSTM"))
        return BT_OK;
    for (int i = 0; i < n->n_inputs && st == BT_OK; i++)
        if (lstm[i])
            st = add_name(o, input_tensor(o, n, i), module, lstm[i]);
    return st;
}
