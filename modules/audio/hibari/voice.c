/* SPDX-License-Identifier: MIT
 * The voice's alphabet (vocab.json: {"character": id}), its language and its life.
 */
#include "audio/hibari/network.h"
#include "audio/hibari/vocoder.h"

#include <stdio.h>
#include <string.h>

#include "formats/json.h"

bool bt_hibari_is(const bt_store *s)
{
    return bt_store_find(s, "m.dec.0.gamma") && bt_store_find(s, "m.head.bias") &&
           bt_store_find(s, "pn.pro_out.weight");
}

static bt_status read_vocab(bt_hibari *v, bt_error *err)
{
    const bt_tensor *symbols = bt_store_find(v->store, "m.text.emb.weight");
    const int ids = symbols && symbols->dims[0] <= 1 << 20 ? (int)symbols->dims[0] : 0;
    char name[256];
    size_t n;
    const char *text = bt_store_file(v->store, "vocab.json", &n);
    if (!text)
        return bt_fail(err, BT_ENOTFOUND, "%s: the voice's vocab.json is not beside it",
                       bt_store_path(v->store));
    snprintf(name, sizeof name, "%s: the voice's vocab.json", bt_store_path(v->store));
    return bt_alphabet_read(&v->alphabet, text, n, NULL, 0, ids, name, err);
}

/* {"heart": {"file": "hibari.onnx", "language": "en-US", "british": false}, ...} */
bt_status bt_hibari_read_voices(bt_hibari *v, const char *file, const char *text, size_t n,
                                const char *name, bt_error *err)
{
    cJSON *root, *item;
    const char *s;
    const bt_status st = bt_json_parse(name, text, n, &root, err);
    if (st != BT_OK)
        return st;
    cJSON_ArrayForEach(item, root)
    {
        if (!(s = bt_json_str(item, "file")) || strcmp(s, file) != 0)
            continue;
        snprintf(v->name, sizeof v->name, "%s", item->string);
        bt_json_bool(item, "british", &v->british);
        if ((s = bt_json_str(item, "language")))
            snprintf(v->language, sizeof v->language, "%s", s);
    }
    cJSON_Delete(root);
    return BT_OK;
}

/* What voices.json does not tell stays as American English. */
static bt_status read_voices(bt_hibari *v, bt_error *err)
{
    const char *path = bt_store_path(v->store), *slash = strrchr(path, '/');
    char name[256];
    size_t n;
    snprintf(v->language, sizeof v->language, "en-US");
    const char *text = bt_store_file(v->store, "voices.json", &n);
    if (!text)
        return BT_OK;
    snprintf(name, sizeof name, "%s: the voice's voices.json", path);
    return bt_hibari_read_voices(v, slash ? slash + 1 : path, text, n, name, err);
}

bt_status bt_hibari_english(bt_hibari *v, const bt_english **out, bt_error *err)
{
    const char *path = bt_store_path(v->store), *slash = strrchr(path, '/');
    bt_status st = BT_OK;
    bt_buf folder = { 0 };
    bt_buf_printf(&folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    pthread_mutex_lock(&v->lock);
    if (!v->english)
        st = folder.failed ? bt_no_memory(err, "the voice")
                           : bt_english_open(folder.data, v->british, v->compute, &v->english, err);
    *out = v->english;
    pthread_mutex_unlock(&v->lock);
    bt_buf_free(&folder);
    return st;
}

/* Half of each filter of the decoder, then two frames that overlap, and whose pulses
 * reach two frames further: but these are fewer than the filters. */
static int reach(const bt_hibari *v)
{
    const bt_weight *w = bt_weight_find(v->ws, "m.dec_in.weight");
    int64_t sum = 4 + (w ? bt_weight_dim(w, 2) / 2 : 0);
    char name[64];
    for (int i = 0; i < BT_HIBARI_LINEARS; i++) {
        snprintf(name, sizeof name, "m.dec.%d.dw.weight", i);
        if (!(w = bt_weight_find(v->ws, name)))
            break;
        sum += bt_weight_dim(w, 2) / 2 * bt_hibari_dilation(v, "m.dec", i);
    }
    return sum < 4096 ? (int)sum : 4096;
}

bt_status bt_hibari_open(bt_store *s, const bt_compute *c, bt_hibari **out, bt_error *err)
{
    *out = NULL;
    bt_hibari *v = bt_calloc(1, sizeof *v);
    if (!v)
        return bt_no_memory(err, "the voice");
    v->store = s;
    v->compute = c;
    pthread_mutex_init(&v->lock, NULL); /* cannot fail with default attributes */
    bt_status st = bt_weights_create(s, c, &v->ws, err);
    if (st == BT_OK)
        st = bt_hibari_weights(v, err);
    if (st == BT_OK)
        st = read_vocab(v, err);
    if (st == BT_OK)
        st = read_voices(v, err);
    if (st == BT_OK)
        st = bt_hibari_tables_make(&v->tables, err);
    if (st == BT_OK)
        v->reach = reach(v);
    if (st != BT_OK) {
        v->store = NULL; /* stays the caller's */
        bt_hibari_close(v);
        return st;
    }
    *out = v;
    return BT_OK;
}

void bt_hibari_close(bt_hibari *v)
{
    if (!v)
        return;
    bt_weights_free(v->ws);
    for (int i = 0; i < v->n_linears; i++)
        bt_release(v->linear[i].gain);
    bt_alphabet_free(&v->alphabet);
    bt_english_close(v->english);
    pthread_mutex_destroy(&v->lock);
    bt_fft_free(v->tables.fft);
    bt_store_close(v->store);
    bt_release(v);
}
