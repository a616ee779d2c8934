#!/usr/bin/env bash
# Runs every test of the workspace. Needs a Rust toolchain; the last step also needs curl.
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

step "Unit, integration and documentation tests"
cargo test --workspace --all-features

if [[ -f examples/platform/Cargo.toml ]]; then
    step "Smoke test of the platform over HTTP"
    if command -v curl >/dev/null; then
        scripts/smoke.sh
    else
        echo "SKIPPED: curl is not installed"
    fi
fi

printf '\nAll tests passed (%d s).\n' "$SECONDS"
