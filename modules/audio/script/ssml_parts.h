/* SPDX-License-Identifier: MIT
 * What the readers of SSML's parts tell each other.
 */
#ifndef BT_AUDIO_SSML_PARTS_H
#define BT_AUDIO_SSML_PARTS_H

#include <expat.h>

#include "audio/script/ssml.h"
#include "audio/script/weave.h"

enum { BT_SSML_DEPTH = 64 /* elements inside each other */ };

typedef enum bt_element {
    IS_SPEAK,
    IS_PARAGRAPH,
    IS_SENTENCE,
    IS_BREAK,
    IS_PROSODY,
    IS_VOICE,
    IS_SAY_AS, /* these three replace their text */
    IS_PHONEME,
    IS_SUB,
    IS_SILENT, /* its text is not for the ear */
    IS_PLAIN,  /* its text is spoken and that is all there is to it */
    IS_UNKNOWN /* the same, but told */
} bt_element;

typedef struct bt_frame {
    bt_element is;
    bt_manner outside; /* of what comes behind it */
} bt_frame;

struct bt_ssml {
    XML_Parser xml;
    bt_script_rules rules;
    const char *text;
    size_t n, skipped; /* `skipped`: white space before the document */
    int line;          /* on which it begins, from 0 */
    bool started, ended;
    bt_weave weave;
    bt_frame stack[BT_SSML_DEPTH];
    int depth;
    /* An element that replaces its text. */
    int replacing; /* its depth; 0: none */
    size_t from;   /* its place */
    bt_buf inside, instead, how, format;
    int silent; /* depth of the outermost silent element; 0: none */
    bt_buf ignored;
    int n_ignored;
    bt_status status; /* the first failure */
    bt_error error;
};

/* elements.c: what expat calls. */
void XMLCALL bt_ssml_on_begin(void *ssml, const XML_Char *name, const XML_Char **attributes);
void XMLCALL bt_ssml_on_end(void *ssml, const XML_Char *name);
/* Ends the parsing, with the document's line in the message. */
void bt_ssml_refuse(bt_ssml *s, const char *fmt, ...) BT_PRINTF(2, 3);
void bt_ssml_no_memory(bt_ssml *s);
/* After text was woven in: stops expat where a passage is ready or memory is out. */
void bt_ssml_woven(bt_ssml *s);
int bt_ssml_line(const bt_ssml *s);

/* White space of XML. */
static inline bool bt_ssml_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* values.c: false: no such value. Names are those of SSML 1.1. */
bool bt_ssml_time(const char *s, double *seconds);     /* "300ms", "1.5s"; 0..60 s */
bool bt_ssml_strength(const char *s, double *seconds); /* "none".."x-strong" */
bool bt_ssml_rate(const char *s, double *factor);      /* "slow", "80%", "+20%", "1.2"; 0.1..10 */
bool bt_ssml_volume(const char *s,
                    double *factor); /* "soft", "+6dB", "50%", "80" (of 100); 0..16 */

/* say_as.c: s[0..n) as it is read out, appended. False: no such interpretation; then it is
 * appended as it stands. `format` may be "". */
bool bt_say_as(bt_buf *out, const char *how, const char *format, const char *s, size_t n,
               bt_tongue tongue);

/* ipa.c: phonemes of the International Phonetic Association in a voice's alphabet, appended. */
void bt_ipa_convert(bt_buf *out, const char *s, bt_tongue tongue);

#endif
