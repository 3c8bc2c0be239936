/* SPDX-License-Identifier: MIT
 * See held.h.
 */
#include "audio/speak/held.h"

#include <string.h>

#include "base/alloc.h"

bool bt_held_add(bt_held *h, const float *x, size_t n)
{
    if (h->n + n > h->cap) {
        const size_t cap = 2 * h->cap + n;
        float *more = bt_realloc_array(h->x, h->cap, cap, sizeof *more);
        if (!more)
            return false;
        h->x = more;
        h->cap = cap;
    }
    memcpy(h->x + h->n, x, n * sizeof *x);
    h->n += n;
    return true;
}
