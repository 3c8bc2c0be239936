/* SPDX-License-Identifier: MIT */
#include "vec_neon.h"

enum { TILE_M = 6 };
#define TILE_NV 4

#include "../tmpl/attention.inc"
