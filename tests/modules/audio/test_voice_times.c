/* SPDX-License-Identifier: MIT
 * When words are said: times add up to the samples, places name the words of the source.
 */
#include <stdio.h>

#include "audio/vits/align.h"
#include "audio/vits/espeak.h"
#include "voice_host.h"

#define TINY BT_SOURCE_DIR "/tests/golden/tiny-vits-high.onnx"

#define TALE                                                                                       \
    "Dr. Smith paid $5.50 for 1,234 apples in 1984, of course. \"Really?\" she asked,\n"           \
    "and he said: it's the [[ɹˈiəl]] na\xC3\xAFve thing!"

static void english_words_are_placed(void **state)
{
    host h;
    (void)state;
    host_open_as(&h, &bt_module_hibari, HIBARI, 2, BT_PREC_AUTO);
    host_set(&h, "text", TALE);
    host_set(&h, "sentence_silence", "0.25");
    host_run_timed(&h, 6000);
    host_assert_told(&h, BT_TIMING_SENTENCE, TALE,
                     "Dr. Smith paid $5.50 for 1,234 apples in 1984, of course.|"
                     "\"Really?\" she asked,|and he said: it's the [[ɹˈiəl]] naïve thing!|");
    host_assert_told(&h, BT_TIMING_WORD, TALE,
                     "Dr|Smith|paid|$5.50|for|1,234|apples|in|1984|of|course|"
                     "Really|she|asked|and|he|said|it's|the|[[ɹˈiəl]]|naïve|thing|");
    assert_string_equal(host_told(&h, BT_TIMING_WORD, 1)->phonemes, "smˈɪθ");
    assert_string_equal(host_told(&h, BT_TIMING_WORD, 1)->spelling, "Smith");
    assert_string_equal(host_told(&h, BT_TIMING_PHONEME, 1)->phonemes, "d");
    assert_string_equal(host_told(&h, BT_TIMING_PHONEME, 0)->phonemes, "");
    host_close(&h);
}

#define DOCUMENT                                                                                   \
    "<speak>\n <p>The <sub alias=\"World Wide Web\">WWW</sub> is\n  <prosody "                     \
    "rate=\"slow\">&quot;old"                                                                      \
    "</prosody>, they say.</p>\n <p>Call <say-as interpret-as=\"digits\">12</say-as> or <phoneme " \
    "ph=\"həˈloʊ\">hello</phoneme>!</p></speak>"

/* Places are bytes of the document: an element that stands for other text is one word. */
static void words_of_a_document_are_placed(void **state)
{
    host h;
    (void)state;
    host_open_as(&h, &bt_module_hibari, HIBARI, 2, BT_PREC_AUTO);
    host_set(&h, "text", DOCUMENT);
    host_set(&h, "paragraph_silence", "0");
    host_run_timed(&h, 0);
    host_assert_told(
        &h, BT_TIMING_SENTENCE, DOCUMENT,
        "The <sub alias=\"World Wide Web\">WWW</sub> is|&quot;old</prosody>,|they say.|"
        "Call <say-as interpret-as=\"digits\">12</say-as> or <phoneme "
        "ph=\"həˈloʊ\">hello</phoneme>!|");
    host_assert_told(&h, BT_TIMING_WORD, DOCUMENT,
                     "The|<sub alias=\"World Wide Web\">WWW</sub>|is|old|they|say|"
                     "Call|<say-as interpret-as=\"digits\">12</say-as>|or|"
                     "<phoneme ph=\"həˈloʊ\">hello</phoneme>|");
    assert_string_equal(host_told(&h, BT_TIMING_WORD, 1)->spelling, "World Wide Web");
    host_close(&h);
}

#define LINES "həlˈO ðˈɛɹ, ju.\n\nhəlˈO"

static void phonemes_are_their_own_source(void **state)
{
    host h;
    (void)state;
    host_open_as(&h, &bt_module_hibari, HIBARI, 2, BT_PREC_AUTO);
    host_set(&h, "phonemes", LINES);
    host_run_timed(&h, 0);
    host_assert_told(&h, BT_TIMING_SENTENCE, LINES, "həlˈO ðˈɛɹ, ju.|həlˈO|");
    host_assert_told(&h, BT_TIMING_WORD, LINES, "həlˈO|ðˈɛɹ|ju|həlˈO|");
    host_close(&h);
}

/* A c with a cedilla is two code points once it is decomposed. */
static void a_piper_voice_tells_its_times(void **state)
{
    host h;
    const char *lines = "hello wor\xC3\xA7ld, yes.\nhello";
    (void)state;
    host_open(&h, TINY, NULL, 2, BT_PREC_F32);
    host_set(&h, "phonemes", lines);
    host_set(&h, "sentence_silence", "0.1");
    host_run_timed(&h, 2205);
    host_assert_told(&h, BT_TIMING_SENTENCE, lines, "hello wor\xC3\xA7ld, yes.|hello|");
    host_assert_told(&h, BT_TIMING_WORD, lines, "hello|wor\xC3\xA7ld|yes|hello|");
    assert_int_equal(host_told(&h, BT_TIMING_PHONEME, 0)->id, 1);
    host_close(&h);
}

/* The same for any number of threads. */
static void threads_do_not_change_times(void **state)
{
    host h[3];
    (void)state;
    for (int k = 0; k < 3; k++) {
        host_open(&h[k], TINY, NULL, k + 1, BT_PREC_F32);
        host_set(&h[k], "phonemes", "hello world, yes.\nhello");
        host_run_timed(&h[k], 0);
        assert_int_equal(h[k].n_times, h[0].n_times);
        for (size_t i = 0; i < h[0].n_times; i++) {
            assert_int_equal(h[k].times[i].begin, h[0].times[i].begin);
            assert_int_equal(h[k].times[i].end, h[0].times[i].end);
        }
    }
    for (int k = 0; k < 3; k++)
        host_close(&h[k]);
}

static void times_can_cancel(void **state)
{
    host h;
    (void)state;
    host_open(&h, TINY, NULL, 1, BT_PREC_F32);
    host_set(&h, "phonemes", "hello");
    h.wants_times = true;
    h.stop_at_time = 3;
    assert_int_equal(host_try_run(&h), BT_ECANCELLED);
    assert_int_equal(h.n_times, 3);
    assert_int_equal(h.n, 0); /* they come before the samples */
    host_close(&h);
}

static void strict_names_the_phoneme(void **state)
{
    host h;
    (void)state;
    host_open(&h, TINY, NULL, 1, BT_PREC_F32);
    host_set(&h, "phonemes", "he\xC2\xA7llo");
    host_run(&h);
    assert_int_equal((int)host_fact(&h, "missing_phonemes"), 1);
    host_set(&h, "strict", "1");
    assert_int_equal(host_try_run(&h), BT_EINVAL);
    assert_string_equal(h.error.text, "the voice has no phoneme \"\xC2\xA7\" (U+00A7)");
    assert_int_equal(h.n, 0);
    host_set(&h, "phonemes", "hello");
    host_run(&h);
    host_close(&h);
}

/* ---- espeak-ng's words ---------------------------------------------------- */

/* text and its phonemes: pairs as "word=groups|". */
static void assert_pairs(const char *text, const char *phonemes, const char *want)
{
    bt_pairs p = { 0 };
    bt_buf got = { 0 };
    assert_true(bt_pairs_align(&p, text, strlen(text), 0, phonemes, 0, strlen(phonemes)));
    bt_buf_puts(&got, "");
    for (size_t i = 0; i < p.n; i++)
        bt_buf_printf(&got, "%.*s=%.*s|", (int)(p.v[i].source.to - p.v[i].source.from),
                      text + p.v[i].source.from, (int)(p.v[i].phonemes.to - p.v[i].phonemes.from),
                      phonemes + p.v[i].phonemes.from);
    assert_string_equal(got.data ? got.data : "", want);
    bt_buf_free(&got);
    bt_release(p.v);
}

/* As espeak-ng 1.51 reads them. */
static void words_are_aligned(void **state)
{
    (void)state;
    assert_pairs("Hello there,", "həlˈoʊ ðˈɛɹ", "Hello=həlˈoʊ|there=ðˈɛɹ|");
    assert_pairs("at the end of the day.", "æt ðɪʲ ˈɛnd ʌvðə dˈeɪ",
                 "at=æt|the=ðɪʲ|end=ˈɛnd|of the=ʌvðə|day=dˈeɪ|");
    assert_pairs("paid $5.50 for 1,234 apples in 1984,",
                 "pˈeɪd dˈɑːlɚ fˈaɪv pɔɪnt fˈaɪv zˈiəɹoʊ fɔːɹ wˈʌn θˈaʊzənd tˈuːhˈʌndɹɪd "
                 "θˈɜːɾi fˈɔːɹ ˈæpəlz ɪn nˈaɪntiːnhˈʌndɹɪd ˈeɪɾi fˈɔːɹ",
                 "paid=pˈeɪd|$5.50=dˈɑːlɚ fˈaɪv pɔɪnt fˈaɪv zˈiəɹoʊ|for=fɔːɹ|"
                 "1,234=wˈʌn θˈaʊzənd tˈuːhˈʌndɹɪd θˈɜːɾi fˈɔːɹ|apples=ˈæpəlz|in=ɪn|"
                 "1984=nˈaɪntiːnhˈʌndɹɪd ˈeɪɾi fˈɔːɹ|");
    assert_pairs("One of the best BBC shows was on", "wˈʌn ʌvðə bˈɛst bˌiːbˌiːsˈiː ʃˈoʊz wʌz ˌɔn",
                 "One=wˈʌn|of the=ʌvðə|best=bˈɛst|BBC=bˌiːbˌiːsˈiː|shows=ʃˈoʊz|was=wʌz|on=ˌɔn|");
    assert_pairs("...", "həlˈoʊ", "");
    assert_pairs("Hello", "", "");
    /* no way from one word to so many groups: all of it is one pair */
    assert_pairs("a", "a a a a a a a a a a a a a a a a a a",
                 "a=a a a a a a a a a a a a a a a a a a|");
}

#define SPOKEN "We met at the end of May. It cost $20, he said; \"too much!\" (And 15 more.)"

static void piper_words_are_placed(void **state)
{
    host h;
    bt_espeak *e;
    (void)state;
    host_open(&h, JOE, NULL, 2, BT_PREC_AUTO);
    if (bt_espeak_open("espeak-ng", "en-us", &e, &h.error) != BT_OK) {
        host_close(&h);
        skip();
    }
    bt_espeak_close(e);
    host_set(&h, "text", SPOKEN);
    host_run_timed(&h, 0);
    host_assert_told(&h, BT_TIMING_WORD, SPOKEN,
                     "We|met|at|the|end|of|May|It|cost|$20|he|said|too|much|And|15|more|");
    host_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(english_words_are_placed),
        cmocka_unit_test(words_of_a_document_are_placed),
        cmocka_unit_test(phonemes_are_their_own_source),
        cmocka_unit_test(a_piper_voice_tells_its_times),
        cmocka_unit_test(threads_do_not_change_times),
        cmocka_unit_test(times_can_cancel),
        cmocka_unit_test(strict_names_the_phoneme),
        cmocka_unit_test(words_are_aligned),
        cmocka_unit_test(piper_words_are_placed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
