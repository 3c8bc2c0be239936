/* SPDX-License-Identifier: MIT
 * ONNX reader: initializers and constants as tensors. Field numbers are those
 * of onnx.proto (ModelProto, GraphProto, TensorProto).
 *
 * Tensors are added under the names that the file has; onnx_names.c then gives
 * those whose names the exporter made up the names of their torch modules.
 */
#include <string.h>

#include "onnx_names.h"

enum { MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_PROPS = 14 };
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };
enum { OPSET_MIN = 7, OPSET_MAX = 32 }; /* ONNX 1.2 to some years ahead of 1.23's 28 */
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5 };
enum { ATTR_TENSOR = 5 };
enum {
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_FLOATS = 4,
    TENSOR_INT32S = 5,
    TENSOR_INT64S = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    TENSOR_DOUBLES = 10,
    TENSOR_EXTERNAL = 13,
    TENSOR_PLACE = 14
};

typedef struct tensor_message {
    bt_span name, raw, whole;
    uint64_t type;
    int64_t dims[BT_MAX_DIMS];
    size_t n_dims;
    bool has_raw, external;
} tensor_message;

/* TensorProto.DataType -> our type and the field that holds values when there
 * is no raw_data. */
static const struct {
    uint64_t number;
    bt_dtype type;
    uint32_t field;
} types[] = {
    { 1, BT_F32, TENSOR_FLOATS },   { 2, BT_U8, TENSOR_INT32S },   { 3, BT_I8, TENSOR_INT32S },
    { 5, BT_I16, TENSOR_INT32S },   { 6, BT_I32, TENSOR_INT32S },  { 7, BT_I64, TENSOR_INT64S },
    { 9, BT_U8, TENSOR_INT32S },    { 10, BT_F16, TENSOR_INT32S }, { 11, BT_F64, TENSOR_DOUBLES },
    { 16, BT_BF16, TENSOR_INT32S },
};

static bt_status bad(const bt_onnx *o, const char *what)
{
    return bt_fail(o->err, BT_EFORMAT, "%s: malformed ONNX: %s", o->file, what);
}

static bool read_tensor_message(bt_span m, tensor_message *t)
{
    bt_field f;
    int more;
    *t = (tensor_message){ .whole = m };
    while ((more = bt_span_next(&m, &f)) > 0) {
        const bool bytes = f.wire == BT_WIRE_BYTES;
        switch (f.number) {
        case TENSOR_DIMS:
            if (!bt_span_ints(&f, t->dims, &t->n_dims, BT_MAX_DIMS))
                return false;
            break;
        case TENSOR_TYPE:
            if (f.wire != BT_WIRE_VARINT)
                return false;
            t->type = f.value;
            break;
        case TENSOR_NAME:
            if (!bytes)
                return false;
            t->name = f.bytes;
            break;
        case TENSOR_RAW:
            if (!bytes || t->has_raw)
                return false;
            t->raw = f.bytes;
            t->has_raw = true;
            break;
        case TENSOR_EXTERNAL: t->external = true; break;
        case TENSOR_PLACE:
            if (f.wire != BT_WIRE_VARINT)
                return false;
            if (f.value != 0)
                t->external = true;
            break;
        default: break;
        }
    }
    return more == 0;
}

/* Values of one field of the message, each cut to `size` bytes, to dst;
 * exactly n of them. */
static bool decode_values(bt_span m, uint32_t field, size_t size, uint8_t *dst, size_t n)
{
    bt_field f;
    size_t got = 0;
    const bool varints = field == TENSOR_INT32S || field == TENSOR_INT64S;
    while (bt_span_next(&m, &f) > 0) {
        if (f.number != field)
            continue;
        bt_span values = f.bytes;
        uint64_t v = f.value;
        if (f.wire != BT_WIRE_BYTES) { /* not packed: one value */
            if (got == n)
                return false;
            memcpy(dst + got++ * size, &v, size);
            continue;
        }
        while (values.p < values.end) {
            if (got == n)
                return false;
            if (varints) {
                if (!bt_span_varint(&values, &v))
                    return false;
                memcpy(dst + got * size, &v, size);
            } else {
                if (bt_span_len(values) < size)
                    return false;
                memcpy(dst + got * size, values.p, size);
                values.p += size;
            }
            got++;
        }
    }
    return got == n;
}

/* The values: where they are raw they stay mapped; protobuf's repeated numbers are
 * decoded into the store's memory. */
static bt_status tensor_data(const bt_onnx *o, const tensor_message *m, uint32_t field,
                             bt_tensor *t)
{
    if (t->bytes == 0)
        return BT_OK;
    if (m->has_raw) {
        if (bt_span_len(m->raw) != t->bytes)
            return bad(o, "raw data of a wrong length");
        t->data = m->raw.p;
        return BT_OK;
    }
    const size_t n = t->bytes / bt_dtypes[t->dtype].bytes;
    /* A value takes a byte of the file at least: hostile sizes stop here. */
    if (n > bt_span_len(m->whole))
        return bad(o, "a tensor without its data");
    uint8_t *data = bt_store_own(o->s, t->bytes);
    if (!data)
        return bt_store_no_memory(o->s, o->err);
    t->data = data;
    if (decode_values(m->whole, field, bt_dtypes[t->dtype].bytes, data, n))
        return BT_OK;
    return bad(o, "a tensor without its data");
}

/* Adds a TensorProto; `name` is for those that have none of their own. */
static bt_status add_tensor(const bt_onnx *o, bt_span message, bt_span name)
{
    tensor_message m;
    bt_tensor t = { 0 };
    size_t k = 0;
    if (!read_tensor_message(message, &m))
        return bad(o, "a bad tensor");
    if (bt_span_len(m.name) > 0)
        name = m.name;
    const size_t n = bt_span_len(name);
    if (n == 0 || n >= BT_ONNX_NAME || memchr(name.p, 0, n))
        return bad(o, "a bad tensor name");
    if (m.external)
        return bt_fail(o->err, BT_EUNSUPPORTED,
                       "%s: tensor '%.*s' is kept in another file, "
                       "which is not supported",
                       o->file, (int)n, (const char *)name.p);
    while (k < sizeof types / sizeof *types && types[k].number != m.type)
        k++;
    if (k == sizeof types / sizeof *types)
        return bt_fail(o->err, BT_EUNSUPPORTED,
                       "%s: tensor '%.*s' has data type %u, which is "
                       "not supported",
                       o->file, (int)n, (const char *)name.p, (unsigned)m.type);
    t.dtype = types[k].type;
    t.n_dims = (int)m.n_dims;
    memcpy(t.dims, m.dims, sizeof t.dims);
    if (!bt_tensor_measure(&t))
        return bad(o, "a tensor of impossible size");
    t.name = bt_store_own_str(o->s, (const char *)name.p, n);
    if (!t.name)
        return bt_store_no_memory(o->s, o->err);
    const bt_status st = tensor_data(o, &m, types[k].field, &t);
    return st == BT_OK ? bt_store_add(o->s, o->file, &t, o->err) : st;
}

/* The tensor of a Constant node, under the name of the node's output. */
static bt_status add_constant(const bt_onnx *o, const bt_onnx_node *n)
{
    bt_span attr;
    bt_field f;
    if (!bt_onnx_attribute(n, "value", &attr))
        return BT_OK;
    while (bt_span_next(&attr, &f) > 0)
        if (f.number == ATTR_TENSOR && f.wire == BT_WIRE_BYTES)
            return add_tensor(o, f.bytes, n->output);
    return BT_OK;
}

/* First all tensors, then the nodes that name them: the file has nodes first. */
static bt_status read_graph(const bt_onnx *o, bt_span graph, bool names)
{
    bt_field f;
    int more;
    bt_status st = BT_OK;
    while (st == BT_OK && (more = bt_span_next(&graph, &f)) != 0) {
        bt_onnx_node node;
        if (more < 0)
            return bad(o, "a cut graph");
        if (f.number != GRAPH_NODE && f.number != GRAPH_INITIALIZER)
            continue;
        if (f.wire != BT_WIRE_BYTES)
            return bad(o, "a bad graph");
        if (f.number == GRAPH_INITIALIZER) {
            if (!names)
                st = add_tensor(o, f.bytes, (bt_span){ 0 });
            continue;
        }
        if (!bt_onnx_read_node(f.bytes, &node))
            return bad(o, "a bad node");
        if (names)
            st = bt_onnx_name_weights(o, &node);
        else if (bt_span_is(node.op, "Constant"))
            st = add_constant(o, &node);
    }
    return st;
}

/* StringStringEntryProto: 1 key, 2 value. */
static bt_status read_property(const bt_onnx *o, bt_span m)
{
    bt_field f;
    char *text[2] = { NULL, NULL };
    while (bt_span_next(&m, &f) > 0) {
        if ((f.number != 1 && f.number != 2) || f.wire != BT_WIRE_BYTES)
            continue;
        text[f.number - 1] = bt_store_own_str(o->s, (const char *)f.bytes.p, bt_span_len(f.bytes));
        if (!text[f.number - 1])
            return bt_store_no_memory(o->s, o->err);
    }
    if (!text[0] || !text[1])
        return BT_OK;
    return bt_store_add_str(o->s, o->file, text[0], text[1], o->err);
}

/* Names and layouts of weights are those of exports that we know; the version of ONNX's own
 * operators tells a file that is none of them. */
static bt_status check_opset(const bt_onnx *o, bt_span m)
{
    uint64_t version = OPSET_MIN;
    bool own = true; /* domain "" or "ai.onnx" */
    bt_field f;
    while (bt_span_next(&m, &f) > 0) {
        if (f.number == OPSET_DOMAIN && f.wire == BT_WIRE_BYTES)
            own = bt_span_is(f.bytes, "") || bt_span_is(f.bytes, "ai.onnx");
        else if (f.number == OPSET_VERSION && f.wire == BT_WIRE_VARINT)
            version = f.value;
    }
    if (!own || (version >= OPSET_MIN && version <= OPSET_MAX))
        return BT_OK;
    return bt_fail(o->err, BT_EUNSUPPORTED, "%s: ONNX opset %llu is none of %d to %d", o->file,
                   (unsigned long long)version, OPSET_MIN, OPSET_MAX);
}

bt_status bt_onnx_parse(bt_store *s, const uint8_t *data, size_t n, bt_error *err)
{
    const bt_onnx o = { s, bt_store_path(s), err };
    bt_span model = { data, data + n }, graph = { 0 };
    bt_field f;
    int more;
    bt_status st = BT_OK;
    while ((more = bt_span_next(&model, &f)) > 0 && st == BT_OK) {
        if (f.number == MODEL_GRAPH && f.wire == BT_WIRE_BYTES) {
            if (graph.p)
                return bad(&o, "two graphs");
            graph = f.bytes;
        } else if (f.number == MODEL_OPSET && f.wire == BT_WIRE_BYTES) {
            st = check_opset(&o, f.bytes);
        } else if (f.number == MODEL_PROPS && f.wire == BT_WIRE_BYTES) {
            st = read_property(&o, f.bytes);
        }
    }
    if (st != BT_OK)
        return st;
    if (more < 0)
        return bad(&o, "a field that is longer than the file (is it cut?)");
    if (!graph.p)
        return bad(&o, "no graph");
    if ((st = read_graph(&o, graph, false)) == BT_OK)
        st = read_graph(&o, graph, true);
    if (st == BT_OK && bt_store_count(s) == 0)
        st = bad(&o, "no weights");
    return st;
}
