/* SPDX-License-Identifier: MIT
 * Built with -mavx2 -mfma -mf16c (CMakeLists.txt). */
#include "vec_avx2.h"

/* Rows and registers of a tile: as many accumulators as fit beside the
 * registers of b and one broadcast value. */
enum { TILE_M = 6 };
#define TILE_NV 2

#include "../tmpl/attention.inc"
