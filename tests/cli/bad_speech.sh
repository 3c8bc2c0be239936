#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Voices that are broken and texts that nobody says: one line each, and nothing half written.
source "$(dirname "$0")/lib.sh"
export BOTTEGA_DATA=${BOTTEGA_DATA:-$HOME/.local/share/bottega}
refused() { # STATUS MESSAGE ARGUMENTS...
    expect "$1" "$bottega" speak "${@:3}" -o bad.wav
    says err "$2"
    one_line_error
    absent bad.wav
}

# voices
tiny=$src/tests/golden/tiny-vits-high.onnx # three speakers
voice() { # NAME FROM TO: a copy with other bytes in it
    cp "$tiny.json" "$1.onnx.json"
    python3 - "$tiny" "$1.onnx" "$2" "$3" <<'PY' || complain "no voice $1"
import sys
old, new = (s.encode().decode("unicode_escape").encode("latin-1") for s in sys.argv[3:])
data = open(sys.argv[1], "rb").read()
assert old in data and len(old) == len(new)
open(sys.argv[2], "wb").write(data.replace(old, new))
PY
}
voice whole x x
expect 0 "$bottega" speak -m whole.onnx --phonemes "hal" -o whole.wav
voice opset 'B\x02\x10\x0f' 'B\x02\x10c'
refused 3 "opset.onnx: ONNX opset 99" -m opset.onnx --phonemes hal
# Its definition alone; nodes still ask for it.
voice lacks enc_p.emb.weightJ enc_p.emb.heavieJ
refused 3 "lacks.onnx: " -m lacks.onnx --phonemes hal
voice lacks enc_p.encoder.attn_layers.1.conv_k.weightJ enc_p.encoder.attn_layers.1.conv_k.weighsJ
refused 3 "lacks.onnx: tensor enc_p.encoder.attn_layers.1.conv_k.weight is missing" -m lacks.onnx --phonemes hal
head -c 20000 "$tiny" >cut.onnx
cp "$tiny.json" cut.onnx.json
refused 3 "cut.onnx: malformed ONNX" -m cut.onnx --phonemes hal
rm whole.onnx.json
refused 3 "whole.onnx.json" -m whole.onnx --phonemes hal
for json in "" "{" "[]" "null" "{}"; do
    echo "$json" >whole.onnx.json
    refused 3 "whole.onnx: the voice's JSON: " -m whole.onnx --phonemes hal
done
cp "$tiny.json" whole.onnx.json
for who in 3 -1 99999999999999999999 nobody; do
    refused 3 "no speaker \"$who\"" -m whole.onnx --phonemes hal --speaker $who
done
refused 3 "cannot open /nowhere" hello --lexicon /nowhere

# texts
for t in "" " " $'\n\n' "😀🎉" "[[" "[[ ]]" "مرحبا" "..." "?!" " - ]] ,"; do refused 3 "nothing to say" "$t"; done
refused 3 'no phoneme "☃" (U+2603)' "[[☃]]"
refused 3 "invalid UTF-8 at byte 3" $'caf\xe9'
for t in "Hello 😀 there" "你好, Привет, naïve café, مرحبا" "½ ² № <&> \\ ]]" $'a\001b' \
    "999999999999 1e400 25:61 12/34/5678"; do
    expect 0 "$bottega" speak "$t" -o odd.wav
    [ -s odd.wav ] || complain "nothing said: $t"
done

# Long ones begin at once, whatever is to come, and stop when they are told to.
printf 'The %d ships of Dr. Brown left at 7:30, did they not? ' {1..180000} >book
head -c 10000000 /dev/zero | tr '\0' ' ' >spaces
head -c 1000000 /dev/zero | tr '\0' a >word
head -c 1000000 /dev/zero | tr '\0' 7 >number
for f in book word number; do
    "$bottega" speak -f $f --raw -q 2>err | head -c 30000 >head
    [ "${PIPESTATUS[0]}" = 1 ] || complain "$f: a closed pipe"
    [ "$(stat -c %s head)" = 30000 ] || complain "$f: no sound"
    one_line_error
done
refused 3 "nothing to say" -f spaces
mkfifo pipe
"$bottega" speak -f book --raw -q >pipe 2>err &
pid=$!
exec 7<pipe
head -c 1000 <&7 >/dev/null
kill -INT $pid
cat <&7 >/dev/null
wait $pid
[ $? = 130 ] || complain "the book was not cancelled"
one_line_error
exec 7<&-

# A file that does not fit leaves the one that was there.
echo old >old.wav
(ulimit -f 20; "$bottega" speak "Nothing is lost that was there before." -o old.wav -q 2>err)
[ $? = 1 ] || complain "file size limit"
says err "cannot write old.wav"
one_line_error
[ "$(cat old.wav)" = old ] || complain "old.wav was lost"
ls | grep -q '\.tmp$' && complain "a temporary file is left: $(ls)"
finish
