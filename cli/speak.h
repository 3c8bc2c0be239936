/* SPDX-License-Identifier: MIT
 * What the ways of giving bottega speak its texts share: one text, lines, lines of JSON.
 */
#ifndef BT_CLI_SPEAK_H
#define BT_CLI_SPEAK_H

#include "cli.h"

/* ---- speak_say.c ---- */

/* As -o has it, or out.wav (*own: free). */
const char *speak_pattern(const cli *c, char **own);
/* The name of output i; free. */
char *speak_name(const cli *c, int i, bool many);
/* Whether sound goes into files at all. */
bool speak_writes_files(const cli *c);
bool speak_in_sections(const cli *c); /* --book, --cast */
/* Before anything is spoken: could a file of that name be written? Else `code`, after a message. */
int speak_check_name(const cli *c, const char *path, int code);
/* One text to one file, or to the stream; `text` NULL: given by --text or --phonemes.
 * number: of the text, for its times; 0: the only one. */
int speak_say(cli *c, const char *text, const char *path, bool to_file, int number);

/* ---- speak_out.c ---- */

bool speak_streams(const cli *c);  /* somebody listens: --raw, --play */
bt_audio speak_form(const cli *c); /* format and bits that are asked for */
/* Sound from now on goes to the file `path` (NULL: none; kept until the end) and to the stream. */
void speak_out_begin(cli *c, const char *path);
int speak_on_samples(void *user, const bt_audio *chunk); /* user: the cli */
/* The file appears, or with `keep` false nothing is left of it. */
int speak_out_end(cli *c, bool keep);

/* ---- speak_cut.c ---- */

enum { SPEAK_NAME = 40 }; /* bytes of a speaker's name, at most */

typedef struct speak_cast speak_cast;

typedef struct speak_span {
    size_t from, to; /* bytes of the text */
} speak_span;

/* Set text, n, chapters and cast; the rest is zero. */
typedef struct speak_cutter {
    const char *text;
    size_t n;
    bool chapters;          /* by headings */
    const speak_cast *cast; /* NULL: no turns */
    size_t at;
    int chapter, number, speaker;
    bool begun, after; /* after: the section before ended with a blank line */
    speak_span title;
} speak_cutter;

/* What is spoken in one run. */
typedef struct speak_section {
    speak_span whole, title; /* title: of its chapter; empty: it has none */
    speak_span said;         /* of `whole`: without the speaker's name and the marks of a heading */
    int chapter, number;     /* from 0; number: in the chapter */
    int speaker;             /* of the cast; 0: the narrator */
    bool turn, paragraph;    /* it begins with a name; a paragraph ends with it */
} speak_section;

bool speak_cut(speak_cutter *k, speak_section *x); /* the next one; false: no more */
char *speak_section_text(const speak_cutter *k, const speak_section *x); /* what is said; free */
char *speak_title(const speak_cutter *k, const speak_section *x);        /* of its chapter; free */
/* Whether the line at `at` begins with the name, in capitals, of nobody in the cast. */
bool speak_stranger(const speak_cutter *k, size_t at, speak_span *name);

/* ---- speak_cast.c ---- */

typedef struct speak_voice {
    char *name, *spec, *speaker; /* spec: as -m takes it; NULL: -m's, or a name that is none */
    char *path;                  /* of the model, once it is open */
    bt_model *model;
    bt_job *job; /* shared by the speakers of a model; its owner frees it */
    bool owner;
    int64_t seed;  /* that is asked for */
    int rate;      /* Hz, the model's own */
    uint64_t hash; /* of all that its samples depend on but the text and the seed */
} speak_voice;

struct speak_cast {
    speak_voice *at; /* the first one: who speaks before anybody has a turn */
    int n, rate;     /* rate: of the whole sound, Hz */
};

/* --cast: "NAME=VOICE[:SPEAKER],..." or a file of such lines; NULL: the narrator alone. */
int speak_cast_read(speak_cast *all, const char *given);
void speak_cast_close(speak_cast *all);
/* Who has that name; -1: nobody. */
int speak_cast_find(const speak_cast *all, const char *name, size_t n);
/* The same, or a name that the cast says is none. */
bool speak_cast_knows(const speak_cast *all, const char *name, size_t n);

/* ---- speak_voices.c ---- */

/* Complains, with line numbers, of names in the text that the cast does not know. */
int speak_cast_check(const speak_cast *all, const char *text, size_t n);
/* Opens and tries the voices that the sections of k need. */
int speak_cast_open(cli *c, speak_cast *all, speak_cutter k, const bt_callbacks *cb);
/* c->job becomes the voice's, with its speaker; it stays the cast's. */
int speak_cast_use(cli *c, const speak_voice *v);

/* ---- speak_book.c ---- */

/* --book, --cast: a text in sections. */
int speak_sections(cli *c, const char *text);

/* ---- speak_parts.c ---- */

typedef struct speak_store {
    char *dir;
    int lock;
} speak_store;

/* The work folder beside `output`, which no other run may use until it is closed. */
int speak_store_open(speak_store *s, const char *output);
void speak_store_close(speak_store *s, bool keep); /* keep: what is in it */
char *speak_part_name(const speak_store *s, const speak_section *x, uint64_t hash,
                      const char *suffix); /* free */

/* A section's samples, from its file. */
typedef struct speak_part {
    FILE *f;
    int rate, bytes; /* bytes: 2, 3, 4 (float) */
    size_t n;        /* samples still to come */
} speak_part;

bool speak_part_open(speak_part *p, const char *path); /* false: damaged, or not there */
size_t speak_part_read(speak_part *p, float *x, size_t most);
void speak_part_close(speak_part *p);

uint64_t speak_hash(uint64_t h, const void *p, size_t n);
uint64_t speak_hash_file(uint64_t h, const char *path); /* h if there is no such file */

/* ---- speak_lines.c ---- */

/* --prompts-file: a text a line. */
int speak_lines(cli *c);
/* --json-input: each line as it comes: whoever asks may wait for one answer before the next
 * line. A line that fails does not stop the others; a signal or a lost stream does. */
int speak_json_lines(cli *c);

#endif
