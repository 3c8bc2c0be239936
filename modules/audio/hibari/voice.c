/* SPDX-License-Identifier: MIT
 * The voice's alphabet (vocab.json: {"character": id}), its language and its life.
 */
#include "audio/hibari/network.h"
#include "audio/hibari/vocoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "text/utf8.h"

bool bt_hibari_is(const bt_store *s)
{
    return bt_store_find(s, "m.dec.0.gamma") && bt_store_find(s, "m.head.bias") &&
           bt_store_find(s, "pn.pro_out.weight");
}

static bt_status bad(const bt_hibari *v, bt_error *err, const char *what)
{
    return bt_fail(err, BT_EFORMAT, "%s: the voice's vocab.json: %s", bt_store_path(v->store),
                   what);
}

static int by_code(const void *a, const void *b)
{
    const bt_hibari_phoneme *x = a, *y = b;
    return (x->code > y->code) - (x->code < y->code);
}

int32_t bt_hibari_phoneme_id(const bt_hibari *v, uint32_t code)
{
    const bt_hibari_phoneme key = { .code = code };
    const bt_hibari_phoneme *p =
        bsearch(&key, v->phonemes, (size_t)v->n_phonemes, sizeof key, by_code);
    return p ? p->id : -1;
}

static bt_status read_phonemes(bt_hibari *v, const cJSON *root, bt_error *err)
{
    const int n = cJSON_GetArraySize(root);
    const cJSON *item;
    if (n < 1 || n > 10000)
        return bad(v, err, "no sensible number of phonemes");
    v->phonemes = bt_calloc((size_t)n, sizeof *v->phonemes);
    if (!v->phonemes)
        return bt_no_memory(err, "the voice");
    cJSON_ArrayForEach(item, root)
    {
        const size_t len = strlen(item->string);
        uint32_t code = 0;
        int64_t id;
        if (len == 0 || bt_utf8_next(item->string, len, &code) != len)
            return bad(v, err, "a phoneme that is not one character");
        if (!bt_json_whole(item, &id) || id < 0 || id >= v->n_symbols)
            return bad(v, err, "an id that is outside the model's symbols");
        v->phonemes[v->n_phonemes++] = (bt_hibari_phoneme){ code, (int32_t)id };
    }
    qsort(v->phonemes, (size_t)v->n_phonemes, sizeof *v->phonemes, by_code);
    return BT_OK;
}

static bt_status read_vocab(bt_hibari *v, bt_error *err)
{
    const bt_tensor *symbols = bt_store_find(v->store, "m.text.emb.weight");
    const char *text;
    char name[256];
    size_t n;
    cJSON *root;
    v->n_symbols = symbols && symbols->dims[0] <= 1 << 20 ? (int)symbols->dims[0] : 0;
    text = bt_store_file(v->store, "vocab.json", &n);
    if (!text)
        return bt_fail(err, BT_ENOTFOUND, "%s: the voice's vocab.json is not beside it",
                       bt_store_path(v->store));
    snprintf(name, sizeof name, "%s: the voice's vocab.json", bt_store_path(v->store));
    bt_status st = bt_json_parse(name, text, n, &root, err);
    if (st == BT_OK) {
        st = read_phonemes(v, root, err);
        cJSON_Delete(root);
    }
    return st;
}

/* voices.json: {"heart": {"file": "hibari.onnx", "language": "en-US", "british": false}, ...};
 * what it does not tell stays as American English. */
static bt_status read_voices(bt_hibari *v, bt_error *err)
{
    const char *path = bt_store_path(v->store), *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path, *text, *s;
    cJSON *root, *item;
    size_t n;
    snprintf(v->language, sizeof v->language, "en-US");
    text = bt_store_file(v->store, "voices.json", &n);
    if (!text)
        return BT_OK;
    char name[256];
    snprintf(name, sizeof name, "%s: the voice's voices.json", path);
    bt_status st = bt_json_parse(name, text, n, &root, err);
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
    bt_release(v->phonemes);
    bt_english_close(v->english);
    pthread_mutex_destroy(&v->lock);
    bt_fft_free(v->tables.fft);
    bt_store_close(v->store);
    bt_release(v);
}
