/* SPDX-License-Identifier: MIT
 * One way to speak for voices of every family: a source to passages (audio/script), passages
 * to pieces, pieces to sentences, sentences to samples, with silence, volume, normalizing,
 * seeds and the report.
 *
 * A family (vits, hibari, ...) is a module of its own whose `run` is bt_speak. Its
 * option struct begins with a bt_speak_options and its table with BT_SPEAK_OPTIONS;
 * its jobs are made by bt_speak_job_open around what it keeps itself.
 */
#ifndef BT_AUDIO_SPEAK_H
#define BT_AUDIO_SPEAK_H

#include "audio/script/passage.h"
#include "module.h"

typedef struct bt_speak_options {
    const char *text, *phonemes;
    double length_scale, sentence_silence, paragraph_silence, volume, loudness;
    int64_t seed;
    int normalize, strict, ssml; /* ssml: -1: as the text begins */
} bt_speak_options;

/* Entries for a table over struct T, whose member `speak` is a bt_speak_options. */
/* clang-format off */
#define BT_SPEAK_OPTIONS(T)                                                                        \
    { "text", NULL, NULL, BT_OPT_STRING, offsetof(T, speak.text), "", 0, 0, NULL, NULL,            \
      "what to say; phonemes may stand in it as [[...]]" },                                        \
    { "phonemes", NULL, NULL, BT_OPT_STRING, offsetof(T, speak.phonemes), "", 0, 0, NULL, NULL,    \
      "phonemes in the voice's alphabet instead of text, a sentence per line" },                   \
    { "length_scale", NULL, "length-scale", BT_OPT_FLOAT, offsetof(T, speak.length_scale),         \
      "", 0.05, 20, NULL, NULL, "duration of phonemes: 2 is half as fast" },                       \
    { "sentence_silence", NULL, "sentence-silence", BT_OPT_FLOAT,                                  \
      offsetof(T, speak.sentence_silence), "0", 0, 60, NULL, "s",                                  \
      "silence between sentences; none after the last" },                                          \
    { "paragraph_silence", NULL, "paragraph-silence", BT_OPT_FLOAT,                                \
      offsetof(T, speak.paragraph_silence), "0.4", 0, 60, NULL, "s",                               \
      "more of it between paragraphs, which blank lines part" },                                   \
    { "volume", NULL, NULL, BT_OPT_FLOAT, offsetof(T, speak.volume), "1", 0, 100, NULL, NULL,      \
      "factor on the samples" },                                                                   \
    { "normalize", NULL, NULL, BT_OPT_BOOL, offsetof(T, speak.normalize), "0", 0, 1, NULL, NULL,   \
      "bring every sentence to full level, as piper does" },                                       \
    { "loudness", NULL, NULL, BT_OPT_FLOAT, offsetof(T, speak.loudness), "", -50, -9, NULL,        \
      "LUFS", "bring every sentence to this loudness, true peaks to -1 dBTP at most" },            \
    { "strict", NULL, NULL, BT_OPT_BOOL, offsetof(T, speak.strict), "0", 0, 1, NULL, NULL,         \
      "fail at a phoneme that the voice lacks instead of leaving it out" },                        \
    { "ssml", NULL, NULL, BT_OPT_BOOL, offsetof(T, speak.ssml), "", 0, 1, NULL, NULL,              \
      "the text is SSML; unset: if it begins with <speak" },                                       \
    { "seed", NULL, NULL, BT_OPT_INT, offsetof(T, speak.seed), "0", -1, 9223372036854774784.0,     \
      NULL, NULL, "same seed, same sound; sentence i is spoken with seed + i; -1 = random" }
/* clang-format on */

/* Hears which id each of a sentence's n frames belongs to, in order, and how many samples a
 * frame has; not BT_OK ends the run with that. */
typedef bt_status (*bt_speak_frames)(void *user, const int32_t *ids_at, size_t n, int hop);

/* What one sentence is spoken with. */
typedef struct bt_speak_call {
    const bt_run *r;
    uint64_t seed;
    bool first;  /* of a run: some samples shall be there soon (the bytes are the same) */
    double pace; /* on top of what the options say: 2 is twice as fast */
    /* Samples in order, some at a time; not BT_OK ends the run with that. */
    bt_status (*samples)(void *user, const float *x, size_t n);
    bt_speak_frames frames; /* once, before the samples; NULL: nobody asks */
    void *user;
} bt_speak_call;

/* `own` is the family's part of the job. */
typedef struct bt_speak_family {
    bool timed; /* `speak` calls c->frames, and `utter` fills in the words */
    /* At the start of a run: checks the options, reports those that the voice chose. */
    bt_status (*begin)(void *own, const bt_run *r);
    /* Where the piece that begins at `at` < n ends: what is said before the next is looked at. */
    size_t (*piece_end)(void *own, const char *text, size_t n, size_t at);
    /* The sentences of a piece of text, or of a line of phonemes; appended to u. */
    bt_status (*utter)(void *own, const bt_run *r, const char *text, size_t n, bt_utterances *u);
    bt_status (*utter_phonemes)(void *own, const bt_run *r, const char *line, size_t n,
                                bt_utterances *u);
    bt_status (*speak)(void *own, const int32_t *ids, size_t n, const bt_speak_call *c);
    bt_tongue (*tongue)(void *own);
    /* From now on this one speaks; "": whom the options name. NULL: the voice has but one. */
    bt_status (*speaker)(void *own, const bt_run *r, const char *name);
    void (*close)(void *own);
} bt_speak_family;

struct bt_module_job {
    const bt_speak_family *family;
    int rate; /* Hz */
    void *own;
};

/* Takes `own` over, also on failure; own NULL: no memory. */
bt_status bt_speak_job_open(const bt_speak_family *f, int rate, void *own, bt_module_job **out,
                            bt_error *err);
void bt_speak_job_close(bt_module_job *job);
bt_status bt_speak(bt_module_job *job, const bt_run *r);

bt_status bt_speak_report(const bt_run *r, const char *name, double value);
/* The line that begins at `at` ends here, its end of line included. */
size_t bt_speak_line_end(const char *text, size_t n, size_t at);

#endif
