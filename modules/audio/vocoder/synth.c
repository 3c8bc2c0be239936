/* SPDX-License-Identifier: MIT
 * A spectrogram to samples. A frame's samples depend on `margin` frames to each side and no
 * more, so long spectrograms are decoded in chunks: memory stays bounded, the first samples are
 * there early, and the bytes are those of one run over the whole.
 */
#include <math.h>
#include <string.h>

#include "audio/vocoder/vocoder.h"

enum { MOST_FRAMES = 1 << 24 };

void bt_vocoder_build(bt_graph *g, const void *vocoder, bt_part *p)
{
    const bt_vocoder *v = vocoder;
    if (v->compute->precision == BT_PREC_AUTO)
        bt_graph_precision(g, bt_sound_auto(v->compute));
    bt_node *x = p->in[0] = bt_input(g, (bt_shape){ 1, 1, p->size, v->mel.n_mels });
    if (v->is_vocos)
        x = bt_vocos_network(g, &v->vocos, x);
    else
        x = bt_hifigan_end(g, &v->hifigan, bt_hifigan_begin(g, &v->hifigan, x));
    p->out[0] = bt_output(g, x);
    const bt_shape s = bt_shape_of(x);
    if (x && s.w * s.c != (p->size - v->less) * v->hop)
        bt_graph_fail(g, "the vocoder does not make %d samples of a frame", v->hop);
}

bt_status bt_vocoder_input(const bt_vocoder *v, int n_dims, const int64_t *dims, const float *x,
                           bt_spectrogram *out, bt_error *err)
{
    const int mels = v->mel.n_mels;
    if (n_dims == 3 && dims[0] == 1) {
        n_dims = 2;
        dims++;
    }
    if (n_dims != 2 || (dims[0] != mels && dims[1] != mels))
        return bt_fail(err, BT_EFORMAT,
                       "the array is no mel spectrogram of %d bands, [%d, frames] or [frames, %d]",
                       mels, mels, mels);
    *out = (bt_spectrogram){ .x = x, .rows = dims[0] != mels };
    out->frames = out->rows ? dims[0] : dims[1];
    if (out->frames <= v->less || out->frames > MOST_FRAMES)
        return bt_fail(err, BT_EFORMAT, "a mel spectrogram of %lld frames is too %s",
                       (long long)out->frames, out->frames <= v->less ? "short" : "long");
    for (int64_t i = 0; x && i < out->frames * mels; i++)
        if (!isfinite(x[i]))
            return bt_fail(err, BT_EFORMAT, "the mel spectrogram holds values that are no numbers");
    return BT_OK;
}

/* Frames lo..hi as rows. */
static void fill(const bt_vocoder *v, const bt_spectrogram *s, int64_t lo, int64_t hi, float *dst)
{
    const int64_t mels = v->mel.n_mels;
    if (s->rows) {
        memcpy(dst, s->x + lo * mels, (size_t)((hi - lo) * mels) * sizeof *dst);
        return;
    }
    for (int64_t m = 0; m < mels; m++)
        for (int64_t f = lo; f < hi; f++)
            dst[(f - lo) * mels + m] = s->x[m * s->frames + f];
}

static bt_status decode(bt_parts *parts, const bt_spectrogram *s, const bt_run *r,
                        const bt_chunk *c)
{
    const bt_vocoder *v = parts->voice;
    bt_part *p;
    bt_status st = bt_part_get(parts, 0, c->hi - c->lo, &p, r->error);
    if (st != BT_OK)
        return st;
    float *in = bt_plan_data(p->plan, p->in[0]);
    if (!in)
        return bt_no_memory(r->error, "the vocoder");
    fill(v, s, c->lo, c->hi, in);
    st = bt_run_plan(r, p->plan, "vocoder");
    if (st != BT_OK)
        return st;
    const float *out = bt_plan_data(p->plan, p->out[0]);
    const int64_t end = c->b == s->frames ? c->b - v->less : c->b;
    st = r->samples(r->host, v->mel.sample_rate, out + (c->a - c->lo) * v->hop,
                    (size_t)((end - c->a) * v->hop));
    return st == BT_OK ? r->progress(r->host, "vocode", (int)c->b, (int)s->frames) : st;
}

bt_status bt_vocode(bt_parts *parts, const bt_spectrogram *s, const bt_run *r)
{
    const bt_vocoder *v = parts->voice;
    bt_status st = BT_OK;
    for (int64_t a = 0; st == BT_OK && a < s->frames;) {
        const bt_chunk c = bt_chunk_at(a, BT_VOCODER_CHUNK, s->frames, v->margin, v->align);
        st = decode(parts, s, r, &c);
        a = c.b;
    }
    return st;
}
