#!/bin/bash
# prosody-down.sh DIR [--kill] [--rm]   stop the Prosody of DIR
# TERM is a clean stop; --kill does not wait for one; --rm removes DIR as well.
set -u
DIR=$1
shift
SIG=TERM RM=
for arg in "$@"; do
    case $arg in
    --kill) SIG=KILL ;;
    --rm) RM=1 ;;
    esac
done
if PID=$(cat "$DIR/pid" 2>/dev/null); then
    kill -$SIG "$PID" 2>/dev/null
    for _ in $(seq 1 300); do
        kill -0 "$PID" 2>/dev/null || break
        sleep 0.05
    done
    if kill -0 "$PID" 2>/dev/null; then
        echo "Prosody is still up after 15 s: killed" >&2
        kill -KILL "$PID"
    fi
    rm -f "$DIR/pid"
fi
[ -z "$RM" ] || rm -rf "$DIR"
