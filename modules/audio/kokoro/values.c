/* SPDX-License-Identifier: MIT
 * Weights whose values have to be computed from what the file has: whole numbers with scales,
 * directions and norms, an LSTM's gates in ONNX's order. They are computed when somebody
 * packs them and not kept (bt_weight_derive).
 */
#include <string.h>

#include "audio/kokoro/weights.h"
#include "nn/weight_norm.h"

static int64_t count(const bt_weight *w) { return bt_tensor_count(bt_weight_tensor(w)); }

bool bt_kok_is_whole(const bt_weight *w)
{
    const bt_dtype t = bt_weight_tensor(w)->dtype;
    return t == BT_I8 || t == BT_U8;
}

static int whole(const bt_weight *w, int64_t i)
{
    const bt_tensor *t = bt_weight_tensor(w);
    return t->dtype == BT_U8 ? t->data[i] : ((const int8_t *)t->data)[i];
}

static void subtract(const bt_tensor *t, int64_t first, int64_t step, int64_t n, int zero,
                     float scale, float *out)
{
    if (t->dtype == BT_U8)
        for (int64_t i = 0; i < n; i++)
            out[i] = scale * (float)(t->data[first + i * step] - zero);
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = scale * (float)(((const int8_t *)t->data)[first + i * step] - zero);
}

/* out [outer][inner] = (q - zero point) * scale, scales by `outer` where there are several */
static bt_status fill_whole(const void *from, float *out, bt_error *err)
{
    const bt_kok_origin *o = from;
    const bt_weight *zero = o->zero;
    float *s = bt_weight_values(o->scale, err);
    if (!s)
        return err->status;
    for (int64_t r = 0; r < o->outer; r++) {
        const int z = zero ? whole(zero, count(zero) == 1 ? 0 : r) : 0;
        const float scale = s[count(o->scale) == 1 ? 0 : r];
        subtract(bt_weight_tensor(o->q), o->turned ? r : r * o->inner, o->turned ? o->outer : 1,
                 o->inner, z, scale, out + r * o->inner);
    }
    bt_release(s);
    return BT_OK;
}

static bt_status fill_norm(const void *from, float *out, bt_error *err)
{
    const bt_kok_origin *o = from;
    float *g = bt_weight_values(o->scale, err), *v = g ? bt_weight_values(o->q, err) : NULL;
    if (v)
        bt_nn_weight_norm(g, v, o->outer, o->inner, out);
    bt_release(g);
    bt_release(v);
    return v ? BT_OK : err->status;
}

/* Direction d of an ONNX LSTM's W, R [2][4 h][inner], or of whole numbers [2][inner][4 h] with
 * a scale each; gates i, o, f, c -> i, f, c, o */
static bt_status fill_gates(const void *from, float *out, bt_error *err)
{
    static const int order[4] = { 0, 2, 3, 1 };
    const bt_kok_origin *o = from;
    const int64_t h = o->outer / 4, n = o->outer * o->inner;
    float *s = o->scale ? bt_weight_values(o->scale, err) : NULL, *all = NULL;
    if (o->scale ? !s : !(all = bt_weight_values(o->q, err)))
        return err->status;
    for (int64_t r = 0; r < o->outer; r++) {
        const int64_t row = order[r / h] * h + r % h;
        float *to = out + r * o->inner;
        if (s)
            subtract(bt_weight_tensor(o->q), o->direction * n + row, o->outer, o->inner, 0,
                     s[o->direction], to);
        else
            memcpy(to, all + (o->direction * o->outer + row) * o->inner,
                   (size_t)o->inner * sizeof *to);
    }
    bt_release(s);
    bt_release(all);
    return BT_OK;
}

static const bt_weight *derive(bt_kokoro *k, const char *name, const bt_kok_origin *o, int n_dims,
                               const int64_t *dims, bt_weight_fill fill, bt_error *err)
{
    bt_kok_origin *kept = bt_calloc(1, sizeof *kept);
    if (kept) {
        *kept = *o;
        kept->next = k->origins;
        k->origins = kept;
    }
    const bt_weight *w = kept ? bt_weight_derive(k->ws, name, n_dims, dims, fill, kept) : NULL;
    if (!w)
        bt_no_memory(err, name);
    return w;
}

const bt_weight *bt_kok_from_whole(bt_kokoro *k, const char *name, const bt_weight *q, bool turned,
                                   const bt_weight *scale, const bt_weight *zero, bt_error *err)
{
    const int n = bt_weight_tensor(q)->n_dims;
    int64_t dims[BT_MAX_DIMS];
    if (n < 1 || (turned && n != 2) || count(q) < 1)
        return bt_fail(err, BT_EFORMAT, "tensor %s has a wrong shape", name), NULL;
    for (int i = 0; i < n; i++)
        dims[i] = bt_weight_dim(q, turned ? 1 - i : i);
    const bt_kok_origin o = { .q = q,
                              .scale = scale,
                              .zero = zero,
                              .turned = turned,
                              .outer = dims[0],
                              .inner = count(q) / dims[0] };
    if ((count(scale) != 1 && count(scale) != o.outer) ||
        (zero && (!bt_kok_is_whole(zero) || (count(zero) != 1 && count(zero) != o.outer))))
        return bt_fail(err, BT_EFORMAT, "tensor %s has scales that do not fit", name), NULL;
    return derive(k, name, &o, n, dims, fill_whole, err);
}

const bt_weight *bt_kok_from_norm(bt_kokoro *k, const char *name, const bt_weight *g,
                                  const bt_weight *v, bt_error *err)
{
    const int n = bt_weight_tensor(v)->n_dims;
    int64_t dims[BT_MAX_DIMS];
    for (int i = 0; i < n; i++)
        dims[i] = bt_weight_dim(v, i);
    if (n < 1 || count(v) < 1 || count(g) != dims[0])
        return bt_fail(err, BT_EFORMAT, "tensor %s: weight_g and weight_v do not fit", name), NULL;
    const bt_kok_origin o = { .q = v, .scale = g, .outer = dims[0], .inner = count(v) / dims[0] };
    return derive(k, name, &o, n, dims, fill_norm, err);
}

const bt_weight *bt_kok_from_gates(bt_kokoro *k, const char *name, const bt_weight *q,
                                   const bt_weight *scale, int direction, bt_error *err)
{
    const bool turned = bt_kok_is_whole(q);
    bt_kok_origin o = { .q = q, .scale = turned ? scale : NULL, .direction = direction };
    o.outer = bt_weight_dim(q, turned ? 2 : 1);
    o.inner = bt_weight_dim(q, turned ? 1 : 2);
    if (bt_weight_tensor(q)->n_dims != 3 || bt_weight_dim(q, 0) != 2 || o.outer < 4 ||
        o.outer % 4 || o.inner < 1 || (turned && (!scale || count(scale) != 2)))
        return bt_fail(err, BT_EFORMAT, "LSTM tensor %s is of a form that is not known", name),
               NULL;
    return derive(k, name, &o, 2, (int64_t[]){ o.outer, o.inner }, fill_gates, err);
}

/* B [2][8 h], first those of W, as [4 h] of one direction and kind (0: W, 1: R) */
const bt_weight *bt_kok_from_bias(bt_kokoro *k, const char *name, const bt_weight *b, int direction,
                                  int kind, bt_error *err)
{
    static const int order[4] = { 0, 2, 3, 1 };
    const int64_t h = count(b) / 16, n = 4 * h;
    if (h < 1 || count(b) != 16 * h)
        return bt_fail(err, BT_EFORMAT, "LSTM tensor %s has the wrong size", name), NULL;
    float *all = bt_weight_values(b, err), *v = all ? bt_alloc((size_t)n * sizeof *v) : NULL;
    for (int g = 0; v && g < 4; g++)
        memcpy(v + g * h, all + (2 * direction + kind) * n + order[g] * h, (size_t)h * sizeof *v);
    const bt_weight *w = v ? bt_weight_make(k->ws, name, v, 1, &n) : NULL;
    if (!w && err->status == BT_OK)
        bt_no_memory(err, name);
    bt_release(all);
    bt_release(v);
    return w;
}

/* Embeddings are read row by row where they lie, so theirs are kept. */
const bt_weight *bt_kok_kept(bt_kokoro *k, const char *name, const bt_weight *w, bt_error *err)
{
    char plain[BT_KOK_NAME + 8];
    if (!w)
        return NULL;
    strcat(strcpy(plain, name), "/rows");
    float *v = bt_weight_values(w, err);
    const bt_tensor *t = bt_weight_tensor(w);
    const bt_weight *made = v ? bt_weight_make(k->ws, plain, v, t->n_dims, t->dims) : NULL;
    if (v && !made)
        bt_no_memory(err, name);
    bt_release(v);
    return made;
}
