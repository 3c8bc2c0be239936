#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What speak does with its sound: formats, sample rates, lines of JSON, a player.
source "$(dirname "$0")/lib.sh"
speak() { expect "$1" "$bottega" speak "${audio[@]}" "${@:2}"; }
starts() { [ "$(head -c ${#2} "$1")" = "$2" ] || complain "$1 does not start with $2"; }

# The format by the suffix or the flag. The fake voice has 8000 Hz, 800 samples a letter.
speak 0 abc -o 16.wav
speak 0 abc -o 24.wav --bits 24
speak 0 abc -o float.wav --bits float
for f in 16:2 24:3 float:4; do
    [ $(($(stat -c %s ${f%:*}.wav) - 2400 * ${f#*:})) -lt 100 ] ||
        complain "$f: $(stat -c %s ${f%:*}.wav) bytes"
    starts ${f%:*}.wav RIFF
done
speak 0 abc -o plain --format flac --bits 24
starts plain fLaC
speak 0 abc --format flac
starts out.flac fLaC
rm out.flac
for f in ogg:OggS opus:OggS mp3:; do
    "$bottega" speak "${audio[@]}" abc -o "x.${f%:*}" 2>err # a build of libsndfile may lack it
    case $? in
    0) starts "x.${f%:*}" "${f#*:}" ;;
    2) says err "this libsndfile has no ${f%:*}" ;;
    *) complain "${f%:*}: $(cat err)" ;;
    esac
done
for flags in "-o x.aiff" "-o noise" "-o x.mp3 --bits 16" "-o x.flac --bits float" "--bits 8" \
    "--format aiff" "--rate 7999" "--rate 192001" "--rate CD" "--raw --play"; do
    speak 2 abc $flags
    one_line_error
done
absent x.aiff noise out.wav
for f in wav flac ogg; do
    speak 1 abc -o /dev/full --format $f
    says err "/dev/full"
    one_line_error
done

# --rate: in files and in the stream, the same samples.
speak 0 abc -o rate.wav --rate 22050 --json
[ "$(json out 'd["jobs"][0]["audio"]["sample_rate"], d["jobs"][0]["options"]["rate"]')" = "(22050, 22050)" ] ||
    complain "--rate: $(cat out)"
[ "$(json out 'abs(d["jobs"][0]["audio"]["samples"] - 2400 * 22050 // 8000) <= 1')" = True ] ||
    complain "--rate: $(cat out)"
"$bottega" speak "${audio[@]}" abc --raw -q --rate 22050 >raw
tail -c +45 rate.wav | cmp -s - raw || complain "--raw --rate differs from the file"
speak 0 abc -o same.wav --rate 8000
cmp -s 16.wav same.wav || complain "the voice's own rate changes the samples"
# 'a' is 210 Hz here, at any rate
speak 0 aaaaaaaaaa -o tone.wav --rate 44100
python3 - <<'PY' || complain "the tone changed"
import wave, struct
w = wave.open("tone.wav")
x = struct.unpack("<%dh" % w.getnframes(), w.readframes(w.getnframes()))
rises = sum(a < 0 <= b for a, b in zip(x, x[1:]))
assert w.getframerate() == 44100 and abs(len(x) - 44100) <= 1 and abs(rises - 210) <= 1, (len(x), rises)
PY

# Lines of JSON: one voice, a file each; a bad line is told and the rest goes on.
cat >lines <<'EOF'
{"text": "abc", "output_file": "one.wav"}
not JSON

{"text": "abc", "output_file": "two.aiff"}
{"words": "abc"}
["abc"]
{"text": 7}
{"text": "abc", "speaker": "nobody"}
{"text": "", "output_file": "nothing.wav"}
{"text": "abc", "output_file": "/nowhere/x.wav"}
{"text": "abc", "output_file": 3}
{"text": "a\u0062c"}
{"text": "abc"} {"text": "abc"}
EOF
printf '{"text": "\xff"}\n{"text": "a\0b"}\n{"text": "ab"}' >>lines
"$bottega" speak "${audio[@]}" --json-input --output_dir new/folder <lines >out 2>err
[ $? = 1 ] || complain "--json-input with bad lines: exit status"
[ "$(cat out)" = "$(printf '%s\n' one.wav new/folder/out_012.wav new/folder/out_016.wav)" ] ||
    complain "--json-input: $(cat out)"
for i in 2 4 5 6 7 8 9 10 11 13 14 15; do
    [ "$(grep -c "^bottega: line $i: " err)" = 1 ] || complain "line $i: $(cat err)"
done
[ "$(grep -c '^bottega: ' err)" = 12 ] || complain "lines of error: $(cat err)"
cmp -s one.wav 16.wav || complain "one.wav"
cmp -s new/folder/out_012.wav 16.wav || complain "out_012.wav"
absent two.aiff nothing.wav
head -1 lines >good
speak 0 --json-input -f good --json
[ "$(json out 'd["files"]')" = "['one.wav']" ] || complain "--json-input --json: $(cat out)"
"$bottega" speak "${audio[@]}" --json-input --output_raw -q <good >raw
tail -c +45 16.wav | cmp -s - raw || complain "--json-input --raw"
head -2 lines | "$bottega" speak "${audio[@]}" --json-input --raw -q >/dev/full 2>err
[ $? = 1 ] || complain "--json-input --raw: full disk"
one_line_error
speak 2 --json-input abc
speak 3 --json-input -f /nowhere/lines
speak 0 --json-input -f /dev/null
# An answer comes before the next question.
mkfifo questions
"$bottega" speak "${audio[@]}" --json-input -o answer.wav -q <questions >answers 2>err &
pid=$!
exec 7>questions
echo '{"text": "abc"}' >&7
for i in $(seq 100); do [ -s answers ] && break; sleep 0.1; done
[ "$(cat answers)" = answer_001.wav ] || complain "no answer while the input is open"
kill -TERM $pid
wait $pid
[ $? = 130 ] || complain "--json-input: not cancelled"
exec 7>&-
# Folders
speak 0 abc -d a/b -o c.wav
cmp -s a/b/c.wav 16.wav || complain "-d"
speak 1 abc -d good -o c.wav
one_line_error

# SSML, loudness and pauses, with a voice of random weights.
voice=(-m "$src/tests/golden/tiny-vits-high.onnx")
tiny() { expect "$1" "$bottega" speak "${voice[@]}" "${@:2}"; }
tiny 0 '<speak><s>hello</s><break time="500ms"/><emphasis>again</emphasis></speak>' -o ssml.wav --timings ssml.srt
says err 'not done: ["emphasis"]'
says ssml.srt again
grep -q '[<>]' <(grep -v -- '-->' ssml.srt) && complain "tags in subtitles: $(cat ssml.srt)"
tiny 0 'hello' -o a.wav
tiny 0 'again' --seed 1 -o b.wav
cmp -s <(tail -c +45 a.wav; head -c 22050 /dev/zero; tail -c +45 b.wav) <(tail -c +45 ssml.wav) ||
    complain "ssml.wav is not a.wav, silence, b.wav"
printf '<speak>\n<p>hello</s></speak>' >bad.xml
tiny 3 -f bad.xml
says err "ssml line 2: mismatched tag"
one_line_error
tiny 3 --ssml 'hello'
one_line_error
tiny 0 --ssml=false '<speak>hello' -o plain.wav
tiny 0 '<speaker>hello' -o plain.wav --timings plain.srt # begins like a document, and is none
says plain.srt '<speaker>hello'
tiny 0 'hello' --loudness -20 -o loud.wav
cmp -s a.wav loud.wav && complain "--loudness changes nothing"
tiny 2 'hello' --loudness 3
tiny 0 "$(printf 'hello\n\nagain')" --paragraph-silence 0.5 -o paragraphs.wav
cmp -s paragraphs.wav ssml.wav || complain "--paragraph-silence"
# piper's own spellings: -f is the output if it is a sound file's name, -i the text.
printf abc >words.txt
"$bottega" speak "${audio[@]}" -f piper.wav --debug <words.txt 2>err
cmp -s piper.wav 16.wav || complain "-f piper.wav"
says err '"status":"success"'
speak 0 -i words.txt --output_file piper2.wav
cmp -s piper2.wav 16.wav || complain "-i"
: >sine.safetensors.json
mkdir voices
cp sine.safetensors voices/elsewhere.safetensors
speak 0 abc -c sine.safetensors.json -o c.wav
speak 0 abc -m elsewhere.safetensors --data-dir voices -o data.wav
cmp -s data.wav 16.wav || complain "--data-dir"
speak 2 abc -c words.txt -o d.wav
one_line_error
absent d.wav

# A player that writes down what it hears.
mkdir bin
cat >bin/aplay <<EOF
#!/bin/sh
echo "\$@" >"$dir/played.args"
exec cat >"$dir/played"
EOF
chmod +x bin/aplay
PATH=$dir/bin:$PATH speak 0 abc --play
tail -c +45 16.wav | cmp -s - played || complain "--play: other samples"
says played.args "-f S16_LE"
says played.args "-r 8000"
absent out.wav
PATH=$dir/bin:$PATH speak 0 abc --play --rate 48000 -o both.wav
tail -c +45 both.wav | cmp -s - played || complain "--play -o: other samples"
says played.args "-r 48000"
printf 'a\nbc\n' >two
PATH=$dir/bin:$PATH speak 0 --prompts-file two --play
tail -c +45 16.wav | cmp -s - played || complain "--play: two lines"
printf '{"text": "a"}\n{"text": "bc", "output_file": "bc.wav"}\n' >two
PATH=$dir/bin:$PATH speak 0 --json-input -f two --play
tail -c +45 16.wav | cmp -s - played || complain "--play: lines of JSON"
[ "$(cat out)" = bc.wav ] && [ -s bc.wav ] || complain "--play with output_file: $(cat out)"
printf '#!/bin/sh\nexit 3\n' >bin/aplay
PATH=$dir/bin:$PATH speak 1 "$(printf 'a%.0s' {1..500})" --play
says err "bin/aplay did not play to the end"
one_line_error
mkdir none
PATH=$dir/none speak 1 abc --play
says err "nothing to play with: install aplay"
one_line_error
finish
