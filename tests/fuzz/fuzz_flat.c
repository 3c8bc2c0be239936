/* SPDX-License-Identifier: MIT
 * Lexicons as they are scanned: every key found again, every value stepped through;
 * and the members of a file of several tables.
 */
#include "audio/english/parts.h"
#include "fuzz.h"

static void look(const bt_flat *f, bt_str raw)
{
    bt_str key, value;
    for (size_t at = 0; bt_flat_next(raw, &at, &key, &value);) {
        const bt_str inner = bt_flat_string(value);
        const bt_str v = bt_flat_get(f, raw.p[0] == '{' ? key : inner.p ? inner : key);
        if (v.n > 0 && (v.p < f->data || v.p + v.n > f->end))
            __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data;
    size_t at = 0, from = 0;
    bt_flat f;
    bt_error e;
    bt_str key;
    if (bt_flat_read("fuzz", s, size, &at, size / 8, &f, &e) == BT_OK) {
        look(&f, (bt_str){ s, at });
        bt_lexicon_get(&f, BT_STR("Hello"));
    }
    bt_flat_free(&f);
    while (bt_flat_member(s, size, &from, &key))
        if (bt_flat_read("fuzz", s, size, &from, 0, &f, &e) == BT_OK)
            bt_flat_free(&f);
        else
            bt_flat_free(&f);
    return 0;
}
