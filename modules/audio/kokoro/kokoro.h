/* SPDX-License-Identifier: MIT
 * Kokoro-82M (hexgrad; StyleTTS2 of Li et al. 2023 with an iSTFTNet vocoder): phonemes and a
 * style to samples. Rows are tokens (T), frames of 600 samples (F), and what the vocoder
 * makes of them.
 */
#ifndef BT_AUDIO_KOKORO_H
#define BT_AUDIO_KOKORO_H

#include "audio/speak/parts.h"
#include "module.h"

enum {
    BT_KOK_KERNELS = 3,  /* residual blocks of a stage, and convolutions pairs of a block */
    BT_KOK_STAGES = 2,   /* upsampling stages of the vocoder */
    BT_KOK_MAX_FFT = 64, /* of the last transform; Kokoro's is 20 */
    BT_KOK_RATE = 24000,
    BT_KOK_MOST = 4096,  /* ids of a piece that a voice may take; Kokoro's takes 512 */
    BT_KOK_NAME = 192,   /* bytes of a tensor's name */
    BT_KOK_KNOWN = 4096, /* of the table of names; Kokoro has about 1100 */
};

struct bt_kok_origin;

/* A name that was looked up; w NULL: the file has no such tensor. */
typedef struct bt_kok_known {
    char *name;
    const bt_weight *w;
} bt_kok_known;

typedef struct bt_kokoro {
    bt_store *store;
    const bt_compute *compute;
    bt_weights *ws;
    struct bt_kok_origin *origins; /* of computed weights */
    bt_kok_known *known;           /* [BT_KOK_KNOWN], by hash */
    int n_known;
    bool opened; /* both are complete */

    int n_tokens, style;              /* symbols; half of a style row: 128 */
    int positions, bert, bert_layers; /* of the ALBERT: 512, 768, 12 */
    int hidden, max_duration;         /* 512, 50 */
    int harmonics;                    /* of the source: 9 */
    int stride[BT_KOK_STAGES];        /* of the vocoder: 10, 6 */
    int fft;                          /* 20; hops of a quarter */
    int hop;                          /* samples of a frame: 600 */
} bt_kokoro;

/* Takes `s` over if it succeeds. */
bt_status bt_kokoro_open(bt_store *s, const bt_compute *c, bt_kokoro **out, bt_error *err);
void bt_kokoro_close(bt_kokoro *k);
/* Voice of these tensors? */
bool bt_kokoro_is(const bt_store *s);

/* ---- weights.c: hexgrad's names, whatever the file calls them ------------- */

/* A weight as floats; missing: a sticky error, or NULL from bt_kok_opt. */
const bt_weight *bt_kok_w(bt_graph *g, const bt_kokoro *k, const char *fmt, ...) BT_PRINTF(3, 4);
const bt_weight *bt_kok_opt(bt_graph *g, const bt_kokoro *k, const char *fmt, ...) BT_PRINTF(3, 4);
void bt_kok_forget(bt_kokoro *k); /* frees what it knows; after the weights */
/* The size of dimension i, 0: no such tensor. */
int bt_kok_dim(const bt_kokoro *k, int i, const char *name);
/* "<prefix>.weight" and "<prefix>.bias" */
bt_node *bt_kok_linear(bt_graph *g, const bt_kokoro *k, bt_node *x, const char *fmt, ...)
    BT_PRINTF(4, 5);
bt_node *bt_kok_conv(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_conv p, const char *fmt, ...)
    BT_PRINTF(5, 6);
bt_node *bt_kok_embed(bt_graph *g, const bt_kokoro *k, bt_node *ids, const char *name);
const bt_weight *bt_kok_ones(bt_graph *g, const bt_kokoro *k, int64_t n);
/* A bidirectional LSTM. */
bt_node *bt_kok_lstm(bt_graph *g, const bt_kokoro *k, bt_node *x, const char *prefix);

/* ---- the network ----------------------------------------------------------- */

/* bert.c: ids, positions, zeros [T] -> [T, hidden] */
bt_node *bt_kok_bert(bt_graph *g, const bt_kokoro *k, bt_node *ids, bt_node *positions,
                     bt_node *zeros);
/* prosody.c: style [1, style], zeros [T] -> d [T, hidden + style], and duration logits [T, 50] */
bt_node *bt_kok_durations(bt_graph *g, const bt_kokoro *k, bt_node *bert, bt_node *style,
                          bt_node *zeros, bt_node **d);
/* prosody.c: en [F, hidden + style], twice = 0 0 1 1 2 2 .. -> pitch and energy [2F, 1] */
void bt_kok_curves(bt_graph *g, const bt_kokoro *k, bt_node *en, bt_node *style, bt_node *twice,
                   bt_node **pitch, bt_node **energy);
/* text.c: -> [T, hidden] */
bt_node *bt_kok_text(bt_graph *g, const bt_kokoro *k, bt_node *ids);
/* blocks.c: AdainResBlk1d; twice: NULL or the rows to double them by */
bt_node *bt_kok_block(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_node *style, bt_node *twice,
                      const char *fmt, ...) BT_PRINTF(6, 7);
/* blocks.c: style -> gamma and beta of "<prefix>.fc" */
bt_node *bt_kok_style(bt_graph *g, const bt_kokoro *k, bt_node *style, const char *prefix);
/* decoder.c: asr [F, hidden], curves -> [2F, 512] */
bt_node *bt_kok_decoder(bt_graph *g, const bt_kokoro *k, bt_node *asr, bt_node *pitch,
                        bt_node *energy, bt_node *style, bt_node *twice);
/* generator.c: x [2F, 512], har [F * hop / (fft / 4) + 1, fft + 2] -> samples [F * hop, 1] */
bt_node *bt_kok_generator(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_node *har,
                          bt_node *style);
/* op_sum.c: leaky ReLU(scale (a + b)); slope 1: none. late: b [n - 1, c] is one row later, the
 * row in front of it a reflected one */
bt_node *bt_kok_sum(bt_graph *g, bt_node *a, bt_node *b, bool late, float scale, float slope);
/* op_source.c: pitch [2F, 1], noise [F * hop, 1] -> har */
bt_node *bt_kok_source(bt_graph *g, const bt_kokoro *k, bt_node *pitch, bt_node *noise);
/* op_istft.c: [rows, fft + 2], log magnitudes and sines of phases -> [(rows - 1) * fft / 4, 1] */
bt_node *bt_kok_istft(bt_graph *g, bt_node *x);

/* ---- speaking ------------------------------------------------------------ */

/* The network in two parts, as plans (audio/speak/parts.h). */
typedef enum bt_kok_part {
    /* ids [T], in[STYLE], in[POSITIONS], in[ZEROS] -> out[0] d [T, hidden + style], out[1] text
     * [T, hidden], out[2] duration logits [T, 50] */
    BT_KOK_TEXT,
    /* in[STYLE], in[TWICE], in[EN], in[ASR], in[NOISE] -> out[0] samples
     * [F * hop, 1], out[1] pitch, out[2] energy [2F, 1] */
    BT_KOK_WAVE,
} bt_kok_part;

/* in[] of the parts; [1, 2 * style] is a whole row of styles, the decoder's half first. */
enum {
    BT_KOK_IN_STYLE,
    BT_KOK_IN_POSITIONS,
    BT_KOK_IN_ZEROS,
    BT_KOK_IN_TWICE = BT_KOK_IN_STYLE + 1,
    BT_KOK_IN_EN,
    BT_KOK_IN_ASR,
    BT_KOK_IN_NOISE,
};

/* plans.c: for bt_parts.build. */
void bt_kok_build(bt_graph *g, const void *voice, bt_part *p);

static inline bt_parts bt_kok_parts(const bt_kokoro *k)
{
    return (bt_parts){ .voice = k, .ws = k->ws, .build = bt_kok_build };
}

/* synth.c: ids with the padding 0 at both ends -> samples. */
typedef struct bt_kok_piece {
    const int32_t *ids;
    size_t n;
    const float *style;             /* [2 * style] */
    float length_scale;             /* 1 / speed */
    float noise_scale;              /* 1: as trained; on the source's noise */
    uint64_t seed;                  /* of that noise: a torch CPU generator per piece */
    int32_t durations[BT_KOK_MOST]; /* made: frames of each id */
    int64_t frames;                 /* made: their sum */
    float *samples;                 /* made: [frames * hop], good until the parts are used again */
} bt_kok_piece;

/* r: cancel, trace, error; nothing else is asked for. */
bt_status bt_kok_speak(bt_parts *p, bt_kok_piece *x, const bt_run *r);

#endif
