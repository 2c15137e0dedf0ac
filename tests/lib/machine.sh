# shellcheck shell=bash
# What the machine must have: root, Debian packages, Rust. What installs and asks needs ui.sh.

PATH=$PATH:/usr/sbin:/sbin

# need_tools "TOOL:PACKAGE [PACKAGE]"...: installs the Debian packages of the tools that are not
# there. Without root or apt it says which they are.
need_tools() {
    local pair missing=() packages=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null && continue
        missing+=("${pair%%:*}")
        packages+=("${pair##*:}")
    done
    [ ${#packages[@]} -gt 0 ] || return 0
    note "missing: ${missing[*]}"
    install_packages "${packages[@]}"
}

# missing_packages PACKAGE...: those Debian packages that are not there, a line each.
missing_packages() {
    local package
    for package; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
    done
}

install_packages() {
    # Others may be installing something, as a fresh machine does by itself; apt-get update would not wait.
    local install="apt-get -o DPkg::Lock::Timeout=600 install --no-install-recommends $*"
    if ! command -v apt-get >/dev/null; then
        die "install what is missing; in Debian the packages are: $*"
    elif [ "$(id -u)" != 0 ]; then
        die "install what is missing: sudo $install"
    fi
    note "installing the Debian packages: $*"
    export DEBIAN_FRONTEND=noninteractive
    # The lists of a fresh machine can be empty or old.
    # shellcheck disable=SC2086 # the command is made of words
    $install -y || { within 600 lists_are_free && apt-get update && $install -y; } || die "this failed: $install"
}

# lists_are_free: nobody holds apt's lock of its lists, which it takes by fcntl(2).
lists_are_free() {
    python3 -c '
import fcntl, sys
with open("/var/lib/apt/lists/lock", "a") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null || ! command -v python3 >/dev/null
}

# need_root: network namespaces and LXC are root's.
need_root() {
    [ "$(id -u)" = 0 ] || die "it makes network namespaces, which takes root: sudo $0"
}

# cargo, as the user who called sudo: Rust is often that user's only, and so are the files it makes.
user_cargo() {
    local user=${SUDO_USER:-root} home
    home=$(getent passwd "$user" | cut -d: -f6)
    if [ "$user" = root ] || [ "$(id -u)" != 0 ]; then
        PATH=$PATH:$home/.cargo/bin cargo "$@"
    else
        runuser -u "$user" -- env HOME="$home" PATH="$home/.cargo/bin:$PATH" cargo "$@"
    fi
}

need_rust() {
    user_cargo --version >/dev/null 2>&1 ||
        die "cargo is missing: install Rust, as https://rustup.rs says or with apt-get install cargo"
}
