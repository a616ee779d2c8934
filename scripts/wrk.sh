#!/usr/bin/env bash
# What the layer costs over HTTP: requests per second with it and without, measured with wrk in alternating rounds.
#
#     scripts/wrk.sh [ROUNDS] [SECONDS]       5 rounds of 3 seconds each unless said otherwise
#
# First a small axum server, once bare and once behind the layer, in one process. Then the platform in the same way: one route,
# one token, one handler and one database, without the layer, with a layer whose decisions nobody observes, and with its own,
# whose every decision is counted and written into the audit log.
# PLATFORM=no leaves it out, SMALL=no the small server.
# wrk is installed with apt-get if it is missing. TARGET_DIR says where to build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-5} seconds=${2:-3}

if ! command -v wrk >/dev/null; then
    [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null || {
        echo "wrk is not installed (on Debian and Ubuntu as root: apt-get install wrk; elsewhere: brew install wrk, ...)" >&2
        exit 69
    }
    echo "wrk is not installed; installing it with apt-get" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq wrk >&2
fi

data=$(mktemp -d "${TMPDIR:-/tmp}/entitlements-wrk.XXXXXX")
servers=()
cleanup() {
    local server
    for server in ${servers[@]+"${servers[@]}"}; do
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    done
    rm -rf "$data"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

export CARGO_TARGET_DIR=${TARGET_DIR:-$PWD/target}

# wait_for FILE PATTERN: waits until a server has printed it.
wait_for() {
    for _ in $(seq 200); do
        grep -q "$2" "$1" && return
        sleep 0.1
    done
    echo "the server did not start:" >&2
    cat "$1" >&2
    exit 1
}

# rate URL [HEADER]: requests per second. Anything but a 2xx is a failure of the measurement.
rate() {
    wrk -t1 -c16 -d"${seconds}s" ${2:+-H "$2"} "$1" >"$data/wrk"
    if grep -q 'Non-2xx' "$data/wrk"; then
        echo "$1 does not answer with 200:" >&2
        cat "$data/wrk" >&2
        exit 1
    fi
    awk '/^Requests\/sec/ { print $2 }' "$data/wrk"
}

median() { sort -g | awk '{ value[NR] = $1 } END { print (NR % 2) ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'; }

# compare NAME URL OTHER_NAME OTHER_URL [HEADER]: alternates, and prints both medians and the median of the ratios.
compare() {
    : >"$data/first" >"$data/second" >"$data/ratios"
    rate "$2" "${5:-}" >/dev/null && rate "$4" "${5:-}" >/dev/null
    local first second
    for round in $(seq "$rounds"); do
        if ((round % 2)); then
            first=$(rate "$2" "${5:-}") second=$(rate "$4" "${5:-}")
        else
            second=$(rate "$4" "${5:-}") first=$(rate "$2" "${5:-}")
        fi
        echo "$first" >>"$data/first"
        echo "$second" >>"$data/second"
        awk -v a="$first" -v b="$second" 'BEGIN { print b / a }' >>"$data/ratios"
    done
    printf '%-10s %10.0f requests/s\n%-10s %10.0f requests/s\nratio      %10.3f (median of %d rounds; %s)\n' \
        "$1" "$(median <"$data/first")" "$3" "$(median <"$data/second")" "$(median <"$data/ratios")" "$rounds" \
        "$(sort -g "$data/ratios" | awk '{ printf "%s%.3f", (NR > 1) ? " " : "", $1 }')"
}

# start PACKAGE EXAMPLE [FEATURE]: builds an example that prints a bare and a gated address and starts it; sets `bare` and `gated`.
start() {
    cargo build --release --quiet -p "$1" --example "$2" ${3:+--features "$3"}
    (cd "$data" && exec "$CARGO_TARGET_DIR/release/examples/$2") >"$data/$1" 2>&1 &
    servers+=($!)
    wait_for "$data/$1" '^gated'
    bare=$(awk '/^bare/ { print $2 }' "$data/$1") gated=$(awk '/^gated/ { print $2 }' "$data/$1")
}

if [[ ${SMALL:-} != no ]]; then
    echo "A small axum server, with the layer and without"
    start quickstart throughput
    compare bare "$bare/export/7" gated "$gated/export/7"
fi

[[ ${PLATFORM:-} == no ]] && exit
printf '\nThe platform, with the layer and without: one route, with its token\n'
unset REDIS_URL JWT_SECRET CATALOG_PATH
export PLATFORM_DEV=1 RUST_LOG=warn BIND_ADDR=127.0.0.1:0 DATABASE_URL="sqlite://$data/platform.db"
start platform with_and_without throughput
token=$(curl -sf "$gated/dev/tokens" -H 'content-type: application/json' \
    -d '{"company":"pro-co","user":"ada"}' | sed 's/.*"token":"\([^"]*\)".*/\1/')
unobserved=$(awk '/^unobserved/ { print $2 }' "$data/platform")
compare bare "$bare/v1/boardroom" unobserved "$unobserved/v1/boardroom" "authorization: Bearer $token"
compare bare "$bare/v1/boardroom" gated "$gated/v1/boardroom" "authorization: Bearer $token"
