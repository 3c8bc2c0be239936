#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What commands make: files and their names, JSON, streams, progress.
source "$(dirname "$0")/lib.sh"

# image
expect 0 "$bottega" image "${image[@]}" -p "a red apple" -o apple.png
says err "apple.png: 64 x 32"
says apple.png "parameters"
says apple.png "a red apple"
[ -s out ] && complain "image wrote on stdout"
expect 0 "$bottega" image "${image[@]}" -p x -o apple.png -q
[ -s err ] && complain "-q is not quiet: $(cat err)"
expect 0 "$bottega" image "${image[@]}" -p x -b 2 -o b.png --json -q
is_json out
[ "$(json out 'd["files"]')" = "['b_001.png', 'b_002.png']" ] || complain "names: $(cat out)"
[ -s b_001.png ] && [ -s b_002.png ] || complain "b_001.png or b_002.png is missing"
printf '# colours\nred\n\n  \ngreen\r\nblue' >prompts
expect 0 "$bottega" image "${image[@]}" --prompts-file prompts -o 'c%%_%02d.png' --json
[ "$(json out 'd["files"]')" = "['c%_01.png', 'c%_02.png', 'c%_03.png']" ] || complain "$(cat out)"
[ "$(json out '[j["options"]["prompt"] for j in d["jobs"]]')" = "['red', 'green', 'blue']" ] ||
    complain "prompts: $(cat out)"
says err "[2/3] drawing"
rm 'c%_02.png'
touch -d 2001-01-01 'c%_01.png'
expect 0 "$bottega" image "${image[@]}" --prompts-file prompts -o 'c%%_%02d.png' --json --skip-existing
[ "$(json out 'd["files"]')" = "['c%_02.png']" ] || complain "--skip-existing: $(cat out)"
expect 0 "$bottega" image "${image[@]}" -p x --init apple.png -o i.png
expect 0 "$bottega" image "${image[@]}" -p x --profile trace.json
is_json trace.json
expect 0 "$bottega" image "${image[@]}" -p x -o dry.png --dry-run
says out "arena"
expect 0 "$bottega" image "${image[@]}" -p x -o dry.png --dry-run --json
is_json out
absent dry.png

# speak
expect 0 "$bottega" speak "${audio[@]}" a b c -o s.wav
[ "$(stat -c %s s.wav)" = $((44 + 5 * 1600)) ] || complain "s.wav has $(stat -c %s s.wav) bytes"
expect 0 "$bottega" speak "${audio[@]}" abc -o s.FLAC
[ "$(head -c 4 s.FLAC)" = fLaC ] || complain "s.FLAC is none"
printf abc >abc
expect 0 "$bottega" speak "${audio[@]}" -f abc --output_file f.wav
"$bottega" speak "${audio[@]}" -o p.wav -q <abc
cmp -s f.wav p.wav || complain "a file and a pipe differ"
expect 0 "$bottega" speak "${audio[@]}" --phonemes abc -o ph.wav
cmp -s f.wav ph.wav || complain "--phonemes"
"$bottega" speak "${audio[@]}" abc --raw -q >raw
tail -c +45 f.wav | cmp -s - raw || complain "--raw differs from the file"
expect 0 "$bottega" speak "${audio[@]}" --prompts-file prompts -o 'l_%d.wav' --length_scale 2 --json
[ "$(json out 'd["files"]')" = "['l_1.wav', 'l_2.wav', 'l_3.wav']" ] || complain "$(cat out)"
[ "$(json out 'd["jobs"][2]["audio"]["samples"]')" = 3200 ] || complain "$(cat out)"

# when what is said
said="ab <c>. d & e."
expect 0 "$bottega" speak "${audio[@]}" "$said" -o t.wav --timings t.json
is_json t.json
[ "$(json t.json 'd["samples"], d["sample_rate"], d["source"]')" = "(11200, 8000, 'text')" ] ||
    complain "t.json: $(cat t.json)"
[ "$(json t.json '[(s["text"], s["begin"], s["end"]) for s in d["sentences"]]')" = \
    "[('ab <c>.', 0.0, 0.7), ('d & e.', 0.8, 1.4)]" ] || complain "sentences: $(cat t.json)"
[ "$(json t.json '[w["text"] for s in d["sentences"] for w in s["words"]]')" = \
    "['ab', '<c>', 'd', '&', 'e']" ] || complain "words: $(cat t.json)"
[ "$(json t.json '[p["phoneme"] for p in d["sentences"][1]["phoneme_times"]]')" = \
    "['d', ' ', '&', ' ', 'e', '.']" ] || complain "phonemes: $(cat t.json)"
expect 0 "$bottega" speak "${audio[@]}" "$said" -o t.wav --timings t.srt --json
[ "$(json out 'd["files"]')" = "['t.wav', 't.srt']" ] || complain "files: $(cat out)"
printf '1\n00:00:00,000 --> 00:00:00,700\nab <c>.\n\n2\n00:00:00,800 --> 00:00:01,400\nd & e.\n\n' |
    cmp -s - t.srt || complain "t.srt: $(cat t.srt)"
"$bottega" speak "${audio[@]}" "$said" --raw -q --timings t.VTT >raw || complain "--raw --timings"
tail -c +45 t.wav | cmp -s - raw || complain "--timings changed the sound"
{
    printf 'WEBVTT\n\n00:00:00.000 --> 00:00:00.700\nab <00:00:00.300>&lt;c&gt;.\n\n'
    printf '00:00:00.800 --> 00:00:01.400\nd <00:00:01.000>&amp; <00:00:01.200>e.\n\n'
} | cmp -s - t.VTT || complain "t.VTT: $(cat t.VTT)"
expect 0 "$bottega" speak "${audio[@]}" --prompts-file prompts -o 'm_%d.wav' --timings m.json -q
[ "$(json m_003.json 'd["sentences"][0]["text"]')" = blue ] || complain "m_003.json"
absent m.json m_004.json
expect 0 "$bottega" speak "${audio[@]}" --phonemes ab --explain
says out "phonemes  ab"
says out "id  97  0.100 s  a"
absent out.wav
expect 0 "$bottega" speak "${audio[@]}" --explain --json "a b" -o e.wav
[ "$(json out '[w["text"] for w in d["explained"][0]["sentences"][0]["words"]]')" = "['a', 'b']" ] ||
    complain "--explain --json: $(cat out)"
[ -s e.wav ] || complain "--explain -o"
expect 0 "$bottega" speak "${audio[@]}" "a%b" -o f.wav
expect 3 "$bottega" speak "${audio[@]}" "a%b" --explain
one_line_error

# text
expect 0 "$bottega" text "${text[@]}" -p "one two"
[ "$(cat out)" = "one two" ] || complain "text: $(cat out)"
expect 0 "$bottega" text "${text[@]}" -f abc --json
[ "$(json out 'd["jobs"][0]["text"]')" = abc ] || complain "text --json: $(cat out)"
expect 0 "$bottega" text "${text[@]}" -p "x" -o story.txt
[ "$(cat story.txt)" = x ] || complain "story.txt"
head -c 1048576 /dev/zero | tr '\0' 'y' >long
expect 0 "$bottega" text "${text[@]}" -f long -o long.txt
cmp -s long long.txt || complain "a prompt of 1 MB"
printf 'bad \xff\xfe utf' >bad
expect 3 "$bottega" text "${text[@]}" -f bad
[ "$(cat err)" = "bottega: bad: invalid UTF-8 at byte 4" ] || complain "invalid UTF-8: $(cat err)"
expect 3 "$bottega" text "${text[@]}" -p "$(printf 'caf\xe9')"
grep -q 'prompt: invalid UTF-8 at byte 3' err || complain "invalid UTF-8: $(cat err)"

# chat
printf 'hello\n/reset\n\nagain\n/exit\nnever' >talk
"$bottega" chat "${text[@]}" <talk >out 2>err || complain "chat: $?"
[ "$(cat out)" = "$(printf 'hello\nagain')" ] || complain "chat: $(cat out)"
printf 'one\ntwo' | "$bottega" chat "${text[@]}" --json >out 2>err || complain "chat --json"
[ "$(json out '[j["turns"] for j in d["jobs"]]')" = "[1, 2]" ] || complain "turns: $(cat out)"

# looking at things
expect 0 "$bottega" tokenize "${text[@]}" "a b" --json
[ "$(json out 'd["tokens"]')" = "[97, 32, 98]" ] || complain "tokenize: $(cat out)"
[ "$(json out 'd["pieces"]')" = "['a', ' ', 'b']" ] || complain "pieces: $(cat out)"
expect 0 "$bottega" info echo.safetensors --module "$plugins/fake_text.so" --json
[ "$(json out 'd["model"]["architecture"], d["kind"]')" = "('echo', 'text')" ] || complain "$(cat out)"
expect 0 "$bottega" info echo.safetensors
says out "safetensors"
expect 0 "$bottega" doctor --json
is_json out
for key in 'd["engine"]["threads"]' 'd["engine"]["memory"]["total"]' 'd["models"]' 'd["programs"]'; do
    json out "$key" >/dev/null || complain "$key"
done
expect 0 "$bottega" doctor --isa scalar -t 1
says out "isa: scalar"
says out "threads: 1"
says out "pack_cache:"
mkdir -p data/models/tiny/unet
echo '{}' >data/models/tiny/model_index.json
printf 12345678 >data/models/tiny/unet/weights
expect 0 env BOTTEGA_DATA="$dir/data" "$bottega" doctor --json
[ "$(json out '[m["bytes"] for m in d["models"] if m["path"].endswith("data/models/tiny")]')" = "[11]" ] ||
    complain "doctor: a model in a folder: $(cat out)"
finish
