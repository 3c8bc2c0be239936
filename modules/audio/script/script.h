/* SPDX-License-Identifier: MIT
 * What is to be said, as passages: stretches of text with one speaker, one pace and one
 * volume. The simplest source is plain text, whose passages are its paragraphs.
 */
#ifndef BT_AUDIO_SCRIPT_H
#define BT_AUDIO_SCRIPT_H

#include "audio/script/ssml.h"

typedef struct bt_script {
    bt_script_rules rules;
    const char *text;
    size_t n, at;
    bool phonemes;
    bt_place place; /* the one of a passage that is a range of the source */
    bt_ssml *ssml;  /* NULL: plain */
} bt_script;

/* `text` must live on. ssml: 1 yes, 0 no, -1: if it begins like a document of SSML. */
bt_status bt_script_open(bt_script *s, const bt_script_rules *rules, const char *text, int ssml,
                         bt_error *err);
/* Lines of phonemes: one passage. */
void bt_script_open_phonemes(bt_script *s, const char *lines);
/* *p is good until the next call. p->n = 0: the end, p->pause before it. */
bt_status bt_script_next(bt_script *s, bt_passage *p, bt_error *err);
/* What of SSML was not done, as a JSON array of names; NULL: nothing, or it is plain text. */
const char *bt_script_ignored(const bt_script *s);
bool bt_script_is_ssml(const bt_script *s);
void bt_script_close(bt_script *s);

#endif
