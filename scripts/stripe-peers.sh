#!/usr/bin/env bash
# Lets Stripe's own clients judge the fake: the Node SDK, the Python SDK, TypeScript's compiler and the command line tool.
#
# Needs: node and npm, python3 with venv, and access to the registries of npm and PyPI. Everything is installed into a
# temporary folder that is removed at the end (or kept and used again: PEERS_DIR=/some/folder). Nothing talks to Stripe:
# every client is pointed at the fake, on a loopback port.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for tool in node npm python3 curl; do
    command -v "$tool" >/dev/null || { echo "stripe-peers: $tool is missing" >&2; exit 2; }
done

if [[ -n ${PEERS_DIR:-} ]]; then
    peers=$PEERS_DIR
    mkdir -p "$peers"
else
    peers=$(mktemp -d)
fi
home=$(mktemp -d)
started=()
finish() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    [[ -n ${PEERS_DIR:-} ]] || rm -rf "$peers"
    rm -rf "$home"
}
trap finish EXIT

step() { printf '\n=== %s\n' "$1"; }

step "Installing the official clients into $peers"
if [[ ! -d $peers/node_modules/stripe ]]; then
    npm --prefix "$peers" install --ignore-scripts --no-audit --no-fund --silent \
        stripe@23.1.0 @stripe/cli@1.52.0 typescript@5.9
fi
if [[ ! -x $peers/py/bin/python ]]; then
    python3 -m venv "$peers/py"
fi
"$peers/py/bin/python" -c 'import stripe' 2>/dev/null || "$peers/py/bin/pip" install --quiet stripe==16.1.0
cli=$(find "$peers/node_modules/@stripe" -type f -name stripe -perm -u+x -size +1M | head -n 1)
[[ -n $cli ]] || { echo "stripe-peers: the command line tool was not installed" >&2; exit 2; }

step "Starting the fake and a receiver of webhooks"
cargo build --quiet -p billing-stripe --features fake --example fake_stripe
export STRIPE_WEBHOOK_SECRET=whsec_peers NODE_PATH=$peers/node_modules NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
node scripts/stripe-peers/receiver.cjs "$home/hook" "$home/taken" >"$home/receiver.log" 2>&1 &
started+=($!)
wait_for() {
    for _ in $(seq 100); do
        [[ -s $1 ]] && return
        sleep 0.1
    done
    echo "stripe-peers: $1 did not appear" >&2
    cat "$home"/*.log >&2
    exit 1
}
wait_for "$home/hook"
target=$(cargo metadata --format-version 1 --no-deps | node -pe 'JSON.parse(fs.readFileSync(0)).target_directory')
WEBHOOK_URL=$(cat "$home/hook") "$target/debug/examples/fake_stripe" >"$home/fake" 2>"$home/fake.log" &
started+=($!)
wait_for "$home/fake"
base=$(cat "$home/fake")
export FAKE_BASE=$base
echo "fake at $base"

step "Node SDK: client and signer (it is also the verifier below)"
node scripts/stripe-peers/node.cjs "$home"

step "Python SDK: client, signer and verifier"
"$peers/py/bin/python" scripts/stripe-peers/python_sdk.py

step "TypeScript: what the fake answers, against the official types"
node scripts/stripe-peers/types.cjs "$home/check.ts"
(cd "$peers" && cp "$home/check.ts" check.ts && node_modules/.bin/tsc --noEmit --strict --skipLibCheck \
    --module nodenext --moduleResolution nodenext --target es2022 check.ts)
echo "the types agree"

step "Stripe's command line tool: the families of events"
for event in customer.created customer.updated customer.deleted \
    customer.subscription.created customer.subscription.updated customer.subscription.deleted \
    customer.subscription.trial_will_end customer.subscription.paused \
    invoice.created invoice.finalized invoice.paid invoice.payment_failed invoice.payment_succeeded \
    invoice.payment_action_required invoice.updated invoice.voided; do
    before=$(grep -c "^$event$" "$home/taken" || true)
    if ! STRIPE_CLI_TELEMETRY_OPTOUT=1 HOME=$home "$cli" trigger "$event" \
        --api-key sk_test_000000000000000000000000 --api-base "$base" >"$home/cli.log" 2>&1; then
        cat "$home/cli.log"
        exit 1
    fi
    for _ in $(seq 50); do
        after=$(grep -c "^$event$" "$home/taken" || true)
        [[ $after -gt $before ]] && break
        sleep 0.1
    done
    if [[ $after -le $before ]]; then
        echo "$event: triggered, but no webhook came" >&2
        cat "$home/cli.log" "$home/taken" >&2
        exit 1
    fi
    echo "$event: triggered; signed webhook taken by the Node SDK"
done

step "Webhooks that the Node SDK refused"
if [[ -s $home/taken.refused ]]; then
    cat "$home/taken.refused"
    exit 1
fi
echo "none, of $(wc -l <"$home/taken") taken"
