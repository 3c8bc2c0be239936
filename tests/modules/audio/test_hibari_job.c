/* SPDX-License-Identifier: MIT
 * The hibari module as the engine drives it: text, phonemes, own words, seeds, pace; files
 * that are no such voice.
 */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "temp_dir.h"
#include "voice_host.h"

static void open_voice(host *h) { host_open_as(h, &bt_module_hibari, HIBARI, 2, BT_PREC_AUTO); }

/* Runs and returns a copy of the samples. */
static float *run(host *h, size_t *n)
{
    host_run(h);
    float *x = malloc((h->n + 1) * sizeof *x);
    assert_non_null(x);
    memcpy(x, h->samples, h->n * sizeof *x);
    *n = h->n;
    return x;
}

static int same(const float *a, size_t na, const float *b, size_t nb)
{
    return na == nb && memcmp(a, b, na * sizeof *a) == 0;
}

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(temp_path(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void assert_fails(host *h, bt_status want, const char *why)
{
    assert_int_equal(host_try_run(h), want);
    assert_non_null(strstr(h->error.text, why));
}

static void text_is_what_its_phonemes_are(void **state)
{
    host h;
    size_t n[2];
    (void)state;
    open_voice(&h);
    host_set(&h, "text", "Hello there.");
    float *a = run(&h, &n[0]);
    assert_non_null(strstr(h.report.data, "spoken_phonemes=\"həlˈO ðˈɛɹ.\""));
    assert_int_equal(h.rate, 24000);
    host_set(&h, "text", "");
    host_set(&h, "phonemes", "həlˈO ðˈɛɹ.");
    float *b = run(&h, &n[1]);
    assert_true(same(a, n[0], b, n[1]));
    free(a);
    free(b);
    host_close(&h);
}

/* Sentence i is what seed + i makes of it alone; silence only between them. */
static void sentences_are_joined(void **state)
{
    host h;
    size_t n[3];
    (void)state;
    open_voice(&h);
    host_set(&h, "text", "Hello there. Yes!");
    host_set(&h, "seed", "4");
    host_set(&h, "sentence_silence", "0.25");
    float *both = run(&h, &n[0]);
    assert_int_equal((int)host_fact(&h, "sentences"), 2);
    host_set(&h, "text", "Hello there.");
    float *a = run(&h, &n[1]);
    host_set(&h, "text", "Yes!");
    host_set(&h, "seed", "5");
    float *b = run(&h, &n[2]);
    assert_int_equal(n[0], n[1] + 6000 + n[2]);
    assert_memory_equal(both, a, n[1] * sizeof *a);
    for (size_t i = 0; i < 6000; i++)
        assert_true(both[n[1] + i] == 0);
    assert_memory_equal(both + n[1] + 6000, b, n[2] * sizeof *b);
    free(both);
    free(a);
    free(b);
    host_close(&h);
}

/* Nobody waits: the same samples in fewer pieces. */
static void patience_changes_no_samples(void **state)
{
    host h;
    size_t n[2];
    (void)state;
    open_voice(&h);
    host_set(&h, "text", "A sentence that takes a while to say, all in all.");
    float *a = run(&h, &n[0]);
    const size_t calls = h.calls;
    h.patient = true;
    float *b = run(&h, &n[1]);
    assert_true(h.calls < calls);
    assert_true(same(a, n[0], b, n[1]));
    free(a);
    free(b);
    host_close(&h);
}

static void seeds_choose_the_noise(void **state)
{
    host h;
    size_t n[2];
    (void)state;
    open_voice(&h);
    host_set(&h, "text", "Yes!");
    float *a = run(&h, &n[0]);
    host_set(&h, "seed", "1");
    float *b = run(&h, &n[1]);
    assert_int_equal(n[0], n[1]);
    assert_false(same(a, n[0], b, n[1]));
    free(a);
    free(b);
    host_close(&h);
}

static void pace_can_be_chosen(void **state)
{
    host h;
    size_t n[4];
    (void)state;
    open_voice(&h);
    host_set(&h, "text", "Hello there.");
    free(run(&h, &n[0]));
    host_set(&h, "speed", "2");
    free(run(&h, &n[1]));
    host_set(&h, "length_scale", "2");
    free(run(&h, &n[2]));
    assert_true(n[1] * 3 < n[0] * 2);
    assert_int_equal(n[2], n[0]);
    host_close(&h);
}

static void given_phonemes_must_be_the_voices(void **state)
{
    host h;
    (void)state;
    open_voice(&h);
    host_set(&h, "text", "Say [word](/wˈɜɹd/) and [[həlˈO]].");
    host_run(&h);
    assert_non_null(strstr(h.report.data, "wˈɜɹd"));
    assert_non_null(strstr(h.report.data, "həlˈO"));
    host_set(&h, "text", "Say [[hə%]].");
    assert_fails(&h, BT_EINVAL, "the voice has no phoneme \"%\" (U+0025)");
    host_set(&h, "text", "Say [it](/ʘ/).");
    assert_fails(&h, BT_EINVAL, "the voice has no phoneme \"ʘ\" (U+0298)");
    host_set(&h, "text", "");
    host_set(&h, "phonemes", "həlˈO\nhə\tlˈO");
    assert_fails(&h, BT_EINVAL, "(U+0009)");
    host_set(&h, "phonemes", "həlˈO\r\n\nhəlˈO");
    host_run(&h);
    assert_int_equal((int)host_fact(&h, "sentences"), 2);
    host_close(&h);
}

/* Numbers, letters and phonemes as the document wants them; one speaker, and no other. */
static void documents_are_read(void **state)
{
    host h;
    (void)state;
    open_voice(&h);
    host_set(&h, "text",
             "<speak>In <say-as interpret-as='cardinal'>1984</say-as>, <say-as "
             "interpret-as='characters'>BA</say-as> <emphasis>said</emphasis> <phoneme "
             "ph='həˈloʊ'>hi</phoneme>.</speak>");
    host_run(&h);
    assert_non_null(strstr(h.report.data, "spoken_phonemes=\"ɪn wˈʌn θˈWzᵊnd, nˈIn hˈʌndɹəd "
                                          "ænd ˈATifˌɔɹ, bˈi ˈA sˈɛd həlˈO.\""));
    assert_non_null(strstr(h.report.data, "ssml_ignored=[\"emphasis\"]"));
    host_set(&h, "text", "<speak><voice name='ann'>Yes.</voice></speak>");
    assert_fails(&h, BT_EINVAL, "the voice has no speaker \"ann\" (it has one)");
    host_set(&h, "text", "<speak><phoneme ph='ʘ'>Yes.</phoneme></speak>");
    assert_fails(&h, BT_EINVAL, "the voice has no phoneme \"ʘ\" (U+0298)");
    host_close(&h);
}

/* Seconds of the longest silence inside the sound. */
static double longest_silence(const host *h)
{
    size_t most = 0, begin = 0;
    for (size_t i = 0; i < h->n; i++) {
        if (fabsf(h->samples[i]) < 0.005f)
            continue;
        most = begin && i - begin > most ? i - begin : most;
        begin = i;
    }
    return (double)most / h->rate;
}

/* Where a sentence goes on, the voice's own silence is cut; a break lasts as long as it says. */
static void sentences_go_on(void **state)
{
    host h;
    (void)state;
    open_voice(&h);
    host_set(&h, "text", "<speak><s>Take a long</s> <s>breath and go.</s></speak>");
    host_run(&h);
    assert_true(longest_silence(&h) > 0.5);
    host_set(&h, "text",
             "<speak>Take a <prosody rate='slow'>long</prosody> breath and go.</speak>");
    host_run(&h);
    assert_true(longest_silence(&h) < 0.2);
    host_set(&h, "text", "<speak>Take a long breath <break time='700ms'/> and go.</speak>");
    host_run(&h);
    assert_true(fabs(longest_silence(&h) - 0.75) < 0.15);
    host_close(&h);
}

static void nothing_to_say_is_an_error(void **state)
{
    static const char *const texts[] = { "", "  \n ", "\n\n", "...", "?!\n\n--" };
    host h;
    (void)state;
    open_voice(&h);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        host_set(&h, "text", texts[i]);
        assert_fails(&h, BT_ENOTFOUND, "nothing to say");
    }
    host_close(&h);
}

static void a_lexicon_wins(void **state)
{
    host h;
    (void)state;
    write_text("words.txt", "bottega bˈOtə\n");
    open_voice(&h);
    host_set(&h, "text", "Bottega.");
    host_set(&h, "lexicon", temp_path("words.txt"));
    host_run(&h);
    assert_non_null(strstr(h.report.data, "spoken_phonemes=\"bˈOtə.\""));
    host_set(&h, "lexicon", "");
    host_run(&h);
    assert_null(strstr(h.report.data, "bˈOtə."));
    host_set(&h, "lexicon", "/nowhere/words.txt");
    assert_fails(&h, BT_ENOTFOUND, "/nowhere/words.txt");
    host_close(&h);
}

/* More than 400 phonemes in one line are cut between clauses. */
static void long_sentences_are_cut(void **state)
{
    host h;
    bt_buf line = { 0 };
    (void)state;
    open_voice(&h);
    for (int i = 0; i < 60; i++)
        bt_buf_puts(&line, "həlˈO ðˈɛɹ, ");
    assert_false(line.failed);
    host_set(&h, "phonemes", line.data);
    host_run(&h);
    assert_int_equal((int)host_fact(&h, "sentences"), 2);
    host_close(&h);
    bt_buf_free(&line);
}

/* ---- other files ------------------------------------------------------- */

/* A copy of the voice in a folder of its own, its first n bytes, with `from` written as
 * `to` (as long) if it is not NULL. */
static void copy_voice(const char *path, size_t n, const char *from, const char *to)
{
    char source[1024];
    bt_map m;
    bt_error err = { 0 };
    assert_int_equal(bt_map_open(golden_data(HIBARI, source, sizeof source), &m, &err), BT_OK);
    n = n < m.size ? n : m.size;
    char *data = malloc(n);
    assert_non_null(data);
    memcpy(data, m.data, n);
    bt_map_close(&m);
    const size_t len = from ? strlen(from) : 0;
    for (char *p = data; from && (p = memmem(p, n - (size_t)(p - data), from, len)); p += len)
        memcpy(p, to, len);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
    free(data);
}

static void assert_refused(const char *path, const char *why)
{
    host h;
    host_setup_as(&h, &bt_module_hibari, NULL, 1, BT_PREC_F32);
    assert_int_not_equal(host_try_open(&h, path), BT_OK);
    if (!strstr(h.error.text, why) || !strstr(h.error.text, path))
        fail_msg("\"%s\" does not say \"%s\"", h.error.text, why);
    host_close(&h);
}

#define VOCAB "{\"a\": 43, \"b\": 44}"

static void bad_files_are_refused(void **state)
{
    char path[512];
    snprintf(path, sizeof path, "%s", temp_path("hibari.onnx"));
    (void)state;
    copy_voice(path, SIZE_MAX, NULL, NULL);
    assert_refused(path, "vocab.json is not beside it");
    write_text("vocab.json", "[1, 2");
    assert_refused(path, "vocab.json");
    write_text("vocab.json", "{\"a\": 4000}");
    assert_refused(path, "an id that is outside the model's symbols");
    write_text("vocab.json", "{\"ab\": 4}");
    assert_refused(path, "not one character");
    write_text("vocab.json", "{}");
    assert_refused(path, "no sensible number of phonemes");
    write_text("vocab.json", VOCAB);
    copy_voice(path, 3000000, NULL, NULL);
    assert_refused(path, "cut");
    copy_voice(path, SIZE_MAX, "/dec.7/pw1/Transpose_output_0_quantized",
               "/dec.7/pw1/Transpose_output_0_quantizzz");
    assert_refused(path, "/dec.7/pw1/Transpose_output_0_quantized is missing");
    copy_voice(path, SIZE_MAX, "m.dec.3.dw.weight", "m.dec.3.dw.weighs");
    assert_refused(path, "m.dec.3.dw.weight");
}

/* A voice that has fewer letters says what it can, and counts the rest. */
static void missing_phonemes_are_counted(void **state)
{
    char path[512];
    snprintf(path, sizeof path, "%s", temp_path("hibari.onnx"));
    host h;
    (void)state;
    copy_voice(path, SIZE_MAX, NULL, NULL);
    write_text("vocab.json", VOCAB);
    host_open_as(&h, &bt_module_hibari, path, 1, BT_PREC_AUTO);
    host_set(&h, "phonemes", "ab");
    host_run(&h);
    assert_int_equal((int)host_fact(&h, "phoneme_ids"), 4);
    host_set(&h, "phonemes", "");
    host_set(&h, "text", "hello");
    assert_int_equal(host_try_run(&h), BT_ENOTFOUND); /* no lexicon beside it */
    assert_non_null(strstr(h.error.text, temp_dir));
    host_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_what_its_phonemes_are),
        cmocka_unit_test(sentences_are_joined),
        cmocka_unit_test(patience_changes_no_samples),
        cmocka_unit_test(seeds_choose_the_noise),
        cmocka_unit_test(pace_can_be_chosen),
        cmocka_unit_test(given_phonemes_must_be_the_voices),
        cmocka_unit_test(documents_are_read),
        cmocka_unit_test(sentences_go_on),
        cmocka_unit_test(nothing_to_say_is_an_error),
        cmocka_unit_test(a_lexicon_wins),
        cmocka_unit_test(long_sentences_are_cut),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(missing_phonemes_are_counted),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
