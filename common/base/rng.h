/* SPDX-License-Identifier: MIT
 * Random numbers that people can reproduce elsewhere.
 */
#ifndef BT_BASE_RNG_H
#define BT_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* mt19937 as torch.manual_seed(seed) on a CPU, with torch.randn's two paths
 * (ATen/native/cpu/DistributionTemplates.h: scalar Box-Muller with a cached
 * second value below 16 values, blocks of 16 from there on). */
typedef struct bt_torch_rng {
    uint32_t state[624];
    int next;
    int has_cached;
    double cached;
} bt_torch_rng;

void bt_torch_seed(bt_torch_rng *r, uint64_t seed);
uint32_t bt_torch_u32(bt_torch_rng *r);
/* n standard normal values, the bytes of torch.randn(n) up to libm. */
void bt_torch_randn(bt_torch_rng *r, float *out, size_t n);

/* Philox4x32-10 as torch.cuda and A1111's "GPU" source: `offset` counts calls. */
void bt_philox_randn(uint64_t seed, uint32_t offset, float *out, size_t n);

/* Uniform in [0, 1) for token sampling (splitmix64). */
double bt_uniform(uint64_t *state);

#endif
