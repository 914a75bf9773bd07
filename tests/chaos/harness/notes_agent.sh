#!/bin/sh
# A light command agent: keeps each line that it is told in a file of its session.
#
#     sh notes_agent.sh DIRECTORY
echo "Ready."
while read -r line; do
    printf '%s\n' "$line" >>"$1/$STRATAVORE_SESSION_ID"
    echo "Kept."
done
exit 1
