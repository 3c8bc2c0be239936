/* SPDX-License-Identifier: MIT
 * Words that no lexicon has: a transformer over letters that says four labels for each
 * (hibari's oov.onnx). Labels are read as CTC's are: runs of one label count once, blanks
 * not at all.
 *
 *   h = E[letter] + P[place]                          [n, 128]
 *   h += O attention(Q K V norm1(h));  h += B gelu(A norm2(h))     four times
 *   labels = argmax over each of 4 slots of H norm(h)     [n, 4 * labels]
 */
#include "parts.h"

#include <pthread.h>
#include <stdio.h>

#include "base/hash.h"
#include "formats/json.h"
#include "nn/layers.h"
#include "text/utf8.h"

enum {
    HEADS = 4,
    LONGEST_FILE = 1 << 20,
    MOST_LETTERS = 64,
    MOST_SLOTS = 16,
    MEMORY = 512,
    LONGEST_SOUND = 256
};
#define EPS 1e-5f

struct bt_unknown {
    pthread_mutex_t lock; /* until the matrices are made, by the first that needs them */
    bool made;
    bt_store *store;
    bt_weights *ws;
    bt_pool text;
    uint32_t *letters; /* letters[i] has the number i + 1; 0 pads */
    bt_str *labels;    /* labels[i] has the number i + 1; 0 is the blank */
    int n_letters, n_labels, slots, longest, layers;
};

/* A word's letters and what was made of them: names come again. */
typedef struct remembered {
    int32_t ids[MOST_LETTERS];
    int n; /* 0: free */
    size_t bytes;
    char phonemes[LONGEST_SOUND];
} remembered;

struct bt_unknown_job {
    bt_unknown *net;
    struct {
        bt_plan *plan;
        bt_node *ids, *places, *out;
    } of[MOST_LETTERS + 1];   /* by letters of the word, made when first asked for */
    remembered words[MEMORY]; /* at their hash; the later word wins */
};

/* ---- opening ----------------------------------------------------------------- */

static bt_status bad(const bt_unknown *u, const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "%s: %s", bt_store_path(u->store), what);
}

static bt_status read_alphabets(bt_unknown *u, const cJSON *json, bt_error *err)
{
    const cJSON *in = cJSON_GetObjectItemCaseSensitive(json, "in"), *item;
    const cJSON *out = cJSON_GetObjectItemCaseSensitive(json, "out");
    int64_t slots = 0, longest = 0;
    bt_json_i64(json, "slots", &slots);
    bt_json_i64(json, "maxlen", &longest);
    if (!cJSON_IsArray(in) || !cJSON_IsArray(out) || slots < 1 || slots > MOST_SLOTS ||
        longest < 1 || longest > MOST_LETTERS)
        return bad(u, "its .json lacks alphabets or sizes", err);
    u->slots = (int)slots;
    u->longest = (int)longest;
    u->letters = bt_pool_take(&u->text, (size_t)cJSON_GetArraySize(in) * sizeof *u->letters);
    u->labels = bt_pool_take(&u->text, (size_t)cJSON_GetArraySize(out) * sizeof *u->labels);
    if (!u->letters || !u->labels)
        return bt_no_memory(err, "alphabets");
    cJSON_ArrayForEach(item, in)
    {
        const char *s = cJSON_GetStringValue(item);
        if (!s || !*s)
            return bad(u, "its .json has an empty letter", err);
        bt_utf8_next(s, strlen(s), &u->letters[u->n_letters++]);
    }
    cJSON_ArrayForEach(item, out)
    {
        const char *s = cJSON_GetStringValue(item);
        if (!s)
            return bad(u, "its .json has an empty phoneme", err);
        u->labels[u->n_labels++] = bt_str_copy(&u->text, s, strlen(s));
    }
    return u->text.failed ? bt_no_memory(err, "alphabets") : BT_OK;
}

/* A matrix as the file has it. */
typedef struct stored {
    const bt_weight *floats; /* NULL: int8 */
    const bt_tensor *values; /* [rows, columns] */
    float scale;             /* of int8, with its zero */
    int zero;
    bool turned; /* [in, out] instead of [out, in] */
} stored;

static const bt_tensor *numbered(const bt_unknown *u, int number, const char *what)
{
    char key[64];
    snprintf(key, sizeof key, "onnx::MatMul_%d%s", number, what);
    return bt_store_find(u->store, key);
}

/* The exporter numbered it: [in, out] floats, or the same as int8 with one scale; or,
 * where the store knows its module, [out, in] by that name. */
static bt_status find_matrix(bt_unknown *u, int number, const char *module, stored *m,
                             bt_error *err)
{
    char key[64];
    *m = (stored){ .scale = 1 };
    snprintf(key, sizeof key, "%s.weight", module);
    m->floats = bt_weight_find(u->ws, key);
    m->turned = m->floats == NULL;
    if (m->turned) {
        snprintf(key, sizeof key, "onnx::MatMul_%d", number);
        m->floats = bt_weight_find(u->ws, key);
    }
    const bt_tensor *scale = numbered(u, number, "_scale"),
                    *zero = numbered(u, number, "_zero_point");
    m->values = m->floats ? bt_weight_tensor(m->floats) : numbered(u, number, "_quantized");
    if (!m->values || m->values->n_dims != 2 || m->values->dims[0] > 4096 ||
        m->values->dims[1] > 4096)
        return bad(u, "a matrix is missing", err);
    if (m->floats)
        return BT_OK;
    if (m->values->dtype != BT_I8 || !scale || scale->dtype != BT_F32 || !zero ||
        zero->dtype != BT_I8 || bt_tensor_count(scale) != 1 || bt_tensor_count(zero) != 1)
        return bad(u, "a matrix has no usable scale", err);
    memcpy(&m->scale, scale->data, sizeof m->scale);
    m->zero = (int8_t)zero->data[0];
    return BT_OK;
}

/* The matrix of this number or module, as the weight "name". */
static bt_status matrix(bt_unknown *u, int number, const char *module, const char *name,
                        bt_error *err)
{
    stored m;
    bt_status st = find_matrix(u, number, module, &m, err);
    if (st != BT_OK)
        return st;
    const int64_t rows = m.values->dims[0], columns = m.values->dims[1];
    float *from = m.floats ? bt_weight_values(m.floats, err) : NULL;
    float *to = bt_alloc((size_t)(rows * columns) * sizeof *to);
    const bt_weight *made = NULL;
    if (to && (from || !m.floats)) {
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++) {
                const int64_t k = i * columns + j;
                const float v =
                    from ? from[k] : m.scale * (float)((int8_t)m.values->data[k] - m.zero);
                to[m.turned ? j * rows + i : k] = v;
            }
        const int64_t dims[2] = { m.turned ? columns : rows, m.turned ? rows : columns };
        made = bt_weight_make(u->ws, name, to, 2, dims);
    }
    bt_release(from);
    bt_release(to);
    return made ? BT_OK : bt_no_memory(err, "a matrix");
}

/* The numbers of the exported graph: 490 the first layer's Q K V, eleven to a layer. */
static bt_status matrices(bt_unknown *u, bt_error *err)
{
    static const struct {
        int number;
        const char *module, *name;
    } part[] = { { 490, "in_proj", "qkv" },
                 { 498, "out_proj", "o" },
                 { 499, "linear1", "a" },
                 { 500, "linear2", "b" } };
    bt_status st = BT_OK;
    char module[32], name[32], norm[48];
    for (u->layers = 0;; u->layers++) {
        snprintf(norm, sizeof norm, "m.layers.%d.norm1.weight", u->layers);
        if (u->layers == 16 || !bt_store_find(u->store, norm))
            break;
        for (int i = 0; st == BT_OK && i < 4; i++) {
            if (u->layers == 0)
                snprintf(module, sizeof module, "%s", part[i].module);
            else
                snprintf(module, sizeof module, "%s_%d", part[i].module, u->layers);
            snprintf(name, sizeof name, "%s.%d", part[i].name, u->layers);
            st = matrix(u, part[i].number + 11 * u->layers, module, name, err);
        }
        if (st != BT_OK)
            return st;
    }
    return matrix(u, 490 + 11 * u->layers, "head", "labels", err);
}

/* A row for every letter and every place. */
static bt_status check_rows(bt_unknown *u, bt_error *err)
{
    const bt_tensor *e = bt_store_find(u->store, "m.emb.weight"),
                    *p = bt_store_find(u->store, "m.pos");
    if (!e || !p || e->dims[0] <= u->n_letters || p->dims[0] < u->longest)
        return bad(u, "fewer letters or places than its .json says", err);
    return BT_OK;
}

static bt_status read_json(bt_unknown *u, const char *path, bt_error *err)
{
    char *text;
    size_t n;
    cJSON *json;
    bt_status st = bt_file_read(path, LONGEST_FILE, &text, &n, err);
    if (st != BT_OK)
        return st;
    st = bt_json_parse(path, text, n, &json, err);
    bt_release(text);
    if (st != BT_OK)
        return st;
    st = read_alphabets(u, json, err);
    cJSON_Delete(json);
    return st;
}

bt_status bt_unknown_open(const char *folder, bool british, const bt_compute *c, bt_unknown **out,
                          bt_error *err)
{
    bt_buf path = { 0 };
    bt_unknown *u = bt_calloc(1, sizeof *u);
    *out = NULL;
    bt_buf_printf(&path, "%s/oov%s.onnx", folder, british ? "_gb" : "");
    if (!u || path.failed) {
        bt_release(u);
        bt_buf_free(&path);
        return bt_no_memory(err, "the network for unknown words");
    }
    bt_status st;
    pthread_mutex_init(&u->lock, NULL);
    BT_TRY(bt_store_open(path.data, &u->store, err));
    path.len -= strlen("onnx");
    bt_buf_puts(&path, "json");
    BT_TRY(path.failed ? bt_no_memory(err, "a path") : read_json(u, path.data, err));
    BT_TRY(bt_weights_create(u->store, c, &u->ws, err));
    BT_TRY(check_rows(u, err));
    bt_buf_free(&path);
    *out = u;
    return BT_OK;
fail:
    bt_buf_free(&path);
    bt_unknown_close(u);
    return st;
}

void bt_unknown_close(bt_unknown *u)
{
    if (!u)
        return;
    bt_weights_free(u->ws);
    bt_store_close(u->store);
    bt_pool_free(&u->text);
    pthread_mutex_destroy(&u->lock);
    bt_release(u);
}

/* The matrices take some milliseconds to turn, which a text of known words need not wait
 * for. */
static bt_status make_ready(bt_unknown *u, bt_error *err)
{
    bt_status st = BT_OK;
    pthread_mutex_lock(&u->lock);
    if (!u->made)
        st = matrices(u, err);
    u->made = st == BT_OK;
    pthread_mutex_unlock(&u->lock);
    return st;
}

/* ---- the network ------------------------------------------------------------------ */

static bt_node *attention(bt_graph *g, bt_node *x, int l)
{
    bt_node *y =
        bt_linear(g, x, bt_w(g, "qkv.%d", l), bt_w(g, "m.layers.%d.self_attn.in_proj_bias", l));
    const int64_t c = bt_shape_of(x).c;
    if (y && bt_shape_of(y).c != 3 * c)
        return bt_graph_fail(g, "layer %d has the wrong size", l);
    y = bt_attention(g, bt_slice(g, y, 0, c), bt_slice(g, y, c, 2 * c),
                     bt_slice(g, y, 2 * c, 3 * c), HEADS, HEADS, 0, 0);
    return bt_linear(g, y, bt_w(g, "o.%d", l), bt_w(g, "m.layers.%d.self_attn.out_proj.bias", l));
}

static bt_node *feed_forward(bt_graph *g, bt_node *x, int l)
{
    bt_node *y = bt_linear(g, x, bt_w(g, "a.%d", l), bt_w(g, "m.layers.%d.linear1.bias", l));
    y = bt_act_of(g, y, BT_ACT_GELU, 0);
    return bt_linear(g, y, bt_w(g, "b.%d", l), bt_w(g, "m.layers.%d.linear2.bias", l));
}

static bt_status build(bt_unknown_job *j, int n, bt_error *err)
{
    bt_unknown *u = j->net;
    bt_graph *g;
    const bt_status st = make_ready(u, err);
    if (st != BT_OK)
        return st;
    if (bt_graph_create(u->ws, &g) != BT_OK)
        return bt_no_memory(err, "a graph");
    bt_graph_precision(g, BT_PREC_F32);
    bt_node *ids = bt_input_ids(g, n), *places = bt_input_ids(g, n);
    bt_node *h =
        bt_add(g, bt_embed(g, ids, bt_w(g, "m.emb.weight")), bt_embed(g, places, bt_w(g, "m.pos")));
    for (int l = 0; l < u->layers; l++) {
        h = bt_add(g, h, attention(g, bt_nn_layer_norm(g, h, EPS, "m.layers.%d.norm1", l), l));
        h = bt_add(g, h, feed_forward(g, bt_nn_layer_norm(g, h, EPS, "m.layers.%d.norm2", l), l));
    }
    h = bt_linear(g, bt_nn_layer_norm(g, h, EPS, "m.norm"), bt_w(g, "labels"),
                  bt_w(g, "m.head.bias"));
    if (h && bt_shape_of(h).c != (int64_t)u->slots * (u->n_labels + 1))
        bt_graph_fail(g, "the network for unknown words has other labels than its .json");
    j->of[n].ids = ids;
    j->of[n].places = places;
    j->of[n].out = bt_output(g, h);
    return bt_plan_create(g, &j->of[n].plan, err);
}

bt_status bt_unknown_job_open(bt_unknown *u, bt_unknown_job **out)
{
    *out = bt_calloc(1, sizeof **out);
    if (!*out)
        return BT_ENOMEM;
    (*out)->net = u;
    return BT_OK;
}

void bt_unknown_job_close(bt_unknown_job *j)
{
    for (int n = 0; j && n <= MOST_LETTERS; n++)
        bt_plan_free(j->of[n].plan);
    bt_release(j);
}

/* ---- a word -------------------------------------------------------------------------- */

static int read_letters(const bt_unknown *u, bt_str word, int32_t *ids)
{
    int n = 0;
    for (size_t i = 0; i < word.n && n < u->longest;) {
        uint32_t c;
        i += bt_utf8_next(word.p + i, word.n - i, &c);
        for (int k = 0; k < u->n_letters; k++)
            if (u->letters[k] == c) {
                ids[n++] = k + 1;
                break;
            }
    }
    return n;
}

static bt_str read_labels(const bt_unknown *u, bt_pool *a, const float *x, int steps)
{
    const int n = u->n_labels + 1;
    bt_str out = BT_STR("");
    for (int i = 0, before = 0; i < steps; i++, x += n) {
        int best = 0;
        for (int k = 1; k < n; k++)
            if (x[k] > x[best])
                best = k;
        if (best != 0 && best != before)
            out = bt_str_cat(a, out, u->labels[best - 1]);
        before = best;
    }
    return out;
}

/* Runs the network on n letters. */
static bt_status ask(bt_unknown_job *j, const int32_t *ids, int n, bt_pool *a, bt_str *phonemes,
                     bt_error *err)
{
    bt_status st = j->of[n].plan ? BT_OK : build(j, n, err);
    if (st != BT_OK)
        return st;
    int32_t *in = bt_plan_data(j->of[n].plan, j->of[n].ids);
    int32_t *places = bt_plan_data(j->of[n].plan, j->of[n].places);
    if (!in || !places)
        return bt_no_memory(err, "the network for unknown words");
    memcpy(in, ids, (size_t)n * sizeof *in);
    for (int i = 0; i < n; i++)
        places[i] = i;
    st = bt_plan_run(j->of[n].plan, NULL, err);
    if (st == BT_OK)
        *phonemes =
            read_labels(j->net, a, bt_plan_data(j->of[n].plan, j->of[n].out), n * j->net->slots);
    return st;
}

bt_status bt_unknown_spell(bt_unknown_job *j, bt_pool *a, bt_str word, bt_str *phonemes,
                           bt_error *err)
{
    int32_t ids[MOST_LETTERS];
    const int n = read_letters(j->net, word, ids);
    *phonemes = BT_NO_STR;
    if (n == 0)
        return BT_OK;
    const size_t bytes = (size_t)n * sizeof *ids;
    remembered *m = &j->words[bt_hash(BT_HASH_INIT, ids, bytes) % MEMORY];
    if (m->n == n && memcmp(m->ids, ids, bytes) == 0) {
        *phonemes = bt_str_copy(a, m->phonemes, m->bytes);
        return BT_OK;
    }
    const bt_status st = ask(j, ids, n, a, phonemes, err);
    if (st != BT_OK || !phonemes->p || phonemes->n > sizeof m->phonemes)
        return st;
    memcpy(m->ids, ids, bytes);
    memcpy(m->phonemes, phonemes->p, phonemes->n);
    m->bytes = phonemes->n;
    m->n = n;
    return BT_OK;
}
