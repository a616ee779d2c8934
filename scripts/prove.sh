#!/usr/bin/env bash
# The long proofs, which are too long for every change. Each prints its figures with its seed.
#
#     scripts/prove.sh [differential] [fleet] [processes] [kill] [model] [periods] [planted] [spellings] [billing] [peers] [fuzz]
#
# All of them unless some are named. Settings, with what they are unless set:
#
#     DIFFERENTIAL_CASES=1000000  companies, 10 decisions each; DIFFERENTIAL_SEED=1
#     FLEET_STEPS=1000000         questions to processes;   FLEET_SEED=1
#     PROCESSES_FLIPS=10000       plans changed, while the network breaks;  PROCESSES_SEED=1, PROCESSES=2 of them
#     PROCESSES_OUTAGE_MS=10000   how long each outage of Redis takes
#     MODEL_OPERATIONS=1000000    operations on each database
#     KILL_ROUNDS=100             two processes killed in each, for each database; KILL_SEED=1
#     PROPTEST_CASES=1000000      periods per property;         PROPTEST_RNG_SEED=1
#     SPELLINGS=1000000           of paths, against every mount of the layer; SPELLINGS_SEED=1
#     BILLING_ORDERS=all          orders of the webhooks of each story;  BILLING_SEED=1
#     FUZZ_SECONDS=600            for each target;              FUZZ_SEED=1
#
# Exit code 1 if a proof fails; the others are run all the same.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The decision against a second reading of its rules.
differential() {
    local cases=${DIFFERENTIAL_CASES:-1000000} seed=${DIFFERENTIAL_SEED:-1}
    printf '%d decisions, seed %d\n' $((cases * 10)) "$seed"
    DIFFERENTIAL_CASES=$cases DIFFERENTIAL_SEED=$seed cargo test --release --quiet -p entitlements-core \
        --test differential -- --nocapture --exact trials::the_library_decides_as_the_plain_reading_does
}

# Processes with caches of their own, a shared one and a bus, whole and broken, against the store they share.
fleet() {
    FLEET_STEPS=${FLEET_STEPS:-1000000} FLEET_SEED=${FLEET_SEED:-1} cargo test --release --quiet -p entitlements-core \
        --all-features --test fleet -- --nocapture differential::
}

# Processes of their own on PostgreSQL and Redis: how late a change is seen while the network breaks, how long checks take
# while Redis is killed or hangs, and what it takes to forget many decisions at once.
processes() {
    export PROCESSES_FLIPS=${PROCESSES_FLIPS:-10000} PROCESSES_OUTAGE_MS=${PROCESSES_OUTAGE_MS:-10000} PROCESSES_P99=1
    scripts/postgres.sh scripts/redis.sh cargo test --release --quiet -p platform --all-features --test processes -- \
        --ignored --nocapture --test-threads=1 flips:: outages:: &&
        scripts/redis.sh cargo test --release --quiet -p entitlements-redis --all-features --test redis -- --ignored \
            --nocapture --exact stored::a_hundred_thousand_decisions_of_a_company_go_with_one_command
}

# Processes that share keys and limits, are killed at any moment and started again, on SQLite and on PostgreSQL.
kill() {
    export KILL_ROUNDS=${KILL_ROUNDS:-100} KILL_SEED=${KILL_SEED:-1}
    local test=kill::nothing_is_lost_or_done_twice_when_a_process_is_killed
    cargo test --quiet -p entitlements-sqlx --test sqlite -- --nocapture --exact "$test" &&
        scripts/postgres.sh cargo test --quiet -p entitlements-sqlx --test postgres -- --ignored --nocapture \
            --exact "$test"
}

# Each database against the store in memory, operation by operation.
model() {
    export MODEL_OPERATIONS=${MODEL_OPERATIONS:-1000000}
    printf '%d operations, seeds from 0\n' "$MODEL_OPERATIONS"
    cargo test --release --quiet -p entitlements-sqlx --all-features --test sqlite -- --exact conformance::the_model_agrees &&
        scripts/postgres.sh cargo test --release --quiet -p entitlements-sqlx --all-features --test postgres -- --ignored \
            --exact conformance::the_model_agrees
}

# Periods against a calendar that is walked day by day.
periods() {
    local cases=${PROPTEST_CASES:-1000000} seed=${PROPTEST_RNG_SEED:-1}
    printf '%d cases per property, seed %d\n' "$cases" "$seed"
    PROPTEST_CASES=$cases PROPTEST_RNG_SEED=$seed cargo test --release --quiet -p entitlements-core --test periods
}

# Bugs that the tests must catch.
planted() {
    scripts/planted.sh
}

# Spellings of paths against every mount of the layer: whoever reaches a handler has passed its gate.
spellings() {
    SPELLINGS=${SPELLINGS:-1000000} SPELLINGS_SEED=${SPELLINGS_SEED:-1} cargo test --release --quiet -p entitlements-tower \
        --all-features --test suite -- --nocapture --exact spellings::whoever_reaches_a_handler_has_passed_its_gate
}

# Webhooks in every order, each twice, with a crash at every step, against what the fake Stripe shows; purchases and reports
# of usage that are cut at every step. Then all stories, in fewer orders, on SQLite and on PostgreSQL.
billing() {
    BILLING_ORDERS=${BILLING_ORDERS:-all} BILLING_SEED=${BILLING_SEED:-1} cargo test --release --quiet -p billing-stripe \
        --all-features --test billing -- --nocapture order:: crash:: usage:: &&
        cargo test --release --quiet -p platform --test stories -- --nocapture &&
        BILLING_DATABASE=postgres scripts/postgres.sh cargo test --release --quiet -p platform --test stories -- --nocapture
}

# The fake Stripe, judged by Stripe's own clients, which are installed into a temporary folder.
peers() {
    scripts/stripe-peers.sh
}

# Everything that is parsed, and the decision, with inputs that try to reach new code.
fuzz() {
    FUZZ_SEED=${FUZZ_SEED:-1} scripts/fuzz.sh "${FUZZ_SECONDS:-600}"
}

proofs=("$@")
if [[ ${#proofs[@]} -eq 0 ]]; then
    proofs=(differential fleet processes kill model periods planted spellings billing peers fuzz)
fi
for proof in "${proofs[@]}"; do
    case "$proof" in
        differential | fleet | processes | kill | model | periods | planted | spellings | billing | peers | fuzz) ;;
        *)
            echo "unknown proof $proof, expected differential, fleet, processes, kill, model, periods, planted, spellings, billing, peers or fuzz" >&2
            exit 2
            ;;
    esac
done

failed=()
for proof in "${proofs[@]}"; do
    printf '\n=== %s\n' "$proof"
    begun=$SECONDS
    "$proof" || failed+=("$proof")
    printf -- '--- %s: %d s\n' "$proof" $((SECONDS - begun))
done

if [[ ${#failed[@]} -gt 0 ]]; then
    printf '\nFAILED: %s (%d s)\n' "${failed[*]}" "$SECONDS"
    exit 1
fi
printf '\nProved: %s (%d s)\n' "${proofs[*]}" "$SECONDS"
