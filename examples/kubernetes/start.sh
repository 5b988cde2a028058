#!/bin/sh
# Starts the Collector in its pod: copies the lookup file of the ConfigMap, and leaves its process id for follow.sh.
#
#   start.sh COLLECTOR [ARGUMENT...]
#
# Variables: LOOKUP_SOURCE, the file of the ConfigMap; LOOKUP_FILE, the file that the Collector reads; COLLECTOR_PID, the file for
# the process id.
set -eu
cp -- "$LOOKUP_SOURCE" "$LOOKUP_FILE"
echo "$$" >"$COLLECTOR_PID"
exec "$@"
