/* SPDX-License-Identifier: MIT
 * A checksum of data: eight sums side by side, so that the processor has eight
 * multiplications on their way at once.
 */
#include "hash.h"

#include <string.h>

#define PRIME UINT64_C(0x9e3779b97f4a7c15) /* odd: multiplying by it loses nothing */

enum { LANES = 8, STRIPE = LANES * 8 };

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * PRIME;
    return h ^ h >> 29;
}

/* A lane is one chain of invertible steps: a word that differs changes it for
 * certain, and words that changed places with near certainty. */
uint64_t bt_hash_data(uint64_t seed, const void *data, size_t n)
{
    const uint8_t *p = data;
    uint64_t lane[LANES], word[LANES];
    for (int j = 0; j < LANES; j++)
        lane[j] = mix(seed, (uint64_t)j + 1);
    size_t left = n;
    for (; left >= STRIPE; left -= STRIPE, p += STRIPE) {
        memcpy(word, p, STRIPE);
        for (int j = 0; j < LANES; j++)
            lane[j] = (lane[j] ^ word[j]) * PRIME;
    }
    uint64_t h = mix(seed, n);
    for (int j = 0; j < LANES; j++)
        h = mix(h, lane[j] ^ lane[j] >> 32);
    for (; left > 0; left--)
        h = mix(h, *p++);
    return h;
}
