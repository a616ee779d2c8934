#!/usr/bin/env bash
# Plants one bug at a time into a copy of the workspace, and expects the tests of its crate to fail.
#
#     scripts/planted.sh [part of a bug's name]...
#
# The bugs are in scripts/planted.txt. PLANTED_TARGET names a folder for what is built, to keep it between runs. Exit code
# 1 if a bug survives, 2 if the list or the unchanged tests are broken. If a bug that is wanted is one on PostgreSQL,
# scripts/postgres.sh brings the server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
list=$PWD/scripts/planted.txt
wanted=("$@")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir "$tree"
tar --exclude=target --exclude=.git --exclude=./entitlements-core/fuzz -cf - . | tar -xmf - -C "$tree" # -m: newer than what a run before has built of a planted bug

export CARGO_TARGET_DIR=${PLANTED_TARGET:-$work/target}
export CARGO_PROFILE_DEV_DEBUG=false
# Enough for the differential test to reach everything it wants to reach.
export DIFFERENTIAL_CASES=2500 DIFFERENTIAL_SEED=1
# What judges a bug in each crate: tests that need no server, save where it says so.
declare -A everything=(
    [billing-stripe]="--all-features --test billing --test signature"
    [entitlements-core]="--features testkit --lib --test catalog --test decision --test handle --test glance --test cache --test ladder --test shared --test fleet --test periods --test conformance --test differential"
    [entitlements-redis]="--lib"
    [entitlements-sqlx]="--lib --test sqlite"
    ["entitlements-sqlx on PostgreSQL"]="--test postgres -- --ignored --skip kill::"
    [entitlements-tower]="--features axum,testkit --lib --test suite --test application --test allocations"
)

broken() {
    echo "$*" >&2
    exit 2
}

# How many times the text $2 occurs in the text $1.
occurrences() {
    local rest=$1 count=0
    while [[ $rest == *"$2"* ]]; do
        rest=${rest#*"$2"}
        count=$((count + 1))
    done
    echo "$count"
}

# Reads the list, and checks all of it before anything is built.
names=() crates=() files=() texts=() replacements=() selections=() problems=()
check() {
    local number=$((${#names[@]} - 1))
    [[ $number -ge 0 ]] || return 0
    : "${crates[number]:=entitlements-core}"
    local name=${names[number]} file=$tree/${crates[number]%% *}/src/${files[number]:-}
    local count
    if [[ -z ${everything[${crates[number]}]:-} ]]; then
        problems+=("$name: nothing judges ${crates[number]}")
    elif [[ ! -f $file ]]; then
        problems+=("$name: there is no file ${files[number]:-}")
    elif [[ -z ${texts[number]:-} || -z ${selections[number]:-} ]]; then
        problems+=("$name: text or tests are missing")
    else
        count=$(occurrences "$(<"$file")" "${texts[number]}")
        [[ $count -eq 1 ]] || problems+=("$name: the text occurs $count times in ${files[number]}: ${texts[number]}")
    fi
}
while IFS= read -r line || [[ -n $line ]]; do
    rest=${line:6}
    case "${line:0:6}" in
        "bug   ") check; names+=("$rest") ;;
        "of    ") crates[${#names[@]} - 1]=$rest ;;
        "in    ") files[${#names[@]} - 1]=$rest ;;
        "text  ") texts[${#names[@]} - 1]=$rest ;;
        "now   " | now) replacements[${#names[@]} - 1]=$rest ;;
        "tests ") selections[${#names[@]} - 1]=$rest ;;
        "" | "# "*) ;;
        *) problems+=("what is this? $line") ;;
    esac
done <"$list"
check
if [[ ${#problems[@]} -gt 0 ]]; then
    printf '%s\n' "${problems[@]}" >&2
    broken "scripts/planted.txt does not fit the code"
fi

is_wanted() {
    [[ ${#wanted[@]} -gt 0 ]] || return 0
    local part
    for part in "${wanted[@]}"; do
        [[ $1 == *"$part"* ]] && return 0
    done
    return 1
}

for number in "${!names[@]}"; do
    if [[ ${crates[number]} == *PostgreSQL && -z ${ENTITLEMENTS_TEST_POSTGRES_URL:-} ]] && is_wanted "${names[number]}"; then
        rm -rf "$work"
        exec scripts/postgres.sh scripts/planted.sh "${wanted[@]}"
    fi
done

# Runs tests of the crate $1; the rest says which.
run() {
    (cd "$tree" && timeout 900 cargo test --quiet -p "${1%% *}" "${@:2}") >"$work/log" 2>&1
}

# Runs all that judge the crate $1.
run_everything() {
    local selection
    read -ra selection <<<"${everything[$1]}"
    run "$1" "${selection[@]}"
}

# The first test that failed, and how many more.
caught() {
    local failed first count
    failed=$(sed -n -e 's/^test \(.*\) \.\.\. FAILED$/\1/p' -e 's/^---- \(.*\) stdout ----$/\1/p' "$work/log" | sort -u)
    if [[ -z $failed ]]; then
        grep -q 'could not compile' "$work/log" && return 1
        # It ended in another way: by a signal, or not at all.
        grep -m 1 -E 'panicked|SIG' "$work/log" || grep -m 1 '^error' "$work/log" || echo "no end within 900 s"
        return 0
    fi
    first=$(head -1 <<<"$failed")
    count=$(wc -l <<<"$failed")
    if [[ $count -gt 1 ]]; then
        first+=" and $((count - 1)) more"
    fi
    echo "$first"
}

survivors=0 planted=0
declare -A tried=()
for number in "${!names[@]}"; do
    name=${names[number]} crate=${crates[number]} file=$tree/${crates[number]%% *}/src/${files[number]}
    is_wanted "$name" || continue
    if [[ -z ${tried[$crate]:-} ]]; then
        begun=$SECONDS
        # What is built first takes as long as the machine needs.
        read -ra selection <<<"${everything[$crate]}"
        (cd "$tree" && cargo test --quiet --no-run -p "${crate%% *}" "${selection[@]}") >"$work/log" 2>&1 || true
        if ! run_everything "$crate"; then
            tail -40 "$work/log"
            broken "the tests of $crate fail without any bug"
        fi
        printf 'unchanged: everything of %s passes (%d s)\n' "$crate" $((SECONDS - begun))
        tried[$crate]=yes
    fi
    planted=$((planted + 1))
    original=$(<"$file")
    printf '%s\n' "${original/"${texts[number]}"/"${replacements[number]:-}"}" >"$file"
    read -ra selection <<<"${selections[number]}"
    by=""
    # What the named tests let through, all of them judge.
    case "$crate" in
        billing-stripe) selection=(--all-features "${selection[@]}") ;;
        entitlements-core) selection=(--features testkit "${selection[@]}") ;;
        entitlements-tower) selection=(--features axum,testkit "${selection[@]}") ;;
    esac
    if ! run "$crate" "${selection[@]}" || ! run_everything "$crate"; then
        if ! by=$(caught); then
            tail -40 "$work/log"
            broken "$name: does not compile"
        fi
    fi
    printf '%s\n' "$original" >"$file"
    if [[ -z $by ]]; then
        survivors=$((survivors + 1))
        by="SURVIVED"
    fi
    printf '%-62s %s\n' "$name" "$by"
done

printf '\n%d bugs planted, %d survived (%d s)\n' "$planted" "$survivors" "$SECONDS"
[[ $survivors -eq 0 ]]
