/* SPDX-License-Identifier: MIT */
#include "vec_neon.h"

#include "../tmpl/signal.inc"
