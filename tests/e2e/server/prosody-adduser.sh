#!/bin/bash
# prosody-adduser.sh DIR DOMAIN user...   register users, password pw-<user>,
# in Prosody's own store (at once, where prosodyctl takes half a second). Names
# and domains are of letters, digits, dots and dashes.
set -eu
STORE=$(printf %s "$2" | sed 's/\./%2e/g; s/-/%2d/g')
DIR=$1/data/$STORE/accounts
shift 2
mkdir -p "$DIR"
for user in "$@"; do
    printf 'return {\n\t["password"] = "pw-%s";\n};\n' "$user" \
        > "$DIR/$(printf %s "$user" | sed 's/\./%2e/g; s/-/%2d/g').dat"
done
