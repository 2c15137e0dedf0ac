# shellcheck shell=bash
# What cargo builds, once for all suites. `cargo test -p PACKAGE` would find other features of the
# crates it depends on than the whole workspace has (Cargo's resolver unites those of what is
# selected), and build most of them once more for each suite. Needs ui.sh and machine.sh.

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")

# build_tests: all programs and all test programs of the workspace. Where they are is in $target/tests.json.
build_tests() { listed build --workspace --bins --tests --examples "$@"; }

# build_seams NAME...: what of the daemon's own tests has the seams that are in no other build, and the
# programs of these names. By the workspace, too: nothing else is built once more for them.
build_seams() {
    listed test --workspace --no-run --features guestnetd/faults,guestnetd/fuzzing --lib "${@/#/--test=}"
}

# listed COMMAND ARGUMENT...: cargo's; what it builds is in the list.
listed() {
    mkdir -p "$target"
    user_cargo "$1" --locked --message-format=json-render-diagnostics "${@:2}" >"$target/tests.json.$$" || return
    mv "$target/tests.json.$$" "$target/tests.json"
}

# tests_in FOLDER [NAME]: the test programs of the package in that folder, or the one of that name.
tests_in() {
    local manifest='"manifest_path":"'$PWD/$1'/Cargo.toml"' name='"name":"'${2:-'[^"]*'}'"'
    sed -n '\|'"$manifest.*$name"'.*"profile":{[^}]*"test":true}| s|.*"executable":"\([^"]*\)".*|\1|p' "$target/tests.json"
}

# run_tests FOLDER... [-- ARGUMENT...]: runs them as `cargo test` does. With arguments only those
# that have such a test; it is a failure if none has. Without, what failed is run once more by itself.
run_tests() {
    local folders=() folder program ran=0 failed=0 said
    said=$(mktemp)
    while [ $# -gt 0 ] && [ "$1" != -- ]; do folders+=("$1"); shift; done
    shift || true
    for folder in "${folders[@]}"; do
        for program in $(tests_in "$folder" | sort); do
            [ $# = 0 ] || has_test "$program" "$@" || continue
            ran=$((ran + 1))
            note "$folder: $(basename "${program%-*}")"
            (cd "$folder" && "$program" "$@" | tee "$said") || {
                [ $# = 0 ] && (cd "$folder" && passes_alone "$program" "$said") || failed=1
            }
        done
    done
    rm -f "$said"
    [ $ran -gt 0 ] || { echo "no test of ${folders[*]} for: $*" >&2; return 1; }
    return $failed
}

# passes_alone PROGRAM SAID: whether the tests that failed, by what the program said, pass without
# others beside them. They are named at the end, as what is to be mended: see tests/README.md.
passes_alone() {
    local program=$1 names
    mapfile -t names < <(awk '/^failures:$/ { n = 0 } /^    [^ ]+$/ { name[n++] = $1 } END { for (i = 0; i < n; i++) print name[i] }' "$2")
    [ ${#names[@]} -gt 0 ] || return 1
    note "once more, alone: ${names[*]}"
    "$program" --exact "${names[@]}" || return 1
    printf '%s\n' "${names[@]/#/"$(basename "${program%-*}") "}" >>"$target/flaky"
}

has_test() {
    local program=$1
    shift
    # To the end: who lists fails when nobody reads on (grep -q).
    "$program" "$@" --list 2>/dev/null | grep ': test$' >/dev/null
}
