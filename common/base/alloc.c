/* SPDX-License-Identifier: MIT
 * Memory (alloc.h). 64-byte alignment is a cache line and an AVX-512 register.
 */
#include "alloc.h"

#include <stdlib.h>
#include <string.h>

#define ALIGN 64

#ifdef BT_FAULTS
#include <stdatomic.h>

static atomic_long fault_left;

long bt_fault_after(long n) { return atomic_exchange(&fault_left, n); }

static bool fault_now(void)
{
    return atomic_load(&fault_left) > 0 && atomic_fetch_sub(&fault_left, 1) == 1;
}
#endif

void *bt_alloc(size_t n)
{
#ifdef BT_FAULTS
    if (fault_now())
        return NULL;
#endif
    void *p = NULL;
    if (n > SIZE_MAX / 2) /* no object is larger: differences of pointers must fit */
        return NULL;
    return posix_memalign(&p, ALIGN, n ? n : 1) == 0 ? p : NULL;
}

void *bt_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (!bt_mul_ok(n, size, &bytes))
        return NULL;
    void *p = bt_alloc(bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

void *bt_realloc_array(void *p, size_t old_n, size_t n, size_t size)
{
    size_t bytes;
    if (!bt_mul_ok(n, size, &bytes))
        return NULL;
    void *q = bt_alloc(bytes);
    if (!q)
        return NULL;
    if (p)
        memcpy(q, p, (old_n < n ? old_n : n) * size);
    bt_release(p);
    return q;
}

void bt_release(void *p) { free(p); }

char *bt_strdup(const char *s) { return bt_strndup(s, strlen(s)); }

char *bt_strndup(const char *s, size_t n)
{
    n = strnlen(s, n);
    char *p = n < SIZE_MAX ? bt_alloc(n + 1) : NULL;
    if (!p)
        return NULL;
    memcpy(p, s, n);
    p[n] = 0;
    return p;
}
