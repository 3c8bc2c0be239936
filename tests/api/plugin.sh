#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs Bottega into a folder, builds the example plug-in against what was
# installed (nothing of the source tree), and draws with it.
set -euo pipefail
build=$1 src=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cmake --install "$build" --prefix "$dir/prefix" >"$dir/log" || { cat "$dir/log"; exit 1; }
cp -r "$src/examples/plugin" "$dir/plugin"
flags=$(sed -n 's/^BT_SANITIZE:BOOL=//p' "$build/CMakeCache.txt")
[ "$flags" = ON ] && export CFLAGS="-fsanitize=address,undefined"
cmake -S "$dir/plugin" -B "$dir/build" -DCMAKE_PREFIX_PATH="$dir/prefix" >"$dir/log" ||
    { cat "$dir/log"; exit 1; }
cmake --build "$dir/build" >"$dir/log" || { cat "$dir/log"; exit 1; }
header='{"__metadata__":{"demo":"gradient"}}'
{ printf "\\x$(printf %02x "${#header}")\0\0\0\0\0\0\0"; printf %s "$header"; } >"$dir/m.safetensors"
cd "$dir"
prefix/bin/bottega image --module build/bottega-gradient.so -m m.safetensors -p hello \
    --direction vertical -b 2 -o 'p_%02d.png' --profile trace.json --json >report.json
[ -s p_01.png ] && [ -s p_02.png ]
grep -q '"painter":"a plug-in"' report.json
grep -q '"direction":"down"' report.json
grep -q '"traceEvents"' trace.json
# The help page knows the plug-in's options.
prefix/bin/bottega image --module build/bottega-gradient.so --help >help.txt
grep -q -- --brightness help.txt
# One executor: the plug-in brings no copy of the core.
! nm --defined-only build/bottega-gradient.so | grep -q bt_plan_run
