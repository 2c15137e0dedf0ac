# shellcheck shell=bash
# Compiles sepolicy/ with the reduced platform of our own in tests/android/sepolicy. Sourced, never run.

platform=$(cd "$(dirname "${BASH_SOURCE[0]}")/sepolicy" && pwd)

# compile_policy TO FOLDER [M4-WORD]...: the policy of FOLDER, as the platform's build does it: to CIL by
# checkpolicy, to a binary by secilc: TO/policy.conf, TO/policy.cil, TO/policy. With $without_domain what
# every domain may do is left out; with $rewritten_by, a command, the text is what that makes of it.
compile_policy() {
    local to=$1 folder=$2
    shift 2
    local parts=("$platform"/[123]_*) last=("$platform"/5_*)
    [ -n "${without_domain-}" ] || parts+=("$platform"/4_*)
    m4 --fatal-warnings -s "$@" "${parts[@]}" "$folder"/*.te "${last[@]}" >"$to/policy.conf" || return
    if [ -n "${rewritten_by-}" ]; then
        $rewritten_by <"$to/policy.conf" >"$to/rewritten" && mv "$to/rewritten" "$to/policy.conf" || return
    fi
    # A macro that does not exist is left standing as a word with arguments.
    # What a newer kernel has and Android's policy does not know is allowed, as it is there.
    checkpolicy -M -C -U allow -o "$to/policy.cil" "$to/policy.conf" || return
    secilc -m -M true -G -c 30 -o "$to/policy" -f /dev/null "$to/policy.cil" || return
    local contexts
    for contexts in file_contexts service_contexts; do
        [ -e "$folder/$contexts" ] || continue
        sefcontext_compile -p "$to/policy" -o "$to/contexts" "$folder/$contexts" || return
    done
}
