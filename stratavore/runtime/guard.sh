#!/bin/sh
# Ends a runner whose host does not hold the lease any more that it was launched under, with nobody's help: the daemon may be
# dead, frozen, or cut off. Only runners have one whose sessions chose to go on elsewhere then (`failover: auto`).
#
#     sh guard check    in the run directory: whether the runner may begin; notes it if not, and fails
#     sh guard          keeps guard until the runner has ended
#
# POSIX shell; of other programs only `sleep` and `grep`. What it reads and writes:
#   ../../lease  boot id, term, deadline in seconds of uptime, seconds it was given for: what the host holds (fencing.py)
#   term         the same, as it was when the runner was launched
#   started, exit, descendants   see wrapper.sh and rundir.py
#   fenced       for how many seconds the host could not renew its lease: why the runner was ended
LC_ALL=C
pause=5

# Sets `left` to the seconds until the lease ends; 0: it has, or it is another term's. A file that cannot be read changes nothing.
look() {
    if { read -r boot number end given <../../lease; } 2>/dev/null && [ "$end" -gt 0 ] 2>/dev/null; then
        deadline=$end seconds=$given now="$boot $number"
    fi
    read -r up rest </proc/uptime
    left=$((deadline - ${up%.*}))
    [ "$now" = "$mine" ] && [ "$left" -gt 0 ] || left=0
}

# Sets the parent, kernel session and start of a process; fails if it is gone, or waits to be buried.
stat() {
    line=
    { while read -r part; do line="$line $part"; done <"/proc/$1/stat"; } 2>/dev/null
    set -- ${line##*) } # its name stands in parentheses and may hold anything
    [ "$#" -ge 20 ] || return 1
    parent=$2 session=$4 start=${20}
    [ "$1" != Z ] && [ "$1" != X ]
}

# Sets `found` to the living processes of the runner, but for its wrapper and this guard: who carries its marker, who is of
# its terminal's session, and who was seen to descend from it. Whom it has no right to end (`sudo`) it does not wait for.
find() {
    found=
    for each in $(grep -lszxF "STRATAVORE_RUNNER_ID=$runner" /proc/[0-9]*/environ) /proc/[0-9]*; do
        pid=${each#/proc/}
        stat "${pid%/environ}" || continue
        case $each in
        */environ) pid=${pid%/environ} ;;
        *) [ "$session" = "$leader" ] || continue ;;
        esac
        case $pid in "$leader" | "$$") continue ;; esac
        [ "$parent" = "$$" ] || ! kill -0 "$pid" || found="$found $pid"
    done
    [ -e descendants ] || return 0
    while read -r boot pid began; do
        if stat "$pid" && [ "$start" = "$began" ] && kill -0 "$pid"; then
            found="$found $pid"
        fi
    done <descendants
    return 0
}

end_all() {
    printf '%s\n' "$seconds" >fenced.new && mv fenced.new fenced
    rounds=0
    while find && [ -n "$found" ]; do
        kill -9 $found
        rounds=$((rounds + 1))
        [ "$rounds" -lt 20 ] || sleep 1
    done 2>/dev/null
}

# The wrapper lives, or what it started does.
goes_on() {
    [ -e exit ] && return 1
    stat "$leader" && [ "$start" = "$leader_start" ] && return 0
    find
    [ -n "$found" ]
}

main() {
    read -r boot number deadline seconds <term || exit 70
    mine="$boot $number" now="$boot $number"
    look
    if [ "$1" = check ]; then
        [ "$left" -gt 0 ] && exit 0
        printf '%s\n' "$seconds" >fenced
        exit 1
    fi
    read -r boot leader rest <started || exit 70
    set -- ${rest##*) }
    leader_start=${20}
    runner=${PWD##*/}
    # A signal to the group reaches the guard too: it wakes it, so that it ends soon after the runner, and no sooner.
    trap 'woken=20; kill "$sleeper"' TERM HUP INT QUIT
    sleeper= woken=0
    while goes_on; do
        look
        if [ "$left" -eq 0 ]; then
            end_all
            exit 0
        fi
        [ "$left" -lt "$pause" ] || left=$pause
        [ "$woken" -eq 0 ] || left=0.2 woken=$((woken - 1))
        sleep "$left" &
        sleeper=$!
        wait "$sleeper"
        sleeper=
    done
}

# Read as a whole before it begins: the file may be replaced while it runs.
main "$@" 2>/dev/null; exit
