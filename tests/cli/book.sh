#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Books: chapters, parts that outlive a kill or a full disk, the join, its tags and times.
source "$(dirname "$0")/lib.sh"
speak() { expect "$1" "$bottega" speak "${audio[@]}" "${@:2}"; }
parts() { ls "$1" | grep -c "\.$2\$"; }

# Where chapters begin, and where they do not.
python3 - <<'PY'
words = "Some words here. " * 20
open("book.txt", "w").write(f"""By nobody

CHAPTER I.
Down the hole

{words}
Chapter 2 was not here. And chapter 3 neither.

Chapter 1 was a dull one, which this line alone does not begin.

Chapter Twenty-One: The End

{words}

# Marked #

{words}
#hashtag is none, nor is
Epilogue

Epilogue

{words}
\f{words}
""")
PY
speak 0 --book -f book.txt --dry-run --json
is_json out
[ "$(json out '[c["title"] for c in d["chapters"]]')" = \
    "['Part 1', 'CHAPTER I.', 'Chapter Twenty-One: The End', 'Marked', 'Epilogue', 'Part 6']" ] ||
    complain "chapters: $(cat out)"
[ "$(json out 'd["chapters"][0]["from"], all(a["to"] == b["from"] or b["title"] == "Part 6"
    for a, b in zip(d["chapters"], d["chapters"][1:]))')" = "(0, True)" ] || complain "$(cat out)"
absent out.wav out.wav.parts

# A book of many sections, whole in one go.
python3 - <<'PY'
import random
random.seed(5)
chapters = []
for i in range(4):
    paragraphs = [" ".join("abcdefghij"[: random.randint(1, 9)] for _ in range(60)) + "." for _ in range(14)]
    chapters.append(f"Chapter {i + 1}\n\n" + "\n\n".join(paragraphs) + "\n\n")
open("long.txt", "w").write("".join(chapters))
PY
speak 0 --book -f long.txt -o whole.flac --timings whole.json --title 'A "B" = C' --json --keep-parts
is_json out
[ "$(json out 'd["files"]')" = "['whole.flac', 'whole.json', 'whole.flac.chapters.txt']" ] ||
    complain "files: $(cat out)"
sections=$(json out 'd["jobs"][0]["sections"]')
[ "$sections" -ge 8 ] && [ "$(parts whole.flac.parts wav)" = "$sections" ] || complain "$sections sections"
[ "$(json out 'd["jobs"][0]["chapters"], d["jobs"][0]["spoken"]')" = "(4, $sections)" ] || complain "$(cat out)"
[ "$(json out 'd["jobs"][0]["audio"]["samples"]')" = "$(json whole.json 'd["samples"]')" ] || complain "samples"
[ "$(grep -c '^\[CHAPTER\]' whole.flac.chapters.txt)" = 4 ] || complain "$(cat whole.flac.chapters.txt)"
says whole.flac.chapters.txt 'title=A "B" \= C'
says whole.flac.chapters.txt 'title=Chapter 3'
says whole.flac 'A "B" = C'
# The times of the whole count in the file and in the sound.
python3 - <<'PY' || complain "times of the book"
import json
d, text = json.load(open("whole.json")), open("long.txt").read()
last, words = 0, 0
for s in d["sentences"]:
    assert s["begin"] >= last and s["end"] <= d["samples"] / 8000
    last = s["end"]
    for w in s["words"]:
        words += 1
        assert text[w["from"]:w["to"]].split() == w["text"].split(), (w, text[w["from"]:w["to"]])
assert words > 2000, words
starts = [int(l.split("=")[1]) for l in open("whole.flac.chapters.txt") if l.startswith("START")]
heads = [s["begin"] * 8000 for s in d["sentences"] if s["text"].startswith("Chapter")]
assert all(abs(a - b) < 1 for a, b in zip(starts, heads)) and len(heads) == 4, (starts, heads)
PY

# Killed again and again, at any place: the same bytes in the end.
cp long.txt again.txt
again() { # THREADS
    exec "$bottega" speak "${audio[@]}" --book -f again.txt -o again.flac --title 'A "B" = C' -q \
        --timings again.json -t $1 2>err
}
kills=0
for i in $(seq 8); do
    again $((1 + i % 3)) &
    pid=$!
    sleep 0.$((RANDOM % 5 + 1))
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
done
(again 2) || complain "after $kills kills: $(cat err)"
[ $kills -ge 3 ] || complain "only $kills kills"
cmp -s whole.flac again.flac || complain "another sound after $kills kills: $(cat err)"
cmp -s whole.json again.json || complain "other times after $kills kills"
cmp -s whole.flac.chapters.txt again.flac.chapters.txt || complain "other marks after $kills kills"
absent again.flac.parts
rm -f again.*.tmp # a kill has no time to tidy up beside the folder

# A changed word: its section alone is spoken again, and only for the same settings.
sed '0,/abc/s//abd/' long.txt >changed.txt
ln -s whole.flac.parts changed.flac.parts
speak 0 --book -f changed.txt -o changed.flac --timings changed.json --json -q --keep-parts
[ "$(json out 'd["jobs"][0]["spoken"]')" = 1 ] || complain "one word: $(cat out)"
speak 0 --book -f long.txt -o whole.flac --keep-parts --json -q --timings whole.json --title 'A "B" = C'
[ "$(json out 'd["jobs"][0]["spoken"]')" = 0 ] || complain "nothing changed: $(cat out)"
cmp -s whole.flac again.flac || complain "joined again, not the same"
speak 0 --book -f long.txt -o whole.flac --keep-parts --json -q --length-scale 1.5
[ "$(json out 'd["jobs"][0]["spoken"]')" = "$sections" ] || complain "another setting: $(cat out)"

# A full disk: one line, what is finished stays, the next run goes on.
(
    ulimit -f 5000 # KiB a file: the parts fit, the join does not
    speak 1 --book -f long.txt -o full.wav -q
    one_line_error
    says err "cannot write full.wav: File too large"
    [ $failures = 0 ]
) || complain "a full disk at the join"
absent full.wav
[ "$(parts full.wav.parts wav)" = "$sections" ] || complain "the parts are gone"
speak 0 --book -f long.txt -o full.wav --json -q
[ "$(json out 'd["jobs"][0]["spoken"]')" = 0 ] || complain "spoken again: $(cat out)"
[ -s full.wav ] || complain "no full.wav"
absent full.wav.parts
if mkdir small && mount -t tmpfs -o size=12m none small 2>/dev/null; then
    speak 1 --book -f long.txt -o small/book.opus --format wav
    one_line_error
    says err "No space left on device"
    says err "sections are kept in small/book.opus.parts: run it again to go on"
    kept=$(parts small/book.opus.parts wav)
    [ "$kept" -ge 1 ] && [ "$kept" -lt "$sections" ] || complain "$kept sections kept"
    mount -o remount,size=100m small
    speak 0 --book -f long.txt -o small/book.opus --format wav --json -q
    [ "$(json out 'd["jobs"][0]["spoken"]')" = $((sections - kept)) ] || complain "$kept kept: $(cat out)"
    cmp -s small/book.opus full.wav || complain "another sound after a full disk"
    umount small
fi

# Ctrl-C keeps what is finished; a second run waits for nobody.
python3 -c 'print("abcdefghi jklm. " * 60000)' >huge.txt
"$bottega" speak "${audio[@]}" --book -f huge.txt -o huge.flac 2>first &
pid=$!
for i in $(seq 100); do [ "$(ls huge.flac.parts 2>/dev/null | wc -l)" -gt 2 ] && break; sleep 0.1; done
speak 1 --book -f huge.txt -o huge.flac
says err "huge.flac.parts: another run works on this book"
one_line_error
kill -INT $pid
wait $pid
[ $? = 130 ] || complain "a cancelled book"
says first "sections are kept in huge.flac.parts"
absent huge.flac
[ "$(parts huge.flac.parts wav)" -ge 1 ] || complain "nothing was kept"
rm -r huge.flac.parts

# Damaged parts are removed, told, and spoken again.
speak 0 --book -f long.txt -o bad.flac --keep-parts -q
part=$(ls bad.flac.parts/*.wav | sed -n 3p)
head -c 2000 "$part" >cut && mv cut "$part"
speak 1 --book -f long.txt -o bad.flac -q
says err "was damaged and is removed"
one_line_error
speak 0 --book -f long.txt -o bad.flac --json -q
[ "$(json out 'd["jobs"][0]["spoken"]')" = 1 ] || complain "a damaged part: $(cat out)"

# A file for each chapter, with its tags; whatever else lies in the folder stays.
mkdir out.parts
speak 0 --book -f long.txt -d by -o 'c%02d.flac' --chapters --timings 'by/c%02d.vtt' --json
[ "$(json out 'd["files"][:4]')" = \
    "['by/c01.flac', 'by/c01.vtt', 'by/c02.flac', 'by/c02.vtt']" ] || complain "$(cat out)"
says by/c03.flac "Chapter 3"
says by/c03.flac "long"
says by/c04.vtt "Chapter <"
grep -q '^00:00:00.000 --> ' by/c04.vtt || complain "c04.vtt does not begin at 0"
ls by | grep -q parts && complain "parts are left: $(ls by)"

# Hostile texts.
head -c 20000 /dev/zero | tr '\0' 'x' >line
speak 0 --book -f line -o line.flac --json -q
[ "$(json out 'd["jobs"][0]["audio"]["samples"]')" = 16000000 ] || complain "a line: $(cat out)"
printf 'ab\xff' >bad
speak 3 --book -f bad -o x.wav
says err "bad: invalid UTF-8 at byte 2"
printf 'a\0b' >zero
speak 3 --book -f zero -o x.wav
says err "zero: holds a zero byte"
printf '\n<speak>hi</speak>' >document
speak 3 --book -f document -o x.wav
says err "not SSML"
printf '<speaker> hi' >plain
speak 0 --book -f plain -o plain.wav
printf ' \n\f\n' >blank
speak 3 --book -f blank -o x.wav
says err "nothing to say"
one_line_error
absent x.wav x.wav.parts

for flags in "--raw" "--play" "--prompts-file long.txt" "--json-input" "--phonemes a" "--explain" \
    "--chapter-silence -1" "--chapter-silence long" "--profile p.json"; do
    speak 2 --book abc $flags
    one_line_error
done
for flags in "--chapters" "--title x" "--keep-parts" "--chapter-silence 1" "--cast-silence 1"; do
    speak 2 abc $flags
    one_line_error
done
finish
