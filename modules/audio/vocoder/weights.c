/* SPDX-License-Identifier: MIT
 * Weights that are products: torch's weight norm, w = g v / |v| over all but dimension 0 (in
 * its old form and that of torch.nn.utils.parametrizations); and the scale of a ConvNeXt
 * block's branch, gamma, which goes into its second layer.
 */
#include <stdio.h>
#include <string.h>

#include "audio/vocoder/vocoder.h"
#include "nn/weight_norm.h"

enum { STEM = 128, NAME = 192 };

static void scale_rows(const float *g, const float *v, int64_t rows, int64_t n, float *out)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            out[r * n + i] = v[r * n + i] * g[r];
}

static bt_status fill(const void *from, float *out, bt_error *err)
{
    const bt_scaled *s = from;
    const int64_t rows = bt_weight_dim(s->v, 0);
    const int64_t n = bt_tensor_count(bt_weight_tensor(s->v)) / rows;
    float *v = bt_weight_values(s->v, err), *g = v ? bt_weight_values(s->g, err) : NULL;
    if (g)
        (s->norm ? bt_nn_weight_norm : scale_rows)(g, v, rows, n, out);
    bt_release(v);
    bt_release(g);
    return g ? BT_OK : err->status;
}

/* `name` := the product of the tensors v and g. */
static bt_status derive(bt_vocoder *m, bt_scaled *s, const char *name, const char *v, const char *g,
                        bt_error *err)
{
    const char *file = bt_store_path(m->store);
    s->v = bt_weight_find(m->ws, v);
    s->g = bt_weight_find(m->ws, g);
    if (!s->v || !s->g)
        return bt_fail(err, BT_EFORMAT, "%s: tensor %s is missing", file, s->v ? g : v);
    const bt_tensor *t = bt_weight_tensor(s->v);
    int64_t dims[BT_MAX_DIMS];
    for (int i = 0; i < t->n_dims; i++)
        dims[i] = bt_weight_dim(s->v, i);
    if (t->n_dims < 1 || bt_tensor_count(t) < 1 ||
        bt_tensor_count(bt_weight_tensor(s->g)) != dims[0])
        return bt_fail(err, BT_EFORMAT, "%s: tensor %s does not fit %s", file, g, v);
    return bt_weight_derive(m->ws, name, t->n_dims, dims, fill, s) ? BT_OK
                                                                   : bt_no_memory(err, name);
}

/* The name without `end`; false: it does not end so. */
static bool stem_of(const char *name, const char *end, char stem[STEM])
{
    const size_t n = strlen(name), m = strlen(end);
    if (n <= m || n - m >= STEM || strcmp(name + n - m, end) != 0)
        return false;
    memcpy(stem, name, n - m);
    stem[n - m] = 0;
    return true;
}

static bt_status fold_norm(bt_vocoder *m, bt_scaled *s, const char *stem, const char *v,
                           const char *end, bt_error *err)
{
    char name[NAME], g[NAME];
    snprintf(name, sizeof name, "%s.weight", stem);
    snprintf(g, sizeof g, "%s%s", stem, end);
    s->norm = true;
    return derive(m, s, name, v, g, err);
}

/* Two products: weight and bias. */
static bt_status fold_gamma(bt_vocoder *m, bt_scaled *s, const char *stem, const char *gamma,
                            bt_error *err)
{
    static const char *const parts[] = { "weight", "bias" };
    char name[NAME], v[NAME];
    bt_status st = BT_OK;
    for (int i = 0; i < 2 && st == BT_OK; i++) {
        snprintf(name, sizeof name, "%s.pwconv2*gamma.%s", stem, parts[i]);
        snprintf(v, sizeof v, "%s.pwconv2.%s", stem, parts[i]);
        st = derive(m, &s[i], name, v, gamma, err);
    }
    return st;
}

bt_status bt_vocoder_weights(bt_vocoder *m, bt_error *err)
{
    const size_t n = bt_store_count(m->store);
    char stem[STEM];
    bt_status st = BT_OK;
    m->scaled = bt_calloc(2 * n + 1, sizeof *m->scaled);
    if (!m->scaled)
        return bt_no_memory(err, "the vocoder");
    for (size_t i = 0; i < n && st == BT_OK; i++) {
        const char *name = bt_store_at(m->store, i)->name;
        bt_scaled *s = &m->scaled[2 * i];
        if (stem_of(name, ".weight_v", stem))
            st = fold_norm(m, s, stem, name, ".weight_g", err);
        else if (stem_of(name, ".parametrizations.weight.original1", stem))
            st = fold_norm(m, s, stem, name, ".parametrizations.weight.original0", err);
        else if (stem_of(name, ".gamma", stem))
            st = fold_gamma(m, s, stem, name, err);
    }
    return st;
}
