#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# libbottega exports exactly what bottega.h declares, and says its soname.
set -euo pipefail
build=$1 src=$2
lib=$build/modules/libbottega.so
exported=$(nm -D --defined-only "$lib" | awk '$2 ~ /[TDBRVW]/ { print $3 }' | sort)
declared=$(grep -oE '^BT_API [^(]*\bbt_[a-z_]+\(' "$src/include/bottega.h" |
    grep -oE 'bt_[a-z_]+\($' | tr -d '(' | sort)
diff <(echo "$declared") <(echo "$exported") || { echo "declared (<) and exported (>) differ"; exit 1; }
readelf -d "$lib" | grep -q 'SONAME.*\[libbottega\.so\.0\]' || { echo "wrong soname"; exit 1; }
n=$(echo "$declared" | wc -l)
[ "$n" -le 44 ] || { echo "$n functions, at most 44"; exit 1; }
