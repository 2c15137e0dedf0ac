// Copyright (C) 2026 The Android Open Source Project
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
//     http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

//! The unit, under a systemd that boots in namespaces of its own on a copy of this machine's root: the page's
//! commands install and start it, and what it forbids guestnetd is nothing that guestnetd needs.

use std::fs;
use std::process::Command;

use crate::blocks::{blocks, Kind};
use crate::scene::clone_of_the_repository;
use crate::{root, text};
use guestnet_tests::{said, Device, InNetns};

/// The page that has such commands.
pub const PAGE: &str = "docs/linux.md";
/// As `systemd-analyze security` has it, in tenths.
const MOST_EXPOSURE: u32 = 29;

/// `$1`: a directory that is /clone there, with the commands that systemd is to run, in `trial`.
const BOOT: &str = r#"
set -eu
memory=$(mktemp -d)
mount -t tmpfs tmpfs "$memory"
mkdir "$memory/upper" "$memory/work" "$memory/root"
root=$memory/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$memory/upper,workdir=$memory/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root"/dev/net "$root"/dev/pts "$root"/dev/shm "$root"/dev/mqueue "$root"/dev/hugepages
for node in null zero full random urandom tty net/tun; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
cgroups=$root/sys/fs/cgroup
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -t cgroup2 cgroup2 "$cgroups"
else
    mount -t tmpfs -o mode=755 tmpfs "$cgroups"
    mkdir "$cgroups/systemd" "$cgroups/unified"
    mount -t cgroup -o none,name=systemd cgroup "$cgroups/systemd"
    mount -t cgroup2 cgroup2 "$cgroups/unified" || true
fi
# Nothing of this machine's own is started.
rm -rf "$root"/etc/systemd/system/*.wants
rm -f "$root/etc/resolv.conf"
echo 'nameserver 192.0.2.1' >"$root/etc/resolv.conf"
cat >"$root/etc/systemd/system/trial.target" <<'UNIT'
[Unit]
DefaultDependencies=no
Wants=systemd-journald.service trial.service
UNIT
cat >"$root/etc/systemd/system/trial.service" <<'UNIT'
[Unit]
DefaultDependencies=no
After=systemd-journald.service
[Service]
Type=oneshot
WorkingDirectory=/clone
ExecStart=/bin/bash /clone/trial
ExecStopPost=/bin/systemctl --force --force poweroff
StandardOutput=append:/clone/said
StandardError=append:/clone/said
UNIT
mkdir "$root/clone"
mount --bind "$1" "$root/clone"
cd "$root"
mkdir before
pivot_root . before
umount -l /before
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=trial.target --show-status=0 </dev/null >/dev/null 2>&1
"#;

/// What guestnetd does, one after another; each has to work as without the unit's limits.
const WORK: &str = r#"
# The file that the page installs counts, and a reload is the unit's.
guestnetctl info | grep -E '^uplink +default$'
sed -i 's/^#check-every = .*/check-every = 30/' /etc/guestnet/guestnetd.toml
systemctl reload guestnetd
journalctl -u guestnetd --no-pager | grep 'changed: check-every'
echo 'uplink = 5' >>/etc/guestnet/guestnetd.toml
systemctl reload guestnetd && exit 1
guestnetctl reload && exit 1
systemctl restart guestnetd && exit 1
[ "$(systemctl show -P ExecMainStatus guestnetd)" = 78 ]
sed -i '$d' /etc/guestnet/guestnetd.toml
systemctl reset-failed guestnetd
systemctl start guestnetd
systemd-analyze verify --man=no /etc/systemd/system/guestnetd.service
[ "$(systemctl show -P SubState guestnetd)" = running ]
[ "$(stat -c %G /run/guestnet/guestnet.sock)" = guestnet ]
ip netns add lab
ip netns exec lab sleep 1000 &
for _ in $(seq 100); do ip netns pids lab | grep -q . && break; sleep 0.05; done
guestnetctl attach lab --pid "$(ip netns pids lab)"
ip netns exec lab ping -c 1 192.0.2.1
guestnetctl status lab
guestnetctl update lab --mtu 1300
ip netns exec lab ip link show wlan0 | grep 'mtu 1300'
guestnetctl doctor lab --probe-target 192.0.2.1 --probe-name beyond.test | tee doctor
# Its packet sockets saw it.
grep 'in by vm_wlan, out by wlan0' doctor
# A crash, and the start after it.
systemctl kill -s KILL guestnetd
for _ in $(seq 100); do guestnetctl show lab >/dev/null 2>&1 && break; sleep 0.05; done
guestnetctl show lab
ip netns exec lab ping -c 1 192.0.2.1
guestnetctl detach lab
systemctl stop guestnetd
# The other packet filter.
mkdir -p /etc/systemd/system/guestnetd.service.d
printf '%s\n' '[Service]' ExecStart= 'ExecStart=/usr/sbin/guestnetd --uplink default --firewall iptables' \
    >/etc/systemd/system/guestnetd.service.d/override.conf
systemctl daemon-reload
systemctl start guestnetd
guestnetctl attach lab --netns /run/netns/lab
ip netns exec lab ping -c 1 192.0.2.1
# Into its namespace again, without a process there: by its handle, or a TUN device on older kernels.
kill %1
ip link set wlan0 mtu 1400
for _ in $(seq 100); do ip netns exec lab ip link show wlan0 | grep 'mtu 1400' && break; sleep 0.05; done
ip netns exec lab ip link show wlan0 | grep 'mtu 1400'
guestnetctl detach lab
journalctl -u guestnetd --no-pager | grep -iE 'not permitted|permission denied|read-only' && exit 1
# The journal has the time and how serious a line is; guestnetd's lines do not say it once more.
journalctl -u guestnetd -o cat --no-pager | grep -x 'guestnetd: ready on unix:.*'
echo all of it is done
"#;

#[test]
fn the_service_works_within_its_limits() {
    let device = Device::new();
    let dir = clone_of_the_repository();
    let page = blocks(&text(PAGE));
    let installing: Vec<String> = page
        .iter()
        .filter(|block| block.kind == Kind::Booted)
        .flat_map(|block| block.lines.clone())
        .collect();
    assert!(installing.iter().any(|line| line.starts_with("systemctl enable")), "{installing:?}");
    let trial = format!("set -eux\n{}\n{WORK}", installing.join("\n"));
    fs::write(dir.path().join("trial"), trial).expect("the script");
    fs::write(dir.path().join("boot"), BOOT).expect("the script");
    let mut boot = device.command("timeout");
    boot.args(["120", "unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup"]);
    boot.args(["--kill-child", "--", "bash"]);
    let out = boot.arg(dir.path().join("boot")).arg(dir.path()).output().expect("unshare");
    let log = fs::read_to_string(dir.path().join("said")).unwrap_or_default();
    let done = log.lines().any(|line| line == "all of it is done");
    assert!(done, "{log}\n{}", said(&out));
}

#[test]
fn the_unit_is_hardened() {
    let unit = root().join("init/systemd/guestnetd.service");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=yes", "--no-pager"]);
    let out = analyze.arg(format!("--threshold={MOST_EXPOSURE}")).arg(unit).output();
    let out = out.expect("systemd-analyze");
    assert!(out.status.success(), "{}", said(&out));
}
