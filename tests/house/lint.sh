#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The house's rules that a compiler does not check: who includes whom, no
# printing or exiting in the library, line width, file length, no host names.
# usage: lint.sh SOURCE_DIR
set -u
cd "$1" || exit 2
failures=0
complain() { # RULE LINES
    [ -z "$2" ] && return
    printf 'broken rule: %s\n%s\n' "$1" "$2"
    failures=$((failures + 1))
}
# includes FOLDER PATTERN: quoted includes in FOLDER that match PATTERN
includes() { grep -rnE "^ *# *include +\"($2)" --include=*.[ch] --include=*.inc "$1" 2>/dev/null; }
# foreign FOLDER ALLOWED: quoted includes with a folder in them, other than ALLOWED
foreign() {
    grep -rnE '^ *# *include +"[a-z0-9_-]+/' --include=*.[ch] --include=*.inc "$1" 2>/dev/null |
        grep -vE "\"($2)/"
}
library="kernels common modules"

complain "kernels know only themselves" "$(foreign kernels 'kernels|ref|x86|arm|tmpl|\.\.')"
complain "base <- libc and bottega.h" "$(foreign common/base base)"
complain "formats <- base, kernels/types.h, kernels/quant.h" \
    "$(foreign common/formats 'formats|base|kernels'; includes common/formats 'kernels/(kernels|ref)')"
complain "text <- base" "$(foreign common/text 'text|base')"
complain "media <- base, text" "$(foreign common/media 'media|base|text')"
complain "graph <- base, formats, kernels" "$(foreign common/graph 'graph|base|formats|kernels')"
complain "dsp <- base, kernels" "$(foreign common/dsp 'dsp|base|kernels')"
complain "nn <- graph" "$(foreign common/nn 'nn|graph|base')"
for m in text image audio; do
    complain "a module includes no other module and no engine" \
        "$(includes modules/$m '\.\./|modules/|engine|registry|(text|image|audio)/module')"
done
complain "only graph/ops call kernels" \
    "$(grep -rnE 'kernels->[a-z_]+\(|bt_kernels_init' --include=*.[ch] common modules |
        grep -vE '^(common/graph/ops/|modules/engine|modules/[a-z]+/([a-z]+/)?op_)')"
complain "cli and examples see bottega.h alone" \
    "$(grep -rnE '^ *# *include +["<](kernels|base|formats|text|media|graph|nn|modules)/' --include=*.[ch] cli examples)"
complain "the library does not print, exit, abort or read the environment" \
    "$(grep -rnE '\b(printf|puts|perror|exit|_exit|abort|getenv|assert) *\(' --include=*.[ch] $library |
        grep -vE 'modules/audio/vits/espeak|: *(/?\*|//)')"
complain "lines of at most 100 columns" \
    "$(grep -rnE '^.{101,}' --include=*.[ch] --include=*.inc $library cli examples include tests | cut -c1-90)"
complain "files of at most 1200 lines" \
    "$(find $library cli examples include tests -name '*.[ch]' | xargs wc -l | awk '$1 > 1200 && $2 != "total"')"
complain "no registry host names" \
    "$(git ls-files 2>/dev/null | grep -v tests/golden/ |
        xargs grep -nIE 'https?://[a-z.]*(pypi|npmjs|debian|crates|maven)[a-z.]*' 2>/dev/null)"
complain "every C file says its licence" \
    "$(find $library cli examples include tests -name '*.[ch]' | xargs grep -L 'SPDX-License-Identifier: MIT')"
# The kernels' tables are made by macros that the formatter would tear apart.
if command -v clang-format-14 >/dev/null; then
    complain "formatted as .clang-format says" \
        "$(git ls-files '*.c' '*.h' 2>/dev/null | grep -vE '^kernels/(x86|ref|tmpl)/|^tests/kernels/' |
            xargs clang-format-14 --dry-run 2>&1 | grep warning: | cut -d: -f1 | sort -u)"
fi
[ $failures -eq 0 ] && echo "the house is in order"
exit $((failures > 0))
