/* SPDX-License-Identifier: MIT
 * Reading a node and its attributes. Field numbers: NodeProto, AttributeProto
 * of onnx.proto.
 */
#include "onnx_node.h"

enum { NODE_INPUT = 1, NODE_OUTPUT, NODE_NAME, NODE_OP, NODE_ATTRIBUTE };
enum { ATTR_NAME = 1 };

bool bt_onnx_read_node(bt_span m, bt_onnx_node *n)
{
    bt_field f;
    int more;
    *n = (bt_onnx_node){ .message = m };
    while ((more = bt_span_next(&m, &f)) > 0) {
        if (f.number > NODE_ATTRIBUTE)
            continue;
        if (f.wire != BT_WIRE_BYTES)
            return false;
        if (f.number == NODE_INPUT && n->n_inputs < BT_ONNX_INPUTS)
            n->inputs[n->n_inputs++] = f.bytes;
        else if (f.number == NODE_OUTPUT && bt_span_len(n->output) == 0)
            n->output = f.bytes;
        else if (f.number == NODE_NAME)
            n->name = f.bytes;
        else if (f.number == NODE_OP)
            n->op = f.bytes;
    }
    return more == 0;
}

bool bt_onnx_attribute(const bt_onnx_node *n, const char *name, bt_span *out)
{
    bt_field f, g;
    for (bt_span m = n->message; bt_span_next(&m, &f) > 0;) {
        if (f.number != NODE_ATTRIBUTE)
            continue;
        for (bt_span a = f.bytes; bt_span_next(&a, &g) > 0;)
            if (g.number == ATTR_NAME && g.wire == BT_WIRE_BYTES && bt_span_is(g.bytes, name)) {
                *out = f.bytes;
                return true;
            }
    }
    return false;
}
