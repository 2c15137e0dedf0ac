# shellcheck shell=bash
# What a person sees: headings, commands with their output, progress of what takes a while.

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    bold=$'\e[1;36m' dim=$'\e[2m' red=$'\e[1;31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold='' dim='' red='' green='' plain=''
fi

heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '   %s\n' "$*"; }
good() { printf '   %s%s%s\n' "$green" "$*" "$plain"; }
die() {
    printf '%s%s%s\n' "$red" "${0##*/}: $*" "$plain" >&2
    exit 1
}

# show TEXT COMMAND...: prints the text as a command, runs the command, and indents what it says.
show() {
    printf '   %s$ %s%s\n' "$dim" "$1" "$plain"
    shift
    "$@" 2>&1 | sed 's/^/   /'
}

# step TEXT COMMAND...: runs it with a dot for every half second, then says how long it took. What
# it says itself is shown only when it fails.
step() {
    local text=$1 output start=${EPOCHREALTIME/./} pid status=0
    shift
    output=$(mktemp)
    printf '   %s ...' "$text"
    "$@" >"$output" 2>&1 </dev/null &
    pid=$!
    # tail ends with the command; until then every time limit is one more dot.
    until timeout 0.5 tail --pid="$pid" -s 0.02 -f /dev/null; do printf .; done
    wait "$pid" || status=$?
    local ms=$(((${EPOCHREALTIME/./} - start) / 1000))
    if [ "$status" = 0 ]; then
        printf ' %s%d ms%s\n' "$dim" "$ms" "$plain"
    else
        printf ' %sfailed%s\n' "$red" "$plain"
        sed 's/^/   /' "$output" >&2
    fi
    rm -f "$output"
    return "$status"
}

# within SECONDS COMMAND...: asks again and again until the answer is yes; fails at the limit.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.02
    done
}
