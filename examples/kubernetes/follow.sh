#!/bin/sh
# Loads each new lookup file of the ConfigMap into the Collector in the same pod, with reload.sh, which tests the file first. A
# refused file is not tested again before it changes.
#
#   follow.sh RELOAD COLLECTOR [ARGUMENT...]
#
# RELOAD: the path of reload.sh. COLLECTOR, ARGUMENT: the command that started the Collector. Variables: those of start.sh;
# FOLLOW_SECONDS, the time between two looks (15).
set -eu
reload=$1
shift
refused=''
trap 'exit 0' HUP INT TERM
while :; do
    now=$(sha256sum <"$LOOKUP_SOURCE") || now=''
    if [ -n "$now" ] && [ "$now" != "$refused" ] && [ -f "$LOOKUP_FILE" ] && [ "$now" != "$(sha256sum <"$LOOKUP_FILE")" ]; then
        sh "$reload" "$LOOKUP_SOURCE" "$LOOKUP_FILE" "$(cat "$COLLECTOR_PID")" "$@" || refused=$now
    fi
    sleep "${FOLLOW_SECONDS:-15}" &
    wait "$!"
done
