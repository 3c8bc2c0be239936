/* SPDX-License-Identifier: MIT
 * A hash for tables of names. It has no secret, so a file can be made whose
 * names collide; tables of many foreign names bound their probes (text/bpe.c).
 */
#ifndef BT_BASE_HASH_H
#define BT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a, 64 bit: for tables. Start with BT_HASH_INIT. */
#define BT_HASH_INIT 0xcbf29ce484222325u
static inline uint64_t bt_hash(uint64_t h, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

#endif
