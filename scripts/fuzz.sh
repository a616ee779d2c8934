#!/usr/bin/env bash
# Fuzzes entitlements-core: every target for some seconds, 600 unless told; or only the targets that are named.
#
#     scripts/fuzz.sh [seconds per target] [target…]
#
# FUZZ_SEED sets the seed. Needs a nightly toolchain; installs cargo-fuzz where it is missing. Exit code 1 on a finding,
# which is kept under entitlements-core/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=600
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
    targets=(catalog policy condition evaluate)
fi
seed=${FUZZ_SEED:-1}

# The longest input of each target, in bytes.
declare -A longest=([catalog]=8192 [policy]=2048 [condition]=2048 [evaluate]=1024)
for target in "${targets[@]}"; do
    if [[ -z ${longest[$target]:-} ]]; then
        echo "unknown target $target, expected one of ${!longest[*]}" >&2
        exit 2
    fi
done

if ! rustc +nightly --version >/dev/null 2>&1; then
    echo "a nightly toolchain is missing; rustup toolchain install nightly --profile minimal" >&2
    exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "cargo-fuzz is missing; installing it for this run"
    cargo install cargo-fuzz --locked --quiet --root "$work/tools"
    PATH="$work/tools/bin:$PATH"
fi

home=entitlements-core/fuzz
# Neither the library nor its targets have unsafe code, so a sanitizer would cost speed and find nothing of ours.
options=(--fuzz-dir "$home" --sanitizer none)
for target in "${targets[@]}"; do
    cargo +nightly fuzz build "${options[@]}" "$target"
done

printf '\nseed %s, %s s per target, %s\n' "$seed" "$seconds" "$(rustc +nightly --version)"
found=0
table=""
for target in "${targets[@]}"; do
    corpus=$work/corpus/$target
    artifacts=$home/artifacts/$target
    mkdir -p "$corpus" "$artifacts"
    if [[ -d $home/seeds/$target ]]; then
        cp "$home/seeds/$target"/* "$corpus/"
    fi
    if [[ $target == catalog ]]; then
        cp examples/platform/catalog.toml "$corpus/platform.toml"
    fi
    arguments=(-seed="$seed" -max_total_time="$seconds" -max_len="${longest[$target]}" -timeout=10
        -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1)
    if [[ -f $home/dictionaries/$target.dict ]]; then
        arguments+=(-dict="$home/dictionaries/$target.dict")
    fi
    if [[ $target == evaluate ]]; then
        # Its inputs are choices, not text: long ones are as good as short ones from the start.
        arguments+=(-len_control=0)
    fi
    log=$work/$target.log
    before=$(find "$artifacts" -type f | wc -l)
    outcome=0
    cargo +nightly fuzz run "${options[@]}" "$target" "$corpus" -- "${arguments[@]}" >"$log" 2>&1 || outcome=$?
    after=$(find "$artifacts" -type f | wc -l)
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
    findings=$((after - before))
    if [[ $outcome -ne 0 ]]; then
        found=1
        # A finding that was found before has the same name.
        findings=$((findings > 0 ? findings : 1))
        tail -60 "$log"
    fi
    row=$(printf '%-10s %12s %9s %9s' "$target" "${executions:-?}" "${coverage:-?}" "$findings")
    table+="$row"$'\n'
    echo "$row"
done
printf '\n%-10s %12s %9s %9s\n%s' target executions edges findings "$table"
exit "$found"
