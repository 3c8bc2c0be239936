/* SPDX-License-Identifier: MIT
 * Errors: a status and one line of text that the caller owns.
 *
 * Functions that can fail return a bt_status and take a bt_error * last; the one
 * that finds the failure fills it (bt_fail), those above only pass the status
 * on. There is no global error and nothing is printed.
 */
#ifndef BT_BASE_STATUS_H
#define BT_BASE_STATUS_H

#include <bottega.h>

typedef struct bt_error {
    bt_status status;
    char text[512]; /* "what is wrong with which file"; no newline */
} bt_error;

#if defined(__GNUC__)
#define BT_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define BT_PRINTF(f, a)
#endif

/* Records the failure and returns `st`, so that `return bt_fail(...)` reads
 * well. Control characters in the text become '?'. err may be NULL. */
bt_status bt_fail(bt_error *err, bt_status st, const char *fmt, ...) BT_PRINTF(3, 4);

/* BT_ENOMEM with the usual line: "no memory for <what>". */
static inline bt_status bt_no_memory(bt_error *err, const char *what)
{
    return bt_fail(err, BT_ENOMEM, "no memory for %s", what);
}

/* Forwards a failure to the function's clean-up: needs `bt_status st` and a
 * label `fail` in scope. */
#define BT_TRY(expr)                                                                               \
    do {                                                                                           \
        st = (expr);                                                                               \
        if (st != BT_OK)                                                                           \
            goto fail;                                                                             \
    } while (0)

#endif
