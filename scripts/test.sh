#!/usr/bin/env bash
# Runs every test of the workspace. Needs a Rust toolchain; some steps also need curl, PostgreSQL and Redis, and say so if they do
# not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

number=0
step() {
    number=$((number + 1))
    printf '\n[%d] %s\n' "$number" "$*"
}

step "Toolchain"
if ! command -v cargo >/dev/null; then
    echo "cargo is not installed; https://rustup.rs says how to install it" >&2
    exit 1
fi
cargo --version
rustc --version

# The decision against a second reading of its rules, on 20,000 companies with 10 requests each.
export DIFFERENTIAL_CASES=${DIFFERENTIAL_CASES:-20000}

# Each database against the store in memory, operation by operation.
export MODEL_OPERATIONS=${MODEL_OPERATIONS:-100000}

# Odd spellings of paths against every place where a gate is mounted.
export SPELLINGS=${SPELLINGS:-100000}

# Three processes with caches against the store, healthy and broken.
export FLEET_STEPS=${FLEET_STEPS:-100000}

step "The layer with fewer features than all"
for features in "" rt axum axum,rt testkit; do
    cargo check -p entitlements-tower --no-default-features --features "$features"
done

step "Unit, integration and documentation tests"
# The peers of the benchmarks take long to build, and switch on features of dependencies that nobody else has on.
cargo test --workspace --exclude benches --all-features
cargo test -p benches --no-default-features

missing=()
if command -v curl >/dev/null; then
    step "Smoke test of the platform over HTTP"
    scripts/smoke.sh
else
    missing+=("the smoke tests, because curl is not installed")
fi

step "Tests on PostgreSQL"
status=0
# shellcheck disable=SC2016 # expanded where the server is
scripts/postgres.sh bash -euc '
    # Those of several processes need Redis as well, and come below.
    cargo test -p entitlements-sqlx -p platform --all-features -- --ignored --skip flips:: --skip outages::
    if command -v curl >/dev/null; then
        url=$ENTITLEMENTS_TEST_POSTGRES_URL
        [[ $url == *\?* ]] && url+="&" || url+="?"
        SMOKE_DATABASE_URL="${url}search_path=smoke_$(date +%s)_$$" scripts/smoke.sh
    fi' || status=$?
if [[ $status -eq 69 ]]; then
    missing+=("the tests on PostgreSQL, because there is no server")
elif [[ $status -ne 0 ]]; then
    exit "$status"
fi

step "Tests on Redis"
status=0
scripts/redis.sh cargo test -p entitlements-redis --all-features -- --ignored || status=$?
if [[ $status -eq 69 ]]; then
    missing+=("the tests on Redis, because there is no server")
elif [[ $status -ne 0 ]]; then
    exit "$status"
fi

step "Processes of their own on both servers"
status=0
scripts/postgres.sh scripts/redis.sh cargo test -p platform --all-features --test processes -- --ignored || status=$?
if [[ $status -eq 69 ]]; then
    missing+=("the tests of several processes, because PostgreSQL or Redis is missing")
elif [[ $status -ne 0 ]]; then
    exit "$status"
fi

step "Metrics and alert rules"
status=0
scripts/promtool.sh || status=$?
if [[ $status -eq 69 ]]; then
    missing+=("the checks of metrics and alert rules, because promtool or curl is missing")
elif [[ $status -ne 0 ]]; then
    exit "$status"
fi

for what in ${missing[@]+"${missing[@]}"}; do
    printf '\nNOT RUN: %s\n' "$what"
done
if [[ -n ${CI:-} && ${#missing[@]} -gt 0 ]]; then
    echo "In continuous integration every test has to run." >&2
    exit 1
fi
printf '\nAll tests%s passed (%d s).\n' "${missing[0]:+ that ran}" "$SECONDS"
