/* SPDX-License-Identifier: MIT */
#include "vec_neon.h"

/* Four registers are a panel; 6 x 4 sums leave 8 of the 32 for b and a value. */
enum { TILE_M = 6 };
#define TILE_NV 4

#include "../tmpl/gemm.inc"
