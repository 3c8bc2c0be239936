/* SPDX-License-Identifier: MIT
 * Slices of strings, and the arena that holds new ones (parts.h).
 */
#include "parts.h"

#include "text/utf8.h"

enum { BLOCK = 32 << 10, ALIGN = 16 };

typedef struct bt_pool_block {
    struct bt_pool_block *next;
    size_t size, used;
} block;

static size_t aligned(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

static block *add_block(bt_pool *a, size_t least)
{
    const size_t head = aligned(sizeof(block)), size = least > BLOCK ? least : BLOCK;
    block *b = bt_alloc(head + size);
    if (!b)
        return NULL;
    *b = (block){ NULL, head + size, head };
    if (a->now) {
        b->next = a->now->next;
        a->now->next = b;
    } else {
        a->first = b;
    }
    return a->now = b;
}

void *bt_pool_take(bt_pool *a, size_t n)
{
    size_t bytes;
    if (a->failed || !bt_add_ok(n, ALIGN, &bytes) || !bt_add_ok(bytes, BLOCK, &bytes)) {
        a->failed = true;
        return NULL;
    }
    n = aligned(n ? n : 1);
    while (a->now && a->now->size - a->now->used < n && a->now->next)
        a->now = a->now->next;
    if (!a->now || a->now->size - a->now->used < n)
        if (!add_block(a, n)) {
            a->failed = true;
            return NULL;
        }
    void *p = (char *)a->now + a->now->used;
    a->now->used += n;
    return p;
}

void bt_pool_reset(bt_pool *a)
{
    for (block *b = a->first; b; b = b->next)
        b->used = aligned(sizeof *b);
    a->now = a->first;
    a->failed = false;
}

void bt_pool_free(bt_pool *a)
{
    for (block *b = a->first, *next; b; b = next) {
        next = b->next;
        bt_release(b);
    }
    *a = (bt_pool){ 0 };
}

bool bt_str_ends(bt_str s, const char *suffix)
{
    const size_t n = strlen(suffix);
    return s.n >= n && memcmp(s.p + s.n - n, suffix, n) == 0;
}

bool bt_str_has(bt_str s, char c) { return s.n > 0 && memchr(s.p, c, s.n) != NULL; }

bool bt_str_among(bt_str s, const char *list)
{
    while (*list) {
        const size_t n = strcspn(list, " ");
        if (bt_str_eq(s, (bt_str){ list, n }))
            return true;
        list += n + (list[n] == ' ');
    }
    return false;
}

bt_str bt_str_copy(bt_pool *a, const char *p, size_t n)
{
    char *out = bt_pool_take(a, n);
    if (!out)
        return BT_NO_STR;
    if (n)
        memcpy(out, p, n);
    return (bt_str){ out, n };
}

bt_str bt_str_join(bt_pool *a, bt_str x, const char *between, bt_str y)
{
    const size_t m = strlen(between);
    char *out = x.p && y.p ? bt_pool_take(a, x.n + m + y.n) : NULL;
    if (!out)
        return BT_NO_STR;
    memcpy(out, x.p, x.n);
    memcpy(out + x.n, between, m);
    memcpy(out + x.n + m, y.p, y.n);
    return (bt_str){ out, x.n + m + y.n };
}

bt_str bt_str_cat(bt_pool *a, bt_str x, bt_str y) { return bt_str_join(a, x, "", y); }

bool bt_str_is_lower(bt_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (bt_is_ascii_upper((uint8_t)s.p[i]))
            return false;
    return true;
}

bool bt_str_is_upper(bt_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (bt_is_ascii_lower((uint8_t)s.p[i]))
            return false;
    return true;
}

bool bt_str_is_digits(bt_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!bt_is_ascii_digit((uint8_t)s.p[i]))
            return false;
    return s.n > 0;
}

bt_str bt_str_lower(bt_pool *a, bt_str s)
{
    char *out = bt_pool_take(a, s.n);
    for (size_t i = 0; out && i < s.n; i++)
        out[i] = (char)(bt_is_ascii_upper((uint8_t)s.p[i]) ? s.p[i] + 32 : s.p[i]);
    return (bt_str){ out, out ? s.n : 0 };
}

bt_str bt_str_upper(bt_pool *a, bt_str s)
{
    char *out = bt_pool_take(a, s.n);
    for (size_t i = 0; out && i < s.n; i++)
        out[i] = (char)(bt_is_ascii_lower((uint8_t)s.p[i]) ? s.p[i] - 32 : s.p[i]);
    return (bt_str){ out, out ? s.n : 0 };
}

bool bt_among(uint32_t c, const char *utf8)
{
    for (size_t n = strlen(utf8); n > 0;) {
        uint32_t k;
        const size_t len = bt_utf8_next(utf8, n, &k);
        if (k == c)
            return true;
        utf8 += len;
        n -= len;
    }
    return false;
}
