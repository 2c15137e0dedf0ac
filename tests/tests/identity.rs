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

//! What others do to a guest's host end: its name, its place, its group, its MAC and MTU. It is undone
//! at once, and no rule is without effect meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerStatus::LayerStatus;
use android_system_guestnet::aidl::android::system::guestnet::Verdict::Verdict;
use guestnet_tests::bed::{eventually, reached, Bed, Server};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use guestnet_tests::{poll, Guest, InNetns, Internet, Probe};

guestnet_tests::with_both_backends!(
    whatever_is_changed_is_put_back_at_once,
    a_name_that_is_taken_keeps_the_link_down,
    who_insists_does_not_let_the_guest_in,
);

/// How long a change may last: the kernel announces it, and nothing waits for the minute's check.
const AT_ONCE: Duration = Duration::from_millis(1500);
/// A listener of the device's own.
const PORT: &str = "tcp 192.0.2.2:8080";

/// The link's name, index, MTU, MAC, group, alias, master, whether it is up.
fn link(bed: &Bed) -> String {
    let text = bed.device.run("ip -o -d link show vm_wlan");
    // What only the kernel changes, and what comes a moment later.
    let (head, _) = text.split_once(" promiscuity").expect("ip -d");
    head.replace("state UNKNOWN", "state UP")
}

fn whatever_is_changed_is_put_back_at_once(firewall: &str) {
    let bed = Bed::new(firewall);
    let guest = Guest::new();
    bed.attach("demo", &guest);
    bed.device.run("ip link add br9 type bridge");
    bed.device.run("ip link set br9 up");
    let server = Server::start(&bed.device, &["0.0.0.0:8080"]);
    let whole = link(&bed);
    for (change, said) in [
        ("name enx001122", "its name (it was called enx001122)"),
        ("master br9", "its place (it was a port of"),
        ("group 7", "its group (it was 0x7)"),
        ("address 02:aa:bb:cc:dd:ee", "its MAC (it was 02:aa:bb:cc:dd:ee)"),
        ("alias mine", "alias guestnet:demo"),
        ("mtu 1000", "MTU 1500 on vm_wlan"),
        ("down", "vm_wlan up"),
    ] {
        bed.device.run(&format!("ip link set vm_wlan {change}"));
        let is = || bed.device.link("vm_wlan").is_some() && link(&bed) == whole;
        let back = poll(AT_ONCE, || is().then_some(()));
        assert!(back.is_some(), "{change}: {}\n{}", bed.device.run("ip -d link"), bed.daemon.log());
        let told = || bed.daemon.log().lines().any(|l| l.contains("put back") && l.contains(said));
        eventually(&format!("{said} is in the log"), told);
        eventually(change, || guest.tcp(Internet::TCP, "hello").is_ok());
        assert_eq!(reached(&guest, &server, &[PORT.to_owned()]), [""; 0], "{change}");
    }
    let status = bed.service.status(Some("demo")).expect("status").guests.remove(0);
    assert_eq!(status.verdict, Verdict::INTERNET, "{status:?}");
    // And many at once, as a script of udev's might.
    bed.device.run("ip link set vm_wlan down");
    bed.device.run("ip link set vm_wlan name other group 3 alias x");
    eventually("all of it is put back", || {
        bed.device.link("vm_wlan").is_some() && link(&bed) == whole
    });
    eventually("it talks", || guest.tcp(Internet::TCP, "hello").is_ok());
    bed.detach("demo");
}

fn link_layer(bed: &Bed) -> LayerStatus {
    let status = bed.service.status(Some("demo")).expect("status").guests.remove(0);
    status.layers.into_iter().find(|layer| layer.layer == Layer::LINK).expect("its link")
}

fn a_name_that_is_taken_keeps_the_link_down(firewall: &str) {
    let bed = Bed::new(firewall);
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let server = Server::start(&bed.device, &["0.0.0.0:8080"]);
    // Else guestnetd is faster.
    let guestnetd = Pid::from_raw(bed.daemon.pid());
    kill(guestnetd, Signal::SIGSTOP).expect("SIGSTOP");
    bed.device.run("ip link set vm_wlan name away");
    bed.device.run("ip link add vm_wlan type bridge");
    kill(guestnetd, Signal::SIGCONT).expect("SIGCONT");
    eventually("it is set down", || bed.device.run("ip -o link show away").contains("state DOWN"));
    assert_eq!(reached(&guest, &server, &[PORT.to_owned()]), [""; 0]);
    let layer = link_layer(&bed);
    assert_eq!(layer.cause, Cause::LINK_CHANGED, "{layer:?}");
    assert!(layer.text.contains("it was called away"), "{layer:?}");
    assert!(layer.nextStep.is_some_and(|step| step.contains("vm_wlan")));
    // Somebody else's is left alone, and when it is gone the guest is back.
    assert!(bed.device.run("ip -d link show vm_wlan").contains("bridge"));
    bed.device.run("ip link del vm_wlan");
    eventually("it is back", || guest.tcp(Internet::TCP, "hello").is_ok());
    assert_eq!(link_layer(&bed).cause, Cause::HEALTHY);
}

/// Somebody renames it whenever it is put back.
fn who_insists_does_not_let_the_guest_in(firewall: &str) {
    let bed = Bed::new(firewall);
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let server = Server::start(&bed.device, &["0.0.0.0:8080"]);
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                let rename = ["link", "set", "vm_wlan", "name", "insisted"];
                let _ = bed.device.command("ip").args(rename).output();
            }
        });
        // With nf_tables a link of ours is known by its group, too: nothing passes before its name is back.
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            let port = [PORT.to_owned()];
            let got_in = reached(&guest, &server, &port);
            assert!(firewall != "nftables" || got_in.is_empty(), "{}", bed.daemon.log());
        }
        // By now it is put back every second or so, and is down meanwhile.
        for _ in 0..3 {
            assert_eq!(reached(&guest, &server, &[PORT.to_owned()]), [""; 0]);
        }
        ends.store(true, Ordering::Relaxed);
    });
    eventually("its name is its own", || bed.device.link("vm_wlan").is_some());
    eventually("it talks again", || guest.tcp(Internet::TCP, "hello").is_ok());
    let log = bed.daemon.log();
    assert!(log.contains("it is put back less often"), "{log}");
    // The log does not grow with it.
    assert!(log.matches("put back").count() < 40, "{log}");
}
