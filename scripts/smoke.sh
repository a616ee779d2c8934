#!/usr/bin/env bash
# Starts the platform in development mode on a free loopback port with a data folder of its own, uses it with curl as a
# customer and an operator would, and stops it. Needs a Rust toolchain and curl. SMOKE_DATABASE_URL is the database to use,
# which has to be empty; a new SQLite file if it is not set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

data=$(mktemp -d "${TMPDIR:-/tmp}/platform-smoke.XXXXXX")
database=${SMOKE_DATABASE_URL:-sqlite://$data/platform.db}
server=""
stop() {
    if [[ -n $server ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=""
    fi
}
cleanup() {
    stop
    rm -rf "$data"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    printf 'status %s, body: %s\n' "${status:-none}" "${body:-none}" >&2
    printf 'the last lines of the server:\n' >&2
    tail -n 20 "$data/log" >&2 || true
    exit 1
}
passed() { printf '  ok: %s\n' "$*"; }

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM))
        # A port that refuses a connection has no listener.
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# start: runs the platform and waits until it is ready.
start() {
    (
        cd "$data"
        exec env -u REDIS_URL -u JWT_SECRET -u CATALOG_PATH -u ENTITLEMENT_FAIL_MODE \
            -u STRIPE_SECRET_KEY -u STRIPE_API_BASE -u STRIPE_WEBHOOK_SECRET -u APP_URL \
            PLATFORM_DEV=1 BIND_ADDR="127.0.0.1:$port" DATABASE_URL="$database" \
            "$binary"
    ) >>"$data/log" 2>&1 &
    server=$!
    for _ in $(seq 150); do
        kill -0 "$server" 2>/dev/null || fail "the server ended while starting"
        if [[ $(curl -s -o /dev/null -w '%{http_code}' "$base/readyz" || true) == 200 ]]; then
            return
        fi
        sleep 0.2
    done
    fail "the server was not ready within 30 s"
}

# call TOKEN METHOD PATH [JSON]: sets status and body. The path is sent as it is written.
call() {
    local token=$1 method=$2 path=$3
    local arguments=(-sS --path-as-is --max-time 20 -o "$data/body" -w '%{http_code}')
    if [[ $method == HEAD ]]; then arguments+=(-I); else arguments+=(-X "$method"); fi
    if [[ -n $token ]]; then arguments+=(-H "authorization: Bearer $token"); fi
    if [[ $# -gt 3 ]]; then arguments+=(-H 'content-type: application/json' --data "$4"); fi
    : >"$data/body"
    status=$(curl "${arguments[@]}" "$base$path") || fail "$method $path got no answer"
    body=$(tr -d '\r\n' <"$data/body")
}

# expect STATUS WHAT [TEXT]...: the answer has the status and, white space aside, every text.
expect() {
    local wanted=$1 what=$2 squeezed text
    shift 2
    [[ $status == "$wanted" ]] || fail "$what: expected $wanted"
    squeezed=$(tr -d '[:space:]' <<<"$body")
    for text in "$@"; do
        [[ $squeezed == *"$text"* ]] || fail "$what: expected $text in the body"
    done
    passed "$what ($status)"
}

# field NAME: the value of a string of the last body.
field() { sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\"\([^\"]*\)\".*/\1/p" <<<"$body"; }

# token COMPANY USER [ROLE]
token() {
    call "" POST /dev/tokens "{\"company\":\"$1\",\"user\":\"$2\"${3:+,\"role\":\"$3\"}}"
    [[ $status == 200 && -n $(field token) ]] || fail "a token for $2 of $1"
    field token
}

echo "Building the platform"
cargo build --quiet -p platform
target=$(cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
binary=$target/debug/platform
port=$(free_port)
base=http://127.0.0.1:$port

echo "Starting it at $base"
start
starter=$(token starter-co sam)
pro=$(token pro-co pat)
admin=$(token operations olga admin)

echo "A quota"
call "" POST /v1/reports/generate
expect 401 "no token"
for n in $(seq 10); do
    call "$starter" POST /v1/reports/generate
    [[ $status == 200 ]] || fail "report $n of 10: expected 200"
done
passed "ten reports (200)"
call "$starter" POST /v1/reports/generate
expect 402 "the eleventh report" '"code":"quota_exceeded"' '"resetsAt":"'
call "$starter" GET /api/entitlements/usage/starter-co
expect 200 "usage" '"meter":"reports_generated"' '"used":10'

echo "Seats and storage"
service=$(token starter-co worker service)
for holder in ada bob cid dan eve; do
    call "$service" POST /api/entitlements/holders "{\"companyId\":\"starter-co\",\"gauge\":\"active_seats\",\"holder\":\"$holder\"}"
    [[ $status == 201 ]] || fail "a seat for $holder: expected 201"
done
passed "five seats (201)"
call "$service" POST /api/entitlements/holders '{"companyId":"starter-co","gauge":"active_seats","holder":"fay"}'
expect 402 "the sixth seat" '"code":"quota_exceeded"'
call "$service" POST /api/entitlements/holders '{"companyId":"starter-co","gauge":"active_seats","holder":"ada"}'
expect 200 "a seat that is held already" '"used":5'
call "$service" DELETE '/api/entitlements/holders?companyId=starter-co&gauge=active_seats&holder=ada'
expect 204 "giving a seat back"
call "$service" DELETE '/api/entitlements/holders?companyId=starter-co&gauge=active_seats&holder=ada'
expect 404 "giving it back again"
call "$service" PUT /api/entitlements/levels '{"companyId":"starter-co","gauge":"storage_gb","level":10}'
expect 204 "a level up to the limit"
call "$service" PUT /api/entitlements/levels '{"companyId":"starter-co","gauge":"storage_gb","level":11}'
expect 402 "a level beyond it" '"code":"quota_exceeded"'

echo "A feature of another plan"
call "$starter" GET /v1/boardroom
expect 402 "the boardroom for starter" '"code":"feature_not_in_plan"' '"upgrade":[{"plan":"pro"},{"plan":"enterprise"}]'
call "$pro" GET /v1/forecast
expect 200 "the forecast for pro"

echo "Other spellings of a gated path"
for path in //v1/boardroom /v1//boardroom /v1/./boardroom /v1/x/../boardroom /v1/%62oardroom /v1%2Fboardroom \
    /V1/boardroom /v1/Boardroom /v1/boardroom/ '/v1/boardroom;x' /v1/boardroom%00; do
    for method in GET HEAD POST; do
        call "$starter" "$method" "$path"
        [[ $status == 4?? ]] || fail "$method $path: expected 4xx"
    done
done
call "$starter" HEAD /v1/boardroom
[[ $status == 402 ]] || fail "HEAD /v1/boardroom: expected 402"
passed "none of them gets through (4xx)"

echo "A trial"
call "$admin" POST /api/entitlements/grants \
    '{"companyId":"starter-co","feature":"boardroom_live","kind":"trial","endsAt":"2999-01-01T00:00:00Z"}'
expect 201 "granting"
grant=$(field id)
call "$starter" GET /v1/boardroom
expect 200 "the boardroom during the trial"
call "$admin" DELETE "/api/entitlements/grants/$grant"
expect 204 "voiding"
call "$starter" GET /v1/boardroom
expect 402 "the boardroom after it"
call "$starter" POST /api/entitlements/grants '{"companyId":"starter-co","feature":"boardroom_live","kind":"trial"}'
expect 403 "granting without the role"

echo "Other companies"
call "$starter" GET /api/entitlements/usage/pro-co
expect 403 "another company's usage" '"code":"forbidden"'
call "$starter" POST /api/entitlements/check '{"companyId":"pro-co","feature":"forecast","action":"view"}'
expect 403 "a check for another company" '"code":"forbidden"'

echo "Policies"
call "$admin" POST /api/entitlements/policies '{"id":"smoke-eu","name":"EU export","priority":10,"effect":"allow",
    "target":{"companies":["starter-co"],"features":["benchmarking"],"actions":["export"]},
    "condition":{"eq":["context.region","eu"]}}'
expect 201 "an allow policy"
call "$starter" POST /api/entitlements/check '{"companyId":"starter-co","feature":"benchmarking","action":"export",
    "context":{"region":"eu"}}'
expect 200 "the export in the EU" '"allowed":true' '"reason":"allowed_by_policy"' '"id":"smoke-eu"'
call "$starter" POST /api/entitlements/check '{"companyId":"starter-co","feature":"benchmarking","action":"export",
    "context":{"region":"us"}}'
expect 200 "the export elsewhere" '"allowed":false' '"reason":"feature_not_in_plan"'
call "$admin" POST /api/entitlements/policies '{"id":"smoke-deny","name":"No boardroom","priority":20,"effect":"deny",
    "target":{"companies":["starter-co"],"features":["boardroom_live"]}}'
expect 201 "a deny policy"
call "$starter" GET /v1/boardroom
expect 403 "the boardroom under it" '"code":"policy_denied"'
call "$admin" POST /api/entitlements/policies '{"id":"smoke-guard","name":"Halt","priority":0,"effect":"deny",
    "guardrail":true,"target":{"companies":["pro-co"],"features":["forecast"]}}'
expect 201 "a guardrail"
call "$pro" GET /v1/forecast
expect 403 "a feature of the plan under it" '"code":"policy_denied"'
call "$admin" DELETE /api/entitlements/policies/smoke-guard
expect 204 "removing the guardrail"
call "$pro" GET /v1/forecast
expect 200 "the feature without it"

echo "Billing"
buyer=$(token buy-co bea billing)
member=$(token buy-co max)
call "$member" GET /v1/forecast
expect 402 "the forecast without a subscription" '"code":"no_subscription"'
call "$buyer" POST /api/billing/subscriptions \
    '{"companyId":"buy-co","plan":"pro","seats":3,"trialDays":0,"paymentMethodId":"pm_card_chargeDeclined"}'
expect 402 "a card that is declined" '"code":"card_declined"'
call "$buyer" POST /api/billing/subscriptions \
    '{"companyId":"buy-co","plan":"pro","seats":3,"trialDays":0,"paymentMethodId":"pm_card_visa"}'
expect 201 "a subscription" '"status":"active"' '"seats":3'
subscription=$(tr '{,' '\n\n' <<<"$body" | sed -n 's/^"id":"\([^"]*\)".*/\1/p')
call "$buyer" POST /api/billing/subscriptions '{"companyId":"buy-co","plan":"pro"}'
expect 409 "a second one" "$subscription"
call "$member" GET /v1/forecast
expect 200 "the forecast with it"
call "$member" GET /api/billing/subscriptions/buy-co
expect 200 "the subscription" "\"id\":\"$subscription\"" '"plan":"pro"'
call "$member" POST "/api/billing/subscriptions/$subscription/cancel"
expect 403 "cancelling without the role" '"code":"forbidden"'
call "$buyer" POST "/api/billing/subscriptions/$subscription/cancel"
expect 200 "cancelling" '"cancelAtPeriodEnd":true' '"status":"active"'
call "$member" GET /v1/forecast
expect 200 "the forecast until the period ends"
call "$buyer" POST /api/billing/portal/buy-co
expect 200 "the portal" '"url":"http'
[[ $(curl -s -o /dev/null -w '%{http_code}' "$(field url)") == 200 ]] || fail "the page of the portal: expected 200"
passed "its page (200)"
call "$member" GET /api/billing/invoices/buy-co
expect 200 "the invoices" '"status":"paid"'
status=$(curl -sS -o "$data/body" -w '%{http_code}' -H 'stripe-signature: t=1,v1=00' --data '{"id":"evt_1"}' \
    "$base/api/billing/webhooks/stripe")
body=$(<"$data/body")
expect 400 "a webhook with a bad signature" '"code":"invalid_webhook"'

echo "A restart"
stop
start
starter=$(token starter-co sam)
admin=$(token operations olga admin)
call "$starter" POST /v1/reports/generate
expect 402 "the quota is still used up" '"code":"quota_exceeded"'
member=$(token buy-co max)
call "$member" GET /v1/forecast
expect 200 "the subscription is still there"
call "$starter" GET /v1/boardroom
expect 403 "the policy is still there" '"code":"policy_denied"'

echo "Two hundred requests at once for ten units"
for grant in '"feature":"report_builder"' '"feature":"reports_generated","amount":10'; do
    call "$admin" POST /api/entitlements/grants "{\"companyId\":\"rush-co\",\"kind\":\"promotional\",$grant}"
    expect 201 "a grant"
done
rush=$(token rush-co rita)
seq 200 | xargs -P 40 -I{} curl -sS -o /dev/null -w '%{http_code}\n' --max-time 60 -X POST \
    -H "authorization: Bearer $rush" "$base/v1/reports/generate" >"$data/statuses" || true
allowed=$(grep -c '^200$' "$data/statuses" || true)
refused=$(grep -c '^402$' "$data/statuses" || true)
[[ $allowed == 10 && $refused == 190 ]] ||
    fail "expected 10 x 200 and 190 x 402, got: $(sort "$data/statuses" | uniq -c | tr -s '[:space:]' ' ')"
passed "exactly ten succeed, the others are refused (402)"

echo "The next month"
call "" POST /dev/clock '{"advance":"31d"}'
expect 200 "moving the clock" '"now":"'
call "$starter" POST /v1/reports/generate
expect 200 "the quota is full again"
call "$member" GET /v1/forecast
expect 402 "the cancelled subscription is over" '"code":"subscription_inactive"'

echo "The platform does its job."
