#!/usr/bin/env bash
# Prints the folder with Debian's NetworkManager, unpacked and not installed: its service would take the
# machine's own network. Made once, below target/. Run in the repository.
set -euo pipefail
. tests/lib/ui.sh
. tests/lib/machine.sh
folder=${CARGO_TARGET_DIR:-$PWD/target}/network-manager
# It, a bus, and the libraries of both that a machine may lack.
packages=(network-manager dbus-daemon libnm0 libndp0 libteamdctl0 libmm-glib0 libbluetooth3 libnewt0.52
    libslang2 libjansson4 libcurl3-gnutls libpsl5 libglib2.0-0 libreadline8 libaudit1 libdbus-1-3 libapparmor1
    libexpat1)

download() { (cd "$1" && apt-get download -qq $(missing_packages "${packages[@]}") 2>&1); }

mkdir -p "$folder"
# Tests beside each other make it once.
exec {lock}>"$folder/lock"
flock "$lock"
if [ ! -e "$folder/done" ]; then
    rm -rf "$folder"/{debs,root}
    mkdir -p "$folder"/{debs,root}
    # The lists of a fresh machine can be empty or old.
    download "$folder/debs" >&2 || { apt-get update && download "$folder/debs"; } >&2 || die "NetworkManager cannot be downloaded"
    for package in "$folder"/debs/*.deb; do dpkg-deb -x "$package" "$folder/root"; done
    ! LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu) ldd "$folder/root/usr/sbin/NetworkManager" |
        grep 'not found' >&2 || die "NetworkManager lacks libraries, which are named above"
    rm -rf "$folder/debs"
    touch "$folder/done"
fi
echo "$folder/root"
