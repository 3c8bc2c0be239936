#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs an example on the real weights.
set -euo pipefail
build=$1 src=$2 name=$3
models=${BOTTEGA_DATA:-$HOME/.local/share/bottega}/models
text=$models/SmolLM2-135M-Instruct.Q4_1.gguf
case $name in
pixels) set -- "$src/assets/icons-128.gguf" "a red apple" ;;
sound) set -- "$models/en_US-joe-medium.onnx" "Hello from the workshop." ;;
*) set -- "$text" ;;
esac
exec "$build/examples/$name" "$@"
