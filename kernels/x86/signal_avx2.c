/* SPDX-License-Identifier: MIT
 * Built with -mavx2 -mfma -mf16c (CMakeLists.txt). */
#include "vec_avx2.h"

#include "../tmpl/signal.inc"
