/* SPDX-License-Identifier: MIT
 * The one allocation seam, and the strings that grow on it.
 *
 * Every byte that the library asks for passes through bt_alloc, for two ends:
 * a test can make the Nth request fail (built with BT_FAULTS; tests/ does so for
 * every N), and rows of tensors start on a cache line. Whoever calls checks for
 * NULL: the library never aborts. What comes from here goes to bt_release.
 */
#ifndef BT_BASE_ALLOC_H
#define BT_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 64-byte aligned, not zeroed. NULL when there is no memory; n = 0 gives a
 * pointer that may be freed. */
void *bt_alloc(size_t n);
/* Zeroed; checks the multiplication. */
void *bt_calloc(size_t n, size_t size);
/* Grows or shrinks p from old_n to n items of `size` bytes; new ones are not
 * zeroed. NULL: no memory, and p is as it was. */
void *bt_realloc_array(void *p, size_t old_n, size_t n, size_t size);
void bt_release(void *p); /* NULL is fine */
/* Copies, zero-terminated; strndup ends at the first zero if that comes earlier. */
char *bt_strdup(const char *s);
char *bt_strndup(const char *s, size_t n);
bool bt_ends_with(const char *s, const char *end);

/* For sizes that come from files: false on overflow, and then *out must not be
 * used. Multiply and add with these before allocating. */
static inline bool bt_mul_ok(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool bt_add_ok(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* A growable byte string; always zero-terminated once written to. Failure is
 * sticky: check `failed` (or bt_buf_take) once at the end. */
typedef struct bt_buf {
    char *data;
    size_t len, cap;
    bool failed;
} bt_buf;

void bt_buf_add(bt_buf *b, const void *data, size_t n);
void bt_buf_puts(bt_buf *b, const char *s);
void bt_buf_printf(bt_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds s as a quoted JSON string; invalid UTF-8 becomes U+FFFD. */
void bt_buf_json(bt_buf *b, const char *s, size_t n);
/* Adds a JSON number of up to 9 digits, whatever the locale; null if not finite. */
void bt_buf_f64(bt_buf *b, double v);
char *bt_buf_take(bt_buf *b); /* the string (bt_release), or NULL if anything failed; b is reset */
void bt_buf_free(bt_buf *b);

/* Test builds only (BT_FAULTS): allocation number n from now fails, 0 = none.
 * Returns what is left of the former count: 0 once that failure happened. */
long bt_fault_after(long n);

#endif
