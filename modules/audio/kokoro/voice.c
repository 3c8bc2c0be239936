/* SPDX-License-Identifier: MIT
 * A Kokoro voice: what the shapes of its tensors tell.
 */
#include "audio/kokoro/kokoro.h"

#define GEN "decoder.generator."

static bt_status bad(const bt_kokoro *k, const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "%s: not a Kokoro voice: %s", bt_store_path(k->store), what);
}

/* Everything that graphs are sized by is read, and bounded, here; their own checks then
 * compare whole shapes. */
static bt_status read_shapes(bt_kokoro *k, bt_error *err)
{
    k->n_tokens = bt_kok_dim(k, 0, "text_encoder.embedding.weight");
    k->hidden = bt_kok_dim(k, 1, "text_encoder.embedding.weight");
    k->bert = bt_kok_dim(k, 0, "bert.encoder.embedding_hidden_mapping_in.weight");
    k->positions = bt_kok_dim(k, 0, "bert.embeddings.position_embeddings.weight");
    k->bert_layers = 12; /* they share their weights: nothing tells */
    k->style = bt_kok_dim(k, 1, "decoder.encode.norm1.fc.weight");
    k->max_duration = bt_kok_dim(k, 0, "predictor.duration_proj.linear_layer.weight");
    k->harmonics = bt_kok_dim(k, 1, GEN "m_source.l_linear.weight");
    k->fft = bt_kok_dim(k, 0, GEN "conv_post.weight") - 2;
    k->stride[0] = bt_kok_dim(k, 2, GEN "ups.0.weight") / 2;
    k->stride[1] = bt_kok_dim(k, 2, GEN "ups.1.weight") / 2;
    if (!k->hidden || !k->n_tokens || !k->style)
        return bad(k, "the text encoder or the decoder is missing", err);
    if (k->bert < 64 || k->bert % 64 || k->positions < 3 || k->positions > BT_KOK_MOST ||
        !k->max_duration)
        return bad(k, "the duration predictor is missing", err);
    if (k->harmonics < 1 || k->harmonics > 32)
        return bad(k, "the source is missing", err);
    if (k->fft < 4 || k->fft % 4 || k->fft + 2 > BT_KOK_MAX_FFT || k->stride[0] < 1 ||
        k->stride[1] < 1 || k->stride[0] > 64 || k->stride[1] > 64)
        return bad(k, "the vocoder is missing or of another kind", err);
    k->hop = 2 * k->stride[0] * k->stride[1] * (k->fft / 4);
    if (k->hop > 2 * 1024 || k->hop < 2 * k->fft)
        return bad(k, "the vocoder makes too many or too few samples of a frame", err);
    return BT_OK;
}

bool bt_kokoro_is(const bt_store *s)
{
    static const char *const names[] = { "decoder.decoder.generator.m_source.l_linear.bias",
                                         "decoder.generator.m_source.l_linear.bias",
                                         "decoder.module.generator.m_source.l_linear.bias" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (bt_store_find(s, names[i]))
            return true;
    return false;
}

/* Builds both parts once: a voice with missing or wrong tensors is refused here and not in the
 * middle of a job, and every name is known from then on. */
static bt_status check_parts(const bt_kokoro *k, bt_error *err)
{
    bt_parts parts = bt_kok_parts(k);
    bt_part *p;
    bt_status st = bt_part_get(&parts, BT_KOK_TEXT, 3, &p, err);
    if (st == BT_OK)
        st = bt_part_get(&parts, BT_KOK_WAVE, 4, &p, err);
    bt_parts_clear(&parts);
    return st;
}

bt_status bt_kokoro_open(bt_store *s, const bt_compute *c, bt_kokoro **out, bt_error *err)
{
    bt_kokoro *k = bt_calloc(1, sizeof *k);
    *out = NULL;
    if (!k)
        return bt_no_memory(err, "a voice");
    k->store = s;
    k->compute = c;
    k->known = bt_calloc(BT_KOK_KNOWN, sizeof *k->known);
    bt_status st = k->known ? bt_weights_create(s, c, &k->ws, err) : bt_no_memory(err, "a voice");
    if (st == BT_OK)
        st = read_shapes(k, err);
    bt_error why = { 0 };
    if (st == BT_OK && check_parts(k, &why) != BT_OK)
        st = bt_fail(err, why.status, "%s: %s", bt_store_path(s), why.text);
    k->opened = true;
    if (st != BT_OK) {
        k->store = NULL;
        bt_kokoro_close(k);
        return st;
    }
    *out = k;
    return BT_OK;
}

void bt_kokoro_close(bt_kokoro *k)
{
    if (!k)
        return;
    bt_weights_free(k->ws);
    bt_kok_forget(k);
    bt_store_close(k->store);
    bt_release(k);
}
