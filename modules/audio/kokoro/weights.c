/* SPDX-License-Identifier: MIT
 * Kokoro's weights under the names of hexgrad's checkpoint ("decoder.decode.0.conv1.weight"),
 * whatever the file calls them:
 *   - the same, with or without "module." after the part's name;
 *   - weight_g and weight_v, whose norm is folded here;
 *   - the ONNX export's: a wrapper's "encoder." or "decoder." in front, some modules twice;
 *     quantized weights (formats/onnx_quantized.c), which become floats here;
 *     LSTMs as ONNX lays them out, with its order of gates.
 * What has to be computed is values.c's.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audio/kokoro/weights.h"
#include "base/hash.h"
#include "graph/builder.h"

enum { ALIASES = 6 };

/* ---- names ------------------------------------------------------------------ */

static void put(char out[BT_KOK_NAME], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out, BT_KOK_NAME, fmt, ap);
    va_end(ap);
}

/* What module `m` may be called in a file; returns how many there are. */
static int aliases(const char *m, char out[ALIASES][BT_KOK_NAME])
{
    const size_t head = strcspn(m, ".");
    const char *rest = m[head] ? m + head + 1 : "";
    int n = 0, i, j;
    put(out[n++], "%s", m);
    put(out[n++], "%.*s.module%s", (int)head, m, m + head);
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
    char name[2 * BT_KOK_NAME];
    const int n = snprintf(name, sizeof name, "%s%s", module, leaf);
    return n < (int)sizeof name ? bt_weight_find(k->ws, name) : NULL;
}

/* ---- finding -------------------------------------------------------------- */

/* How a weight that has to be computed may lie there. The last is any quantized tensor
 * that kept its name (embeddings): for what a node multiplies by, the others say more. */
static const char *const forms[] = { ".weight", ".weight_turned", ".weight_quantized" };
enum { TURNED = 1, FORMS = 3 };

/* "<module>.weight" of such a form. NULL: none, or an error. */
static const bt_weight *compute(bt_kokoro *k, const char *module, const char *name, int form,
                                bt_error *err)
{
    const bt_weight *g = find(k, module, ".weight_g"), *v = find(k, module, ".weight_v");
    const bt_weight *q = find(k, module, forms[form]), *scale = find(k, module, ".weight_scale");
    if (g && v)
        return bt_kok_from_norm(k, name, g, v, err);
    if (!scale || !q || !bt_kok_is_whole(q))
        return NULL;
    const bt_weight *zero = find(k, module, ".weight_zero_point");
    const bt_weight *w = bt_kok_from_whole(k, name, q, form == TURNED, scale, zero, err);
    return strstr(name, "embedding") ? bt_kok_kept(k, name, w, err) : w;
}

/* "predictor.lstm" + ".weight_hh_l0_reverse" out of ONNX's W, R and B. */
static const bt_weight *lstm_part(bt_kokoro *k, const char *module, const char *leaf,
                                  const char *name, bt_error *err)
{
    const bool hidden = strstr(leaf, "_hh_") != NULL;
    const int direction = strstr(leaf, "_reverse") != NULL;
    if (strncmp(leaf, ".bias_", 6) == 0) {
        const bt_weight *b = find(k, module, ".B");
        return b ? bt_kok_from_bias(k, name, b, direction, hidden, err) : NULL;
    }
    const bt_weight *w = find(k, module, hidden ? ".R" : ".W");
    const bt_weight *scale = find(k, module, hidden ? ".R_scale" : ".W_scale");
    return w ? bt_kok_from_gates(k, name, w, scale, direction, err) : NULL;
}

static bool usable(const bt_weight *w) { return w && !bt_kok_is_whole(w); }

/* NULL without an error: there is none. */
static const bt_weight *look_up(bt_kokoro *k, const char *name, bt_error *err)
{
    char module[BT_KOK_NAME], names[ALIASES][BT_KOK_NAME];
    const char *dot = strrchr(name, '.');
    /* "alpha1.0": the leaf begins at the dot before the number */
    while (dot > name && dot[1] >= '0' && dot[1] <= '9')
        for (dot--; dot > name && *dot != '.'; dot--) {}
    put(module, "%.*s", (int)(dot - name), name);
    const int n = aliases(module, names);
    const bt_weight *w = NULL;
    for (int i = 0; !usable(w) && i < n; i++)
        w = find(k, names[i], dot);
    if (usable(w))
        return w;
    w = NULL;
    const bool is_weight = strcmp(dot, ".weight") == 0, is_lstm = strstr(dot, "_l0") != NULL;
    for (int i = 0; !w && i < FORMS * n && err->status == BT_OK; i++) {
        if (is_weight)
            w = compute(k, names[i % n], name, i / n, err);
        else if (is_lstm && i < n)
            w = lstm_part(k, names[i], dot, name, err);
    }
    return w;
}

/* ---- a table of what was found, so that plans are made quickly ------------------- */

static bt_kok_known *slot(const bt_kokoro *k, const char *name)
{
    uint64_t h = bt_hash(BT_HASH_INIT, name, strlen(name));
    while (k->known[h % BT_KOK_KNOWN].name && strcmp(k->known[h % BT_KOK_KNOWN].name, name) != 0)
        h++;
    return &k->known[h % BT_KOK_KNOWN];
}

/* While the voice is opened by one thread all names that graphs ask for are looked up once;
 * from then on the table is only read. */
static const bt_weight *known(bt_kokoro *k, const char *name, bt_error *err)
{
    bt_kok_known *s = slot(k, name);
    if (s->name || k->opened)
        return s->w;
    if (k->n_known == BT_KOK_KNOWN / 2)
        return bt_fail(err, BT_EUNSUPPORTED, "the voice has too many tensors"), NULL;
    s->w = look_up(k, name, err);
    s->name = err->status == BT_OK ? bt_strdup(name) : NULL;
    k->n_known += s->name != NULL;
    if (!s->name && err->status == BT_OK)
        bt_no_memory(err, name);
    return s->w;
}

void bt_kok_forget(bt_kokoro *k)
{
    for (int i = 0; k->known && i < BT_KOK_KNOWN; i++)
        bt_release(k->known[i].name);
    bt_release(k->known);
    while (k->origins) {
        bt_kok_origin *o = k->origins;
        k->origins = o->next;
        bt_release(o);
    }
}

static const bt_weight *get(bt_graph *g, const bt_kokoro *k, bool must, const char *fmt, va_list ap)
{
    char name[BT_KOK_NAME];
    bt_error err = { 0 };
    vsnprintf(name, sizeof name, fmt, ap);
    const bt_weight *w = known((bt_kokoro *)k, name, &err);
    if (err.status != BT_OK && g->error.status == BT_OK)
        bt_fail(&g->error, err.status, "%s", err.text);
    else if (!w && must)
        bt_graph_fail(g, "the voice has no tensor %s", name);
    return err.status == BT_OK ? w : NULL;
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
    char module[BT_KOK_NAME], names[ALIASES][BT_KOK_NAME], leaf[BT_KOK_NAME];
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
