/* SPDX-License-Identifier: MIT
 * The voice's JSON: sample rate, phonemes, speakers, defaults.
 */
#include "audio/vits/voice.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "text/utf8.h"

enum { MAX_ENTRIES = 100000 };

bool bt_voice_is(const bt_store *s)
{
    return bt_store_find(s, "dec.conv_pre.weight") && bt_store_find(s, "dec.ups.0.weight") &&
           bt_store_find(s, "enc_p.encoder.attn_layers.0.emb_rel_k");
}

static bt_status bad(const bt_voice *v, bt_error *err, const char *what)
{
    return bt_fail(err, BT_EFORMAT, "%s: the voice's JSON: %s", bt_store_path(v->store), what);
}

/* ---- phonemes ---------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(((const bt_phoneme *)a)->text, ((const bt_phoneme *)b)->text);
}

const bt_phoneme *bt_voice_phoneme(const bt_voice *v, const char *text, size_t n)
{
    int lo = 0, hi = v->n_phonemes;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        const char *t = v->phonemes[mid].text;
        int c = strncmp(t, text, n);
        if (c == 0 && t[n] == 0)
            return &v->phonemes[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* The values of a JSON array as ids of this voice. */
static bt_status read_ids(const bt_voice *v, const cJSON *list, bt_phoneme *p, bt_error *err)
{
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (n < 1 || n > 64)
        return bad(v, err, "a phoneme without ids");
    p->ids = bt_calloc((size_t)n, sizeof *p->ids);
    if (!p->ids)
        return bt_no_memory(err, "the voice");
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        int64_t id;
        if (!bt_json_whole(item, &id) || id < 0 || id >= v->n_symbols)
            return bad(v, err, "a phoneme's id is outside the model's symbols");
        p->ids[p->n_ids++] = (int32_t)id;
    }
    return BT_OK;
}

static bt_status read_phonemes(bt_voice *v, const cJSON *root, bt_error *err)
{
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(root, "phoneme_id_map"), *item;
    int n = cJSON_IsObject(map) ? cJSON_GetArraySize(map) : 0;
    if (n < 1 || n > MAX_ENTRIES)
        return bad(v, err, "no phoneme_id_map");
    v->phonemes = bt_calloc((size_t)n, sizeof *v->phonemes);
    if (!v->phonemes)
        return bt_no_memory(err, "the voice");
    cJSON_ArrayForEach(item, map)
    {
        bt_phoneme *p = &v->phonemes[v->n_phonemes++];
        p->text = bt_strdup(item->string);
        if (!p->text)
            return bt_no_memory(err, "the voice");
        bt_status st = read_ids(v, item, p, err);
        if (st != BT_OK)
            return st;
    }
    qsort(v->phonemes, (size_t)v->n_phonemes, sizeof *v->phonemes, by_text);
    static const char *const needed[] = { "_", "^", "$" };
    for (int i = 0; i < 3; i++)
        if (!bt_voice_phoneme(v, needed[i], 1))
            return bad(v, err, "phoneme_id_map lacks _, ^ or $");
    return BT_OK;
}

/* [["a","ɪ"], ...]: phonemes that become one where they meet. */
static bt_status read_clusters(bt_voice *v, const cJSON *root, bt_error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "vowel_clusters"), *item, *part;
    cJSON_ArrayForEach(item, list)
    {
        bt_buf whole = { 0 };
        cJSON_ArrayForEach(part, item) if (cJSON_IsString(part))
            bt_buf_puts(&whole, part->valuestring);
        const bt_phoneme *p = whole.len ? bt_voice_phoneme(v, whole.data, whole.len) : NULL;
        if (p) {
            v->phonemes[p - v->phonemes].is_cluster = true;
            if ((int)whole.len > v->longest_cluster)
                v->longest_cluster = (int)whole.len;
        }
        bool failed = whole.failed;
        bt_buf_free(&whole);
        if (failed)
            return bt_no_memory(err, "the voice");
    }
    return BT_OK;
}

/* ---- speakers ---------------------------------------------------------- */

static bt_status read_speakers(bt_voice *v, const cJSON *root, bt_error *err)
{
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(root, "speaker_id_map"), *item;
    int n = cJSON_IsObject(map) ? cJSON_GetArraySize(map) : 0;
    int64_t id = 0;
    if (n > MAX_ENTRIES)
        return bad(v, err, "too many speakers");
    v->speakers = bt_calloc((size_t)n + 1, sizeof *v->speakers);
    if (!v->speakers)
        return bt_no_memory(err, "the voice");
    cJSON_ArrayForEach(item, map)
    {
        if (n == 0)
            break;
        if (!bt_json_whole(item, &id) || id < 0 || id >= v->n_speakers)
            return bad(v, err, "a speaker's id is outside the model's speakers");
        bt_speaker *s = &v->speakers[v->n_named++];
        s->id = (int)id;
        s->name = bt_strdup(item->string);
        if (!s->name)
            return bt_no_memory(err, "the voice");
    }
    id = 0;
    bt_json_i64(root, "default_speaker_id", &id);
    if (id < 0 || id >= v->n_speakers)
        return bad(v, err, "default_speaker_id is outside the model's speakers");
    v->default_speaker = (int)id;
    return BT_OK;
}

int bt_voice_speaker(const bt_voice *v, const char *name)
{
    for (int i = 0; i < v->n_named; i++)
        if (strcmp(v->speakers[i].name, name) == 0)
            return v->speakers[i].id;
    char *end;
    long id = strtol(name, &end, 10);
    return end != name && *end == 0 && id >= 0 && id < v->n_speakers ? (int)id : -1;
}

/* ---- the rest ---------------------------------------------------------- */

static bt_status read_defaults(bt_voice *v, const cJSON *root, bt_error *err)
{
    const cJSON *audio = cJSON_GetObjectItemCaseSensitive(root, "audio");
    const cJSON *inference = cJSON_GetObjectItemCaseSensitive(root, "inference");
    int64_t rate = 0, hop = v->dec.hop;
    bt_json_i64(audio, "sample_rate", &rate);
    bt_json_i64(root, "hop_length", &hop);
    if (rate < 1000 || rate > 384000)
        return bad(v, err, "no sensible audio.sample_rate");
    if (hop != v->dec.hop)
        return bad(v, err, "hop_length is not the model's");
    v->sample_rate = (int)rate;
    v->noise_scale = 0.667; /* piper's */
    v->length_scale = 1;
    v->noise_w = 0.8;
    bt_json_f64(inference, "noise_scale", &v->noise_scale);
    bt_json_f64(inference, "length_scale", &v->length_scale);
    bt_json_f64(inference, "noise_w", &v->noise_w);
    if (!(v->noise_scale >= 0 && v->noise_scale <= 10) || !(v->noise_w >= 0 && v->noise_w <= 10) ||
        !(v->length_scale > 0 && v->length_scale <= 100))
        return bad(v, err, "inference has absurd scales");
    return BT_OK;
}

static bt_status read_language(bt_voice *v, const cJSON *root, bt_error *err)
{
    const char *type = bt_json_str(root, "phoneme_type");
    v->is_text = type && strcmp(type, "text") == 0;
    if (type && !v->is_text && strcmp(type, "espeak") != 0)
        return bt_fail(err, BT_EUNSUPPORTED, "%s: phonemes of type \"%.40s\" are not supported",
                       bt_store_path(v->store), type);
    const char *voice = bt_json_str(cJSON_GetObjectItemCaseSensitive(root, "espeak"), "voice");
    if (!v->is_text && (!voice || !*voice || strlen(voice) >= sizeof v->espeak_voice))
        return bad(v, err, "no espeak.voice");
    if (voice && strlen(voice) < sizeof v->espeak_voice)
        strcpy(v->espeak_voice, voice);
    return BT_OK;
}

static bt_status read_json(bt_voice *v, bt_error *err)
{
    size_t n = 0;
    const char *text = bt_store_file(v->store, "voice.json", &n);
    cJSON *root = NULL;
    bt_status st;
    if (!text)
        return bt_fail(err, BT_ENOTFOUND, "%s: the voice's JSON is missing (%s.json)",
                       bt_store_path(v->store), bt_store_path(v->store));
    char name[256];
    snprintf(name, sizeof name, "%s: the voice's JSON", bt_store_path(v->store));
    BT_TRY(bt_json_parse(name, text, n, &root, err));
    BT_TRY(read_defaults(v, root, err));
    BT_TRY(read_language(v, root, err));
    BT_TRY(read_phonemes(v, root, err));
    BT_TRY(read_clusters(v, root, err));
    BT_TRY(read_speakers(v, root, err));
fail:
    cJSON_Delete(root);
    return st;
}

bt_status bt_voice_open(bt_store *s, const bt_compute *c, bt_voice **out, bt_error *err)
{
    *out = NULL;
    bt_voice *v = bt_calloc(1, sizeof *v);
    if (!v)
        return bt_no_memory(err, "the voice");
    v->store = s;
    v->compute = c;
    bt_status st = bt_weights_create(s, c, &v->ws, err);
    if (st == BT_OK)
        st = bt_voice_shapes(v, err);
    if (st == BT_OK)
        st = read_json(v, err);
    if (st != BT_OK) {
        v->store = NULL; /* stays the caller's */
        bt_voice_close(v);
        return st;
    }
    *out = v;
    return BT_OK;
}

void bt_voice_close(bt_voice *v)
{
    if (!v)
        return;
    for (int i = 0; i < v->n_phonemes; i++) {
        bt_release(v->phonemes[i].text);
        bt_release(v->phonemes[i].ids);
    }
    for (int i = 0; i < v->n_named; i++)
        bt_release(v->speakers[i].name);
    bt_release(v->phonemes);
    bt_release(v->speakers);
    bt_weights_free(v->ws);
    bt_store_close(v->store);
    bt_release(v);
}
