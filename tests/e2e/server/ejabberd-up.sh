#!/bin/bash
# ejabberd-up.sh DIR BASE   start a private, throw-away ejabberd (Debian's)
#
# Listens on loopback only: BASE+1 Erlang distribution, BASE+22 STARTTLS
# required, BASE+25 the same with PROXY headers, BASE+26 plain, BASE+27 what
# deploy/ejabberd.yml says, BASE+80 HTTP API. Writes nothing outside DIR, needs
# no epmd and no /etc, works as root or not, several at a time, whether or not
# the Debian package's own service runs.
# Environment: DOMAIN (im.example.net), USERS ("alice bob carol dave"; the
# password of user X is pw-X), LISTENERS (a file with more listeners). Prints one
# line "ready ..." when it serves.
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
mkdir -p "$DIR"/{tls,mnesia,log,home}
if [ ! -s "$DIR/tls/server.pem" ]; then
    # The certificate serves as its own CA.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -days 30 -subj "/CN=$DOMAIN" -addext \
        "subjectAltName=DNS:$DOMAIN,DNS:sha1.$DOMAIN,DNS:sha256.$DOMAIN,DNS:conference.$DOMAIN" \
        -keyout "$DIR/tls/server.key" -out "$DIR/tls/ca.crt" 2>/dev/null
    cat "$DIR/tls/ca.crt" "$DIR/tls/server.key" > "$DIR/tls/server.pem"
fi
# Where Debian keeps the Erlang applications, on any architecture.
LIBS=$(dirname "$(ls -d /usr/lib/*/ejabberd-[0-9]* | head -n 1)")
{
    printf "DIR='%s' DOMAIN='%s' LIBS='%s'\n" "$DIR" "$DOMAIN" "$LIBS"
    printf "NODE='ej%s@localhost' COOKIE='throwaway%s'\n" "$BASE" "$BASE"
    printf 'P_DIST=%s P_STARTTLS=%s P_PROXY=%s P_PLAIN=%s P_HTTP=%s\n' \
        $((BASE + 1)) $((BASE + 22)) $((BASE + 25)) $((BASE + 26)) $((BASE + 80))
} > "$DIR/env"
. "$DIR/env"
# The listener that we tell operators to have, on a port of ours.
sed -n '/^  -/,$p' "$HERE/../../../deploy/ejabberd.yml" |
    sed -e "s|port: 5222|port: $((BASE + 27))|; s|ip: .*|ip: \"127.0.0.1\"|" \
        > "$DIR/deploy.yml"
[ -z "${LISTENERS:-}" ] || cat "$LISTENERS" >>"$DIR/deploy.yml"
sed -e "/@DEPLOY@/{r $DIR/deploy.yml" -e 'd}' \
    -e "s|@DIR@|$DIR|g; s|@DOMAIN@|$DOMAIN|g; s|@P_PLAIN@|$P_PLAIN|g" \
    -e "s|@P_STARTTLS@|$P_STARTTLS|g; s|@P_HTTP@|$P_HTTP|g" \
    -e "s|@P_PROXY@|$P_PROXY|g" \
    "$HERE/ejabberd.yml.in" > "$DIR/ejabberd.yml"
printf '{lookup,["file","native"]}.\n{host,{127,0,0,1},["localhost"]}.\n' \
    > "$DIR/inetrc"
cd "$DIR"
# setsid: its own session, so that ^C in a test run does not reach it.
env -u ERL_EPMD_PORT HOME="$DIR/home" ERL_LIBS="$LIBS" \
    EJABBERD_CONFIG_PATH="$DIR/ejabberd.yml" \
    EJABBERD_LOG_PATH="$DIR/log/ejabberd.log" \
    ERL_INETRC="$DIR/inetrc" ERL_CRASH_DUMP="$DIR/log/erl_crash.dump" \
    ERL_CRASH_DUMP_BYTES=0 ERL_MAX_PORTS=8192 ERL_MAX_ETS_TABLES=1400 \
    setsid erl -noinput -sname "$NODE" -setcookie "$COOKIE" \
    -start_epmd false -erl_epmd_port "$P_DIST" \
    -kernel inet_dist_use_interface '{127,0,0,1}' \
    +K true +P 50000 +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none \
    -mnesia dir "\"$DIR/mnesia\"" -s ejabberd \
    > "$DIR/log/console.log" 2>&1 < /dev/null &
echo $! > "$DIR/pid"
# It serves when the last listener, the API, answers.
for _ in $(seq 1 1200); do
    if ! kill -0 "$(cat "$DIR/pid")" 2>/dev/null; then
        echo "ejabberd died, see $DIR/log" >&2
        tail -n 5 "$DIR"/log/*.log >&2
        exit 1
    fi
    if curl -fsS -m 2 -o /dev/null -d '{}' \
        "http://127.0.0.1:$P_HTTP/api/status" 2>/dev/null; then
        "$HERE/ejabberd-adduser.sh" "$DIR" "$DOMAIN" $USERS
        echo "ready pid=$(cat "$DIR/pid") starttls=$P_STARTTLS" \
            "plain=$P_PLAIN http=$P_HTTP ca=$DIR/tls/ca.crt"
        exit 0
    fi
    sleep 0.05
done
echo "ejabberd does not answer after 60 s, see $DIR/log" >&2
"$HERE/ejabberd-down.sh" "$DIR"
exit 1
