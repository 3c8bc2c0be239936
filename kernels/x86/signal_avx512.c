/* SPDX-License-Identifier: MIT
 * Built with -mavx512f -mavx512bw -mavx512dq -mavx512vl (CMakeLists.txt). */
#include "vec_avx512.h"

#include "../tmpl/signal.inc"
