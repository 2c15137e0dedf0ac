# Copyright (C) 2026 The Android Open Source Project
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

# What the checks in this folder share. Sourced, never run.
# shellcheck shell=bash disable=SC2015,SC2034

# The product's root, and where the checks keep what they fetch and build.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=$root/target/android
# shellcheck source=../lib/machine.sh
source "$root/tests/lib/machine.sh"
# The name of the check, for its messages.
check=$(basename "$0")

say() { echo "$check: $*"; }
fail() { echo "$check: FAILED: $*" >&2; exit 1; }
# The one line by which `run` and a reader tell "not done" from "passed".
skip() { echo "SKIPPED: $check: $*"; exit 0; }

# Makes $tmp, a folder that goes away with the check.
make_tmp() {
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
}

# need_packages NAME...: installs the Debian packages that are not there yet; without root or apt
# it says which ones they are and ends.
need_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -eq 0 ] && return
    local install="apt-get install -y --no-install-recommends ${missing[*]}"
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        fail "missing Debian packages: ${missing[*]}. As root: $install"
    say "installing ${missing[*]}"
    local log
    log=$(mktemp)
    # The package lists of a fresh machine are empty, or old: an old one gives an older compiler.
    apt-get update >"$log" 2>&1 || true
    DEBIAN_FRONTEND=noninteractive $install >"$log" 2>&1 || {
        tail -5 "$log" >&2
        rm -f "$log"
        fail "apt could not install: ${missing[*]}"
    }
    rm -f "$log"
}

# expect_refused WHAT PATTERN COMMAND...: a broken input must be refused, and for the reason meant.
expect_refused() {
    local what=$1 pattern=$2 output
    shift 2
    if output=$("$@" 2>&1); then
        fail "$what was accepted: this check cannot fail"
    fi
    grep -qE -- "$pattern" <<<"$output" ||
        fail "$what was refused, but not with /$pattern/:"$'\n'"$output"
    refused=$((${refused:-0} + 1))
}

# edit FILE SED: changes a file; an edit that changes nothing is an error of the check itself.
edit() {
    cp "$1" "$1.before"
    sed -i -E "$2" "$1"
    if cmp -s "$1" "$1.before"; then
        fail "the edit '$2' changes nothing in $1: this check is out of date"
    fi
    rm "$1.before"
}
