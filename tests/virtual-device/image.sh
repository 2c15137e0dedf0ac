# shellcheck shell=bash
# What the device boots: a kernel of Debian's, unpacked, and its root as an initramfs. Made once for
# each kernel and kept in $cache until a list or a package changes. Needs ui.sh and machine.sh.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${CARGO_TARGET_DIR:-$here/../../target}/virtual-device

words_of() { sed 's/#.*//' "$here/$1"; }

# kernel_package 6.1|6.12: Debian's newest image of that series.
kernel_package() {
    local pattern="^linux-image-${1//./\\.}\\.[0-9+deb.-]*-amd64\$"
    apt-cache search --names-only "$pattern" | cut -d' ' -f1 | sort -V | tail -1
}

# make_kernel 6.1|6.12: $cache/SERIES/{vmlinux,modules/lib/modules/RELEASE,release}.
make_kernel() {
    local dir=$cache/$1 package
    [ ! -e "$dir/done" ] || return 0
    package=$(kernel_package "$1")
    if [ -z "$package" ]; then
        apt-get update >/dev/null
        package=$(kernel_package "$1")
    fi
    [ -n "$package" ] || die "Debian has no linux-image of $1: see apt-cache search linux-image"
    rm -rf "$dir"
    mkdir -p "$dir"
    (cd "$dir" && apt-get download -qq "$package" 2>/dev/null) || {
        apt-get update >/dev/null && (cd "$dir" && apt-get download -qq "$package")
    } || die "$package cannot be downloaded"
    dpkg-deb -x "$dir"/*.deb "$dir/package"
    unpack_kernel "$dir"/package/boot/vmlinuz-* >"$dir/vmlinux"
    ls "$dir/package/lib/modules" >"$dir/release"
    depmod -b "$dir/package" "$(cat "$dir/release")"
    rm -f "$dir"/*.deb
    touch "$dir/done"
}

# unpack_kernel BZIMAGE: the ELF file in it, which QEMU starts by PVH: seconds faster than the
# kernel unpacks itself. Where it is the boot protocol says (Documentation/arch/x86/boot.rst:
# setup_sects, payload_offset, payload_length).
unpack_kernel() {
    local sectors offset length magic
    sectors=$(od -An -tu1 -j $((0x1f1)) -N1 "$1")
    offset=$(od -An -tu4 -j $((0x248)) -N4 "$1")
    length=$(od -An -tu4 -j $((0x24c)) -N4 "$1")
    offset=$(((sectors + 1) * 512 + offset))
    magic=$(od -An -tx4 -j "$offset" -N4 "$1")
    case $magic in
    *587a37fd) tail -c +$((offset + 1)) "$1" | head -c "$length" | xz -dc --single-stream 2>/dev/null || true ;;
    *fd2fb528) tail -c +$((offset + 1)) "$1" | head -c "$length" | zstd -dc 2>/dev/null || true ;;
    *) die "$1 is packed in a way that is not known here:$magic" ;;
    esac
}

# make_root 6.1|6.12: $cache/SERIES/root.cpio, everything but the scene.
make_root() {
    local dir=$cache/$1 root stamp
    make_kernel "$1"
    stamp=$({ cat "$here"/{packages,modules}.txt "$here"/image.sh "$here"/guest/*; dpkg-query -W; } | sha256sum)
    [ "$(cat "$dir/stamp" 2>/dev/null)" != "$stamp" ] || return 0
    root=$dir/root
    rm -rf "$root"
    mkdir -p "$root"/{usr/{bin,sbin,lib,lib64},etc,dev,proc,sys,tmp,run,root,mnt,device,data/misc,system_ext/bin,system/bin,var/lib}
    # One directory of programs, as Debian has it.
    local link
    for link in bin sbin lib lib64; do ln -s usr/$link "$root/$link"; done
    ln -s ../run "$root/var/run"
    add_packages "$root"
    add_modules "$dir" "$root"
    printf '%s\n' root:x:0:0::/root:/bin/bash system:x:1000:1000::/:/bin/false app:x:10123:10123::/:/bin/false \
        nobody:x:65534:65534::/:/bin/false >"$root/etc/passwd"
    # The numbers of Android's groups (android_filesystem_config.h).
    printf '%s\n' root:x:0: system:x:1000: inet:x:3003: net_raw:x:3004: net_admin:x:3005: readproc:x:3009: app:x:10123: \
        nogroup:x:65534: >"$root/etc/group"
    install -m 755 "$here/guest/init" "$root/init"
    pack "$root" >"$dir/root.cpio"
    rm -rf "$root"
    echo "$stamp" >"$dir/stamp"
}

add_packages() {
    local root=$1
    # shellcheck disable=SC2046 # names of packages
    dpkg-query -L $(words_of packages.txt) | sort -u |
        grep -vE '^/usr/share/(doc|man|info|locale|lintian|bash-completion|bug|zsh)/|^/lib/systemd|^/etc/init.d|\.a$' |
        while read -r file; do [ -d "$file" ] || [ ! -e "$file" ] || echo "$file"; done |
        tar -c -C / --no-recursion -T - 2>/dev/null | tar -x -C "$root" --keep-directory-symlink
    # What update-alternatives points to is the same in the device.
    local link
    cp -a /etc/alternatives "$root/etc/"
    for link in /usr/bin/* /usr/sbin/*; do
        [[ $(readlink "$link") != /etc/alternatives/* ]] || cp -a "$link" "$root/usr/${link#/usr/}"
    done
    # All of busybox's names by one process, not by one each: ten seconds for each container there.
    sed -i 's/\.\/busybox --list .* xargs -n1 ln -s busybox/.\/busybox --install ./' "$root/usr/share/lxc/templates/lxc-busybox"
    add_libraries "$root" "$root"
    install -D /lib64/ld-linux-x86-64.so.2 "$root/usr/lib64/ld-linux-x86-64.so.2"
}

# add_libraries ROOT FOLDER: what the programs in FOLDER load, from here.
add_libraries() {
    local library
    # A script, and a program that loads nothing, are failures to ldd.
    { find "$2" -type f \( -perm /111 -o -name '*.so*' \) -exec ldd {} + 2>/dev/null || true; } |
        sed -n 's|.* => \(/[^ ]*\) .*|\1|p' | sort -u | while read -r library; do
        # Never through /lib, which is a link in the device.
        library=$(realpath "${library%/*}")/${library##*/}
        [ -e "$1$library" ] || install -D "$library" "$1$library"
    done
}

add_modules() {
    local dir=$1 root=$2 release name from
    release=$(cat "$dir/release")
    from=$dir/package/lib/modules/$release
    { for name in $(words_of modules.txt); do
        if [ -d "$from/kernel/$name" ]; then
            find "$from/kernel/$name" -name '*.ko*' | sed 's|.*/||; s|\.ko.*||'
        else
            echo "$name"
        fi
    done | xargs -n 1 modprobe -d "$dir/package" -S "$release" --show-depends 2>/dev/null || true; } |
        sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | while read -r file; do
        local to=$root/usr/lib/modules/$release/${file#"$from"/}
        install -D -m 644 "$file" "$to"
        # Unpacked here once, not there at each boot.
        [[ $to != *.xz ]] || xz -d "$to"
    done
    cp "$from"/modules.{builtin,builtin.modinfo,order} "$root/usr/lib/modules/$release/"
    depmod -b "$root/usr" "$release" 2>/dev/null || depmod -b "$root" "$release"
}

# pack FOLDER: as a cpio archive; the kernel reads several, one behind the other. Not compressed:
# unpacking costs the device more than reading.
pack() { (cd "$1" && find . | cpio -o -H newc -R 0:0 --quiet); }

# need_hub: $cache/tools/bin/rsb_hub, the service manager of kernel Binder outside Android: that of the
# rsbinder which guestnetd is built with here.
need_hub() {
    local version
    version=$(sed -n '/^name = "rsbinder"$/{n; s/version = "\(.*\)"/\1/p}' "$here/../../Cargo.lock")
    [ ! -x "$cache/tools/bin/rsb_hub-$version" ] || return 0
    note "building the service manager, rsb_hub $version"
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$cache/tools/target user_cargo install --quiet --debug --locked --root "$cache/tools" \
        --version "=$version" rsbinder-tools --bin rsb_hub --bin rsb_service ||
        die "rsbinder-tools cannot be built"
    rm -rf "$cache/tools/target"
    ln -f "$cache/tools/bin/rsb_hub" "$cache/tools/bin/rsb_hub-$version"
}

# need_cargo_deb: $cache/tools/bin/cargo-deb, which makes the Debian package.
need_cargo_deb() {
    local version=3.8.0
    [ ! -x "$cache/tools/bin/cargo-deb-$version" ] || return 0
    note "building cargo-deb $version"
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$cache/tools/target user_cargo install --quiet --debug --locked --force \
        --root "$cache/tools" --version "=$version" cargo-deb || die "cargo-deb cannot be built"
    rm -rf "$cache/tools/target"
    ln -f "$cache/tools/bin/cargo-deb" "$cache/tools/bin/cargo-deb-$version"
}

# make_debian: $cache/debian.img, a disk with a small Debian 12 that systemd boots, from the machine's own
# mirror. Made once and kept until the list changes.
make_debian() {
    local stamp root=$cache/debian mirror
    local packages=systemd-sysv,dbus,udev,kmod,iproute2,iputils-ping,nftables,procps,busybox-static,dnsmasq-base,lxc
    stamp=$({ echo "$packages"; declare -f make_debian; } | sha256sum)
    [ "$(cat "$cache/debian.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    note "making a Debian with systemd"
    # shellcheck disable=SC2016 # a $ that is apt's
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian/?$' | sort -u | head -n 1)
    rm -rf "$root"
    # lxc-busybox: as in add_packages.
    mmdebstrap --quiet --variant=minbase --include="$packages" --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --customize-hook='rm "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"' \
        --customize-hook='systemctl --quiet --root="$1" mask lxc-net.service apt-daily.timer apt-daily-upgrade.timer' \
        --customize-hook="sed -i 's/\.\/busybox --list .* xargs -n1 ln -s busybox/.\/busybox --install ./' \"\$1/usr/share/lxc/templates/lxc-busybox\"" \
        bookworm "$root" "$mirror" || die "no Debian could be made: see mmdebstrap"
    echo debian >"$root/etc/hostname"
    mke2fs -q -t ext4 -d "$root" "$cache/debian.img" 1G
    rm -rf "$root"
    echo "$stamp" >"$cache/debian.stamp"
}
