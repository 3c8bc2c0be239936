/* SPDX-License-Identifier: MIT
 * Looks at everything that a parser made of its input.
 */
#ifndef BT_TESTS_STORE_FUZZ_H
#define BT_TESTS_STORE_FUZZ_H

#include "formats/store_build.h"
#include "fuzz.h"

static inline void look_at_meta(const bt_store *s, const char *key)
{
    bt_meta_type type;
    size_t n = 0, len;
    uint64_t u;
    int64_t i;
    double f;
    bool b;
    bt_store_str(s, key, &len);
    bt_store_u64(s, key, &u);
    bt_store_i64(s, key, &i);
    bt_store_f64(s, key, &f);
    bt_store_bool(s, key, &b);
    const bt_meta *a = bt_store_array(s, key, &type, &n);
    if (!a || n == 0)
        return;
    bt_store_array_i64(a, n - 1, &i);
    bt_store_array_f64(a, n - 1, &f);
    const char *p = bt_store_array_str(a, n - 1, &len);
    volatile char last = p && len ? p[len - 1] : 0;
    (void)last;
}

static inline void look_at(const bt_store *s)
{
    volatile unsigned sum = 0;
    bt_buf b = { 0 };
    for (size_t i = 0; i < bt_store_count(s); i++) {
        const bt_tensor *t = bt_store_at(s, i);
        if (bt_store_find(s, t->name) == NULL)
            __builtin_trap();
        for (size_t k = 0; k < t->bytes; k++)
            sum += t->data[k];
    }
    for (size_t i = 0; i < bt_store_meta_count(s); i++)
        look_at_meta(s, bt_store_meta_key(s, i));
    for (size_t i = 0; i < bt_store_file_count(s); i++)
        bt_store_file(s, bt_store_file_name(s, i), NULL);
    bt_store_describe(s, &b);
    bt_buf_free(&b);
}

#endif
