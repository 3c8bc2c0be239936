/* SPDX-License-Identifier: MIT
 * Hashes for tables of names and for data. They have no secret, so a file can be
 * made whose names collide; tables of many foreign names bound their probes
 * (text/bpe.c).
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

/* For data: a checksum of some GB/s against damage and mixed-up files, not
 * against people. Every byte and its place count. */
uint64_t bt_hash_data(uint64_t seed, const void *data, size_t n);

#endif
