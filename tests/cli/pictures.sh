#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Pictures of the default model: their texts, making them again, other formats.
source "$(dirname "$0")/lib.sh"
texts() { python3 "$src/tests/cli/infotext.py" "$bottega" "$@"; }
draw() { expect 0 "$bottega" image --steps 2 -q "$@"; }
small() { draw -W 64 -H 64 "$@"; }

# A1111's text, read by its own rule.
texts parse "$dir" || complain "texts are read in another way than A1111 does"
prompt=$'a "red, apple: big" \\ (on:1.2) a table\nsecond line, Steps: 3'
draw -p "$prompt" -n $'grün, "x"\ny' --cfg-scale 3.5 --seed 18446744 -o a.png --model-hash 0123456789
texts fields a.png >fields
[ "$(json fields 'd["prompt"]')" = "$prompt" ] || complain "prompt: $(cat fields)"
[ "$(json fields 'd["negative"]')" = $'grün, "x"\ny' ] || complain "negative: $(cat fields)"
[ "$(json fields '[d["fields"][k] for k in ("Steps", "Sampler", "CFG scale", "Seed", "Size", "Model hash", "Model", "RNG")]')" = \
    "['2', 'DDIM', '3.5', '18446744', '128x128', '0123456789', 'icons-128', 'CPU']" ] ||
    complain "fields: $(cat fields)"

# --from makes the same bytes again, and flags change what they name.
draw --from a.png -o b.png
cmp a.png b.png || complain "--from makes another picture"
draw --from a.png -o c.png --seed 5
draw -p "$prompt" -n $'grün, "x"\ny' --cfg-scale 3.5 --seed 5 -o d.png --model-hash 0123456789
cmp c.png d.png || complain "--from with --seed"
cmp -s a.png c.png && complain "--seed does nothing"
draw --from a.png another prompt -o e.png
draw -p "another prompt" -n $'grün, "x"\ny' --cfg-scale 3.5 --seed 18446744 -o f.png --model-hash 0123456789
cmp e.png f.png || complain "--from with a prompt"
small -p cat -b 2 --seed 8 -o 'g_%d.png' --precision f32 --sampler "Euler a"
draw --from g_2.png -o h.png
cmp g_2.png h.png || complain "--from: the second of a batch, at another precision"
draw --from g_1.png -o i.png --init a.png --strength 0.8
draw --from i.png -o j.png
cmp i.png j.png || complain "--from: picture to picture"
for sampler in "DPM++ 2M Karras" ddim euler; do
    small -p "cat, \"dog\"" --sampler "$sampler" -o k.png --clip-skip 1
    texts strip k.png l.png
    expect 0 "$bottega" image --from l.png -o m.png -q
    texts strip m.png n.png
    cmp l.png n.png || complain "A1111's text makes another picture: $sampler"
done
expect 3 "$bottega" image --from a.txt -o t.png
printf 'x' >n.txt
expect 3 "$bottega" image --from n.txt -o t.png
one_line_error
expect 2 "$bottega" image -p x --from a.png --prompts-file n.txt

# Repainting, and a size that is not a multiple of 8.
python3 - <<'PY'
import struct, zlib
def chunk(kind, body): return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
def grey(name, w, h, value):
    rows = b"".join(b"\0" + bytes(value(x, y) for x in range(w)) for y in range(h))
    open(name, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 0, 0, 0, 0)) +
                           chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
grey("mask.png", 128, 128, lambda x, y: 255 * (40 <= x < 100 and 40 <= y < 100))
grey("white.png", 128, 128, lambda x, y: 255)
grey("black.png", 64, 64, lambda x, y: 0)
grey("dot.png", 1, 1, lambda x, y: 255)
grey("wide.png", 20000, 3, lambda x, y: x % 256)
PY
draw -p pear --init a.png --mask mask.png --strength 1 --inpaint-area masked --inpaint-fill latent-noise -o u.png
draw --from u.png -o v.png
cmp u.png v.png || complain "--from: a repainted picture"
draw -p pear --init a.png --outpaint 20,0,0,0 -o w.png
expect 0 "$bottega" info w.png --json
[ "$(json out 'd["fields"]["Size"]')" = 152x128 ] || complain "outpaint: $(cat out)"
expect 0 "$bottega" image -p pear --steps 1 -W 100 -H 95 -o x.png
says err "x.png: 96 x 88"
says err "sides rounded"
expect 3 "$bottega" image -p pear --mask mask.png -o s.png
one_line_error
expect 3 "$bottega" image -p pear --init a.png --outpaint 1,2 -o s.png
one_line_error

# What is strange, and works; and what is wrong, in one line.
for f in white dot; do
    cp $f.png m.png
    draw -p pear --init a.png --mask m.png -o $f-mask.png
done
cmp white-mask.png dot-mask.png || complain "a mask of another size"
draw -p "" --init dot.png -o dot_pear.png
expect 0 "$bottega" info dot_pear.png --json
[ "$(json out 'd["fields"]["Size"], d["prompt"]')" = "('8x8', '')" ] || complain "1x1: $(cat out)"
mkdir cards
: >cards/none.txt
printf '__loop__\n' >cards/loop.txt
printf '\377\n' >cards/bytes.txt
refuse() { # STATUS TEXT FLAGS...
    expect "$1" "$bottega" image -p pear "${@:3}" -o s.png
    says err "$2"
    one_line_error
}
refuse 3 "the mask marks nothing" --init a.png --mask black.png --inpaint-area masked
refuse 3 "wide.png: too large" --init wide.png
refuse 2 '"nosuch" is none of model,ddim,euler,' --sampler nosuch
refuse 2 '"nosuch" is none of model,automatic,' --scheduler nosuch
refuse 3 "no folder of wildcards" -p 'a __cat__'
refuse 3 "cards/cat.txt" -p 'a __cat__' --wildcards cards
refuse 3 "without lines" -p 'a __none__' --wildcards cards
refuse 3 "in one another" -p 'a __loop__' --wildcards cards
refuse 3 "not UTF-8" -p 'a __bytes__' --wildcards cards
refuse 3 "not inside" -p 'a __../a__' --wildcards cards
refuse 2 "steps: 0 is not between" --steps 0
refuse 2 "steps: 10000 is not between" --steps 10000
refuse 2 "height: 7 is not between" -H 7
refuse 2 "no such option: nosuch" --grid nosuch=1
refuse 3 "no text that says" --from black.png

# JPEG and WebP, named rightly or not.
for f in p.jpg p.webp p.JPEG; do
    small -p "a grün cat" -o $f --quality 95
    draw --from $f -o again.${f##*.}
    cmp $f again.${f##*.} || complain "--from $f"
    cp $f wrong.png
    small -p dog --init wrong.png --strength 0.5 -o q.png
done
small -p cat -o lossless.webp --quality 100
small -p cat -o lossless.png
small -p dog --init lossless.webp --strength 0.5 -o q.png
small -p dog --init lossless.png --strength 0.5 -o r.png
[ "$(tail -c 3000 q.png | md5sum)" = "$(tail -c 3000 r.png | md5sum)" ] || complain "WebP at 100 loses something"
head -c 500 p.jpg >cut.jpg
expect 3 "$bottega" image -p x --init cut.jpg -o s.png
says err "ends too early"
one_line_error
for bad in "-o x.gif" "-o x.jpg --quality 0" "-o x.jpg --quality 101" "--quality good"; do
    expect 2 "$bottega" image -p x $bad
    one_line_error
done
absent x.gif x.jpg s.png t.png

# Previews, the hires fix, variations of a batch.
small -p cat -o y.png --preview 'p_%d.png' --preview-interval 1
small -p cat -o z.png
cmp y.png z.png || complain "--preview changes the picture"
small -p cat -o z.png --preview p_1.png --preview-vae "$src/assets/icons-128.gguf"
cmp y.png z.png || complain "--preview-vae changes the picture"
[ -s p_1.png ] || complain "no preview"
expect 2 "$bottega" image -p x --preview p.gif
expect 2 "$bottega" image -p x --preview p.png --preview-interval 0
small -p cat --hires-scale 1.5 --hires-upscaler lanczos --hires-steps 1 -o h1.png
draw --from h1.png -o h2.png
cmp h1.png h2.png || complain "--from: hires"
texts strip h1.png h3.png
draw --from h3.png -o h4.png
texts strip h4.png h5.png
cmp h3.png h5.png || complain "A1111's text: hires"
small -p cat -b 2 --variation-strength 0.4 --variation-seed 3 -o 'n_%d.png'
draw --from n_2.png -o n.png
cmp n.png n_2.png || complain "--from: a variation"

# Grids.
grid() { expect 0 "$bottega" image "${image[@]}" -p x --grid "$@" -o grid.png; }
grid 'direction=across,down;brightness=0.5,1;invert=false,true'
says err "grid.png: $((17 * 6 + 2 * 68)) x $((2 * (30 + 30 + 2 * 36)))"
says err "[8/8] drawing"
texts fields grid.png >fields
[ "$(json fields 'd["fields"]["Y Values"]')" = "0.5,1" ] || complain "grid: $(cat fields)"
grid 'width=10,64;height=50,8'
expect 0 "$bottega" image "${image[@]}" --from grid.png -o again.png
cmp grid.png again.png || complain "--from: a grid"
grid 'width=8' --skip-existing
cmp grid.png again.png || complain "--skip-existing makes a grid again"
expect 0 "$bottega" image "${image[@]}" --grid 'prompt="a, b",☃' -o grid.webp
for bad in steps =1 'direction=sideways' 'nosuch=1' 'width=8;height=8;direction=down;invert=1' \
    'prompt="a" b' 'width=8,0' ';' 'direction=across;;' 'seed=x'; do
    rm -f grid.png
    expect 2 "$bottega" image "${image[@]}" -p x --grid "$bad" -o grid.png
    one_line_error
    absent grid.png
done
expect 2 "$bottega" image "${image[@]}" -p x --grid width=2048,8,8,8,8,8,8,8,8 -o grid.png
says err "18468 x 116 pixels are too many"
grep -qF "[2/9]" err && complain "a grid that is too large is drawn"
expect 2 "$bottega" image "${image[@]}" -p x --grid width=8,9 -b 2 -o grid.png
expect 2 "$bottega" image "${image[@]}" --prompts-file a.txt --grid width=8,9
finish
