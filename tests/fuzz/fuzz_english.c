/* SPDX-License-Identifier: MIT
 * Any bytes as English text, cut into sentences and said, with made-up lexicons; and as
 * a user's lexicon's words.
 */
#include "audio/english/english.h"
#include "fuzz.h"

static bt_kernels kernels;
static const bt_compute compute = { .kernels = &kernels, .threads = 1 };
static bt_english *english;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    bt_english_job *job;
    bt_english_out out = { 0 };
    bt_error e;
    size_t at = 0, from, to, last = 0;
    if (!english) {
        bt_kernels_init(&kernels, 0);
        if (bt_english_open(BT_SOURCE_DIR "/tests/golden/english/tiny", false, &compute, &english,
                            &e) != BT_OK)
            __builtin_trap();
    }
    if (bt_english_job_open(english, &job, &e) != BT_OK)
        return 0;
    while (bt_english_sentence(english, text, size, &at, &from, &to)) {
        if (from < last || to <= from || to > size || at < to)
            __builtin_trap();
        last = to;
        if (bt_english_phonemize(job, text + from, to - from, &out, &e) != BT_OK)
            __builtin_trap();
        for (size_t i = 0; i < out.n_words; i++)
            if (out.words[i].from > out.words[i].to || out.words[i].to > to - from ||
                out.words[i].phonemes_to > out.phonemes.len)
                __builtin_trap();
    }
    bt_english_out_free(&out);
    bt_english_job_close(job);
    return 0;
}
