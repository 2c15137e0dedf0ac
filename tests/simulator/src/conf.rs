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

//! The settings for IPv4 of an interface, of all and of those to come (`struct ipv4_devconf`).

/// How many the kernel has (`IPV4_DEVCONF_MAX`).
pub const COUNT: usize = 33;
pub const FORWARDING: usize = 1;
pub const RP_FILTER: usize = 8;

/// Names under /proc/sys/net/ipv4/conf, with their numbers (linux/ip.h).
pub const NAMES: [(&str, usize); 32] = [
    ("forwarding", 1),
    ("mc_forwarding", 2),
    ("proxy_arp", 3),
    ("accept_redirects", 4),
    ("secure_redirects", 5),
    ("send_redirects", 6),
    ("shared_media", 7),
    ("rp_filter", 8),
    ("accept_source_route", 9),
    ("bootp_relay", 10),
    ("log_martians", 11),
    ("tag", 12),
    ("arp_filter", 13),
    ("medium_id", 14),
    ("disable_xfrm", 15),
    ("disable_policy", 16),
    ("force_igmp_version", 17),
    ("arp_announce", 18),
    ("arp_ignore", 19),
    ("promote_secondaries", 20),
    ("arp_accept", 21),
    ("arp_notify", 22),
    ("accept_local", 23),
    ("src_valid_mark", 24),
    ("proxy_arp_pvlan", 25),
    ("route_localnet", 26),
    ("igmpv2_unsolicited_report_interval", 27),
    ("igmpv3_unsolicited_report_interval", 28),
    ("ignore_routes_with_linkdown", 29),
    ("drop_unicast_in_l2_multicast", 30),
    ("drop_gratuitous_arp", 31),
    ("bc_forwarding", 32),
];

/// All values, and which were set one by one, so that the default does not change them any more.
#[derive(Clone, Debug)]
pub struct Conf {
    pub values: [u32; COUNT + 1],
    pub set: u64,
}

impl Default for Conf {
    fn default() -> Self {
        let mut values = [0; COUNT + 1];
        for (number, value) in [(4, 1), (5, 1), (6, 1), (7, 1), (9, 1), (27, 10000), (28, 1000)] {
            values[number] = value;
        }
        Self { values, set: 0 }
    }
}

impl Conf {
    pub fn get(&self, number: usize) -> u32 {
        self.values[number]
    }

    /// Sets one by hand.
    pub fn set(&mut self, number: usize, value: u32) {
        self.values[number] = value;
        self.set |= 1 << number;
    }

    /// An interface that was given an address does not follow the default any more
    /// (`ipv4_devconf_setall()`).
    pub fn pin(&mut self) {
        self.set = u64::MAX;
    }

    /// Of an interface that is born, or that the default has changed for.
    pub fn is_own(&self, number: usize) -> bool {
        self.set & 1 << number != 0
    }
}
