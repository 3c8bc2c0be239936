/* SPDX-License-Identifier: MIT
 * What one LoRA does to one layer.
 *
 *     LoRA   W' = W + s up down              (Hu et al. 2021; convolutions: LyCORIS' LoCon)
 *     LoHa   W' = W + s (a1 b1) o (a2 b2)    (o: by elements; FedPara, Hyeon-Woo et al. 2021)
 *     LoKr   W' = W + s (w1 x w2)            (x: Kronecker; either may be a product)
 *     diff   W' = W + diff
 *     DoRA   W' = m (W + D) / |W + D|        (Liu et al. 2024; D is any of the above)
 *
 * s = alpha / rank. A core tensor (mid, t1, t2) makes the second factor of a product:
 * row i is the sum over j of core[i][j][tap] b[j][in] (Tucker; LyCORIS' rebuild_tucker).
 */
#ifndef BT_IMAGE_DELTA_H
#define BT_IMAGE_DELTA_H

#include "image/adapters/layers.h"

typedef struct sd_delta {
    const sd_layer *layer;
    const bt_weight *at[SD_ROLES]; /* of the LoRA's file; NULL: not there */
    float alpha;                   /* NAN: the rank, so that s = 1 */
    bool rank_stable;              /* s = alpha / sqrt(rank) (Kalajdzievski 2023) */
    float strength;                /* W + strength (W' - W) */
} sd_delta;

/* Whether the tensors belong together and fit the layer; `why` (n bytes) says what not. */
bool sd_delta_fits(const sd_delta *d, char *why, size_t n);
static inline bool sd_delta_is_dora(const sd_delta *d)
{
    return d->at[SD_DORA] || d->at[SD_MAGNITUDE];
}
/* w += strength (W' - W) for outputs first..first+n; w: [n][in][taps]. DoRA takes all outputs at
 * once, and the model's own W, which w began with; others do not look at `own`. */
bt_status sd_delta_add(const sd_delta *d, const bt_kernels *kernels, int64_t first, int64_t n,
                       const float *own, float *w, bt_error *err);

#endif
