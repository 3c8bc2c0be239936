/* SPDX-License-Identifier: MIT
 * The parts of VITS (Kim et al. 2021; Piper's form of it) as graphs, and the
 * plans made of them. Rows are phonemes (T) or frames (F).
 */
#ifndef BT_AUDIO_VITS_H
#define BT_AUDIO_VITS_H

#include "audio/speak/parts.h"
#include "audio/speak/speak.h"
#include "audio/vits/voice.h"

/* The speaker's embedding [1,1,1,gin], or NULL for voices of one speaker.
 * `speaker` gets the input to fill with its number, or NULL. */
bt_node *bt_vits_speaker(bt_graph *g, const bt_voice *v, bt_node **speaker);
/* x + cond(speaker); x itself for voices of one speaker. */
bt_node *bt_vits_condition(bt_graph *g, const bt_voice *v, bt_node *x, bt_node *speaker,
                           const char *layer);

/* encoder.c: ids [T] -> x [T, hidden], stats [T, 2 * inter] (mean, log deviation) */
void bt_vits_encoder(bt_graph *g, const bt_voice *v, bt_node *ids, bt_node **x, bt_node **stats);
/* duration.c: x [T, hidden], noise z[2], each [T, 1] -> [T, 1], which is
 * log(duration) once bt_vits_log_duration has undone the last affine step. */
bt_node *bt_vits_duration(bt_graph *g, const bt_voice *v, bt_node *x, bt_node *speaker,
                          bt_node *const z[2]);
bt_status bt_vits_affine(const bt_voice *v, float *m, float *logs, bt_error *err);
/* spline.c: y [T,1], u [T, 3 * bins - 1] -> [T,1]: inverse of a monotonic
 * rational-quadratic spline; scale goes on widths and heights. */
bt_node *bt_vits_spline(bt_graph *g, bt_node *y, bt_node *u, int bins, float scale);
/* flow.c: the two halves of z [F, inter / 2] each, replaced by the latents. */
void bt_vits_flow(bt_graph *g, const bt_voice *v, bt_node *speaker, bt_node *z[2]);
/* vocoder.c: z [F, inter] -> samples [F * hop, 1] */
bt_node *bt_vits_vocoder(bt_graph *g, const bt_voice *v, bt_node *z, bt_node *speaker);

typedef enum bt_vits_part { BT_VITS_ENCODER, BT_VITS_FLOW, BT_VITS_VOCODER } bt_vits_part;

enum { BT_VITS_CHUNK = 448 /* frames of new samples per run of the decoder */ };

/* plans.c: for bt_parts.build. in, out: encoder: noise; stats, duration. flow: halves;
 * halves. vocoder: z; samples. */
void bt_vits_build(bt_graph *g, const void *voice, bt_part *p);

static inline bt_parts bt_vits_parts(const bt_voice *v)
{
    return (bt_parts){ .voice = v, .ws = v->ws, .build = bt_vits_build };
}

/* What a voice is asked to do with a sentence. */
typedef struct bt_vits_settings {
    int speaker;
    float noise_scale, length_scale, noise_w;
    uint64_t seed;
    bool first; /* of a run: some samples shall be there soon (the bytes are the same) */
    const atomic_bool *cancel;
    bt_trace *trace;
    /* Samples in order, some at a time; not BT_OK ends the run with that. */
    bt_status (*samples)(void *user, const float *x, size_t n);
    bt_speak_frames frames; /* before them; NULL: nobody asks */
    void *user;
} bt_vits_settings;

/* synth.c: one sentence; *frames may be NULL */
bt_status bt_vits_speak(bt_parts *p, const int32_t *ids, size_t n, const bt_vits_settings *s,
                        int64_t *frames, bt_error *err);

#endif
