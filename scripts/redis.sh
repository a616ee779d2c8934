#!/usr/bin/env bash
# Runs a command with ENTITLEMENTS_TEST_REDIS_URL set: scripts/redis.sh COMMAND [ARGUMENT]...
#
# If the variable is set, that server is used, and left with the keys that tests make in it. If not, a server of our own is
# started on a free loopback port, in a temporary folder, and is gone when the command ends. Redis is installed if it is
# missing and apt-get is there to do it.
# The status is that of the command, or 69 if there is no Redis and no way to get one.
set -euo pipefail

readonly unavailable=69
say() { printf 'Redis: %s\n' "$*" >&2; }

if [[ $# -eq 0 ]]; then
    echo "usage: scripts/redis.sh COMMAND [ARGUMENT]..." >&2
    exit 64
fi
if [[ -n ${ENTITLEMENTS_TEST_REDIS_URL:-} ]]; then
    say "using the server of ENTITLEMENTS_TEST_REDIS_URL"
    exec "$@"
fi

install() {
    [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null || return 1
    say "is not installed; installing it with apt-get"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 || say "the lists of packages could not be updated"
    apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends redis-server >&2
}

program=$(command -v redis-server || command -v valkey-server) || { install && program=$(command -v redis-server); } || {
    say "is not installed. Install it (on Debian and Ubuntu as root: apt-get install redis-server;"
    say "elsewhere: brew install redis, dnf install redis, ...),"
    say "or set ENTITLEMENTS_TEST_REDIS_URL to a server for tests"
    exit $unavailable
}

data=$(mktemp -d "${TMPDIR:-/tmp}/entitlements-redis.XXXXXX")
# The process of the server, from the file that it keeps.
server() { cat "$data/pid" 2>/dev/null || true; }
stop() {
    local status=$? pid
    trap - EXIT
    pid=$(server)
    if [[ -n $pid ]]; then
        kill -TERM "$pid" 2>/dev/null || true
        for _ in $(seq 50); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
        say "the server of $data is stopped"
    fi
    rm -rf "$data"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
started=""
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM))
    # The password does not stand on a command line, where everybody could read it.
    (umask 077 && printf 'requirepass %s\n' "$password" >"$data/redis.conf")
    # Nothing here outlives the server, so nothing is written to the disk.
    "$program" "$data/redis.conf" --bind 127.0.0.1 --port "$port" --dir "$data" --save '' --appendonly no \
        --daemonize yes --pidfile "$data/pid" --logfile "$data/log" >/dev/null 2>&1 || continue
    for _ in $(seq 50); do
        if grep -q 'Ready to accept connections' "$data/log" 2>/dev/null; then
            started=yes
            break 2
        fi
        [[ -s $data/pid ]] && ! kill -0 "$(server)" 2>/dev/null && break
        sleep 0.1
    done
done
if [[ -z $started ]]; then
    say "the server does not start:"
    tail -n 20 "$data/log" >&2 || true
    exit 1
fi
say "$("$program" --version | sed 's/ sha=.*//') on 127.0.0.1:$port, in $data until the command ends"
export ENTITLEMENTS_TEST_REDIS_URL="redis://:$password@127.0.0.1:$port"
status=0
"$@" || status=$?
exit "$status"
