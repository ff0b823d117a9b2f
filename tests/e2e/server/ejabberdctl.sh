#!/bin/bash
# ejabberdctl.sh DIR command args...   the real ejabberd_ctl, to the ejabberd
# of DIR, without epmd
set -eu
. "$1/env"
shift
exec env HOME="$DIR/home" ERL_LIBS="$LIBS" ERL_INETRC="$DIR/inetrc" \
    erl -noinput -hidden -sname "ctl$$@localhost" -setcookie "$COOKIE" \
    -start_epmd false -erl_epmd_port "$P_DIST" -dist_listen false \
    -s ejabberd_ctl -extra "$NODE" "$@"
