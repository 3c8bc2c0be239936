/* SPDX-License-Identifier: MIT
 * Memory (alloc.h). 64-byte alignment is a cache line and an AVX-512 register.
 *
 * Large blocks (arenas, packed weights) begin at a page of 2 MiB and ask for such
 * pages: the first touch of fresh memory then costs a third, and rows far apart
 * do not each need an entry in the TLB. Only whole large pages are asked for, so
 * that a block takes no more memory than it has bytes.
 */
#include "alloc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN 64
#define HUGE  ((size_t)2 << 20)

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
    const bool large = n >= 4 * HUGE;
    if (posix_memalign(&p, large ? HUGE : ALIGN, n ? n : 1) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (large)
        (void)madvise(p, n / HUGE * HUGE, MADV_HUGEPAGE); /* a wish: without it all works too */
#endif
    return p;
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

bool bt_ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && memcmp(s + n - m, end, m) == 0;
}
