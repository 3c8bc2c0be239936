/* SPDX-License-Identifier: MIT
 * What no tensor tells: HiFi-GAN's config.json as its package has it; the keys of Vocos's
 * config.yaml, as JSON. They stand in <path>.json, in config.json beside the file, or as text under
 * "config" in the metadata; what they lack is as published.
 */
#include <stdio.h>
#include <string.h>

#include "audio/vocoder/vocoder.h"
#include "formats/json.h"

static bt_status bad(const bt_vocoder *v, const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "%s: %s: %s", bt_store_path(v->store), v->settings, what);
}

/* A whole number from 1 on, or 0 for none; false: the key has another value. */
static bool read_size(const cJSON *o, const char *key, int *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);
    int64_t n;
    if (!item || cJSON_IsNull(item))
        return true;
    if (!bt_json_whole(item, &n) || n < 1 || n > 1 << 20)
        return false;
    *out = (int)n;
    return true;
}

/* An array of `n` whole numbers; no array: they stay as they are. */
static bool read_sizes(const cJSON *list, int n, int *out)
{
    if (!list)
        return true;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != n)
        return false;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        int64_t value;
        if (!bt_json_whole(item, &value) || value < 1 || value > 4096)
            return false;
        *out++ = (int)value;
    }
    return true;
}

/* ---- HiFi-GAN ----------------------------------------------------------- */

static bt_status hifigan_network(bt_vocoder *v, const cJSON *o, bt_error *err)
{
    bt_hifigan *d = &v->hifigan;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "resblock_dilation_sizes"), *one;
    int k = 0;
    if (!read_sizes(cJSON_GetObjectItemCaseSensitive(o, "upsample_rates"), d->n_stages, d->stride))
        return bad(v, "upsample_rates do not fit the tensors", err);
    if (list && cJSON_GetArraySize(list) != d->n_kernels)
        return bad(v, "resblock_dilation_sizes do not fit the tensors", err);
    cJSON_ArrayForEach(one, list)
    {
        if (!read_sizes(one, d->block_convs, d->dilation[k++]))
            return bad(v, "resblock_dilation_sizes do not fit the tensors", err);
    }
    return BT_OK;
}

static bt_status hifigan_settings(bt_vocoder *v, const cJSON *o, bt_error *err)
{
    bt_mel_form *m = &v->mel;
    int hop = 0, mels = 0;
    *m = bt_mel_hifigan();
    bt_status st = hifigan_network(v, o, err);
    if (st == BT_OK)
        st = bt_hifigan_shapes(&v->hifigan, bt_store_path(v->store), err);
    if (st != BT_OK)
        return st;
    m->n_mels = v->hifigan.channels;
    m->hop = v->hop = v->hifigan.hop;
    if (!read_size(o, "sampling_rate", &m->sample_rate) || !read_size(o, "n_fft", &m->n_fft) ||
        !read_size(o, "win_size", &m->win) || !read_size(o, "hop_size", &hop) ||
        !read_size(o, "num_mels", &mels))
        return bad(v, "a size is no positive whole number", err);
    if ((hop && hop != m->hop) || (mels && mels != m->n_mels))
        return bad(v, "hop_size or num_mels is not the generator's", err);
    bt_json_f64(o, "fmin", &m->fmin);
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(o, "fmax")))
        m->fmax = m->sample_rate / 2.0;
    bt_json_f64(o, "fmax", &m->fmax);
    m->pad = m->n_fft > m->hop ? (m->n_fft - m->hop) / 2 : 0;
    v->margin = v->hifigan.margin;
    v->align = v->hifigan.align;
    return BT_OK;
}

/* ---- Vocos -------------------------------------------------------------- */

static const cJSON *init_args(const cJSON *o, const char *part)
{
    const cJSON *p = cJSON_GetObjectItemCaseSensitive(o, part);
    return cJSON_GetObjectItemCaseSensitive(p, "init_args");
}

static bt_status vocos_settings(bt_vocoder *v, const cJSON *o, bt_error *err)
{
    const cJSON *features = init_args(o, "feature_extractor"), *head = init_args(o, "head");
    const char *padding = bt_json_str(head, "padding"), *mel = bt_json_str(features, "padding");
    bt_vocos *n = &v->vocos;
    bt_mel_form *m = &v->mel;
    const int channels = m->n_mels;
    int n_fft = n->n_fft, mels = channels;
    *m = bt_mel_vocos();
    m->n_fft = m->win = n->n_fft;
    n->hop = n->n_fft / 4;
    if (!read_size(head, "hop_length", &n->hop) || !read_size(head, "n_fft", &n_fft))
        return bad(v, "a size of the head is no positive whole number", err);
    m->hop = n->hop;
    if (!read_size(features, "sample_rate", &m->sample_rate) ||
        !read_size(features, "n_mels", &mels) || !read_size(features, "n_fft", &m->n_fft) ||
        !read_size(features, "hop_length", &m->hop))
        return bad(v, "a size of the features is no positive whole number", err);
    if (n_fft != n->n_fft || mels != channels || m->hop != n->hop || n->hop > n_fft)
        return bad(v, "n_mels, n_fft or hop_length do not fit the tensors", err);
    n->same = padding && strcmp(padding, "same") == 0;
    m->win = m->n_fft;
    m->n_mels = channels;
    m->fmax = m->sample_rate / 2; /* torchaudio's default */
    m->pad = mel && strcmp(mel, "same") == 0 ? (m->win - m->hop) / 2 : m->n_fft / 2;
    v->hop = n->hop;
    v->less = n->same ? 0 : 1;
    if (n->same && (n_fft - n->hop) % 2)
        return bad(v, "n_fft - hop_length is odd", err);
    return BT_OK;
}

/* ---- where they are ----------------------------------------------------- */

/* NULL: there are none. */
static const char *find_text(bt_vocoder *v, size_t *n)
{
    static const char *const files[][2] = { { "voice.json", "the model's JSON" },
                                            { "config.json", "config.json" } };
    for (int i = 0; i < 2; i++) {
        const char *text = bt_store_file(v->store, files[i][0], n);
        v->settings = files[i][1];
        if (text)
            return text;
    }
    v->settings = "metadata";
    return bt_store_str(v->store, "config", n);
}

bt_status bt_vocoder_settings(bt_vocoder *v, bt_error *err)
{
    size_t n = 0;
    cJSON *root = NULL;
    bt_status st = BT_OK;
    const char *text = find_text(v, &n);
    if (text) {
        char name[256];
        snprintf(name, sizeof name, "%s: %s", bt_store_path(v->store), v->settings);
        st = bt_json_parse(name, text, n, &root, err);
    } else {
        v->settings = "published";
    }
    if (st == BT_OK)
        st = v->is_vocos ? vocos_settings(v, root, err) : hifigan_settings(v, root, err);
    cJSON_Delete(root);
    return st == BT_OK ? bt_mel_check(&v->mel, bt_store_path(v->store), err) : st;
}
