# shellcheck shell=bash
# Sourced by ../../run: the policy, whose grants to guestnetd are logged, and one for each of its statements
# that is left out.
# shellcheck source=../../../android/policy.sh
. tests/android/policy.sh
[ "$seconds" -ge 900 ] || seconds=900
# All that is granted fits into the kernel's log, and none of it is lost on the way there.
scene_boot='security=selinux enforcing=1 log_buf_len=16M audit_backlog_limit=0'
product
program /system/bin "$target/debug/android-init"
program /device "$target"/debug/{guest-vmm,selinux-suite}
cp init/guestnetd.rc "$stage/device/"

variants="python3 tests/virtual-device/scenes/selinux/variants.py sepolicy/private/guestnetd.te"
# policy NAME: of what is in $folder; without room for a variant that does not even compile.
policy() {
    mkdir "$folder/out"
    compile_policy "$folder/out" "$folder" >"$folder/log" 2>&1 || { cat "$folder/log" >&2; die "the policy $1"; }
    mkdir -p "$stage/device/policies"
    mv "$folder/out/policy" "$stage/device/policies/$1"
    rm -r "$folder"
}
new_folder() {
    folder=$(mktemp -d)
    cp sepolicy/private/* "$folder/"
    cp tests/virtual-device/scenes/selinux/machine.te "$folder/"
    # As a product takes it over.
    sed -n '/^| SELinux, for VMs /{ s/^[^`]*`//; s/` |$//; s/my_vmm/guest_vmm/g; s/my_manager/guest_manager/g; p; }' docs/android.md >"$folder/vmm.te"
    grep -q '^allow guest_vmm .*;$' "$folder/vmm.te" || die "docs/android.md has no policy for a VMM"
}
new_folder
cp sepolicy/private/{file,service}_contexts "$stage/device/"
rewritten_by="python3 tests/virtual-device/scenes/selinux/audited.py guestnetd.te" policy whole
number=0
$variants >"$stage/device/statements"
while read -r _; do
    new_folder
    $variants $number >"$folder/guestnetd.te"
    policy "$(printf '%02d' $number)"
    number=$((number + 1))
done <"$stage/device/statements"
