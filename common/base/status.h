/* SPDX-License-Identifier: MIT
 * Errors: a status and one line of text that the caller owns.
 */
#ifndef BT_BASE_STATUS_H
#define BT_BASE_STATUS_H

#include <bottega.h>

typedef struct bt_error {
    bt_status status;
    char text[512];
} bt_error;

#if defined(__GNUC__)
#define BT_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define BT_PRINTF(f, a)
#endif

/* Records the failure and returns `st`, so that `return bt_fail(...)` reads
 * well. Control characters in the text become '?'. err may be NULL. */
bt_status bt_fail(bt_error *err, bt_status st, const char *fmt, ...) BT_PRINTF(3, 4);

/* Forwards a failure to the function's clean-up: needs `bt_status st` and a
 * label `done` (or `fail`) in scope. */
#define BT_TRY(expr)                                                                               \
    do {                                                                                           \
        st = (expr);                                                                               \
        if (st != BT_OK)                                                                           \
            goto fail;                                                                             \
    } while (0)

#endif
