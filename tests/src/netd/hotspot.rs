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

//! A hotspot beside the guests: it shares the forwarding switch, table 97 and the uplink.

use super::chains::{tether_counters, tether_defaults, tether_pair};
use super::rules::{self, EXPLICIT, LOCAL_NET_ID, PROTECTED};
use super::NetdDevice;
use crate::{said, InNetns, Probe};

/// Its interface, and the internet's end, which leads nowhere.
const DOWN: &str = "ap0";
const CLIENT: &str = "i-ap0";
const MARK: u32 = LOCAL_NET_ID | EXPLICIT | PROTECTED;
/// On while netd tethers: what conntrack finds out of TCP's window is not INVALID then, which
/// tetherctrl_FORWARD drops.
const TCP_BE_LIBERAL: &str = "net/netfilter/nf_conntrack_tcp_be_liberal";

impl NetdDevice {
    /// Switches the hotspot on or off. It shares the default network, if there is one.
    #[track_caller]
    pub fn hotspot(&self, on: bool) {
        if on == self.state().hotspot {
            return;
        }
        if on {
            let internet = self.internet.netns.name();
            self.run(&format!("ip link add {DOWN} type veth peer name {CLIENT} netns {internet}"));
            self.internet.run(&format!("ip link set {CLIENT} up"));
            self.run(&format!("ip addr add 192.168.43.1/24 dev {DOWN}"));
            self.run(&format!("ip link set {DOWN} up"));
            self.wait_until_up(DOWN);
            let route = format!("192.168.43.0/24 dev {DOWN} table {}", rules::LOCAL_NETWORK);
            self.run(&format!("ip route add {route} proto static scope link"));
            let route = format!("fe80::/64 dev {DOWN} table {}", rules::LOCAL_NETWORK);
            self.run(&format!("ip -6 route add {route} proto static"));
            self.add_rules(&rules::downstream(DOWN));
            self.mark_incoming(DOWN, MARK, true);
            self.add_clsact(DOWN);
            self.forwarding("enable");
            if let Some((up, table)) = self.upstream() {
                tether_pair(DOWN, &up).iter().for_each(|transaction| self.restore(transaction));
                let mut state = self.state();
                if !state.counted.contains(&up) {
                    let counters = tether_counters(DOWN, &up);
                    counters.iter().for_each(|transaction| self.restore(transaction));
                    state.counted.push(up);
                }
                drop(state);
                self.set_sysctl(TCP_BE_LIBERAL, "1");
                self.add_rules(&[rules::tethered(DOWN, table)]);
            }
        } else {
            self.clear_tethering_rules(DOWN);
            tether_defaults().iter().for_each(|transaction| self.restore(transaction));
            self.set_sysctl(TCP_BE_LIBERAL, "0");
            self.forwarding("disable");
            self.mark_incoming(DOWN, MARK, false);
            self.remove_rules(&rules::downstream(DOWN));
            self.run(&format!("ip link del {DOWN}"));
        }
        self.state().hotspot = on;
    }

    fn upstream(&self) -> Option<(String, u32)> {
        let state = self.state();
        let name = state.default.clone()?;
        let network = state.networks.iter().find(|network| network.name == name)?;
        Some((name, rules::table(network.ifindex)))
    }

    #[track_caller]
    fn forwarding(&self, verb: &str) {
        let out = self.wrapped(&self.ndc(), &format!("ipfwd {verb} Tethering"));
        assert!(out.stdout.starts_with(b"200 "), "ndc: {}", said(&out));
    }
}
