#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Command line: help, wrong usage, spellings of flags.
source "$(dirname "$0")/lib.sh"

expect 0 "$bottega" --help
cp out overview
for c in image speak text chat info convert tokenize perplexity bench doctor; do
    says overview "$c"
    expect 0 "$bottega" $c --help
    says out "Usage: bottega $c"
    for flag in --json --threads --seed --isa --precision --quiet; do says out "$flag"; done
    expect 2 "$bottega" $c --no-such-flag
    one_line_error
done
expect 0 "$bottega" --version
says out "bottega 0.1.0"
expect 2 "$bottega"
expect 2 "$bottega" paint
says err "paint"

# Help comes from the module's table.
expect 0 "$bottega" image "${image[@]}" --help
says out "--direction NAME"
says out "-W, --width N"
says out "(across,down, default across)"

expect 2 "$bottega" image "${image[@]}" -p
says err "needs a value"
expect 2 "$bottega" image "${image[@]}"
says err "no prompt"
expect 2 "$bottega" image "${image[@]}" -p x --isa mmx
says err "none of auto,scalar"
expect 2 "$bottega" image "${image[@]}" -p x --precision=f8
expect 2 "$bottega" image "${image[@]}" -p x -t many
expect 2 "$bottega" image "${image[@]}" -p x --memory lots
expect 2 "$bottega" image "${image[@]}" -p x --width 0
says err "width: 0 is not between 1 and 2048"
expect 2 "$bottega" image "${image[@]}" -p x --direction sideways
expect 2 "$bottega" image "${image[@]}" -p x -o '%s.png'
expect 2 "$bottega" image "${image[@]}" -p x -o '%n.png'
expect 2 "$bottega" image "${image[@]}" -p x -o 'a%d%d.png'
expect 2 "$bottega" image "${image[@]}" -p x -o 'a%999999999d.png'
expect 2 "$bottega" image "${image[@]}" -p x --json=yes
expect 2 "$bottega" speak "${audio[@]}" hello -o hello.aiff
expect 2 "$bottega" speak "${audio[@]}" hello --raw --json
expect 2 "$bottega" speak "${audio[@]}" hello --raw --explain
expect 2 "$bottega" speak "${audio[@]}" hello --timings hello.txt
expect 2 "$bottega" speak "${audio[@]}" hello -f file
expect 2 "$bottega" speak "${audio[@]}" hello --phonemes abc
expect 2 "$bottega" image "${image[@]}" -p x y
expect 2 "$bottega" text "${text[@]}" -p x -f file
expect 2 "$bottega" info
expect 2 "$bottega" info a b
expect 2 "$bottega" convert one
expect 2 "$bottega" doctor now
absent out.png out.wav

# '-' and '_', '=', switches and their opposites, further names, all after '--'.
for flags in "--batch-count 2" "--batch_count=2" "-b 2"; do
    expect 0 "$bottega" image "${image[@]}" -p x $flags --json -q
    [ "$(json out 'd["jobs"][0]["options"]["batch"]')" = 2 ] || complain "$flags"
done
expect 0 "$bottega" image "${image[@]}" -p x --invert --json -q
[ "$(json out 'd["jobs"][0]["options"]["invert"]')" = True ] || complain "--invert"
expect 0 "$bottega" image "${image[@]}" -p x --invert --no-invert --json -q
[ "$(json out 'd["jobs"][0]["options"]["invert"]')" = False ] || complain "--no-invert"
expect 0 "$bottega" text "${text[@]}" -q -- --help
[ "$(cat out)" = "--help" ] || complain "-- ends the flags"
expect 0 "$bottega" image "${image[@]}" -p "--width" -q -o w.png
says w.png "--width"
finish
