# shellcheck shell=bash
# What cargo builds, once for all suites. `cargo test -p PACKAGE` would find other features of the
# crates it depends on than the whole workspace has (Cargo's resolver unites those of what is
# selected), and build most of them once more for each suite. Needs ui.sh and machine.sh.

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")

# build_tests: all programs and all test programs of the workspace. Where they are is in $target/tests.json.
build_tests() {
    mkdir -p "$target"
    user_cargo build --workspace --bins --tests --examples --locked --message-format=json-render-diagnostics "$@" \
        >"$target/tests.json.$$" || return
    mv "$target/tests.json.$$" "$target/tests.json"
}

# tests_in FOLDER [NAME]: the test programs of the package in that folder, or the one of that name.
tests_in() {
    local manifest='"manifest_path":"'$PWD/$1'/Cargo.toml"' name='"name":"'${2:-'[^"]*'}'"'
    sed -n '\|'"$manifest.*$name"'.*"profile":{[^}]*"test":true}| s|.*"executable":"\([^"]*\)".*|\1|p' "$target/tests.json"
}

# run_tests FOLDER... [-- ARGUMENT...]: runs them as `cargo test` does. With arguments only those
# that have such a test; it is a failure if none has.
run_tests() {
    local folders=() folder program ran=0 failed=0
    while [ $# -gt 0 ] && [ "$1" != -- ]; do folders+=("$1"); shift; done
    shift || true
    for folder in "${folders[@]}"; do
        for program in $(tests_in "$folder" | sort); do
            [ $# = 0 ] || has_test "$program" "$@" || continue
            ran=$((ran + 1))
            note "$folder: $(basename "${program%-*}")"
            (cd "$folder" && "$program" "$@") || failed=1
        done
    done
    [ $ran -gt 0 ] || { echo "no test of ${folders[*]} for: $*" >&2; return 1; }
    return $failed
}

has_test() {
    local program=$1
    shift
    # To the end: who lists fails when nobody reads on (grep -q).
    "$program" "$@" --list 2>/dev/null | grep ': test$' >/dev/null
}
