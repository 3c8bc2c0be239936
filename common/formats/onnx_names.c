/* SPDX-License-Identifier: MIT
 * Weights under the names of their torch modules.
 *
 * torch's exporter keeps a parameter's name unless something changed the
 * tensor on the way: folded weight norm gives "onnx::Conv_8168", a Linear gives
 * a transposed "onnx::MatMul_77", an inner module can even take the name of a
 * graph input. A node's name still tells the module, so that is where such
 * tensors get theirs from. Equal tensors that were merged get a row each.
 *
 * The settings of convolutions become metadata where they are not the default:
 * "<module>.strides", ".dilations", ".pads", ".group" (int64, arrays but for the
 * last).
 */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "onnx_names.h"

enum { ATTR_INT = 3, ATTR_INTS = 8 };
#define MAX_INTS 16

/* "enc_p.emb.weight" is a parameter's name, "onnx::Conv_8168", "6549" and
 * "/enc_p/Constant_output_0" are not. */
static bool is_parameter_name(const char *s)
{
    return (isalpha((unsigned char)*s) || *s == '_') && strchr(s, '.') && !strpbrk(s, "/:");
}

bool bt_onnx_module(bt_span name, char out[BT_ONNX_NAME])
{
    const size_t n = bt_span_len(name);
    size_t end = 0, k = 0;
    if (n >= BT_ONNX_NAME)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (name.p[i] == 0)
            return false;
        if (name.p[i] == '/')
            end = i;
    }
    for (size_t i = name.p && n && name.p[0] == '/'; i < end; i++)
        out[k++] = name.p[i] == '/' ? '.' : (char)name.p[i];
    out[k] = 0;
    return k > 0;
}

/* The last part of a module's name: "norm_layers_1.0" of "enc.norm_layers_1.0"
 * (numbers belong to the part before them). */
static bool last_part_has(const char *module, const char *word)
{
    const char *p = module + strlen(module);
    while (p > module && (p[-1] != '.' || isdigit((unsigned char)*p)))
        p--;
    return strstr(p, word) != NULL;
}

static bool is_float(const bt_tensor *t)
{
    return t->dtype == BT_F32 || t->dtype == BT_F16 || t->dtype == BT_BF16 || t->dtype == BT_F64;
}

typedef enum change { AS_IT_IS, TRANSPOSED, MINUS_LOG, NEGATED } change;

/* What input i of the node is to its module: ".weight", ... NULL: nothing. */
static const char *role_of(const bt_onnx_node *n, int i, const char *module, const bt_tensor *t,
                           change *how)
{
    *how = AS_IT_IS;
    const bool matrix = t->n_dims == 2, row = t->n_dims == 1 && t->dims[0] > 1;
    const bool column = matrix && t->dims[1] == 1;
    bt_span attr;
    if (!is_float(t))
        return NULL;
    if (bt_span_is(n->op, "Conv") || bt_span_is(n->op, "ConvTranspose"))
        return i == 1 && t->n_dims >= 3 ? ".weight" : i == 2 ? ".bias" : NULL;
    if (bt_span_is(n->op, "LayerNormalization"))
        return i == 1 ? ".gamma" : i == 2 ? ".beta" : NULL;
    if (bt_span_is(n->op, "Gather"))
        return i == 0 && matrix ? ".weight" : NULL;
    if (bt_span_is(n->op, "Gemm")) {
        if (!bt_onnx_attribute(n, "transB", &attr))
            *how = TRANSPOSED;
        return i == 1 && matrix ? ".weight" : i == 2 ? ".bias" : NULL;
    }
    if (bt_span_is(n->op, "MatMul")) {
        *how = TRANSPOSED;
        return i == 1 && matrix ? ".weight" : NULL;
    }
    if (row && last_part_has(module, "norm"))
        return bt_span_is(n->op, "Mul") ? ".gamma" : bt_span_is(n->op, "Add") ? ".beta" : NULL;
    /* The affine step of a flow, run backwards: (x - m) * exp(-logs). Exporters
     * fold the sign, simplifiers the exponential too. */
    if (column && last_part_has(module, "flows") && bt_span_is(n->op, "Sub"))
        return ".m";
    if (column && last_part_has(module, "flows") && bt_span_is(n->op, "Mul")) {
        *how = MINUS_LOG;
        return t->dtype == BT_F32 ? ".logs" : NULL;
    }
    if (column && last_part_has(module, "flows") && bt_span_is(n->op, "Exp")) {
        *how = NEGATED;
        return t->dtype == BT_F32 ? ".logs" : NULL;
    }
    return NULL;
}

/* t [rows][cols] to the store's own copy [cols][rows]: MatMul multiplies from the
 * right, torch's Linear holds [out][in]. */
static bool transpose(const bt_onnx *o, bt_tensor *t)
{
    const size_t rows = (size_t)t->dims[0], cols = (size_t)t->dims[1];
    const size_t size = bt_dtypes[t->dtype].bytes;
    uint8_t *data = bt_store_own(o->s, t->bytes);
    if (!data)
        return false;
    for (size_t c = 0; c < cols; c++)
        for (size_t r = 0; r < rows; r++)
            memcpy(data + (c * rows + r) * size, t->data + (r * cols + c) * size, size);
    t->data = data;
    t->dims[0] = (int64_t)cols;
    t->dims[1] = (int64_t)rows;
    return true;
}

/* The parameter that was exported as exp(-logs) or -logs. */
static bool restore_logs(const bt_onnx *o, bt_tensor *t, change how)
{
    const size_t n = t->bytes / sizeof(float);
    float *data = bt_store_own(o->s, t->bytes);
    if (!data)
        return false;
    memcpy(data, t->data, t->bytes);
    for (size_t i = 0; i < n; i++)
        data[i] = how == NEGATED ? -data[i] : -logf(data[i]);
    t->data = (const uint8_t *)data;
    return true;
}

/* Gives the weight at input i its module's name. A tensor under a name of its own
 * gets a second entry; a made-up name is replaced, and its data put right. */
static bt_status name_input(const bt_onnx *o, const bt_onnx_node *n, int i, const char *module)
{
    char name[BT_ONNX_NAME + 16];
    change how;
    const size_t len = bt_span_len(n->inputs[i]);
    if (len == 0 || len >= BT_ONNX_NAME)
        return BT_OK;
    memcpy(name, n->inputs[i].p, len);
    name[len] = 0;
    const bt_tensor *t = bt_store_find(o->s, name);
    if (!t)
        return BT_OK;
    const char *role = role_of(n, i, module, t, &how);
    const bool parameter = is_parameter_name(t->name);
    if (!role || (parameter && how != AS_IT_IS))
        return BT_OK;
    const size_t m = strlen(module);
    memcpy(name, module, m);
    strcpy(name + m, role);
    if (bt_store_find(o->s, name))
        return BT_OK;
    const size_t at = (size_t)(t - bt_store_at(o->s, 0));
    bt_tensor copy = *t;
    copy.name = bt_store_own_str(o->s, name, strlen(name));
    if (!copy.name)
        return bt_store_no_memory(o->s, o->err);
    if (parameter)
        return bt_store_add(o->s, o->file, &copy, o->err);
    if (t->bytes > 0 && ((how == TRANSPOSED && !transpose(o, &copy)) ||
                         ((how == MINUS_LOG || how == NEGATED) && !restore_logs(o, &copy, how))))
        return bt_store_no_memory(o->s, o->err);
    *bt_store_edit(o->s, at) = copy;
    return bt_store_rename(o->s, at, copy.name, o->err);
}

/* An attribute of whole numbers as metadata, unless all are `normal`. */
static bt_status note_attribute(const bt_onnx *o, const bt_onnx_node *n, const char *module,
                                const char *name, int64_t normal)
{
    char key[BT_ONNX_NAME + 32];
    int64_t v[MAX_INTS];
    size_t count = 0, plain = 0;
    bool scalar = false;
    bt_span attr;
    bt_field f;
    if (!bt_onnx_attribute(n, name, &attr))
        return BT_OK;
    while (bt_span_next(&attr, &f) > 0) {
        if (f.number != ATTR_INT && f.number != ATTR_INTS)
            continue;
        scalar = f.number == ATTR_INT;
        if (!bt_span_ints(&f, v, &count, MAX_INTS))
            return bt_fail(o->err, BT_EFORMAT, "%s: malformed ONNX: a bad attribute", o->file);
    }
    while (plain < count && v[plain] == normal)
        plain++;
    strcat(strcat(strcpy(key, module), "."), name);
    if (plain == count || bt_store_meta(o->s, key))
        return BT_OK;
    /* Bytes as GGUF has them: element type, count, values. */
    const size_t head = scalar ? 0 : 12;
    uint8_t *raw = bt_store_own(o->s, head + count * 8);
    bt_meta m = { .type = scalar ? BT_META_I64 : BT_META_ARRAY, .elem = BT_META_I64 };
    m.key = bt_store_own_str(o->s, key, strlen(key));
    if (!raw || !m.key)
        return bt_store_no_memory(o->s, o->err);
    const uint32_t elem = BT_META_I64;
    const uint64_t n64 = count;
    if (head) {
        memcpy(raw, &elem, 4);
        memcpy(raw + 4, &n64, 8);
    }
    memcpy(raw + head, v, count * 8);
    m.n = scalar ? 1 : count;
    m.raw = raw;
    m.raw_n = head + m.n * 8;
    m.items = raw + head;
    return bt_store_add_meta(o->s, o->file, &m, o->err);
}

bt_status bt_onnx_name_weights(const bt_onnx *o, const bt_onnx_node *n)
{
    static const struct {
        const char *name;
        int64_t normal;
    } settings[] = { { "strides", 1 }, { "dilations", 1 }, { "pads", 0 }, { "group", 1 } };
    char module[BT_ONNX_NAME];
    bt_status st = BT_OK;
    if (!bt_onnx_module(n->name, module))
        return BT_OK;
    for (int i = 0; i < n->n_inputs && st == BT_OK; i++)
        st = name_input(o, n, i, module);
    if (st == BT_OK)
        st = bt_onnx_name_quantized(o, n, module);
    if (!bt_span_is(n->op, "Conv") && !bt_span_is(n->op, "ConvTranspose"))
        return st;
    for (size_t i = 0; i < sizeof settings / sizeof *settings && st == BT_OK; i++)
        st = note_attribute(o, n, module, settings[i].name, settings[i].normal);
    return st;
}
