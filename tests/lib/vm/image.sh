# shellcheck shell=bash disable=SC1091
# What a real VM of the tests boots: Debian's kernel, as the virtual device has it, and an initramfs of busybox
# with init. `image.sh FOLDER`: writes FOLDER/{vmlinux,initramfs}. Run in the repository.
set -euo pipefail
. tests/lib/ui.sh
. tests/lib/machine.sh
. tests/virtual-device/image.sh
folder=$1
need_tools qemu-system-x86_64:qemu-system-x86 busybox:busybox cpio:cpio
make_kernel 6.1 >&2
kernel=$cache/6.1 root=$folder/root release=$(cat "$cache/6.1/release")
mkdir -p "$root"/{bin,dev,proc,sys,etc,lib64,modules}
cp "$(command -v busybox)" "$root/bin/busybox"
cp /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
add_libraries "$root" "$root/bin"
number=10
modprobe -d "$kernel/package" -S "$release" --show-depends -a virtio_pci virtio_net af_packet |
    sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r module; do
    cp "$module" "$root/modules/$number-${module##*/}"
    number=$((number + 1))
done
[ -z "$(ls "$root"/modules/*.xz 2>/dev/null)" ] || xz -d "$root"/modules/*.xz
install -m 755 tests/lib/vm/init "$root/init"
ln -sf "$kernel/vmlinux" "$folder/vmlinux"
pack "$root" >"$folder/initramfs"
