#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The commands on real weights.
source "$(dirname "$0")/lib.sh"
export BOTTEGA_DATA=${BOTTEGA_DATA:-$HOME/.local/share/bottega}

expect 0 "$bottega" text -p "The capital of France is" -n 8 --temp 0 --json
[[ $(json out 'd["jobs"][0]["text"]') = *Paris* ]] || complain "no Paris: $(cat out)"
printf 'The quick brown fox jumps over the lazy dog.' >fox
expect 0 "$bottega" perplexity -f fox --json
[ "$(json out 'sorted(d), 1 < d["ppl"] < 200, d["tokens"]')" = "(['nll', 'ppl', 'tokens'], True, 10)" ] ||
    complain "perplexity: $(cat out)"
expect 0 "$bottega" tokenize -f fox --json
[ "$(json out 'd["count"], "".join(d["pieces"])')" = "(10, '$(cat fox)')" ] || complain "$(cat out)"
expect 0 "$bottega" info SmolLM2-135M-Instruct.Q4_1 --json
[ "$(json out 'd["kind"]')" = text ] || complain "info by name"
expect 0 "$bottega" convert "$BOTTEGA_DATA/models/SmolLM2-135M-Instruct.Q4_1.gguf" q8.gguf --type q8_0
says out "q4_1 -> q8_0"
expect 0 "$bottega" text -m q8.gguf -p "The capital of France is" -n 4 --temp 0
says out Paris
rm q8.gguf
expect 0 "$bottega" image -p "a red apple" --seed 7 --steps 3 -b 2 -o 'apple_%d.png'
says apple_1.png parameters
expect 0 "$bottega" image -p "a red apple" --seed 8 --steps 3 -o alone.png
cmp -s alone.png apple_2.png || complain "picture 2 of a batch is not the one of seed + 1"
# A1111's older names say sampler and noise levels in one.
expect 0 "$bottega" image -p cat -W 64 -H 64 --steps 2 --sampler dpmpp_2m --scheduler karras -o two.png
for name in "DPM++ 2M Karras" dpmpp_2m_karras k_dpmpp_2m_ka; do
    expect 0 "$bottega" image -p cat -W 64 -H 64 --steps 2 --sampler "$name" -o one.png --json
    [ "$(json out '[d["jobs"][0]["options"][k] for k in ("sampler", "scheduler")]')" = \
        "['dpm++2m', 'karras']" ] || complain "$name: $(cat out)"
    cmp one.png two.png || complain "$name makes another picture"
done
expect 0 "$bottega" image -p cat -W 64 -H 64 --steps 2 --sampler "Euler a Karras" --scheduler simple -o one.png
says one.png "Sampler: Euler a, Schedule type: Simple"
expect 2 "$bottega" image -p cat --sampler "DPM adaptive" -o one.png
says err "none of model,ddim,euler,euler_a,dpm++2m,heun,"
says err ",tcd,restart"
expect 0 "$bottega" image --list samplers
says out "dpm++2m_sde_karras"
says out "k_dpmpp_2m_sde_ka"
expect 0 "$bottega" image --list schedulers --json
[ "$(json out '[s["spellings"] for s in d if s["name"] == "align_your_steps"]')" = "[['ays']]" ] ||
    complain "$(cat out)"
expect 2 "$bottega" image --list steps
one_line_error
for steps in 0 1001 10000; do
    expect 2 "$bottega" image -p cat --steps $steps -o none.png
    one_line_error
done
absent none.png

expect 0 "$bottega" speak "Hello from the workshop." -o hello.wav --seed 1
[ "$(stat -c %s hello.wav)" -gt 20000 ] || complain "hello.wav is short"
expect 0 "$bottega" speak -o hello.flac "Hello."
expect 0 "$bottega" speak -m en_US-joe-medium -o joe.wav "Hello." --noise-w 0.5 # by espeak-ng
expect 2 "$bottega" speak -o joe.wav "Hello." --noise-w 0.5 # the other voice has no such thing

# Words are said at the same time, streamed or not, by any number of threads.
said="It cost \$20 in 1984. \"Really?\" she asked."
expect 0 "$bottega" speak "$said" -t 1 -o said.wav --timings said.json
"$bottega" speak "$said" -t 2 --raw -q --timings streamed.json >/dev/null || complain "--raw --timings"
cmp said.json streamed.json || complain "times of a stream"
[ "$(json said.json '[w["text"] for s in d["sentences"] for w in s["words"]]')" = \
    "['It', 'cost', '\$20', 'in', '1984', 'Really', 'she', 'asked']" ] || complain "$(cat said.json)"
[ "$(json said.json 'round(d["sentences"][-1]["end"] * d["sample_rate"]) == d["samples"]')" = True ] ||
    complain "times do not add up"
expect 3 "$bottega" speak -m en_US-joe-medium --phonemes "abc §§" --explain
says err 'the voice has no phoneme "§" (U+00A7)'
one_line_error

# What a run leaves out is told.
expect 0 "$bottega" speak -m en_US-joe-medium --phonemes "abc §§" -o odd.wav
says err "left out: 2 phonemes"
expect 3 "$bottega" speak --phonemes "abc §§" -o odd.wav
says err 'has no phoneme "§"'

# Prompts of any length, and with choices; their mistakes are one line.
mkdir -p wild
echo "red apple" > wild/fruit.txt
expect 0 "$bottega" image -p "$(printf 'word %.0s' {1..100})" --steps 1 -o long.png --json
[ "$(json out 'd["jobs"][0]["prompt_chunks"] > 1')" = True ] || complain "a long prompt is one chunk"
expect 0 "$bottega" image -p "{a|the} __fruit__" --wildcards wild --steps 1 -o wild.png
expect 3 "$bottega" image -p "__animal__" --wildcards wild --steps 1 -o wild.png
says err "wild/animal.txt"
one_line_error
expect 3 "$bottega" image -p "<lora:style:0.8> cat" --steps 1 -o wild.png
says err "<lora:style> in a prompt needs the folder of LoRAs"
one_line_error

# Seed -1 draws one; what was drawn makes the same again.
expect 0 "$bottega" speak "One." --seed -1 -o drawn.wav --json
seed=$(json out 'd["jobs"][0]["options"]["seed"]')
expect 0 "$bottega" speak "One." --seed "$seed" -o again.wav
cmp drawn.wav again.wav || complain "seed $seed was not the one used"

# The same bytes for any number of threads.
for t in 1 2 3; do
    expect 0 "$bottega" text -p "Once upon a time" -n 12 --seed 3 -t $t -o text$t.txt
    expect 0 "$bottega" image -p "a green tree" --seed 3 --steps 2 -t $t -o image$t.png
    expect 0 "$bottega" speak "One, two, three." --seed 3 -t $t -o speech$t.wav
done
for f in text1.txt image1.png speech1.wav; do
    for t in 2 3; do cmp $f ${f/1/$t} || complain "$t threads change $f"; done
done

# Weights that are no numbers: an error, not a black picture.
python3 - "$src/tests/golden/tiny-sd" nan <<'PY'
import glob, json, shutil, struct, sys
shutil.copytree(sys.argv[1], sys.argv[2])
path = glob.glob(sys.argv[2] + "/unet/*.safetensors")[0]
data = bytearray(open(path, "rb").read())
n = struct.unpack("<Q", data[:8])[0]
begin, end = json.loads(data[8 : 8 + n])["conv_out.bias"]["data_offsets"]
data[8 + n + begin : 8 + n + end] = b"\xff" * (end - begin)
open(path, "wb").write(data)
PY
expect 3 "$bottega" image -q -m nan -p x --steps 1 -W 64 -H 64 -o nan.png
says err "no numbers"
one_line_error
absent nan.png
finish
