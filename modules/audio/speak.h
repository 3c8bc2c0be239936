/* SPDX-License-Identifier: MIT
 * A job of the audio module and its run.
 */
#ifndef BT_AUDIO_SPEAK_H
#define BT_AUDIO_SPEAK_H

#include "module.h"
#include "phonemes.h"
#include "vits.h"

typedef struct bt_speak_options {
    const char *text, *phonemes, *speaker, *espeak;
    double length_scale, noise_scale, noise_w, sentence_silence, volume;
    int64_t seed;
    int normalize;
} bt_speak_options;

struct bt_module_job {
    const bt_voice *voice;
    bt_vits_plans plans;
    bt_espeak *espeak; /* started on first use */
    char *program;     /* what it was started as */
};

bt_status bt_speak(bt_module_job *job, const bt_run *r);

#endif
