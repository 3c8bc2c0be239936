# SPDX-License-Identifier: MIT
# For the tests of the program; sourced with BUILD and SOURCE as arguments.
#   $bottega     the program      $dir   an empty folder, the current one
#   $text $image $audio           flags that choose a fake module and its model
#   expect STATUS COMMAND...      runs it; its output is then in `out` and `err`
build=$1 src=$2
bottega=$build/bottega
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export XDG_CACHE_HOME=$dir/cache
failures=0

complain() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}
expect() {
    local want=$1 got=0
    shift
    "$@" >out 2>err || got=$?
    [ "$got" = "$want" ] || complain "exit $got, not $want: $*: $(head -c 300 err)"
}
# says FILE TEXT: the text is in the file
says() { grep -qF -- "$2" "$1" || complain "no \"$2\" in $1: $(head -c 300 "$1")"; }
one_line_error() {
    [ "$(grep -c '^bottega: ' err)" = 1 ] || complain "not one line of error: $(head -c 300 err)"
}
is_json() { python3 -c 'import json,sys; json.load(open(sys.argv[1]))' "$1" || complain "no JSON: $1"; }
json() { # FILE EXPRESSION: Python on the parsed object d
    python3 -c 'import json,sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"
}
absent() { for f in "$@"; do [ ! -e "$f" ] || complain "$f is there"; done; }
finish() { [ $failures = 0 ] && exit 0 || exit 1; }

model() { # DEMO: a safetensors file of metadata only
    local header='{"__metadata__":{"demo":"'$1'"}}'
    printf "\\x$(printf %02x ${#header})\0\0\0\0\0\0\0%s" "$header" >"$1.safetensors"
}
model echo
model gradient
model sine
plugins=$build/test-plugins
text=(-m "$dir/echo.safetensors" --module "$plugins/fake_text.so")
image=(-m "$dir/gradient.safetensors" --module "$plugins/fake_image.so")
audio=(-m "$dir/sine.safetensors" --module "$plugins/fake_audio.so")
