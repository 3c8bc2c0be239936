#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Does docs/image.md list the samplers and schedules, with their spellings, as the program
# does? The lists stand there between lines of three backquotes, under the command that
# prints them.
# usage: docs.sh SOURCE_DIR PROGRAM
set -u
cd "$1" || exit 2
failures=0
for list in samplers schedulers; do
    command="bottega image --list $list"
    sed -n "/^\`$command\`/,/^\$/!d; /^\`\`\`/,/^\`\`\`/{/^\`\`\`/d; p}" docs/image.md |
        diff - <("$2" image --list $list) ||
        { echo "docs/image.md: not what \`$command\` prints"; failures=$((failures + 1)); }
done
[ $failures -eq 0 ] || exit 1
echo "docs/image.md lists what the program lists"
