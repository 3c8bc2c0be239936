#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Renders a list of prompts into pictures and a list of lines into speech.
#     render.sh PROMPTS LINES FOLDER [flags of bottega]
# Each model is loaded once. What exists already is skipped and files appear
# whole, so a run that was stopped or killed goes on where it was.
# BOTTEGA: the program (default: bottega).
set -euo pipefail
[ $# -ge 3 ] || { echo "usage: render.sh PROMPTS LINES FOLDER [flags]" >&2; exit 2; }
prompts=$1 lines=$2 folder=$3
shift 3
bottega=${BOTTEGA:-bottega}
mkdir -p "$folder"
rm -f "$folder"/*.tmp # of a run that was killed
"$bottega" image --prompts-file "$prompts" -o "$folder/picture_%03d.png" --skip-existing "$@"
"$bottega" speak --prompts-file "$lines" -o "$folder/line_%03d.wav" --skip-existing "$@"
