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
# A server that waits for the disk, beside the one for tests, which does not.
durable=()
if [[ " ${servers[*]-} " == *" scripts/postgres.sh "* && -z ${ENTITLEMENTS_TEST_POSTGRES_URL:-} ]]; then
    # shellcheck disable=SC2016 # expanded where the server is
    durable=(env POSTGRES_FSYNC=on scripts/postgres.sh bash -euc '
        export BENCH_OTHER_POSTGRES_URL=$ENTITLEMENTS_TEST_POSTGRES_URL
        unset ENTITLEMENTS_TEST_POSTGRES_URL POSTGRES_FSYNC
        "$@"' bench)
fi
${durable[@]+"${durable[@]}"} ${servers[@]+"${servers[@]}"} cargo run -p benches --release --quiet -- "$@" all
