/* SPDX-License-Identifier: MIT
 * Minimal filtering in one dimension: `outs` neighbouring outputs of a filter of `taps`
 * taps from outs + taps - 1 products instead of outs * taps (Toom 1963, Cook 1966,
 * Winograd 1980). With channels each product is one of a group's transformed inputs by
 * a [channels][outputs] matrix, so that what is left to do is a matrix multiply for
 * each point, over groups instead of rows.
 *
 *   y = A ((G w) * (B x)): A and B are kernels (bt_points), G is in the panels
 *   (BT_FORM_MINIMAL).
 *
 * How it goes: outputs of a filter are coefficients of a product of polynomials, turned
 * round. A polynomial of degree n - 1 is known by its values at n points, infinity, the
 * leading coefficient, being one of them.
 *
 * The points trade speed for accuracy: the more there are, the larger the numbers that
 * cancel. Those here lost least in a search among simple fractions, with 64 channels of
 * noise against double, six outputs of 3 taps have 123 dB, of 5 taps 116, of 7 taps 109
 * (four: 130, 123, 116), where sums of floats in plain order have 132, 130, 128.
 *
 * An output's bytes depend on all inputs of its group. Groups must therefore lie where
 * they would lie in any other cut of the work: at multiples of outs (times the dilation)
 * from the beginning of the rows.
 */
#ifndef BT_GRAPH_MINIMAL_H
#define BT_GRAPH_MINIMAL_H

#include "graph/pack.h"

enum { BT_MINIMAL_TAPS = 7 }; /* of the longest filter that has a form here */

/* Outputs of a group for a filter of so many taps from `in` to `out` channels; 0: there
 * is no form for it. Panels take (outs + taps - 1) / taps times the memory of the
 * filter's, which is why large filters have smaller groups. */
int bt_minimal_outs(int taps, int64_t in, int64_t out);
/* Its points; and what they make of its taps, [outs + taps - 1][taps]. */
void bt_minimal_points(int taps, int outs, bt_points *t);
void bt_minimal_weights(int taps, int outs, double g[BT_MAX_POINTS][BT_MINIMAL_TAPS]);

/* A thread's memory for as many groups as are taken together. */
typedef struct bt_minimal_scratch {
    float *v, *sums;    /* [point][groups][in], [point][groups][out] */
    const float **rows; /* [point][groups], into v */
    int groups;
    int64_t in, out; /* floats in a row: channels rounded up to BT_NR */
} bt_minimal_scratch;

/* Lays it out in memory from `base` on, 64-aligned, and returns its bytes; NULL: only
 * that. */
size_t bt_minimal_layout(uint8_t *base, int points, int groups, int64_t in, int64_t out,
                         bt_minimal_scratch *s);

/* The first `rows` rows of blocks of outs * dilation rows, of no more than s->groups groups.
 * x: the inputs, `in` floats a row, from half a filter before the first output on to half
 * a filter after the last block's last one; rows of `to` are `out` floats (ops/minimal.c). */
void bt_minimal_filter(const bt_kernels *k, const bt_points *t, const bt_packed *w, int dilation,
                       int rows, const float *x, const bt_minimal_scratch *s,
                       const bt_minimal_rows *to);

#endif
