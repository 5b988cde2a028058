#!/bin/sh
# Starts the Collector in its pod, and leaves its process id for follow.sh. A new pod copies the lookup file of the ConfigMap. If the
# container starts again, the file in use stays, because a later one may be invalid.
#
#   start.sh COLLECTOR [ARGUMENT...]
#
# Variables: LOOKUP_SOURCE, the file of the ConfigMap; LOOKUP_FILE, the file that the Collector reads; COLLECTOR_PID, the file for
# the process id.
set -eu
if [ ! -f "$LOOKUP_FILE" ]; then
    cp -- "$LOOKUP_SOURCE" "$LOOKUP_FILE.new"
    mv -f -- "$LOOKUP_FILE.new" "$LOOKUP_FILE"
fi
echo "$$" >"$COLLECTOR_PID"
exec "$@"
