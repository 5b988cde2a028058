#!/bin/sh
# Puts a new lookup file, written by `spanforge-models collector lookup`, in force in a running Collector. On SIGHUP it
# stops, reads its configuration again, and ENDS if it is bad. So this script first tries the file in a second
# Collector, which has its own ports, queue and archive by the variables of collector.yaml. Run it as the Collector's
# user, in its working directory, with its environment.
#
#   reload.sh NEW TARGET PID COLLECTOR [ARGUMENT...]
#   reload.sh new.yaml /etc/otelcol/lookup.yaml 4711 otelcol-contrib --config=collector.yaml --config=enrichment.yaml
#
# NEW: the new file. TARGET: the file that it replaces, the lookup_file of render_transform in enrichment.yaml; it is
# kept as TARGET.previous. PID: the Collector, which must have started (SIGHUP ends it before that); "-": the caller sends
# SIGHUP. COLLECTOR, ARGUMENT: the command that started it; COLLECTOR is the program itself.
# Variables: RELOAD_LIMIT, the limit of a trial in seconds (60); RELOAD_WATCH, the seconds for which the Collector is
# watched after SIGHUP, in addition to the time of the trial (5).
# Exit codes: 0: in force, or unchanged; 1: refused, or the Collector ended; 2: wrong arguments. If two run at once, each
# file is whole, and the last one wins. After kill -9, TARGET is the old file or the new one. If there is a
# TARGET.pending, SIGHUP is due: run the script again. A trial that kill -9 left behind ends by itself.
set -eu

NEWLINE='
'
READY='Everything is ready. Begin running and processing data.'
copy='' old='' work='' trial=''

say() { # MESSAGE: on one line, without control characters, because paths and the Collector's lines may have some
    printf 'reload.sh: %s\n' "$(printf %s "$*" | tr '\000-\037\177' ' ')"
}
fail() { # CODE MESSAGE
    code=$1
    shift
    say "$*" >&2
    exit "$code"
}

clean() {
    set +e
    trap '' HUP INT TERM
    end_trial
    [ -z "$work" ] || rm -rf -- "$work"
    for file in "$copy" "$old"; do
        [ -z "$file" ] || rm -f -- "$file"
    done
}

lives() { # PID: it runs, and is more than an entry that waits for its parent
    kill -0 "$1" 2>/dev/null || return 1
    [ -r "/proc/$1/stat" ] || return 0
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    case ${stat##*)} in ' Z'* | ' X'*) return 1 ;; esac
}

same() { [ "$(sha256sum <"$1")" = "$(sha256sum <"$2")" ]; }

quoted() { # TEXT: for YAML, between single quotes
    rest=$1
    while :; do
        case $rest in *"'"*) printf "%s''" "${rest%%"'"*}" ;; *) break ;; esac
        rest=${rest#*"'"}
    done
    printf %s "$rest"
}

nap() { sleep 0.1 2>/dev/null || sleep 1; }

start_trial() { # COLLECTOR ARGUMENT...: in the background, for a signal interrupts nothing but a wait
    timeout -k 5 "$limit" "$@" >"$work/log" 2>&1 </dev/null &
    trial=$!
}

end_trial() {
    [ -n "$trial" ] || return 0
    kill "$trial" 2>/dev/null || :
    wait "$trial" 2>/dev/null || :
    trial=''
}

refuse() { # STEP CODE: with what the Collector said last, on one line
    said=''
    while [ ${#said} -lt 1000 ] && IFS= read -r line; do
        case $line in
        'Error: '*) said=$line ;;
        *) [ -z "$said" ] || said="$said $line" ;;
        esac
    done <"$work/log"
    [ -n "$said" ] || said=$(tail -n 3 -- "$work/log" | tr '\n' ' ')
    [ ${#said} -le 1000 ] || said="$(printf %s "$said" | head -c 300) ... $(printf %s "$said" | tail -c 600)"
    case $2 in 124 | 137) said="it took more than $limit s. $said" ;; esac
    fail 1 "refused: $new: $1 failed: $said"
}

# The arguments.
[ $# -ge 4 ] || fail 2 "$# arguments; expected at least 4: reload.sh NEW TARGET PID COLLECTOR [ARGUMENT...]"
new=$1 target=$2 pid=$3 collector=$4
shift 4
limit=${RELOAD_LIMIT:-60} watch=${RELOAD_WATCH:-5}
for seconds in "RELOAD_LIMIT=$limit" "RELOAD_WATCH=$watch"; do
    case ${seconds#*=} in 0* | *[!0-9]*) fail 2 "$seconds: expected seconds, a whole number from 1" ;; esac
done
[ -f "$new" ] && [ -r "$new" ] || fail 2 "NEW '$new': expected a file that can be read"
case $target in
*['${}']* | *"$NEWLINE"*) fail 2 "TARGET '$target': expected a path without line breaks, '\$', '{' and '}'" ;;
esac
[ -f "$target" ] && [ ! -L "$target" ] ||
    fail 2 "TARGET '$target': expected the lookup file that the Collector reads: a file that exists, no symbolic link"
case $pid in
-) ;;
'' | 0* | *[!0-9]*) fail 2 "PID '$pid': expected a process id, or '-'" ;;
*) lives "$pid" || fail 2 "PID '$pid': expected a process that runs, and that you may signal" ;;
esac
program=$(command -v -- "$collector") || fail 2 "COLLECTOR '$collector': expected a program"
runs=$(readlink -f "/proc/$pid/exe" 2>/dev/null) || runs=''
[ -z "$runs" ] || [ "$runs" = "$(readlink -f -- "$program")" ] ||
    fail 2 "PID '$pid': expected a process of COLLECTOR, and this one is of $runs"
files='' named=''
for argument in "$@"; do
    file=${argument#--config=}
    file=${file#file:}
    [ -f "$file" ] && [ -r "$file" ] || continue
    files=1
    case $(cat -- "$file") in *"{file:$target}"* | *"{file:$(quoted "$target")}"*) named=1 ;; esac
done
[ -z "$files" ] || [ -n "$named" ] ||
    fail 2 "TARGET '$target': expected the lookup file as the configuration names it, and none of its files has \${file:$target}"

# The copy, which is whole.
trap clean EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
copy=$(mktemp -- "$target.XXXXXX" 2>/dev/null) ||
    fail 1 "refused: '$(dirname -- "$target")': expected a folder that can be written"
cat -- "$new" >"$copy"
[ "$(tail -n 1 -- "$copy")" = '# end' ] ||
    fail 1 "refused: $new: the last line is not '# end': it was cut off, or render_lookup did not make it"
if same "$copy" "$target" && [ ! -e "$target.pending" ]; then
    say "unchanged: $target"
    exit 0
fi
chown -- "$(stat -c %u:%g -- "$target")" "$copy" 2>/dev/null ||
    fail 1 "refused: a new file cannot have owner and group of $target: run this as its owner"
chmod -- "$(stat -c %a -- "$target")" "$copy"

# The trial.
work=$(mktemp -d)
case $work in
[!/]* | *['${}']* | *"$NEWLINE"*)
    fail 2 "TMPDIR: '$work': expected an absolute path without line breaks, '\$', '{' and '}'"
    ;;
esac
for name in HEALTH OTLP_GRPC OTLP_HTTP UNTRUSTED_GRPC UNTRUSTED_HTTP PROMETHEUS UNTRUSTED_PROMETHEUS; do
    export "OTELCOL_$name=127.0.0.1:0"
done
export OTELCOL_TELEMETRY_HOST=127.0.0.1 OTELCOL_TELEMETRY_PORT=0 JAEGER_OTLP_ENDPOINT=127.0.0.1:1
export OTELCOL_STORAGE="$work/queue" OTELCOL_ARCHIVE_SPANS="$work/spans" OTELCOL_ARCHIVE_LOGS="$work/logs"
cat >"$work/trial.yaml" <<TRIAL
processors:
  transform/model_registry: {error_mode: silent, trace_statements: '\${file:$(quoted "$copy")}'}
service:
  telemetry:
    logs: {level: info, encoding: console, output_paths: [stderr], error_output_paths: [stderr]}
TRIAL

code=0
start_trial "$collector" validate "$@" --config="$work/trial.yaml"
wait "$trial" || code=$?
trial=''
[ "$code" -eq 0 ] || refuse "'$collector validate'" "$code"

began=$(date +%s)
start_trial "$collector" "$@" --config="$work/trial.yaml"
until case $(tail -n 50 -- "$work/log") in *"$READY"*) ;; *) false ;; esac do
    if ! lives "$trial"; then
        wait "$trial" || code=$?
        trial=''
        refuse 'a trial start' "$code"
    fi
    nap
done
watch=$((watch + $(date +%s) - began))
end_trial

# The replacement: no signal stops it in the middle.
trap '' HUP INT TERM
if [ "$pid" != - ]; then
    lives "$pid" || fail 1 "refused: the Collector, $pid, does not run any more"
    : >"$target.pending"
fi
if ! same "$copy" "$target"; then
    old=$(mktemp -- "$target.XXXXXX")
    cp -p -- "$target" "$old"
    sync -- "$copy"
    mv -f -- "$old" "$target.previous"
    mv -f -- "$copy" "$target"
    sync -- "$(dirname -- "$target")"
fi
if [ "$pid" = - ]; then
    rm -f -- "$target.pending"
    say "replaced: $target; it is in force once you send SIGHUP to the Collector"
    exit 0
fi
kill -HUP "$pid" || fail 1 "the Collector, $pid, has ended; $target is the new file, $target.previous the old one"
rm -f -- "$target.pending"
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
while [ "$watch" -gt 0 ]; do
    sleep 1
    lives "$pid" ||
        fail 1 "the Collector, $pid, ended after SIGHUP; $target is the new file, $target.previous the old one"
    watch=$((watch - 1))
done
say "in force: $target; the old one is $target.previous"
