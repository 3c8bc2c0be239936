/* SPDX-License-Identifier: MIT
 * Between the two halves of the ONNX reader: onnx.c takes the tensors out of
 * the file, onnx_names.c finds the torch modules that they belong to.
 */
#ifndef BT_FORMATS_ONNX_H
#define BT_FORMATS_ONNX_H

#include "protobuf.h"
#include "store_build.h"

#define BT_ONNX_INPUTS 8 /* of a node that are looked at: weights come early */
#define BT_ONNX_NAME   512

typedef struct bt_onnx {
    bt_store *s;
    const char *file;
    bt_error *err;
} bt_onnx;

/* NodeProto; texts are not zero-terminated. */
typedef struct bt_onnx_node {
    bt_span name, op, inputs[BT_ONNX_INPUTS], output;
    int n_inputs;
    bt_span message;
} bt_onnx_node;

/* The node's attribute of this name (AttributeProto), if it has it. */
bool bt_onnx_attribute(const bt_onnx_node *n, const char *name, bt_span *out);

/* Names tensors after the node's module ("/dec/ups.0/ConvTranspose", input 1:
 * "dec.ups.0.weight") and notes the settings of convolutions as metadata. */
bt_status bt_onnx_name_weights(const bt_onnx *o, const bt_onnx_node *n);

#endif
