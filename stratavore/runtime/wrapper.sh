#!/bin/sh
# Runs one agent in a terminal, and outlives it by the moment it takes to write down how it ended.
#
#     sh wrapper.sh RUN_DIRECTORY
#
# POSIX shell, builtins only but for the last `mv`. The files it writes are read by rundir.py:
#   started  this shell: boot id and its line of /proc/PID/stat, which together name it for ever
#   pid      the agent, in the same words; written before the agent's program is executed, by what becomes it
#   refused  the agent's program could not be executed, or its directory not entered
#   term, guard  it ends with its host's lease; given by `launch`
#   exit     the agent's exit code and the signals that this shell saw; then how long the machine had been up
cd "$1" || exit 70

# A runner is started once. Without clobbering, only one shell can create the file.
read -r boot </proc/sys/kernel/random/boot_id
read -r stat </proc/$$/stat
set -C
if ! echo "$boot $stat" 2>/dev/null >started; then
    echo "This runner was started before."
    exit 75
fi
set +C

# Signals to the group reach this shell too; it must not die before the agent. A handler, since an ignored signal would be
# ignored by the agent as well. Not for HUP: when the terminal is gone, so is the reason to stay.
signals=
trap 'signals="$signals TERM"' TERM
trap 'signals="$signals INT"' INT
trap 'signals="$signals QUIT"' QUIT

# Who ends with its host's lease has a guard beside it, with nothing of the terminal in its hands: see guard.sh.
# It ends by itself when there is an `exit`.
if [ -e term ]; then
    if ! /bin/sh ./guard check </dev/null >/dev/null 2>&1; then
        read -r up rest </proc/uptime
        printf '137\n%s\n' "$up" >exit.new && mv exit.new exit
        exit 137
    fi
    /bin/sh ./guard </dev/null >/dev/null 2>&1 &
fi

# The last lines on the screen are the agent's: this shell must not add "Terminated" when a signal ends it.
exec 3>&2 2>/dev/null

# In the foreground: a background job would lose the terminal's input. `launch` holds quoted words only: the environment, the
# directory and the program. It is read by the shell that becomes the agent, so that no name in it can disturb this one.
/bin/sh -c '
    exec 2>&3 3>&-
    read -r boot </proc/sys/kernel/random/boot_id
    read -r stat </proc/$$/stat
    echo "$boot $stat" >"$0/pid" || exit 74
    trap "echo >\"\$0/refused\"" EXIT
    . "$0/launch"
' "$PWD"
code=$?

# Whoever ends all processes of the runner but this shell may meet `mv` among them.
note() {
    read -r up rest </proc/uptime
    printf '%s\n%s\n' "$code$signals" "$up" >exit.new && { mv exit.new exit || mv exit.new exit || mv exit.new exit; }
}
# From here on a hangup must not keep from saying how the agent ended, and belongs to it.
trap 'signals="$signals HUP"' HUP
noted=$signals
note
# A shutdown tells everybody to end, in any order: who ended by itself a moment before this shell was told did not choose to.
if [ "$code" -le 128 ] && [ -z "$signals" ]; then
    sleep 0.3
fi
[ "$signals" = "$noted" ] || note
trap '' TERM INT QUIT HUP
exit "$code"
