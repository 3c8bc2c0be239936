/* SPDX-License-Identifier: MIT
 * Runs of text woven into passages: where the manner changes one ends and the next begins,
 * closing marks stay with the word before them, and what would say nothing is left out.
 */
#ifndef BT_AUDIO_WEAVE_H
#define BT_AUDIO_WEAVE_H

#include "audio/script/passage.h"

enum { BT_SPEAKER = 256 /* bytes of a speaker's name, with its end */ };

typedef struct bt_manner {
    double pace, volume;
    char speaker[BT_SPEAKER];
} bt_manner;

/* What lies between two passages, the stronger the later. */
typedef enum bt_join { BT_JOIN_NONE, BT_JOIN_SENTENCE, BT_JOIN_PARAGRAPH } bt_join;

typedef struct bt_gap {
    bt_join join;
    bool asked; /* a break; then `seconds` */
    double seconds;
} bt_gap;

typedef struct bt_woven {
    bt_buf text;
    bt_place *places;
    size_t n_places, cap_places;
    bt_manner manner;
    bt_gap before;
    bool first; /* of the source */
} bt_woven;

typedef struct bt_weave {
    bt_manner manner; /* of what comes now */
    bt_gap gap;       /* since the last text */
    bool cut;         /* the next text begins a passage... */
    bool apart;       /* ...and white space parts it from the last */
    bool ready;       /* `done` is a passage that nobody has taken yet */
    bool failed;      /* no memory */
    bt_woven now, done;
} bt_weave;

void bt_weave_begin(bt_weave *w);
void bt_weave_free(bt_weave *w);
/* A run without spaces, which bytes from..to of the source stand for. May make a passage ready,
 * once: look before the next. */
void bt_weave_word(bt_weave *w, const char *text, size_t n, size_t from, size_t to, bool exact);
void bt_weave_space(bt_weave *w, size_t from, size_t to);
/* What comes next is a passage of its own. */
void bt_weave_cut(bt_weave *w, bt_join join);
void bt_weave_pause(bt_weave *w, double seconds);
/* The end of the source: what is left becomes ready, if it says anything. */
void bt_weave_end(bt_weave *w);

#endif
