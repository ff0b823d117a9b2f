#!/bin/bash
# prosody-up.sh DIR BASE   start a private, throw-away Prosody (Debian's)
#
# Listens on loopback only: BASE+22 STARTTLS required, BASE+26 plain. Writes
# nothing outside DIR, needs no /etc, works as root or not, several at a time,
# whether or not the Debian package's own service runs.
# Environment: DOMAIN (im.example.net), USERS ("alice bob carol dave"; the
# password of user X is pw-X). Prints one line "ready ..." when it serves.
set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
DIR=$(mkdir -p "$1" && cd "$1" && pwd -P)
BASE=$2
DOMAIN=${DOMAIN:-im.example.net}
USERS=${USERS-alice bob carol dave}
if [ -f "$DIR/pid" ] && kill -0 "$(cat "$DIR/pid")" 2>/dev/null; then
    echo "already running in $DIR" >&2
    exit 4
fi
umask 022
mkdir -p "$DIR"/{tls,data,log}
if [ ! -s "$DIR/tls/ca.crt" ]; then
    # The certificate serves as its own CA.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -days 30 -subj "/CN=$DOMAIN" -addext \
        "subjectAltName=DNS:$DOMAIN,DNS:sha1.$DOMAIN,DNS:sha256.$DOMAIN,DNS:conference.$DOMAIN" \
        -keyout "$DIR/tls/server.key" -out "$DIR/tls/ca.crt" 2>/dev/null
fi
P_STARTTLS=$((BASE + 22)) P_PLAIN=$((BASE + 26))
sed -e "s|@DIR@|$DIR|g; s|@HERE@|$HERE|g; s|@DOMAIN@|$DOMAIN|g" \
    -e "s|@P_STARTTLS@|$P_STARTTLS|g; s|@P_PLAIN@|$P_PLAIN|g" \
    "$HERE/prosody.cfg.lua.in" > "$DIR/prosody.cfg.lua"
"$HERE/prosody-adduser.sh" "$DIR" "$DOMAIN" $USERS
cd "$DIR"
# setsid: its own session, so that ^C in a test run does not reach it.
setsid prosody --config "$DIR/prosody.cfg.lua" -F \
    > "$DIR/log/console.log" 2>&1 < /dev/null &
echo $! > "$DIR/pid"
for _ in $(seq 1 1200); do
    if ! kill -0 "$(cat "$DIR/pid")" 2>/dev/null; then
        echo "Prosody died, see $DIR/log" >&2
        tail -n 5 "$DIR"/log/*.log >&2
        exit 1
    fi
    # What connects before all of it is loaded waits for that.
    if (exec 3<> "/dev/tcp/127.0.0.1/$P_PLAIN") 2>/dev/null; then
        echo "ready pid=$(cat "$DIR/pid") starttls=$P_STARTTLS" \
            "plain=$P_PLAIN ca=$DIR/tls/ca.crt"
        exit 0
    fi
    sleep 0.05
done
echo "Prosody does not answer after 60 s, see $DIR/log" >&2
"$HERE/prosody-down.sh" "$DIR"
exit 1
