/* SPDX-License-Identifier: MIT
 * UTF-8: every code point, ill-formed bytes, streams cut anywhere, normal forms.
 */
#include <string.h>

#include "text_golden.h"
#include "text/utf8.h"

static void all_code_points(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        char s[4];
        uint32_t back;
        if (cp >= 0xD800 && cp < 0xE000)
            continue;
        const size_t n = bt_utf8_put(s, cp);
        assert_int_equal(bt_utf8_next(s, n, &back), n);
        assert_int_equal(back, cp);
        assert_true(bt_utf8_valid(s, n));
        assert_int_equal(bt_utf8_partial(s, n), 0);
        if (n > 1)
            assert_false(bt_utf8_valid(s, n - 1));
        if (n > 1)
            assert_int_equal(bt_utf8_partial(s, n - 1), n - 1);
    }
}

/* As Python's bytes.decode("utf-8", "replace"). */
static const struct {
    const char *bytes, *want;
} ill_formed[] = {
    { "a\xFFz", "a\uFFFDz" },
    { "\xC0\x80", "\uFFFD\uFFFD" },
    { "\xE2\x82", "\uFFFD" },
    { "\xE2\x82z", "\uFFFDz" },
    { "\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD" },
    { "\xF0\x9F\x98", "\uFFFD" },
    { "\xF0\x9F\x98\xE2\x82\xAC", "\uFFFD€" },
    { "\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD" },
    { "\x80\x80", "\uFFFD\uFFFD" },
    { "\uFFFD", "\uFFFD" },
    { "\xF0\x8F\xBF\xBF", "\uFFFD\uFFFD\uFFFD\uFFFD" },
    { "\xE0\x9F\xBF", "\uFFFD\uFFFD\uFFFD" },
};

static void replacement(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ill_formed / sizeof *ill_formed; i++) {
        bt_buf b = { 0 };
        const char *s = ill_formed[i].bytes;
        bt_utf8_clean(&b, s, strlen(s));
        assert_string_equal(b.data, ill_formed[i].want);
        assert_int_equal(bt_utf8_valid(s, strlen(s)), strcmp(s, ill_formed[i].want) == 0);
        bt_buf_free(&b);
    }
}

/* However a text is cut, the stream gives whole characters and, in the end, what
 * cleaning all of it at once gives. */
static void streams(void **state)
{
    (void)state;
    const char text[] = "a\u00e9\u20ac\U0001F600\xF0\x9Fz\xE2\x82\xE2\x82\xAC"
                        "\x80\xFF\u00e9\xF0\x9F\x98";
    const size_t n = sizeof text - 1;
    bt_buf want = { 0 };
    bt_utf8_clean(&want, text, n);
    for (size_t step = 1; step <= n; step++) {
        bt_utf8_stream s = { .n = 0 };
        bt_buf got = { 0 };
        for (size_t i = 0; i < n; i += step) {
            bt_utf8_push(&s, text + i, i + step < n ? step : n - i, &got);
            assert_true(bt_utf8_valid(got.data, got.len));
            bt_utf8_push(&s, NULL, 0, &got);
        }
        bt_utf8_end(&s, &got);
        assert_string_equal(got.data, want.data);
        bt_buf_free(&got);
    }
    bt_buf_free(&want);
}

static void normal_forms(void **state)
{
    (void)state;
    static const struct {
        bt_utf8_form form;
        const char *in, *want;
    } cases[] = {
        { BT_NFC, "plain", "plain" },
        { BT_NFC, "e\u0301\uAC00\u1100\u1161", "\u00e9\uAC00\uAC00" },
        { BT_NFD, "\u00e9\uAC00", "e\u0301\u1100\u1161" },
        { BT_NFC, "a\u0301\u0323", "\u1EA1\u0301" }, /* marks are put in order of class */
        { BT_NFD, "\u1EA1\u0301\u0302", "a\u0323\u0301\u0302" },
        { BT_NFKC, "\uFB01\u00BD", "fi1\u20442" },
        { BT_NFKD, "\u2460", "1" },
        { BT_NFC, "\u0958", "\u0915\u093C" }, /* composition exclusion */
        { BT_NFC, "x\xFF", "x\uFFFD" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bt_buf b = { 0 };
        const char *s = cases[i].in;
        assert_int_equal(bt_utf8_normalize(&b, s, strlen(s), cases[i].form), BT_OK);
        assert_string_equal(b.data, cases[i].want);
        bt_buf_free(&b);
    }
}

static void classes(void **state)
{
    (void)state;
    assert_true(bt_is_letter('z') && bt_is_letter(0x65E5) && bt_is_letter(0x13460));
    assert_false(bt_is_letter('1') || bt_is_letter(0x301) || bt_is_letter('['));
    assert_true(bt_is_number('0') && bt_is_number(0xBD) && bt_is_number(0x2460));
    assert_true(bt_is_punct('!') && bt_is_punct(0x2019) && !bt_is_punct('$'));
    assert_true(bt_is_space(0x3000) && bt_is_space('\v') && !bt_is_space(0x200B));
    bt_buf b = { 0 };
    bt_utf8_lower(&b, 0x130);
    bt_utf8_lower(&b, 0xC9);
    bt_utf8_upper(&b, 0xE9);
    assert_string_equal(b.data, "i\u0307\u00e9\u00c9");
    bt_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_code_points), cmocka_unit_test(replacement), cmocka_unit_test(streams),
        cmocka_unit_test(normal_forms),    cmocka_unit_test(classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
