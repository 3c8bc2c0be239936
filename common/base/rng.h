/* SPDX-License-Identifier: MIT
 * Random numbers that people can reproduce elsewhere.
 *
 * A seed found in another program should give the same picture here, so the
 * generators are those of the programs that people come from, to the bit where
 * libm allows: torch on a CPU (diffusers), torch on CUDA (A1111). All state is
 * the caller's.
 */
#ifndef BT_BASE_RNG_H
#define BT_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* mt19937 as torch.manual_seed(seed) on a CPU, with torch.randn's two paths
 * (ATen/native/cpu/DistributionTemplates.h: scalar Box-Muller with a cached
 * second value below 16 values, blocks of 16 from there on). */
typedef struct bt_torch_rng {
    uint32_t state[624];
    int next;
    int has_cached;
    double cached;
} bt_torch_rng;

/* Of the seed the lower 32 bits count, as in torch. */
void bt_torch_seed(bt_torch_rng *r, uint64_t seed);
uint32_t bt_torch_u32(bt_torch_rng *r);
/* n standard normal values, the bytes of torch.randn(n) up to libm. */
void bt_torch_randn(bt_torch_rng *r, float *out, size_t n);

/* n standard normal values of Philox4x32-10 as torch.cuda and A1111's "GPU"
 * source: value i is a function of (seed, offset, i) alone; `offset` counts the
 * calls made with this seed so far. */
void bt_philox_randn(uint64_t seed, uint32_t offset, float *out, size_t n);

/* n pairs of values of mean 0 and variance 1, each the sum of four uniform ones (within 3.46;
 * kurtosis 2.7), for noise that is summed over many of them anyway, where a true normal's
 * logarithm would cost more than all else. Pair i is a function of (seed, first + i)
 * alone: the even and the odd bytes of splitmix64's value of that number. */
void bt_sum_noise(uint64_t seed, uint64_t first, float *out, size_t n);

/* What a user's seed means: itself, or below 0 a random one of 32 bits from the
 * system (BT_EIO if it has none). */
bt_status bt_seed_choose(int64_t wanted, uint64_t *seed, bt_error *err);

/* Uniform in [0, 1), 53 bits, for token sampling (splitmix64: Steele et al.
 * 2014). *state is the seed and any value will do. */
double bt_uniform(uint64_t *state);

#endif
