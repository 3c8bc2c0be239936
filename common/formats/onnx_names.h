/* SPDX-License-Identifier: MIT
 * Names of ONNX weights by their torch modules.
 */
#ifndef BT_FORMATS_ONNX_NAMES_H
#define BT_FORMATS_ONNX_NAMES_H

#include "onnx_node.h"

/* Names tensors after the node's module ("/dec/ups.0/ConvTranspose", input 1:
 * "dec.ups.0.weight") and notes the settings of convolutions as metadata. */
bt_status bt_onnx_name_weights(const bt_onnx *o, const bt_onnx_node *n);
/* "/dec/ups.0/ConvTranspose" -> "dec.ups.0"; false if the name has no module. */
bool bt_onnx_module(bt_span name, char out[BT_ONNX_NAME]);
/* The same for weights that onnxruntime's quantizer made, and for LSTMs
 * (onnx_quantized.c). */
bt_status bt_onnx_name_quantized(const bt_onnx *o, const bt_onnx_node *n, const char *module);

#endif
