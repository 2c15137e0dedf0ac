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

//! netd's restart: what is lost, what stays, who waits.

use std::thread;
use std::time::{Duration, Instant};

use guestnet_tests::netd::Variant;
use guestnet_tests::{poll, InNetns, NetdDevice, Probe};

use crate::{guest, hook, ipfwd, open_up, rules};

#[test]
fn a_restart_of_netd_loses_what_it_should_and_no_more() {
    for (variant, pace) in [(Variant::Android13, 0), (Variant::Android15, 5)] {
        let device = NetdDevice::of(variant);
        let guest = guest(&device);
        device.connect("rmnet0", NetdDevice::RMNET0);
        let before = device.everything_else();
        open_up(&device);
        assert_eq!(guest.udp(NetdDevice::UDP, "hello").unwrap(), "192.0.2.2 hello");

        let started = Instant::now();
        let done = device.netd_restarts(Duration::from_millis(pace));
        assert!(done > started && done <= Instant::now());
        assert!(done - started > Duration::from_millis(pace) * 30, "{:?}", done - started);
        // netd itself is as before, in the same order.
        before.assert_same(&device.everything_else());
        // Lost: the jumps, the rule, the switch.
        assert_eq!(device.chain("iptables", "filter", "oem_fwd"), ["-N oem_fwd"]);
        let post = device.chain("iptables", "nat", "POSTROUTING");
        assert_eq!(post, ["-P POSTROUTING ACCEPT", "-A POSTROUTING -j tetherctrl_nat_POSTROUTING"]);
        assert!(rules(&device, 4).iter().all(|rule| !rule.contains("172.17")));
        assert_eq!(device.sysctl("net/ipv4/ip_forward"), "0");
        assert!(device.forwarding_requesters().is_empty());
        assert!(guest.udp(NetdDevice::UDP, "hello").is_err());
        // Not lost: own chains with their rules, the route in table 97, the link.
        assert_eq!(device.chain("iptables", "filter", "oem_guestnet_fwd").len(), 5);
        assert_eq!(device.chain("iptables", "nat", "oem_guestnet_post").len(), 2);
        assert_eq!(device.routes(4, "97"), ["172.17.0.0/16 dev vm_wlan proto 103 scope link"]);
        hook(&device);
        assert_eq!(guest.udp(NetdDevice::UDP, "hello").unwrap(), "192.0.2.2 hello");
    }
}

#[test]
fn ndc_waits_for_netd_and_the_shared_chains_keep_what_others_put_there() {
    let device = NetdDevice::new();
    device.run("iptables-legacy -w -I OUTPUT 1 -o vendor0 -j ACCEPT");
    device.run("iptables-legacy -w -A INPUT -i vendor0 -j ACCEPT");
    let output = device.chain("iptables", "filter", "OUTPUT");
    ipfwd(&device, "enable Tethering");
    let asked = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let off = || device.forwarding_requesters().is_empty().then_some(());
            poll(Duration::from_secs(2), off).expect("netd forgets");
            let start = Instant::now();
            (ipfwd(&device, "enable guestnetd"), start.elapsed())
        });
        device.netd_restarts(Duration::from_millis(5));
        asking.join().unwrap()
    });
    assert_eq!(asked.0, "200 0 ipfwd operation succeeded\n");
    assert_eq!(device.sysctl("net/ipv4/ip_forward"), "1");
    assert_eq!(device.chain("iptables", "filter", "OUTPUT"), output);
    let input = device.chain("iptables", "filter", "INPUT");
    assert!(input.iter().all(|rule| !rule.contains("vendor0")), "{input:?}");
}
