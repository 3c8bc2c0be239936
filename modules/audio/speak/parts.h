/* SPDX-License-Identifier: MIT
 * The networks of a voice, planned for the sizes that a job met last. Sentences differ in
 * length, so a plan is made in well under the time it takes to run; a few are kept for
 * what repeats (the chunks of long sentences, the same sentence again).
 */
#ifndef BT_AUDIO_PARTS_H
#define BT_AUDIO_PARTS_H

#include "graph/graph.h"

enum { BT_PARTS = 8, BT_PART_NODES = 6 };

/* One network for one size; nodes it does not have are NULL. */
typedef struct bt_part {
    int kind;     /* which network: the family's number */
    int64_t size; /* of its rows */
    uint64_t used;
    void *state; /* that of bt_parts */
    bt_plan *plan;
    bt_node *ids, *speaker;
    bt_node *in[BT_PART_NODES], *out[BT_PART_NODES];
} bt_part;

/* Puts the nodes of p->kind for p->size into g and their inputs and outputs into *p. */
typedef void (*bt_part_build)(bt_graph *g, const void *voice, bt_part *p);

/* Set the first three; bt_parts_clear at the end. */
typedef struct bt_parts {
    const void *voice;
    bt_weights *ws;
    bt_part_build build;
    void *state; /* what runs leave for later ones, or NULL: released at the end */
    bt_part list[BT_PARTS];
    bt_arena arena; /* of whichever ran last: what it put out is lost when another one is used */
    uint64_t clock;
} bt_parts;

/* A sound is made in chunks where a frame depends on `margin` frames to each side and no more:
 * frames a..b are wanted, of a run over lo..hi. */
typedef struct bt_chunk {
    int64_t lo, a, b, hi;
} bt_chunk;

/* The chunk of `size` frames that begins at a, of `frames` in all. lo is a multiple of `align`; a
 * rest too short for a chunk of its own joins this one. */
static inline bt_chunk bt_chunk_at(int64_t a, int64_t size, int64_t frames, int64_t margin,
                                   int64_t align)
{
    const int64_t b = frames - a <= size + margin ? frames : a + size;
    return (bt_chunk){ .lo = a > margin ? (a - margin) / align * align : 0,
                       .a = a,
                       .b = b,
                       .hi = b + margin < frames ? b + margin : frames };
}

/* What `auto` means for a decoder of sound: bf16 where that is fast, else f32. On the decoder of a
 * Piper voice (joe-medium, ten sentences) bf16 has 38 dB against f32 at worst, int8 25 dB. */
bt_precision bt_sound_auto(const bt_compute *c);

/* The least used makes room. *out is good until the next call. */
bt_status bt_part_get(bt_parts *p, int kind, int64_t size, bt_part **out, bt_error *err);
void bt_parts_clear(bt_parts *p);

#endif
