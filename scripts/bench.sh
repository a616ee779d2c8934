#!/usr/bin/env bash
# Runs every benchmark and writes the report: scripts/bench.sh [--quick]
#
# PostgreSQL and Redis are brought by scripts/postgres.sh and scripts/redis.sh, and are gone afterwards; what needs a server
# that cannot be had is left out, and the report says so. Figures mean something on a machine that does nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for argument in "$@"; do
    if [[ $argument != --quick ]]; then
        echo "usage: scripts/bench.sh [--quick]" >&2
        exit 64
    fi
done

cargo build -p benches --release

servers=()
for server in scripts/postgres.sh scripts/redis.sh; do
    status=0
    "$server" true || status=$?
    case $status in
        0) servers+=("$server") ;;
        69) echo "NOT MEASURED: what needs $server" >&2 ;;
        *) exit "$status" ;;
    esac
done
${servers[@]+"${servers[@]}"} cargo run -p benches --release --quiet -- "$@" all
