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

//! A real VM: QEMU without KVM boots Debian's kernel, which asks for its lease, resolves a name and reaches the
//! internet, by the command that guestnetctl's help has. Then it is killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::{
    EndCause::EndCause, IGuestNet::IGuestNet,
};
use guestnet_tests::bed::{Bed, Listener};
use guestnet_tests::resolver::Resolver;
use guestnet_tests::{said, Probe};

use super::ends::next_lost;

/// Longer than it takes to boot where nothing is fast.
const BOOT: Duration = Duration::from_secs(400);

/// What the VM does, and says on its console.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
for module in /modules/*; do insmod "$module"; done
ip link set lo up
ip link set eth0 up
cat >/lease <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev eth0
ip link set eth0 mtu $mtu
ip route add default via $router
echo nameserver $dns >/etc/resolv.conf
echo "VM has $ip/$mask via $router, names by $dns, MTU $mtu"
END
chmod 755 /lease
udhcpc -i eth0 -n -q -t 20 -T 2 -O mtu -s /lease
ping -c 3 -W 5 192.0.2.1 >/dev/null && echo "VM pings the internet"
echo "VM resolves a name: $(nslookup -type=a beyond.test 2>&1 | grep '^Address' | tail -n 1)"
echo "VM is seen as $(wget -q -O - http://192.0.2.1/)"
echo "VM has done its work"
while :; do sleep 1000; done
"#;

/// Ends with the test, however that ends.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_vm_boots_gets_its_lease_and_reaches_the_internet() {
    let folder = tempfile::tempdir().expect("a folder");
    let init = folder.path().join("init");
    fs::write(&init, INIT).expect("init");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let mut image = Command::new("bash");
    image.arg("tests/tests/tap/image.sh").arg(folder.path()).arg(&init).current_dir(repository);
    let made = image.output().expect("bash");
    assert!(made.status.success(), "{}", said(&made));
    let bed = Bed::new("auto");
    let listener = Listener::on(&**bed.service);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (kernel, initramfs) = (at("vmlinux"), at("initramfs"));
    let words = [
        "attach", "vm", "--tap", "--exec", "qemu-system-x86_64",
        "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256",
        "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-serial", "stdio",
        "-kernel", &kernel, "-initrd", &initramfs,
        "-append", "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check random.trust_cpu=on",
        "-netdev", "tap,id=net,fd={fd},vhost=off",
        "-device", "virtio-net-pci,netdev=net,mac={mac}",
    ];
    let mut running = bed.daemon.ctl(&words);
    let mut vm = Machine(running.stdout(Stdio::piped()).spawn().expect("guestnetctl"));
    let console = BufReader::new(vm.0.stdout.take().expect("its console"));
    let (tell, told) = channel();
    std::thread::spawn(move || {
        console.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("VM has done its work")) {
        match told.recv_timeout(BOOT) {
            Ok(line) => lines.push(line.trim().to_owned()),
            Err(e) => panic!("{e}: {}\n{}", lines.join("\n"), bed.daemon.log()),
        }
    }
    let all = lines.join("\n");
    for line in [
        "VM has 172.17.3.3/16 via 172.17.3.2, names by 172.17.3.2, MTU 1500",
        "VM pings the internet",
        &format!("VM resolves a name: Address: {}", Ipv4Addr::from(Resolver::ANSWER)),
    ] {
        assert!(lines.iter().any(|found| found == line), "{line}: {all}");
    }
    let seen = lines.iter().find(|line| line.starts_with("VM is seen as"));
    assert!(seen.is_some_and(|line| line.contains("192.0.2.2")), "{all}");
    let guest = bed.service.get("vm").expect("get").expect("it is attached");
    assert!(guest.dhcpCounters.acks == 1 && guest.rxBytes > 0, "{guest:?}");
    vm.0.kill().expect("killed");
    assert_eq!(next_lost(&listener), ("vm".to_owned(), EndCause::TAP_CLOSED));
    assert!(bed.device.link("vm_wlan").is_none());
}
