#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Several speakers in one script: who says what, in which order, at which rate.
source "$(dirname "$0")/lib.sh"
speak() { expect "$1" "$bottega" speak --module "$plugins/fake_audio.so" -m "$dir/sine.safetensors" "${@:2}"; }
sine=$dir/sine.safetensors

cat >play <<'EOF2'
It was dark.

ALICE: Who is it?
Note: a colon is no speaker.
BOB:   It is I.
  And who is it: you?
Bob: not he.

ALICE: I.
EOF2
speak 0 --cast "ALICE=$sine,BOB=$sine" -f play -o play.wav --timings play.json --json
is_json out
[ "$(json out 'd["files"]')" = "['play.wav', 'play.json']" ] || complain "files: $(cat out)"
python3 - <<'PY' || complain "times of the cast: $(cat play.json)"
import json
d, text = json.load(open("play.json")), open("play").read()
said = {}
for s in d["sentences"]:
    said.setdefault(s["speaker"], []).append(" ".join(s["text"].split()))
    assert s["begin"] < s["end"] <= d["samples"] / d["sample_rate"]
    for w in s["words"]:
        assert text[w["from"]:w["to"]].split() == w["text"].split(), w
assert said == {"NARRATOR": ["It was dark."],
    "ALICE": ["Who is it? Note: a colon is no speaker.", "I."],
    "BOB": ["It is I.", "And who is it: you? Bob: not he."]}, said
PY
# The samples are those of the turns, one after another.
"$bottega" speak --module "$plugins/fake_audio.so" -m "$sine" --cast "ALICE=$sine,BOB=$sine" -f play --raw -q >raw
tail -c +45 play.wav | cmp -s - raw || complain "--raw differs from the file"
speak 0 --cast "ALICE=$sine,BOB=$sine" --cast-silence 0.5 -f play -o slow.wav -q
[ $(($(stat -c %s slow.wav) - $(stat -c %s play.wav))) = $((3 * 8000)) ] || complain "--cast-silence"
printf '# who is who\nALICE=%s\nBOB=%s\n\n' "$sine" "$sine" >who
speak 0 --cast who -f play -o file.wav -q
cmp -s play.wav file.wav || complain "a cast in a file"
speak 0 --cast "NARRATOR=$sine,ALICE=$sine,BOB=$sine" -f play -o n.wav -q
cmp -s play.wav n.wav || complain "a narrator with the same voice"

# A book with a cast: the same turns, through parts.
speak 0 --book --cast "ALICE=$sine,BOB=$sine" -f play -o book.wav --timings book.json -q --cast-silence 0.5
python3 - <<'PY' || complain "a book of a cast"
import wave
a, b = (wave.open(f).readframes(1 << 24) for f in ("slow.wav", "book.wav"))
assert a == b
PY
speak 0 --cast "ALICE=$sine,BOB=$sine" --cast-silence 0.5 -f play -o slow.wav --timings slow.json -q
cmp -s slow.json book.json || complain "times of a book of a cast"

# Strangers are told before anything is spoken.
printf 'CAROL: Hm.\nALICE: Yes.\nDR. WHO: No.\nCAROL: Hm.\nTIME 12:30\nNB: mark well\n' >strangers
speak 3 --cast "ALICE=$sine" -f strangers -o s.wav
one_line_error
says err "no voice in the cast for CAROL (line 1), DR. WHO (line 3), NB (line 6)"
absent s.wav
speak 0 --cast "ALICE=$sine,CAROL=,DR. WHO=,NB=" -f strangers -o s.wav -q
[ -s s.wav ] || complain "NAME= is no plain text"
# Voices are tried before anything is spoken.
speak 3 --cast "ALICE=/nowhere/voice" -f play -o s2.wav
says err "no voice in the cast for BOB"
speak 3 --cast "ALICE=$sine,BOB=/nowhere/voice" -f play -o s2.wav
says err "/nowhere/voice"
one_line_error
speak 2 --cast "ALICE=$sine,BOB=$sine:jf_alpha" -f play -o s2.wav
says err "BOB"
one_line_error
for cast in "ALICE" "=x" "ALICE=$sine,ALICE=$sine" ",A=b" \
    "AVERYLONGNAMETHATNOBODYEVERHADINANYPLAYATALL=x"; do
    speak $([ -z "${cast##*=*}" ] && echo 2 || echo 3) --cast "$cast" -f play -o s2.wav
    one_line_error
done
speak 2 --cast "ALICE=$sine,BOB=$sine" -f play --explain
speak 2 --cast "ALICE=$sine,BOB=$sine" --phonemes abc
absent s2.wav

# Voices of different models, if they are here: one rate, each model loaded once.
data=${BOTTEGA_DATA:-}
if [ -f "$data/models/hibari/hibari.onnx" ] && [ -f "$data/models/en_US-joe-medium.onnx" ] &&
    command -v espeak-ng >/dev/null; then
    printf 'ALICE: Hello there.\nBOB: [[haɪ]]\nALICE: Bye.\n' >two
    run() { expect 0 "$bottega" speak --cast "ALICE=hibari,BOB=en_US-joe-medium" -f two "$@"; }
    run -o two.wav -t 1 --timings two.json
    run -o three.wav -t 3
    cmp -s two.wav three.wav || complain "threads change the bytes of a cast"
    [ "$(json two.json 'd["sample_rate"], [s["speaker"] for s in d["sentences"]]')" = \
        "(24000, ['ALICE', 'BOB', 'ALICE'])" ] || complain "$(cat two.json)"
    run -o half.wav --rate 12000 --noise-scale 0.5
    expect 2 "$bottega" speak --cast "ALICE=hibari" "ALICE: Hello." --noise-scale 0.5 -o x.wav
    says err "noise_scale: no voice of this cast has such an option"
else
    echo "skipped: voices of different models"
fi
finish
