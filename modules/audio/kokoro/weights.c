/* SPDX-License-Identifier: MIT
 * Kokoro's weights under the names of hexgrad's checkpoint ("decoder.decode.0.conv1.weight"),
 * whatever the file calls them:
 *   - the same, with or without "module." after the part's name;
 *   - weight_g and weight_v, whose norm is folded here;
 *   - the ONNX export's: a wrapper's "encoder." or "decoder." in front, some modules twice;
 *     quantized weights (formats/onnx_quantized.c), which become floats here;
 *     LSTMs as ONNX lays them out, with its order of gates.
 * What has to be computed is made once per voice, when a graph first asks for it.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kokoro.h"

enum { NAME = 192, ALIASES = 6 };

/* ---- names ------------------------------------------------------------------ */

static void put(char out[NAME], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out, NAME, fmt, ap);
    va_end(ap);
}

/* What module `m` may be called in a file; returns how many there are. */
static int aliases(const char *m, char out[ALIASES][NAME])
{
    const size_t head = strcspn(m, ".");
    const char *rest = m[head] ? m + head + 1 : "";
    int n = 0, i, j;
    put(out[n++], "%s", m);
    put(out[n++], "%.*s.module.%s", (int)head, m, rest);
    if (strncmp(m, "decoder.", 8) == 0) {
        put(out[n++], "decoder.%s", m);
        if (strcmp(m, "decoder.asr_res.0") == 0)
            put(out[n++], "decoder.decoder.asr_res.asr_res.0");
        return n;
    }
    put(out[n++], "encoder.%s", m);
    if (strncmp(m, "predictor.", 10) == 0) /* called by hand, not through the module */
        put(out[n++], "encoder.%s", rest);
    if (sscanf(m, "text_encoder.cnn.%d.%d", &i, &j) == 2)
        put(out[n++], "encoder.text_encoder.cnn.%d.cnn.%d.%d", i, i, j);
    return n;
}

static const bt_weight *find(const bt_kokoro *k, const char *module, const char *leaf)
{
    char name[2 * NAME];
    const int n = snprintf(name, sizeof name, "%s%s", module, leaf);
    return n < (int)sizeof name ? bt_weight_find(k->ws, name) : NULL;
}

/* ---- values ----------------------------------------------------------------- */

static int64_t count(const bt_weight *w) { return bt_tensor_count(bt_weight_tensor(w)); }

static bool is_whole(const bt_weight *w)
{
    const bt_dtype t = bt_weight_tensor(w)->dtype;
    return t == BT_I8 || t == BT_U8;
}

static int whole(const bt_weight *w, int64_t i)
{
    const bt_tensor *t = bt_weight_tensor(w);
    return t->dtype == BT_U8 ? t->data[i] : ((const int8_t *)t->data)[i];
}

/* (q - zero point) * scale to [outer][inner] floats, scales by `outer` where there are
 * several; turned: q is [inner][outer]. NULL: no memory, or sizes that do not fit. */
static float *dequantize(const bt_weight *q, const bt_weight *scale, const bt_weight *zero,
                         int64_t outer, int64_t inner, bool turned, bt_error *err)
{
    if (count(q) != outer * inner || (count(scale) != 1 && count(scale) != outer) ||
        (zero && (!is_whole(zero) || (count(zero) != 1 && count(zero) != outer)))) {
        bt_fail(err, BT_EFORMAT, "tensor %s has scales that do not fit", bt_weight_tensor(q)->name);
        return NULL;
    }
    float *s = bt_weight_values(scale, err), *v = NULL;
    if (s && !(v = bt_alloc((size_t)(outer * inner) * sizeof *v)))
        bt_no_memory(err, bt_weight_tensor(q)->name);
    for (int64_t o = 0; v && o < outer; o++) {
        const float f = s[count(scale) == 1 ? 0 : o];
        const int z = zero ? whole(zero, count(zero) == 1 ? 0 : o) : 0;
        for (int64_t i = 0; i < inner; i++)
            v[o * inner + i] = f * (float)(whole(q, turned ? i * outer + o : o * inner + i) - z);
    }
    bt_release(s);
    return v;
}

/* w = g v / |v|, the norm of each v[o] (torch.nn.utils.weight_norm, dim 0). */
static float *fold_norm(const bt_weight *g, const bt_weight *v, bt_error *err)
{
    const int64_t outer = bt_weight_dim(v, 0), inner = outer ? count(v) / outer : 0;
    if (count(g) != outer) {
        bt_fail(err, BT_EFORMAT, "tensor %s does not fit its weight_v", bt_weight_tensor(g)->name);
        return NULL;
    }
    float *gain = bt_weight_values(g, err), *w = gain ? bt_weight_values(v, err) : NULL;
    for (int64_t o = 0; w && o < outer; o++) {
        double sum = 0;
        for (int64_t i = 0; i < inner; i++)
            sum += (double)w[o * inner + i] * (double)w[o * inner + i];
        const float f = (float)((double)gain[o] / sqrt(sum));
        for (int64_t i = 0; i < inner; i++)
            w[o * inner + i] *= f;
    }
    bt_release(gain);
    return w;
}

/* v (released) as the weight `name`, with the dimensions of `like`, the first two
 * exchanged if it is turned. */
static const bt_weight *make(const bt_kokoro *k, const char *name, float *v, const bt_weight *like,
                             bool turned, bt_error *err)
{
    int64_t dims[BT_MAX_DIMS];
    const int n = bt_weight_tensor(like)->n_dims;
    for (int i = 0; i < n; i++)
        dims[i] = bt_weight_dim(like, turned && i < 2 ? 1 - i : i);
    const bt_weight *w = v ? bt_weight_make(k->ws, name, v, n, dims) : NULL;
    if (v && !w)
        bt_no_memory(err, name);
    bt_release(v);
    return w;
}

/* How a weight that has to be computed may lie there. The last is any quantized tensor
 * that kept its name (embeddings): for what a node multiplies by, the others say more. */
static const char *const forms[] = { ".weight", ".weight_turned", ".weight_quantized" };
enum { TURNED = 1, FORMS = 3 };

/* "<module>.weight" of such a form. NULL: none, or an error. */
static const bt_weight *compute(const bt_kokoro *k, const char *module, const char *name, int form,
                                bt_error *err)
{
    const bt_weight *g = find(k, module, ".weight_g"), *v = find(k, module, ".weight_v");
    const bt_weight *scale = find(k, module, ".weight_scale");
    if (g && v)
        return make(k, name, fold_norm(g, v, err), v, false, err);
    const bt_weight *q = find(k, module, forms[form]);
    const bool turned = form == TURNED;
    if (!scale || !q || !is_whole(q))
        return NULL;
    const int64_t outer = bt_weight_dim(q, turned), inner = outer ? count(q) / outer : 0;
    v = find(k, module, ".weight_zero_point");
    return make(k, name, dequantize(q, scale, v, outer, inner, turned, err), q, turned, err);
}

/* NULL without an error: there is none. */
static const bt_weight *look_up(const bt_kokoro *k, const char *name, bt_error *err)
{
    char module[NAME], names[ALIASES][NAME];
    const char *dot = strrchr(name, '.');
    const bool is_weight = strcmp(dot, ".weight") == 0;
    /* "alpha1.0": the leaf begins at the dot before the number */
    while (dot > name && dot[1] >= '0' && dot[1] <= '9')
        for (dot--; dot > name && *dot != '.'; dot--) {}
    put(module, "%.*s", (int)(dot - name), name);
    const int n = aliases(module, names);
    const bt_weight *w = bt_weight_find(k->ws, name);
    for (int i = 0; (!w || is_whole(w)) && i < n; i++)
        w = find(k, names[i], dot);
    for (int i = 0; is_weight && (!w || is_whole(w)) && i < FORMS * n && err->status == BT_OK; i++)
        w = compute(k, names[i % n], name, i / n, err);
    return err->status == BT_OK && w && !is_whole(w) ? w : NULL;
}

static const bt_weight *get(bt_graph *g, const bt_kokoro *k, bool must, const char *fmt, va_list ap)
{
    char name[NAME];
    bt_error err = { 0 };
    vsnprintf(name, sizeof name, fmt, ap);
    const bt_weight *w = look_up(k, name, &err);
    if (err.status != BT_OK)
        bt_graph_fail(g, "%s", err.text);
    else if (!w && must)
        bt_graph_fail(g, "the voice has no tensor %s", name);
    return w;
}

const bt_weight *bt_kok_w(bt_graph *g, const bt_kokoro *k, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const bt_weight *w = get(g, k, true, fmt, ap);
    va_end(ap);
    return w;
}

const bt_weight *bt_kok_opt(bt_graph *g, const bt_kokoro *k, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const bt_weight *w = get(g, k, false, fmt, ap);
    va_end(ap);
    return w;
}

/* Without computing anything: the shape of what look_up would find. */
int bt_kok_dim(const bt_kokoro *k, int i, const char *name)
{
    static const char *const end[] = { "", "_v", "_turned", "_quantized" };
    char module[NAME], names[ALIASES][NAME], leaf[NAME];
    const char *dot = strrchr(name, '.');
    put(module, "%.*s", (int)(dot - name), name);
    const int n = aliases(module, names);
    for (int a = 0; a < 4 * n; a++) {
        put(leaf, "%s%s", dot, end[a / n]);
        const bt_weight *w = find(k, names[a % n], leaf);
        const int64_t d = w ? bt_weight_dim(w, a / n == 2 && i < 2 ? 1 - i : i) : 0;
        if (w)
            return d > 0 && d <= 1 << 20 ? (int)d : 0;
    }
    return 0;
}
