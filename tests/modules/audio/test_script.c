/* SPDX-License-Identifier: MIT
 * Sources as passages: plain text, SSML, what stands where, what is refused.
 */
#include <stdio.h>

#include "audio/script/script.h"
#include "audio/script/ssml_parts.h"
#include "voice_host.h"

static const bt_script_rules english = { .tongue = { true, BT_NOTATION_MISAKI },
                                         .sentence_silence = 0.25,
                                         .paragraph_silence = 0.5 };

/* "{pause} text", a ! for a pause that the source names, what is not usual in <>; the
 * failure's message at the end. */
static void render(const bt_script_rules *rules, const char *source, int ssml, bt_buf *out)
{
    bt_script s;
    bt_passage p = { 0 };
    bt_error err = { 0 };
    bt_status st = bt_script_open(&s, rules, source, ssml, &err);
    for (int i = 0; st == BT_OK; i++) {
        st = bt_script_next(&s, &p, &err);
        if (st != BT_OK || (p.n == 0 && !p.asked))
            break;
        bt_buf_printf(out, "{%g%s", p.pause, p.asked ? "!" : "");
        if (p.pace != 1)
            bt_buf_printf(out, " pace %.3g", p.pace);
        if (p.volume != 1)
            bt_buf_printf(out, " volume %.3g", p.volume);
        bt_buf_printf(out, "%s%s}%.*s", *p.speaker ? " " : "", p.speaker, (int)p.n,
                      p.n ? p.text : "");
        if (p.n == 0)
            break;
    }
    if (st != BT_OK)
        bt_buf_printf(out, "%d: %s", (int)st, err.text);
    bt_script_close(&s);
    assert_false(out->failed);
}

static void check(const bt_script_rules *rules, const char *source, const char *want)
{
    bt_buf got = { 0 };
    render(rules, source, -1, &got);
    if (strcmp(got.data ? got.data : "", want) != 0)
        fail_msg("%s\n  gives %s\n  not   %s", source, got.data, want);
    bt_buf_free(&got);
}

static void plain_text_has_paragraphs(void **state)
{
    (void)state;
    check(&english, "One.\nTwo.", "{0}One.\nTwo.");
    check(&english, "One\n\nTwo\n \t\n\nThree.", "{0}One\n\n{0.75}Two\n \t\n\n{0.75}Three.");
    check(&english, "a < b & c", "{0}a < b & c");
    check(&english, "", "");
    check(&english, "<speaker>", "{0}<speaker>");
}

#define S(body) "<speak>" body "</speak>"

static void elements_make_passages(void **state)
{
    static const char *const cases[][2] = {
        { S("Hello  there,\n my &amp; friend."), "{0}Hello there, my & friend." },
        { "\n <?xml version='1.0'?>" S("a"), "{0}a" },
        { "<?xml version='1.0' encoding='latin1'?>" S("\xC3\xA9"), "{0}\xC3\xA9" },
        { S("<p>One. Two.</p> <p>Three</p>"), "{0}One. Two.{0.75}Three" },
        { S("<p><s>One</s><s>Two</s></p>"), "{0}One{0.25}Two" },
        { S("One<break/>two"), "{0}One{0.4!}two" },
        { S("One <break time='1.5s'/>, two. <break time='200ms'/><break time='100ms'/>Three"),
          "{0}One{1.5!}, two.{0.3!}Three" },
        { S("One<break strength='none'/>. Two"), "{0}One.{0!}Two" },
        { S("<break time='1s'/>One<break time='2s'/>"), "{1!}One{2!}" },
        { S("A <prosody rate='slow'>b</prosody>, c."), "{0}A{0 pace 0.75}b,{0}c." },
        { S("A. <prosody volume='-6dB' rate='+50%'>B <prosody rate='50%'>c</prosody></prosody>"),
          "{0}A.{0.25 pace 1.5 volume 0.501}B{0 pace 0.75 volume 0.501}c" },
        { S("<prosody volume='silent'>A</prosody>"), "{0 volume 0}A" },
        { S("<voice name='ann'>A</voice><voice name='bob'>B</voice> C"),
          "{0 ann}A{0.25 bob}B{0.25}C" },
        { S("a<p>  </p>b"), "{0}a{0.75}b" },
        { S("a<p> - </p>b"), "{0}a{0.75}b" },
        { S("<mark name='x'/>a<audio "
            "src='y'><desc>no</desc>b</audio><x>c</x><metadata>d</metadata>"),
          "{0}abc" },
        { S("The <sub alias='World Wide Web'>WWW</sub>!"), "{0}The World Wide Web!" },
        { S("<phoneme alphabet='ipa' ph='təˈmeɪ.toʊ'>tomato</phoneme>."), "{0}[[təmˈAtO]]." },
        { S("<phoneme alphabet='x-sampa' ph='t'>tomato</phoneme>"), "{0}tomato" },
        { S("<say-as interpret-as='ordinal'>3</say-as> of <say-as interpret-as='bleep'>x</say-as>"),
          "{0}third of x" },
        { S("<![CDATA[<b> & c]]>"), "{0}<b> & c" },
        { S(""), "" },
        { S("<p/> <break time='1s'/>"), "{1!}" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&english, cases[i][0], cases[i][1]);
}

static void faults_are_told(void **state)
{
    static const char *const cases[][2] = {
        { "<speak>\n\n<p>a</s></speak>", "{0}a" },
        { "<speak>a", "ssml line 1: no element found" },
        { S("a") "b", "ssml line 1: junk after document element" },
        { S("a &nbsp; b"), "ssml line 1: undefined entity" },
        { S("<break time='300'/>"), "ssml line 1: break time=\"300\"" },
        { S("<break time='-1s'/>"), "ssml line 1: break time=\"-1s\"" },
        { S("<break time='61s'/>"), "ssml line 1: break time=\"61s\"" },
        { S("<break time='1e1s'/>"), "ssml line 1: break time=\"1e1s\"" },
        { S("<break strength='much'/>"), "ssml line 1: break strength=\"much\"" },
        { S("\n<prosody rate='0'>a</prosody>"), "ssml line 2: prosody rate=\"0\"" },
        { S("<prosody volume='+60dB'>a</prosody>"), "ssml line 1: prosody volume=\"+60dB\"" },
        { S("<say-as>a</say-as>"), "say-as without interpret-as" },
        { S("<sub>a</sub>"), "sub without alias" },
        { S("<phoneme ph=']]'>a</phoneme>"), "has a bracket" },
        { S("<voice name=''>a</voice>"), "a voice's name" },
        { "<?xml version='1.0'?><vxml/>", "the document is <vxml>, not <speak>" },
        { "<?xml version='1.0'?><!DOCTYPE speak [<!ENTITY a 'b'>]><speak>&a;</speak>",
          "ssml line 1: a document type is not taken" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bt_buf got = { 0 };
        render(&english, cases[i][0], -1, &got);
        if (!got.data || !strstr(got.data, i ? cases[i][1] : "ssml line 3: mismatched tag"))
            fail_msg("%s\n  gives %s", cases[i][0], got.data);
        bt_buf_free(&got);
    }
    bt_buf deep = { 0 }, got = { 0 };
    bt_buf_puts(&deep, "<speak>");
    for (int i = 0; i < 70; i++)
        bt_buf_puts(&deep, "<p>");
    render(&english, deep.data, -1, &got);
    assert_non_null(strstr(got.data, "more than 64 elements inside each other"));
    bt_buf_free(&deep);
    bt_buf_free(&got);
}

static void what_is_not_done_is_told(void **state)
{
    bt_script s;
    bt_passage p;
    bt_error err;
    (void)state;
    assert_int_equal(
        bt_script_open(&s, &english,
                       S("<prosody pitch='high' rate='fast'>a</prosody><emphasis>b</emphasis>"
                         "<emphasis>c</emphasis>"),
                       1, &err),
        BT_OK);
    do
        assert_int_equal(bt_script_next(&s, &p, &err), BT_OK);
    while (p.n);
    assert_string_equal(bt_script_ignored(&s), "[\"prosody pitch\",\"emphasis\"]");
    bt_script_close(&s);
}

/* Every byte of a passage stands for what it was made of. */
static void bytes_know_their_source(void **state)
{
    static const char source[] = S("One\n  &amp; <sub alias='number two'>2</sub> more,<b>x</b>.");
    static const struct {
        const char *text, *place;
    } cases[] = { { "One", "One" },
                  { "&", "&amp;" },
                  { "One & ", "One\n  &amp; " },
                  { "number", "<sub alias='number two'>2</sub>" },
                  { "two more", "<sub alias='number two'>2</sub> more" },
                  { "more,x.", "more,<b>x</b>." },
                  { "re", "re" } };
    bt_script s;
    bt_passage p;
    bt_error err;
    (void)state;
    assert_int_equal(bt_script_open(&s, &english, source, -1, &err), BT_OK);
    assert_int_equal(bt_script_next(&s, &p, &err), BT_OK);
    assert_int_equal(p.n, strlen("One & number two more,x."));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = memmem(p.text, p.n, cases[i].text, strlen(cases[i].text));
        assert_non_null(at);
        const size_t from = (size_t)(at - p.text);
        const bt_span got = bt_passage_source(&p, (bt_span){ from, from + strlen(cases[i].text) });
        assert_int_equal(got.to - got.from, strlen(cases[i].place));
        assert_memory_equal(source + got.from, cases[i].place, got.to - got.from);
    }
    bt_script_close(&s);
}

static void text_is_read_as_asked(void **state)
{
    static const struct {
        const char *how, *format, *text, *english, *french;
    } cases[] = {
        { "characters", "", "Ab-1", "[[ˈA]] B dash 1", "A B - 1" },
        { "spell-out", "", "bottle", "B O T T L E", "B O T T L E" },
        { "digits", "", "1 2-03", "1, 2, 0 3", "1, 2, 0 3" },
        { "telephone", "", "+1 (555) 12", "plus 1, 5 5 5, 1 2", "1, 5 5 5, 1 2" },
        { "cardinal", "", "1984", "one thousand, nine hundred and eighty-four", "1984" },
        { "number", "", "-1,200.50", "minus one thousand, two hundred point five", "-1200.50" },
        { "cardinal", "", "many", "many", "many" },
        { "ordinal", "", "21st", "twenty-first", "21st" },
        { "number", "ordinal", "2", "second", "2" },
        { "date", "mdy", "3/4/1999", "March fourth, nineteen ninety-nine", "3/4/1999" },
        { "date", "dmy", "3/4/1999", "the third of April, nineteen ninety-nine", "3/4/1999" },
        { "date", "", "2005-12-01", "December first, two thousand and five", "2005-12-01" },
        { "date", "my", "7.1984", "July nineteen eighty-four", "7.1984" },
        { "date", "md", "13/1", "13/1", "13/1" },
        { "date", "d", "5", "the fifth", "5" },
        { "time", "", "7:30", "7:30", "7:30" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int k = 0; k < 2; k++) {
            bt_buf out = { 0 };
            const bt_tongue tongue = { k == 0, k ? BT_NOTATION_IPA : BT_NOTATION_MISAKI };
            assert_true(bt_say_as(&out, cases[i].how, cases[i].format, cases[i].text,
                                  strlen(cases[i].text), tongue));
            assert_string_equal(out.data, k ? cases[i].french : cases[i].english);
            bt_buf_free(&out);
        }
}

static void phonemes_become_the_voices(void **state)
{
    static const char *const cases[][3] = {
        { "həˈloʊ", "həlˈO", "həlˈoʊ" },  { "ˈstreŋθ", "stɹˈAŋθ", "stɹˈeŋθ" },
        { "d͡ʒʌdʒ", "ʤʌʤ", "dʒʌdʒ" },      { "ˈbɜːd ˌaʊ", "bˈɜd ˌW", "bˈɜːd ˌaʊ" },
        { "ɡoʊ.ɪŋˈ", "ɡOɪŋˈ", "ɡoʊɪŋˈ" }, { "", "", "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int k = 0; k < 2; k++) {
            bt_buf out = { 0 };
            bt_ipa_convert(&out, cases[i][0],
                           (bt_tongue){ true, k ? BT_NOTATION_IPA : BT_NOTATION_MISAKI });
            assert_string_equal(out.data ? out.data : "", cases[i][1 + k]);
            bt_buf_free(&out);
        }
}

/* Every allocation fails once, expat's too. */
static void reading_survives(void **state)
{
    static const char source[] =
        S("One<break/> <p><prosody pitch='x' rate='fast'>two</prosody> <sub alias='three'>3</sub> "
          "<say-as interpret-as='date'>2005-12-01</say-as> <phoneme ph='həˈloʊ'>a</phoneme></p>");
    (void)state;
#ifdef BT_FAULTS
    for (long n = 1;; n++) {
        bt_script s = { 0 };
        bt_passage p = { 0 };
        bt_error err = { 0 };
        bt_fault_after(n);
        bt_status st = bt_script_open(&s, &english, source, 1, &err);
        for (p.n = 1; st == BT_OK && p.n;)
            st = bt_script_next(&s, &p, &err);
        bt_script_close(&s);
        if (bt_fault_after(0) > 0) {
            assert_int_equal(st, BT_OK);
            break;
        }
        if (st != BT_ENOMEM || !err.text[0])
            fail_msg("allocation %ld: status %d, \"%s\"", n, (int)st, err.text);
    }
#else
    check(&english, source,
          "{0}One{0.4! pace 1.33}two{0}three December first, two thousand and five [[həlˈO]]");
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_has_paragraphs),
        cmocka_unit_test(elements_make_passages),
        cmocka_unit_test(faults_are_told),
        cmocka_unit_test(what_is_not_done_is_told),
        cmocka_unit_test(bytes_know_their_source),
        cmocka_unit_test(text_is_read_as_asked),
        cmocka_unit_test(phonemes_become_the_voices),
        cmocka_unit_test(reading_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
