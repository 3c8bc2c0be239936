#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Ctrl-C and termination: exit status 130 and no file, none half written.
source "$(dirname "$0")/lib.sh"

# interrupted SIGNAL COMMAND...: the signal comes after a moment
interrupted() {
    local signal=$1 pid
    shift
    "$@" >out 2>err &
    pid=$!
    sleep 0.5
    kill -s "$signal" $pid
    wait $pid
    [ $? = 130 ] || complain "not 130 after $signal: $*: $(head -c 200 err)"
    says err "cancelled"
}
# A background job of a script ignores SIGINT unless it asks for it, as the
# program does.
for signal in INT TERM; do
    interrupted $signal "$bottega" text "${text[@]}" -p word --repeat 1000000 --delay_ms 5 -o t.txt
    interrupted $signal "$bottega" text "${text[@]}" -p word --repeat 1000000 --delay_ms 5
    interrupted $signal "$bottega" image "${image[@]}" -p x -b 64 -W 2048 -H 2048 -o i.png
done
absent t.txt i.png i_001.png
ls | grep -q '\.tmp$' && complain "a temporary file is left: $(ls)"

# Without a terminal, chat ends; the reply so far was printed.
mkfifo talk
sleep 5 >talk &
keeper=$!
{ echo "word" >talk; } &
"$bottega" chat "${text[@]}" --repeat 1000000 --delay_ms 5 <talk >out 2>err &
pid=$!
sleep 0.7
kill -INT $pid
wait $pid
[ $? = 130 ] || complain "chat"
kill $keeper
says out "wordword"

python3 "$(dirname "$0")/terminal.py" "$build" echo.safetensors || complain "on a terminal"
finish
