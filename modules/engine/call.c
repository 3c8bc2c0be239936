/* SPDX-License-Identifier: MIT
 * What every public call does first and last: it reads structs whose size the
 * caller knows better, keeps one message per thread, and runs in locale "C".
 *
 * Why messages by thread: an engine serves many threads at once, and a caller
 * asks for the message after the call that failed. Nothing here is
 * thread-local, so an engine that is freed leaves nothing behind.
 */
#include <string.h>

#include "engine/handles.h"

enum { MAX_STRUCT = 4096 };

/* ---- structs that grow --------------------------------------------------- */

static size_t struct_size(const void *s)
{
    size_t n;
    memcpy(&n, s, sizeof n);
    return n >= sizeof n && n <= MAX_STRUCT ? n : 0;
}

bool bt_struct_in(void *dst, size_t dst_size, const void *src)
{
    const size_t n = struct_size(src);
    if (n == 0)
        return false;
    memset(dst, 0, dst_size);
    memcpy(dst, src, n < dst_size ? n : dst_size);
    memcpy(dst, &dst_size, sizeof dst_size);
    return true;
}

bool bt_struct_out(void *dst, const void *src, size_t src_size)
{
    const size_t n = struct_size(dst);
    if (n == 0)
        return false;
    memset(dst, 0, n);
    memcpy(dst, src, n < src_size ? n : src_size);
    memcpy(dst, &n, sizeof n);
    return true;
}

/* ---- messages ------------------------------------------------------------ */

/* The thread's slot, made if `make`. A thread that ended leaves its slot to the
 * next one with its number, so there are never more than threads at once. */
static bt_error *slot_of(bt_engine *e, bool make)
{
    const pthread_t self = pthread_self();
    pthread_mutex_lock(&e->lock);
    bt_slot *s = e->slots;
    while (s && !pthread_equal(s->thread, self))
        s = s->next;
    if (!s && make && (s = bt_calloc(1, sizeof *s))) {
        s->thread = self;
        s->next = e->slots;
        e->slots = s;
    }
    pthread_mutex_unlock(&e->lock);
    return s ? &s->error : NULL;
}

bt_error *bt_engine_error(bt_engine *e) { return slot_of(e, true); }

locale_t bt_enter(bt_engine *e)
{
    bt_error *err = slot_of(e, false);
    if (err)
        *err = (bt_error){ 0 };
    return uselocale(e->locale);
}

void bt_leave(locale_t host) { uselocale(host); }

const char *bt_engine_message(const bt_engine *e)
{
    const bt_error *err = e ? slot_of((bt_engine *)(uintptr_t)e, false) : NULL;
    return err ? err->text : "";
}
