#!/bin/sh
# Appends what Claude Code tells of itself to the runner's file of hooks: the time, and its JSON, in one line.
#
#     sh hook.sh BYTES <JSON
#
# Of the JSON at most so many bytes are kept: the names come first, bodies of tools last. It always succeeds: what fails here
# must not hold up the agent.
line=$(head -c "$1")
cat >/dev/null
{
    flock 9 2>/dev/null # bare appending tears lines that are written at once
    printf '%s %s\n' "$(date +%s.%3N)" "$line" >&9
} 9>>"${0%/*}/hooks"
exit 0
