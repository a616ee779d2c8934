#!/usr/bin/env bash
# Runs a command with ENTITLEMENTS_TEST_POSTGRES_URL set: scripts/postgres.sh COMMAND [ARGUMENT]...
#
# If the variable is set, that server is used, and tests that are killed leave schemas in it; it has to ask for a password,
# and its user needs to be a superuser. If not, a server of our own is started on a free loopback port, in a temporary folder,
# and is gone when the command ends. PostgreSQL is installed if it is missing and apt-get is there to do it.
# The status is that of the command, or 69 if there is no PostgreSQL and no way to get one.
set -euo pipefail

readonly unavailable=69
say() { printf 'PostgreSQL: %s\n' "$*" >&2; }

if [[ $# -eq 0 ]]; then
    echo "usage: scripts/postgres.sh COMMAND [ARGUMENT]..." >&2
    exit 64
fi
if [[ -n ${ENTITLEMENTS_TEST_POSTGRES_URL:-} ]]; then
    say "using the server of ENTITLEMENTS_TEST_POSTGRES_URL"
    exec "$@"
fi

# The folder of the newest server programs; fails if there are none.
programs() {
    local found newest=""
    for found in $(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V) $(compgen -G '/usr/pgsql-*/bin/initdb' | sort -V); do
        newest=$found
    done
    newest=${newest:-$(command -v initdb || true)}
    [[ -n $newest ]] && dirname "$(readlink -f "$newest")"
}

install() {
    [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null || return 1
    say "is not installed; installing it with apt-get"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 || say "the lists of packages could not be updated"
    apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends postgresql >&2
}

bin=$(programs) || { install && bin=$(programs); } || {
    say "is not installed. Install it (on Debian and Ubuntu as root: apt-get install postgresql;"
    say "elsewhere: brew install postgresql, dnf install postgresql-server, ...),"
    say "or set ENTITLEMENTS_TEST_POSTGRES_URL to a server for tests"
    exit $unavailable
}

# The server refuses to run as root.
as_owner=()
owner=$(id -un)
if [[ $EUID -eq 0 ]]; then
    for owner in postgres nobody; do
        if id -u "$owner" >/dev/null 2>&1; then break; fi
    done
    if command -v runuser >/dev/null; then
        as_owner=(runuser -u "$owner" --)
    else
        as_owner=(setpriv "--reuid=$owner" "--regid=$(id -g "$owner")" --init-groups)
    fi
fi

data=$(mktemp -d "${TMPDIR:-/tmp}/entitlements-postgres.XXXXXX")
# The process of the server, from the file that it keeps.
server() { sed -n 1p "$data/cluster/postmaster.pid" 2>/dev/null || true; }
stop() {
    local status=$? pid
    trap - EXIT
    pid=$(server)
    if [[ -n $pid ]]; then
        # An interrupt ends the sessions at once and shuts down cleanly.
        kill -INT "$pid" 2>/dev/null || true
        for _ in $(seq 100); do
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
printf '%s\n' "$password" >"$data/password"
chmod 700 "$data"
if [[ $EUID -eq 0 ]]; then
    chown -R "$owner" "$data"
fi
cd "$data"
if ! ${as_owner[@]+"${as_owner[@]}"} "$bin/initdb" -D "$data/cluster" -U entitlements -A password --pwfile="$data/password" \
    -E UTF8 --locale=C --no-sync >"$data/initdb.log" 2>&1; then
    say "initdb failed:"
    cat "$data/initdb.log" >&2
    exit 1
fi
started=""
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM))
    # Nothing here outlives the server, so nothing needs to reach the disk, unless POSTGRES_FSYNC=on asks for it.
    if ${as_owner[@]+"${as_owner[@]}"} "$bin/pg_ctl" -D "$data/cluster" -w -t 60 -l "$data/server.log" -o "-c listen_addresses=127.0.0.1 -p $port \
        -c unix_socket_directories='$data' -c fsync=${POSTGRES_FSYNC:-off} -c full_page_writes=${POSTGRES_FSYNC:-off} -c max_connections=200 -c max_locks_per_transaction=512" start >/dev/null 2>&1; then
        started=yes
        break
    fi
done
if [[ -z $started ]]; then
    say "the server does not start:"
    tail -n 20 "$data/server.log" >&2
    exit 1
fi
say "$("$bin/postgres" --version | sed 's/^postgres (PostgreSQL) //') as $owner on 127.0.0.1:$port, in $data until the command ends"
cd "$OLDPWD"
export ENTITLEMENTS_TEST_POSTGRES_URL="postgres://entitlements:$password@127.0.0.1:$port/postgres"
status=0
"$@" || status=$?
exit "$status"
