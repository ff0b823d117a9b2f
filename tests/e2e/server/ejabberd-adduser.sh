#!/bin/bash
# ejabberd-adduser.sh DIR DOMAIN user...   register users, password pw-<user>,
# over the loopback HTTP API (5 ms each, where ejabberdctl takes a second)
set -eu
. "$1/env"
DOMAIN=$2
shift 2
for user in "$@"; do
    curl -fsS -m 10 -o /dev/null "http://127.0.0.1:$P_HTTP/api/register" -d \
        "{\"user\":\"$user\",\"host\":\"$DOMAIN\",\"password\":\"pw-$user\"}"
done
