/* SPDX-License-Identifier: MIT
 * Vocoders: a mel spectrogram to samples. HiFi-GAN (Kong et al. 2020, V1 to V3) and Vocos
 * (Siuzdak 2023), from files with the tensor names of their own packages.
 */
#ifndef BT_AUDIO_VOCODER_H
#define BT_AUDIO_VOCODER_H

#include "audio/hifigan/hifigan.h"
#include "audio/speak/parts.h"
#include "dsp/fft.h"
#include "dsp/mel.h"
#include "module.h"

/* A tensor whose slices along dimension 0 are scaled (weights.c). */
typedef struct bt_scaled {
    const bt_weight *v, *g;
    bool norm; /* v's slices are brought to length 1 first: weight norm */
} bt_scaled;

/* What Vocos's network is, and the tables of its inverse transform. */
typedef struct bt_vocos {
    int n_blocks, n_fft, hop;
    bool same;     /* "same" padding: frames * hop samples; else (frames - 1) * hop */
    float *window; /* [n_fft] */
    bt_fft *fft;
} bt_vocos;

typedef struct bt_vocoder {
    bt_store *store;
    const bt_compute *compute;
    bt_weights *ws;
    bt_scaled *scaled;
    const char *settings; /* where those come from that no tensor tells: "config.json", ... */
    bt_mel_form mel;      /* of its input */
    bool is_vocos;
    bt_hifigan hifigan;
    bt_vocos vocos;
    int hop;           /* samples of a frame */
    int less;          /* frames less that the last ones make: 1 for centred Vocos */
    int margin, align; /* of chunks, as bt_hifigan has them */
} bt_vocoder;

enum { BT_VOCODER_CHUNK = 448 /* frames of new samples in a run of the network */ };

/* weights.c: "<layer>.weight" of layers with weight norm (weight_g and weight_v, or
 * parametrizations.weight.original0 and 1); "<block>.pwconv2*gamma" of ConvNeXt blocks. */
bt_status bt_vocoder_weights(bt_vocoder *v, bt_error *err);

/* settings.c: mel, strides and dilations, padding, from <path>.json, config.json or metadata;
 * tensors' sizes are known. */
bt_status bt_vocoder_settings(bt_vocoder *v, bt_error *err);

/* vocos.c: [F, n_mels] -> [F or F - 1, hop] */
bt_status bt_vocos_shapes(bt_vocoder *v, bt_error *err);
bt_status bt_vocos_tables(bt_vocoder *v, bt_error *err);
void bt_vocos_clear(bt_vocos *v);
bt_node *bt_vocos_network(bt_graph *g, const bt_vocos *v, bt_node *x);
/* op_istft.c: x [F, n_fft + 2], log magnitudes and phases -> as bt_vocos_network */
bt_node *bt_vocos_istft(bt_graph *g, const bt_vocos *v, bt_node *x);

/* synth.c */

/* A spectrogram, [n_mels][frames] or (`rows`) [frames][n_mels]. */
typedef struct bt_spectrogram {
    const float *x;
    int64_t frames;
    bool rows;
} bt_spectrogram;

/* For bt_parts.build: p->in[0] mel, p->out[0] samples. */
void bt_vocoder_build(bt_graph *g, const void *vocoder, bt_part *p);
/* dims of a 2- or 3-dimensional array as this vocoder's spectrogram over x; BT_EFORMAT:
 * it is none. */
bt_status bt_vocoder_input(const bt_vocoder *v, int n_dims, const int64_t *dims, const float *x,
                           bt_spectrogram *out, bt_error *err);
bt_status bt_vocode(bt_parts *p, const bt_spectrogram *s, const bt_run *r);

#endif
