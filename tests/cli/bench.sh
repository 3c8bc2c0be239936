#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bottega bench, on the fake modules' models and on the picture model of the tree.
source "$(dirname "$0")/lib.sh"

for n in 0 101 many; do
    expect 2 "$bottega" bench "${audio[@]}" --repeat $n
    says err "is not a number from 1 to 100"
done
expect 2 "$bottega" bench "${audio[@]}" -r
expect 2 "$bottega" bench words
expect 3 "$bottega" bench -m nowhere.gguf
expect 2 "$bottega" bench -m "$src/assets/icons-128.gguf" --steps none -r 1
expect 2 "$bottega" bench "${text[@]}" -r 1 # that module has no task to time
one_line_error

# A sound: its figures, and a machine that was measured.
expect 0 "$bottega" bench "${audio[@]}" --text abc -r 2 --json -q
is_json out
[ "$(json out 'all(d[k] > 0 for k in ("rtf", "first_sound_s", "peak_rss_mib"))')" = True ] ||
    complain "no figures: $(cat out)"
[ "$(json out 'd["command"], d["repeat"], len(d["models"]), d["models"][0]["kind"]')" = \
    "('bench', 2, 1, 'audio')" ] || complain "$(cat out)"
[ "$(json out 'all(d["peaks"][t][k] > 0 for t in ("one", "all") for k in ("f32_gflops", "read_gbps"))')" = \
    True ] || complain "no peaks: $(cat out)"

# A picture: every part has its time and its work.
expect 0 "$bottega" bench -m "$src/assets/icons-128.gguf" --steps 2 -W 64 -H 64 -r 2 --json -q -t 1 \
    --profile trace.json
is_json out
is_json trace.json
[ "$(json out 'all(0 < d[k] < 600 for k in ("clip_s", "unet_s", "vae_s", "load_s"))')" = True ] ||
    complain "no figures: $(cat out)"
[ "$(json out 'd["threads"], [p["part"] for p in d["models"][0]["parts"]]')" = \
    "(1, ['text encoder', 'unet', 'decoder'])" ] || complain "$(cat out)"
[ "$(json out '[m["key"] for m in d["models"][0]["metrics"] if m.get("flops", 0) > 0 and
    m["gflops"] > 0 and m["gbps"] > 0 and m["roofline"] > 0 and m["min"] <= m["median"] <= m["max"]]')" = \
    "['clip_s', 'unet_s', 'vae_s']" ] || complain "no work: $(cat out)"
[ "$(json trace.json '{"compute", "roofline"} <= set(d["traceEvents"][0]["args"])')" = True ] ||
    complain "no shares in the trace"
expect 0 "$bottega" bench -m "$src/assets/icons-128.gguf" --steps 2 -W 64 -H 64 -r 1
says out "of the roofline"
says out "peaks, measured just now"
says err "denoise"

# Text: arbitrary tokens in, arbitrary tokens out, up to the context and no further.
tiny=$src/tests/golden/tiny-llama-tied.gguf
expect 0 "$bottega" bench -m "$tiny" -p 20 -n 8 -r 2 --json -q
[ "$(json out 'all(d[k] > 0 for k in ("prompt_tps", "decode_tps"))')" = True ] ||
    complain "no figures: $(cat out)"
expect 0 "$bottega" bench -m "$tiny" -p 0 -n 8 -d 9 -r 1 --json -q
[ "$(json out '"prompt_tps" in d, d["decode_tps"] > 0')" = "(False, True)" ] || complain "$(cat out)"
expect 2 "$bottega" bench -m "$tiny" -p 20 -n ten
expect 3 "$bottega" bench -m "$tiny" -p 1000000 -n 0
says err "context"
finish
