# shellcheck shell=bash
# Takes two revisions of the Debian package along, and a disk with a small Debian that systemd boots.
# shellcheck disable=SC2034 # ../../run reads these
need_tools 'mmdebstrap:mmdebstrap' 'mke2fs:e2fsprogs' 'dpkg-shlibdeps:dpkg-dev'
need_cargo_deb
need_rust
user_cargo build --quiet --release --locked -p guestnetd -p guestnetctl --bins
build_tests --quiet
for revision in 1 2; do
    GUESTNETD_MAN=$target/debug/examples/guestnetd-man PATH=$cache/tools/bin:$PATH \
        packaging/deb/build --no-build --deb-revision $revision --output "$(realpath "$stage")/device/"
done
make_debian
cp --sparse=always "$cache/debian.img" "$stage.img"
scene_boot='systemd.show_status=0 systemd.mask=serial-getty@ttyS0.service'
# It boots once more, from the same disk.
scene_reboots=1
scene_machine=(-drive "file=$stage.img,format=raw,if=virtio,cache=unsafe")
cp tests/lib/container.conf "$stage/device/"
