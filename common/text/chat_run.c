/* SPDX-License-Identifier: MIT
 * What a render stands on: its memory, its failures and its limits.
 *
 * A template comes with a model, so it is a stranger's program. It cannot be
 * proved to end; instead each step is counted (bt_chat_spend) and each byte
 * comes from one arena with a limit. The first failure is kept and everything
 * above returns false.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chat_impl.h"

#define CHUNK 16384

struct chat_chunk {
    struct chat_chunk *next;
    size_t used, size;
    _Alignas(16) char data[];
};

void *bt_chat_arena_new(chat_arena *a, size_t n)
{
    if (n > a->limit - a->used)
        return NULL;
    n = (n + 15) & ~(size_t)15;
    if (!a->head || a->head->size - a->head->used < n) {
        const size_t size = n > CHUNK / 4 ? n : CHUNK;
        struct chat_chunk *c = bt_alloc(sizeof *c + size);
        if (!c)
            return NULL;
        *c = (struct chat_chunk){ .next = a->head, .size = size };
        a->head = c;
    }
    void *p = a->head->data + a->head->used;
    a->head->used += n;
    a->used = a->used + n < a->limit ? a->used + n : a->limit;
    return memset(p, 0, n);
}

void bt_chat_arena_free(chat_arena *a)
{
    while (a->head) {
        struct chat_chunk *next = a->head->next;
        bt_release(a->head);
        a->head = next;
    }
}

bool bt_chat_fail(chat_run *r, bt_status st, const chat_node *at, const char *fmt, ...)
{
    char text[256];
    if (r->st != BT_OK)
        return false;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->st = bt_fail(r->err, st, "chat template, line %d: %s", at->line, text);
    return false;
}

bool bt_chat_no_memory(chat_run *r, const chat_node *at)
{
    if (r->mem.limit - r->mem.used < CHAT_MAX_MEMORY / 2)
        return bt_chat_fail(r, BT_EUNSUPPORTED, at, "it needs too much memory");
    return bt_chat_fail(r, BT_ENOMEM, at, "no memory");
}

bool bt_chat_spend(chat_run *r, const chat_node *at, size_t bytes)
{
    r->steps += 1 + bytes / 64;
    return r->steps <= CHAT_MAX_STEPS || bt_chat_fail(r, BT_EUNSUPPORTED, at, "it runs too long");
}
