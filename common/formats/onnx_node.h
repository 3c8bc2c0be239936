/* SPDX-License-Identifier: MIT
 * Nodes of an ONNX graph, for the two halves of the reader: onnx.c takes the
 * tensors out of the file, onnx_names.c finds the torch modules of their nodes.
 */
#ifndef BT_FORMATS_ONNX_NODE_H
#define BT_FORMATS_ONNX_NODE_H

#include "protobuf.h"
#include "store_build.h"

#define BT_ONNX_INPUTS 12 /* of a node that are looked at: those of a quantized LSTM */
#define BT_ONNX_NAME   512

/* A file being read. */
typedef struct bt_onnx {
    bt_store *s;
    const char *file; /* for messages */
    bt_error *err;
} bt_onnx;

/* NodeProto; texts are not zero-terminated. */
typedef struct bt_onnx_node {
    bt_span name, op, inputs[BT_ONNX_INPUTS], output;
    int n_inputs;
    bt_span message;
} bt_onnx_node;

/* Points *n at the parts of the NodeProto m; inputs past BT_ONNX_INPUTS are
 * skipped. false: malformed. */
bool bt_onnx_read_node(bt_span m, bt_onnx_node *n);

/* The node's attribute of this name (AttributeProto), if it has it. */
bool bt_onnx_attribute(const bt_onnx_node *n, const char *name, bt_span *out);

#endif
