# shellcheck shell=bash
# Programs that only Debian sid has, beside an older Debian: unpacked into a folder and run with sid's
# own loader and libraries; nothing of it is installed. The mirror is the machine's own.

# sid_fetch HOME PACKAGE: unpacks the package and all it needs into HOME/root, once; its version is in
# HOME/version. What went wrong is in HOME/log.
sid_fetch() {
    local home=$1 package=$2 mirror
    [ ! -e "$home/version" ] || return 0
    command -v apt-get >/dev/null || return
    # shellcheck disable=SC2016 # a $ that is apt's
    for mirror in $(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian/?$' | sort -u); do
        if sid_unpack "$home" "$package" "$mirror"; then
            return 0
        fi
    done
    return 1
}

# apt on a state of its own that knows sid only.
sid_unpack() {
    local home=$1 package=$2 key=/usr/share/keyrings/debian-archive-keyring.gpg deb packages
    local apt=(env "APT_CONFIG=$home/apt.conf")
    rm -rf "$home"
    mkdir -p "$home"/{lists/partial,cache/archives/partial,debs,root}
    touch "$home/status"
    echo "deb [signed-by=$key] $3 sid main" >"$home/sources.list"
    cat >"$home/apt.conf" <<CONF
Dir::State::lists "$home/lists";
Dir::State::status "$home/status";
Dir::Cache "$home/cache";
Dir::Etc::sourcelist "$home/sources.list";
Dir::Etc::sourceparts "/dev/null";
APT::Sandbox::User "";
CONF
    "${apt[@]}" apt-get update >"$home/log" 2>&1 || return
    packages=$("${apt[@]}" apt-cache depends --recurse --important "$package" | grep -E '^[a-z0-9]') || return
    # shellcheck disable=SC2086 # one word for each package
    (cd "$home/debs" && "${apt[@]}" apt-get download $packages) >>"$home/log" 2>&1 || return
    for deb in "$home"/debs/*.deb; do
        dpkg-deb -x "$deb" "$home/root" || return
    done
    basename -a "$home/debs/${package}"_*.deb | sed "s/%3a/:/; s/^${package}_/$package /; s/_[^_]*$//" >"$home/version"
    rm -rf "$home/debs" "$home/lists" "$home/cache"
}

# sid_command HOME PROGRAM: sets the array sid to the words that run it.
sid_command() {
    local loader library
    loader=$(find "$1/root/usr" -name 'ld-linux*.so*' 2>/dev/null | head -1)
    library=$(find "$1/root/usr/lib" -name libc.so.6 -printf '%h\n' 2>/dev/null | head -1)
    [ -n "$loader" ] && [ -n "$library" ] || return
    # shellcheck disable=SC2034 # the caller's
    sid=("$loader" --library-path "$library:$library/android" "$1/root/usr/bin/$2")
}
