#!/usr/bin/env bash
# Has Prometheus' own tool check what the platform shows and alerts on: the rules, when they fire, and /metrics.
#
# promtool is taken from the path. If it is missing and apt-get is there, Debian's package is unpacked into a temporary
# folder: nothing is installed, and no server is started.
# The status is that of the checks, or 69 if there is no promtool and no way to get it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly unavailable=69
say() { printf 'promtool: %s\n' "$*" >&2; }

work=$(mktemp -d "${TMPDIR:-/tmp}/entitlements-promtool.XXXXXX")
platform=""
finish() {
    local status=$?
    trap - EXIT
    if [[ -n $platform ]]; then
        kill -TERM "$platform" 2>/dev/null || true
        wait "$platform" 2>/dev/null || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

unpack() {
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
    say "is not installed; unpacking Debian's package prometheus"
    [[ $EUID -ne 0 ]] || apt-get update -qq >&2 || say "the lists of packages could not be updated"
    (cd "$work" && apt-get download -qq prometheus >&2 && dpkg -x prometheus_*.deb tree) || return 1
    [[ -x $work/tree/usr/bin/promtool ]]
}

promtool=$(command -v promtool) || { unpack 2>"$work/log" && promtool=$work/tree/usr/bin/promtool; } || {
    cat "$work/log" >&2
    say "is not installed (on Debian and Ubuntu: apt-get install prometheus; elsewhere: https://prometheus.io/download)"
    exit $unavailable
}
say "$("$promtool" --version 2>&1 | head -n 1)"

"$promtool" check rules examples/platform/alerts.yml
"$promtool" test rules examples/platform/alerts_test.yml

command -v curl >/dev/null || { say "curl is missing, which fetches /metrics"; exit $unavailable; }
cargo build --quiet -p platform
program=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug/platform
# A Redis that is not there is shown as well.
(cd "$work" && exec env -i PATH="$PATH" BIND_ADDR=127.0.0.1:0 PLATFORM_DEV=1 REDIS_URL=redis://127.0.0.1:1 "$program") \
    >"$work/greeting" 2>"$work/platform.log" &
platform=$!
base=""
for _ in $(seq 300); do
    base=$(sed -n 's|.*\(http://127\.0\.0\.1:[0-9]*\)/.*|\1|p' "$work/greeting" | head -n 1)
    [[ -z $base ]] || break
    kill -0 "$platform" 2>/dev/null || break
    sleep 0.2
done
[[ -n $base ]] || { say "the platform does not start:"; cat "$work/platform.log" >&2; exit 1; }

# A decision of each kind that the metrics tell apart, so that no family is left without a sample.
token=$(curl -fsS --max-time 30 -X POST "$base/dev/tokens" -H 'content-type: application/json' \
    --data '{"company":"starter-co","user":"sam"}' | sed -n 's/.*"token":"\([^"]*\)".*/\1/p')
for path in /v1/reports/generate /v1/boardroom; do
    curl -sS --max-time 30 -o /dev/null -X POST "$base$path" -H "authorization: Bearer $token"
done
curl -fsS --max-time 30 "$base/metrics" >"$work/metrics"
for family in entitlements_decisions_total entitlements_decision_seconds_bucket entitlements_cache_total \
    entitlements_shared_cache_total entitlements_invalidations_total entitlements_debits_total \
    entitlements_audit_entries_total entitlements_turned_away_total entitlements_settlements_total \
    entitlements_settlement_failures_total entitlements_settlements_waiting entitlements_uncollected_units_total \
    entitlements_redis_connected entitlements_store_errors_total billing_webhook_events_total; do
    grep -q "^$family" "$work/metrics" || { say "/metrics has no $family"; exit 1; }
done
"$promtool" check metrics <"$work/metrics"
# A rule on a metric that nobody exports never fires.
for metric in $(grep -oE '\b(entitlements|billing)_[a-z_]+' examples/platform/alerts.yml | sort -u); do
    grep -q "^$metric" "$work/metrics" || { say "a rule reads $metric, which /metrics does not have"; exit 1; }
done
say "$(grep -c '^# TYPE' "$work/metrics") metrics and the rules are in order"
