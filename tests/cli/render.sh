#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# examples/render.sh: killed in the middle, it goes on where it was.
source "$(dirname "$0")/lib.sh"
export BOTTEGA_DATA=${BOTTEGA_DATA:-$HOME/.local/share/bottega} BOTTEGA=$bottega

printf 'a red apple\na blue house\na green tree\n' >prompts
printf 'One.\nTwo.\n' >lines
setsid "$src/examples/render.sh" prompts lines r --seed 7 2>log &
pid=$!
for i in $(seq 300); do
    [ -e r/picture_001.png ] && break
    sleep 0.1
done
kill -KILL -- -$pid
wait $pid 2>/dev/null
[ -e r/picture_001.png ] || complain "no picture after 30 s: $(cat log)"
absent r/line_002.wav
before=$(stat -c '%i %Y' r/picture_001.png)
"$src/examples/render.sh" prompts lines r --seed 7 2>log || complain "render.sh: $(cat log)"
[ "$(stat -c '%i %Y' r/picture_001.png)" = "$before" ] || complain "picture 1 was made again"
[ "$(ls r | tr '\n' ' ')" = "line_001.wav line_002.wav picture_001.png picture_002.png picture_003.png " ] ||
    complain "files: $(ls r)"
for f in r/*.png; do [ "$(tail -c 8 "$f" | head -c 4)" = IEND ] || complain "$f is cut"; done
"$src/examples/render.sh" prompts lines r --seed 7 --json >out 2>log || complain "a third run"
grep -q '"files":\["' out && complain "the third run made files"
finish
