/* SPDX-License-Identifier: MIT
 * Text to phonemes: the clause rules, espeak-ng as a process, and both against
 * piper-tts (tests/golden/make_phonemes.py).
 *
 * espeak-ng 1.51 (Debian 12) and the 1.52 inside piper-tts differ in a few
 * sentences whatever we do; `known` lists them with the reason. Everything
 * else must be identical, so a regression shows even above the 95 % line.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "audio/vits/clauses.h"
#include "audio/vits/phonemes.h"
#include "base/threads.h"
#include "voice_host.h"

/* In 1.52 a clause of one unstressed word stays unstressed; 1.51 stresses it. */
static const char *const known[] = {
    "one",
    "One. Two. Three.",
    "One! Two? Three.",
    "Wait… what?",
    "What?! No way!!",
    "Wait. . . what?",
    "Aaaaah! Hmm. Shh! Psst, zzz.",
    "!", /* 1.52 says "exclamation" */
};

static int is_known(const char *text)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], text) == 0)
            return 1;
    return 0;
}

/* ---- clauses ----------------------------------------------------------- */

/* "text|mark" of every clause, ends of sentences as '/', for comparison. */
static char *cut(const char *text)
{
    bt_buf b = { 0 };
    bt_clause c = { 0 };
    size_t n = strlen(text);
    bt_buf_puts(&b, "");
    while (bt_clause_next(text, n, c.end, &c)) {
        assert_true(c.begin < c.end && c.end <= n);
        bt_buf_add(&b, text + c.begin, c.end - c.begin);
        bt_buf_printf(&b, "|%s%s", c.mark, c.ends_sentence ? "/" : "+");
    }
    return bt_buf_take(&b);
}

static void clauses_are_cut_like_espeak(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "" },
        { " \n ", "" },
        { "No stop", "No stop|/" },
        { "One. Two", "One.|./Two|/" },
        { "One, two; three: four", "One,|, +two;|; +three:|: +four|/" },
        { "Yes! No? Oh", "Yes!|!/No?|?/Oh|/" },
        { "What?! Really??", "What?!|?/Really??|?/" },
        { "Wait... what", "Wait...|+what|/" },
        { "Wait… what", "Wait…|+what|/" },
        { "1,000 and 3.14. Done.", "1,000 and 3.14.|./Done.|./" },
        { "at 6:30, go", "at 6:30,|, +go|/" },
        { "e.g. this etc. and", "e.g. this etc. and|/" },
        { "end.\nlower", "end.|./lower|/" },
        { "one\ntwo", "one\ntwo|/" },
        { "one\n \ntwo", "one|/two|/" },
        { "He left — at last", "He left —|; +at last|/" },
        { "well-known a–b", "well-known a–b|/" },
        { "He left - at last", "He left - at last|/" },
        { "\"Stop!\" he said.", "\"Stop!|!/\" he said.|./" },
        { "(One.) Two", "(One.|./) Two|/" },
        { "...", "...|/" },
        { ", a", ", a|/" },
        { "a。b", "a。|/b|/" },
        { "see example.com, now", "see example.com,|, +now|/" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *got = cut(cases[i][0]);
        assert_string_equal(got, cases[i][1]);
        bt_release(got);
    }
}

static void any_bytes_are_cut(void **state)
{
    (void)state;
    static const char parts[] = "a .,;?!\n\xE2\x80\xA6\x94\xFF(\"B";
    unsigned seed = 1;
    for (int round = 0; round < 3000; round++) {
        char text[24];
        size_t n = 0, seen = 0;
        bt_clause c = { 0 };
        for (; n < sizeof text; n++)
            text[n] = parts[(seed = seed * 1103515245 + 12345) >> 16 & 15];
        while (bt_clause_next(text, n, c.end, &c)) {
            assert_true(c.begin >= seen && c.end > c.begin && c.end <= n);
            seen = c.end;
        }
    }
}

/* A text of one clause, with spaces and without, and one of nothing but marks. */
static void endless_clauses_are_cut(void **state)
{
    (void)state;
    static const char *const units[] = { "word ", "letters", "\xC3\xA9", "!?" };
    for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
        bt_buf text = { 0 };
        bt_clause c = { 0 };
        size_t said = 0;
        while (text.len < 50 * BT_CLAUSE_MAX)
            bt_buf_puts(&text, units[k]);
        while (bt_clause_next(text.data, text.len, c.end, &c)) {
            assert_in_range(c.end - c.begin, 1, 2 * BT_CLAUSE_MAX + 1);
            assert_true(((unsigned char)text.data[c.begin] & 0xC0) != 0x80);
            said += c.end - c.begin;
        }
        assert_true(said + text.len / BT_CLAUSE_MAX >= text.len);
        bt_buf_free(&text);
    }
}

/* ---- against piper ----------------------------------------------------- */

static char *joined(const cJSON *list)
{
    bt_buf b = { 0 };
    const cJSON *item;
    bt_buf_puts(&b, "");
    cJSON_ArrayForEach(item, list) bt_buf_printf(&b, "%s%s", b.len ? "\n" : "", item->valuestring);
    return bt_buf_take(&b);
}

static int same_ids(const cJSON *want, const bt_utterances *got)
{
    if ((size_t)cJSON_GetArraySize(want) != got->n)
        return 0;
    for (size_t i = 0; i < got->n; i++) {
        const cJSON *list = cJSON_GetArrayItem(want, (int)i);
        if (cJSON_GetArraySize(list) != got->v[i].n)
            return 0;
        for (int j = 0; j < got->v[i].n; j++)
            if (cJSON_GetArrayItem(list, j)->valueint != got->v[i].ids[j])
                return 0;
    }
    return 1;
}

static void ids_match_piper(void **state)
{
    (void)state;
    host h;
    bt_espeak *e;
    int total = 0, same = 0;
    host_open(&h, JOE, NULL, 1, BT_PREC_F32);
    char *text = golden_text("phonemes.json", NULL);
    cJSON *json = cJSON_Parse(text);
    const cJSON *s;
    if (bt_espeak_open("espeak-ng", "en-us", &e, &h.error) != BT_OK)
        fail_msg("%s", h.error.text);
    cJSON_ArrayForEach(s, cJSON_GetObjectItem(json, "sentences"))
    {
        bt_utterances u = { 0 };
        const char *line = cJSON_GetObjectItem(s, "text")->valuestring;
        if (bt_utter_text(h.model, e, line, strlen(line), NULL, &u, &h.error) != BT_OK)
            fail_msg("%s: %s", line, h.error.text);
        int ok = same_ids(cJSON_GetObjectItem(s, "ids"), &u);
        total++;
        same += ok;
        if (!ok) {
            char *want = joined(cJSON_GetObjectItem(s, "phonemes"));
            print_message("\"%s\": %s instead of %s%s\n", line,
                          u.phonemes.data ? u.phonemes.data : "", want,
                          is_known(line) ? " (known)" : "");
            assert_true(is_known(line));
            bt_release(want);
        }
        bt_utterances_free(&u);
    }
    print_message("%d of %d sentences have identical ids (%.1f %%)\n", same, total,
                  100.0 * same / total);
    assert_true(total >= 200 && same >= 0.95 * total);
    bt_espeak_close(e);
    cJSON_Delete(json);
    free(text);
    host_close(&h);
}

/* Where 1.51 and 1.52 pronounce the same, other languages must match too. */
static void other_languages_are_cut_alike(void **state)
{
    (void)state;
    host h;
    int same = 0, total = 0;
    host_open(&h, JOE, NULL, 1, BT_PREC_F32);
    char *text = golden_text("phonemes.json", NULL);
    cJSON *json = cJSON_Parse(text);
    const cJSON *s;
    cJSON_ArrayForEach(s, cJSON_GetObjectItem(json, "other_voices"))
    {
        bt_espeak *e;
        bt_utterances u = { 0 };
        const char *line = cJSON_GetObjectItem(s, "text")->valuestring;
        const char *voice = cJSON_GetObjectItem(s, "voice")->valuestring;
        if (bt_espeak_open("espeak-ng", voice, &e, &h.error) != BT_OK ||
            bt_utter_text(h.model, e, line, strlen(line), NULL, &u, &h.error) != BT_OK)
            fail_msg("%s", h.error.text);
        char *want = joined(cJSON_GetObjectItem(s, "phonemes"));
        total++;
        if (strcmp(u.phonemes.data, want) == 0)
            same++;
        else
            print_message("%s instead of %s\n", u.phonemes.data, want);
        assert_int_equal(u.n, cJSON_GetArraySize(cJSON_GetObjectItem(s, "phonemes")));
        bt_release(want);
        bt_utterances_free(&u);
        bt_espeak_close(e);
    }
    print_message("%d of %d\n", same, total);
    assert_true(same >= 13); /* the rest: German r and y, Italian r in 1.52 */
    cJSON_Delete(json);
    free(text);
    host_close(&h);
}

static void phonemes_of_text(const char *text, const char *want)
{
    host h;
    bt_espeak *e;
    bt_utterances u = { 0 };
    host_open(&h, JOE, NULL, 1, BT_PREC_F32);
    if (bt_espeak_open("espeak-ng", "en-us", &e, &h.error) != BT_OK ||
        bt_utter_text(h.model, e, text, strlen(text), NULL, &u, &h.error) != BT_OK)
        fail_msg("%s", h.error.text);
    assert_string_equal(u.phonemes.data, want);
    bt_utterances_free(&u);
    bt_espeak_close(e);
    host_close(&h);
}

static void raw_phonemes_join_the_text(void **state)
{
    (void)state;
    phonemes_of_text("I am [[həlˈoʊ]] here. Next.", "aɪˈæm həlˈoʊ hˈɪɹ.\nnˈɛkst.");
    phonemes_of_text("[[həlˈoʊ]]", "həlˈoʊ");
    phonemes_of_text("Unclosed [[ here.", "ʌŋklˈoʊzd hˈɪɹ.");
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    host h;
    bt_espeak *e;
    bt_utterances u = { 0 };
    bt_buf text = { 0 };
    host_open(&h, JOE, NULL, 1, BT_PREC_F32);
    for (int i = 0; i < 1500; i++)
        bt_buf_puts(&text, "one word ");
    if (bt_espeak_open("espeak-ng", "en-us", &e, &h.error) != BT_OK ||
        bt_utter_text(h.model, e, text.data, text.len, NULL, &u, &h.error) != BT_OK)
        fail_msg("%s", h.error.text);
    assert_true(u.n > 1);
    for (size_t i = 0; i < u.n; i++)
        assert_in_range(u.v[i].n, 5, 2 * 2000 + 3);
    bt_utterances_free(&u);
    bt_espeak_close(e);
    bt_buf_free(&text);
    host_close(&h);
}

/* ---- the process ------------------------------------------------------- */

static void a_missing_program_is_named(void **state)
{
    (void)state;
    host h;
    host_open(&h, JOE, NULL, 1, BT_PREC_F32);
    host_set(&h, "text", "Hello.");
    host_set(&h, "espeak", "no-such-espeak");
    assert_int_equal(host_try_run(&h), BT_EMISSING);
    assert_non_null(strstr(h.error.text, "no-such-espeak"));
    assert_non_null(strstr(h.error.text, "apt install espeak-ng"));
    host_set(&h, "phonemes", "həlˈoʊ."); /* needs none */
    host_run(&h);
    assert_true(h.n > 0);
    host_set(&h, "phonemes", "");
    host_set(&h, "espeak", "espeak-ng"); /* and the job goes on */
    host_run(&h);
    host_close(&h);
}

static void a_wrong_voice_is_an_error(void **state)
{
    (void)state;
    bt_espeak *e;
    bt_error err = { 0 };
    assert_int_not_equal(bt_espeak_open("espeak-ng", "xx-none", &e, &err), BT_OK);
    assert_null(e);
    assert_non_null(strstr(err.text, "xx-none"));
    assert_int_not_equal(bt_espeak_open("espeak-ng", "--stdin", &e, &err), BT_OK);
    assert_int_not_equal(bt_espeak_open("/bin/true", "en", &e, &err), BT_OK);
}

static void write_script(const char *path, const char *body)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(body, f);
    fclose(f);
    chmod(path, 0755);
}

/* A program that dies in mid-sentence must not raise SIGPIPE nor be left. */
static void a_dying_program_is_an_error(void **state)
{
    (void)state;
    char path[64];
    bt_espeak *e;
    bt_error err = { 0 };
    bt_buf b = { 0 };
    snprintf(path, sizeof path, "/tmp/bottega-espeak-%d", (int)getpid());
    write_script(path, "#!/bin/sh\nread a\necho sentinel\nread b\necho i__a\n");
    assert_int_equal(bt_espeak_open(path, "en", &e, &err), BT_OK);
    assert_int_equal(bt_espeak_ask(e, "Hello", 5, &b, &err), BT_EIO);
    assert_int_equal(bt_espeak_ask(e, "Hello", 5, &b, &err), BT_EIO);
    bt_espeak_close(e);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing left to reap */
    bt_buf_free(&b);
    unlink(path);
}

static void a_stuck_program_is_an_error(void **state)
{
    (void)state;
    char path[64];
    bt_espeak *e;
    bt_error err = { 0 };
    snprintf(path, sizeof path, "/tmp/bottega-espeak-%d", (int)getpid());
    write_script(path, "#!/bin/sh\nsleep 100\n");
    double begin = bt_now();
    assert_int_equal(bt_espeak_open(path, "en", &e, &err), BT_EIO);
    assert_true(bt_now() - begin < 30);
    assert_non_null(strstr(err.text, "did not answer"));
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clauses_are_cut_like_espeak),
        cmocka_unit_test(any_bytes_are_cut),
        cmocka_unit_test(endless_clauses_are_cut),
        cmocka_unit_test(ids_match_piper),
        cmocka_unit_test(other_languages_are_cut_alike),
        cmocka_unit_test(raw_phonemes_join_the_text),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(a_missing_program_is_named),
        cmocka_unit_test(a_wrong_voice_is_an_error),
        cmocka_unit_test(a_dying_program_is_an_error),
        cmocka_unit_test(a_stuck_program_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
