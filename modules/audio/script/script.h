/* SPDX-License-Identifier: MIT
 * What is to be said, as passages: stretches of text with one speaker, one pace and one
 * volume. The simplest source is plain text, whose passages are its paragraphs.
 */
#ifndef BT_AUDIO_SCRIPT_H
#define BT_AUDIO_SCRIPT_H

#include "audio/script/passage.h"
#include "base/status.h"

typedef struct bt_script {
    bt_script_rules rules;
    const char *text;
    size_t n, at;
    bool phonemes;
    bt_place place; /* the one of a passage that is a range of the source */
} bt_script;

/* `text` must live on. */
void bt_script_open(bt_script *s, const bt_script_rules *rules, const char *text);
/* Lines of phonemes: one passage. */
void bt_script_open_phonemes(bt_script *s, const char *lines);
/* *p is good until the next call. p->n = 0: the end, p->pause before it. */
void bt_script_next(bt_script *s, bt_passage *p);

#endif
