# shellcheck shell=bash
# Google's aidl compiler, of Debian sid: older releases have no Rust backend. Sourced, never run.

# shellcheck source=../lib/sid.sh
source "$root/tests/lib/sid.sh"

home=$cache/aidl

# get_aidl WHAT: has $aidl, the words that run it, or says that WHAT is not done and ends.
get_aidl() {
    sid_fetch "$home" aidl || {
        tail -3 "$home/log" >&2 || true
        skip "aidl could not be had from Debian sid: $1"
    }
    sid_command "$home" aidl || fail "aidl was unpacked, but is not where it should be"
    aidl=("${sid[@]}")
    [[ $("${aidl[@]}" --help 2>&1) == *--lang=* ]] || fail "this aidl knows no --lang"
}

warnings=(-Weverything -Wno-missing-permission-annotation -Werror)

# compile LANGUAGE FOLDER [OUT]: the contract in FOLDER, as one language.
compile() {
    local out=${3-$tmp/out/$1} files
    rm -rf "$out"
    mkdir -p "$out"
    mapfile -t files < <(find "$2/android" -name '*.aidl' | sort)
    local headers=()
    case $1 in ndk | cpp) headers=(-h "$out/include") ;; esac
    "${aidl[@]}" --lang="$1" --structured --min_sdk_version=34 "${warnings[@]}" \
        -I "$2" -o "$out" "${headers[@]}" "${files[@]}"
}
