#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Bad models, bad inputs, outputs that cannot be written, budgets.
source "$(dirname "$0")/lib.sh"
export BOTTEGA_DATA=$dir/empty XDG_DATA_HOME=$dir/empty HOME=$dir/empty

# models
expect 3 "$bottega" text -m no-such-model -p x
says err "no-such-model"
one_line_error
expect 3 "$bottega" text -m /nowhere/model.gguf -p x
says err "/nowhere/model.gguf"
expect 3 "$bottega" text -p x
says err "scripts/quickstart"
one_line_error
: >empty.gguf
printf 'GGUF' >short.gguf
head -c 4096 /dev/urandom >noise.gguf
printf 'GGUF\3\0\0\0\377\377\377\377\377\377\377\177\377\377\377\377\377\377\377\177' >huge.gguf
printf '\377\377\377\377\377\377\377\177{' >huge.safetensors
mkdir folder
for f in empty.gguf short.gguf noise.gguf huge.gguf huge.safetensors folder /etc/passwd; do
    for c in "info $f" "text -p x -m $f" "image -p x -m $f" "speak x -m $f" "convert $f o.gguf"; do
        expect 3 "$bottega" $c
        one_line_error
        says err "${f##*/}"
    done
done
absent o.gguf out.png out.wav
expect 3 "$bottega" text -p x -m gradient.safetensors
says err "gradient.safetensors"
expect 3 "$bottega" text -p x -m gradient.safetensors --module "$plugins/fake_image.so"
says err "kind text"
for i in 1 2 3 4 5; do
    expect 3 "$bottega" doctor --module "$plugins/bad_plugin$i.so"
    one_line_error
done
expect 3 "$bottega" doctor --module /nowhere/m.so
expect 2 "$bottega" convert gradient.safetensors o.gguf --type q9

# inputs
expect 3 "$bottega" text "${text[@]}" -f /nowhere/prompt
says err "/nowhere/prompt"
expect 3 "$bottega" text "${text[@]}" -f .
printf 'a\0b' >zero
expect 3 "$bottega" text "${text[@]}" -f zero
says err "zero"
expect 3 "$bottega" image "${image[@]}" --prompts-file /nowhere/prompts
expect 3 "$bottega" image "${image[@]}" -p x --init zero
says err "zero"
expect 3 "$bottega" speak "${audio[@]}" "" -o nothing.wav
says err "nothing to say"
absent nothing.wav
expect 3 "$bottega" text "${text[@]}" -p x --fail loudly
says err "asked to fail"
expect 1 "$bottega" text "${text[@]}" -p x --fail silently

# outputs
expect 1 "$bottega" image "${image[@]}" -p x -o /nowhere/x.png
says err "/nowhere/x.png"
one_line_error
expect 1 "$bottega" speak "${audio[@]}" x -o /nowhere/x.wav
expect 1 "$bottega" speak "${audio[@]}" x --timings /nowhere/x.json
expect 1 "$bottega" text "${text[@]}" -p x -o /nowhere/x.txt
expect 1 "$bottega" image "${image[@]}" -p x --profile /nowhere/x.json
expect 1 "$bottega" convert "$src/tests/golden/tiny-llama-tied.gguf" /nowhere/x.gguf
expect 1 "$bottega" image "${image[@]}" -p x -o /dev/full
expect 1 "$bottega" text "${text[@]}" -p x -o /dev/full
full() { "$bottega" "$@" >/dev/full 2>err; }
for c in "text -p x" "text -p x --json" "tokenize x" "chat"; do
    full $c "${text[@]}" <<<hello
    [ $? = 1 ] || complain "full disk: $c"
    one_line_error
done
full speak "${audio[@]}" abc --raw
[ $? = 1 ] || complain "full disk: speak --raw"
full doctor
[ $? = 1 ] || complain "full disk: doctor"
full --help
[ $? = 1 ] || complain "full disk: --help"
full info echo.safetensors
[ $? = 1 ] || complain "full disk: info"
(ulimit -f 0; "$bottega" image "${image[@]}" -p x -o limited.png -q 2>/dev/null)
[ $? = 1 ] || complain "file size limit: image"
absent limited.png*
"$bottega" text "${text[@]}" -p "one two" --repeat 100000 -q 2>err | head -c 1 >/dev/null
[ "${PIPESTATUS[0]}" = 1 ] || complain "a closed pipe"
[ -c /dev/full ] || complain "/dev/full was replaced"
ls | grep -q '\.tmp$' && complain "a temporary file is left: $(ls)"

# budgets
expect 4 "$bottega" text "${text[@]}" -p x --repeat 100 --memory 10M
one_line_error
expect 0 "$bottega" text "${text[@]}" -p x --repeat 5 --memory 10M
finish
