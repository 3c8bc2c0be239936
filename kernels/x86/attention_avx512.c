/* SPDX-License-Identifier: MIT
 * Built with -mavx512f -mavx512bw -mavx512dq -mavx512vl (CMakeLists.txt). */
#include "vec_avx512.h"

/* Rows and registers of a tile: as many accumulators as fit beside the
 * registers of b and one broadcast value. */
enum { TILE_M = 6 };
#define TILE_NV 4

#include "../tmpl/attention.inc"
