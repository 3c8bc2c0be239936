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
/* A piece of a sequence that is computed piece by piece; first and last: all of it. */
typedef struct bt_vits_piece {
    bool first, last;
    int lag;      /* rows of a layer's output that wait for the next piece */
    float *kept;  /* what pieces leave each other, */
    int64_t room; /* so many floats */
} bt_vits_piece;

/* op_carry.c: of x, rows s..e of the sequence, and what came before, the rows
 * s - lag - reach .. e - lag + reach as far as the sequence goes; all of x if the piece is
 * all of it. */
bt_node *bt_vits_late(bt_graph *g, bt_node *x, bt_vits_piece *p, int64_t lag, int64_t reach);
bt_node *bt_vits_rows(bt_graph *g, bt_node *x, int64_t from, int64_t rows); /* a view */

/* flow.c: the two halves of z [F, inter / 2] each, replaced by the latents, which end (and
 * but for the first piece, begin) bt_vits_flow_lag frames before. */
void bt_vits_flow(bt_graph *g, const bt_voice *v, bt_node *speaker, bt_node *z[2],
                  bt_vits_piece *p);
/* How much later if a layer's output is later by `lag`; floats that pieces leave. */
int64_t bt_vits_flow_lag(const bt_voice *v, int lag);
int64_t bt_vits_flow_room(const bt_voice *v, int lag);
/* vocoder.c: z [F, inter] -> samples [F * hop, 1] */
bt_node *bt_vits_vocoder(bt_graph *g, const bt_voice *v, bt_node *z, bt_node *speaker);

/* The flow over a whole sentence, or over pieces of it. */
typedef enum bt_vits_part {
    BT_VITS_ENCODER,
    BT_VITS_FLOW,
    BT_VITS_FLOW_FIRST,
    BT_VITS_FLOW_NEXT,
    BT_VITS_FLOW_LAST,
    BT_VITS_VOCODER
} bt_vits_part;

enum { BT_VITS_CHUNK = 448 /* frames of new samples per run of the decoder */ };

/* plans.c: for bt_parts.build. in, out: encoder: noise; stats, duration. flow: halves;
 * halves. vocoder: z; samples. bt_parts.state is room for what the flow's pieces leave. */
void bt_vits_build(bt_graph *g, const void *voice, bt_part *p);
/* Rows by which a layer of the flow is late, and what pieces but the last are multiples of. */
int bt_vits_layer_lag(const bt_voice *v);
int bt_vits_flow_group(const bt_voice *v);

static inline bt_parts bt_vits_parts(const bt_voice *v)
{
    return (bt_parts){ .voice = v, .ws = v->ws, .build = bt_vits_build };
}

/* What a voice is asked to do with a sentence. */
typedef struct bt_vits_settings {
    int speaker;
    float noise_scale, length_scale, noise_w;
    int chunk; /* frames of samples made at a time; 0: as is best (the bytes are the same) */
} bt_vits_settings;

/* synth.c: one sentence */
bt_status bt_vits_speak(bt_parts *p, const int32_t *ids, size_t n, const bt_vits_settings *s,
                        const bt_speak_call *c);

#endif
