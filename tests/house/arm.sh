#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Do the kernels compile for AArch64, without a warning? Their tests need such a machine
# or qemu-user, with cmocka for it, and are not run here.
# usage: arm.sh SOURCE_DIR COMPILER KERNELS_INCLUDE_DIR
set -u
cd "$1" || exit 2
failures=0
for f in kernels/*.c kernels/ref/*.c kernels/arm/*.c; do
    flags=()
    [ "$f" = kernels/arm/q8_neon.c ] && flags=(-march=armv8.2-a+dotprod)
    "$2" -std=c11 -O1 -D_GNU_SOURCE -Wall -Wextra -Werror -ffp-contract=off "-I$3" -Ikernels "${flags[@]}" \
        -fsyntax-only "$f" || failures=$((failures + 1))
done
[ $failures -eq 0 ] || { printf '%d files do not compile for AArch64\n' $failures; exit 1; }
echo "the kernels compile for AArch64"
