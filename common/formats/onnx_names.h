/* SPDX-License-Identifier: MIT
 * Names of ONNX weights by their torch modules.
 */
#ifndef BT_FORMATS_ONNX_NAMES_H
#define BT_FORMATS_ONNX_NAMES_H

#include "onnx_node.h"

/* Names tensors after the node's module ("/dec/ups.0/ConvTranspose", input 1:
 * "dec.ups.0.weight") and notes the settings of convolutions as metadata. */
bt_status bt_onnx_name_weights(const bt_onnx *o, const bt_onnx_node *n);

#endif
