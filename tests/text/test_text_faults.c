/* SPDX-License-Identifier: MIT
 * Every allocation of a tokenizer's and a chat template's life fails once (in
 * builds with BT_FAULTS; elsewhere only the unbroken run is made).
 */
#include <string.h>

#include "text_golden.h"
#include "text/chat.h"
#include "text/utf8.h"

static bt_status clip_life(void)
{
    static const char vocab[] = "{\"a\":0,\"b\":1,\"b</w>\":2,\"ab</w>\":3,\"<s>\":4,\"<e>\":5}";
    const bt_clip_config c = { .bos = "<s>", .eos = "<e>", .max_length = 8 };
    bt_bpe *b = NULL;
    bt_error err = { 0 };
    int32_t ids[8];
    bt_status st = bt_bpe_new_clip(vocab, strlen(vocab), "a b</w>", 7, &c, &b, &err);
    if (st != BT_OK) {
        assert_null(b);
        return st;
    }
    st = bt_bpe_encode_clip(b, "A\u030AB ab \xFF<e>b", 13, ids, NULL);
    if (st == BT_OK)
        assert_int_equal(ids[0], 4);
    bt_bpe_free(b);
    return st;
}

static bt_status chat_life(void)
{
    static const char source[] =
        "{% set n = namespace(s='') %}{% for m in messages %}{% set x %}{{ m|tojson }}{% endset %}"
        "{% set n.s = n.s ~ m.role|upper ~ m.content.split(',')|join('-') ~ x[::-1] %}{% endfor %}"
        "{{ n.s.replace('a', 'bb') }}{{ range(9)|list|length }}{{ {'a': [1, 2]}.items()|length }}";
    const bt_chat_message m = { "user", "a,b" };
    const bt_chat_input in = { .messages = &m, .n = 1 };
    bt_chat *c = NULL;
    char *text = NULL;
    bt_error err = { 0 };
    bt_status st = bt_chat_new(source, strlen(source), &c, &err);
    if (st == BT_OK)
        st = bt_chat_render(c, &in, &text, NULL, &err);
    assert_true((st == BT_OK) == (text != NULL));
    bt_chat_free(c);
    bt_release(text);
    return st;
}

static void break_each(bt_status (*life)(void))
{
    assert_int_equal(life(), BT_OK);
#ifdef BT_FAULTS
    for (long n = 1;; n++) {
        bt_fault_after(n);
        const bt_status st = life();
        if (bt_fault_after(0) > 0) { /* it needs fewer allocations */
            assert_int_equal(st, BT_OK);
            assert_true(n > 5);
            break;
        }
        assert_int_equal(st, BT_ENOMEM);
    }
#endif
}

static void clip_faults(void **state)
{
    (void)state;
    break_each(clip_life);
}

static void chat_faults(void **state)
{
    (void)state;
    break_each(chat_life);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(clip_faults),
                                        cmocka_unit_test(chat_faults) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
