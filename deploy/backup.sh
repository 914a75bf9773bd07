#!/bin/sh
# backup.sh DIRECTORY [DAYS]: saves what sessions of this host cannot do without, in a directory named by the time below
# DIRECTORY, and deletes those that are older than DAYS (14). How it is restored: docs/deployment.md.
#
#   stratavore.dump   the database: projects, sessions, conversations, usage, events
#   state.tar         what of the host is not in it: its identity, secrets, and the environments of its sessions
#
# It needs `stratavore` on PATH and a daemon that runs. Run it as the daemon's user: with cron, or a timer of systemd.
set -eu
umask 077
directory=${1:?Usage: backup.sh DIRECTORY [DAYS]}
days=${2:-14}
state=${STRATAVORE_HOME:-${XDG_STATE_HOME:-$HOME/.local/state}/stratavore}

mkdir -p "$directory"
partial=$(mktemp -d "$directory/.partial-XXXXXX")
trap 'rm -rf "$partial"' EXIT

# The daemon says how psql reaches its database. pg_dump is called the same way and lies beside it.
status=$(stratavore daemon status)
pg_dump=$(printf '%s\n' "$status" | sed -nE 's#^Database: (.*[ /])?psql #\1pg_dump #p')
eval "$pg_dump --format=custom --file=\"\$partial/stratavore.dump\""

# Sessions that end meanwhile take their files along; tar says so with 1.
tar --create --file "$partial/state.tar" --directory "$state" identity.json secrets.json sessions || test $? -eq 1

# Under its name only when it is whole.
mv "$partial" "$directory/$(date -u +%Y-%m-%dT%H-%M-%SZ)"
find "$directory" -mindepth 1 -maxdepth 1 -type d -name '20*Z' -mtime "+$days" -exec rm -r {} +
