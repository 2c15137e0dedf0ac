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

//! What fuzzers call: for each kind of bytes that come from outside, a function that takes any bytes, goes
//! the way that they go in guestnetd, and panics where something holds no more that always has to. In no
//! binary that is used (feature `fuzzing`).
//!
//! ```text
//! fuzz/fuzz_targets (libFuzzer), one each          ─┐
//! tests/fuzz.rs (seeds, some mutations) ─► TARGETS ─┴─► the parsers themselves
//! ```
//!
//! A fuzzer names its own function: with all of them in each, most of its time was libFuzzer's look at places that
//! it cannot come to.

mod contract;
mod filters;
mod kernel;
mod servers;
mod texts;

pub use crate::effects::firewall::diagnose::nftables::read as tables_of_nftables;
pub use crate::effects::kernel::netlink::tape::record;
pub use crate::serve::dns::corpus::messages as questions;
pub use contract::{call as contract, METHODS};
pub use filters::{ipset, nftables, own_nftables, trace, xtables};
pub use kernel::{
    addresses, announcements, connections, ipsec, links, routes, rules, traffic_control, uplink,
};
pub use servers::{dhcp, dns_answer, dns_question, dnsproxyd, probes};
pub use texts::{configuration, netd_words, process, resolv_conf, store};

/// A kind of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of a file in fuzz/fuzz_targets, and of a folder in fuzz/seeds.
    pub name: &'static str,
    /// Takes an input.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "addresses", run: addresses },
    Target { name: "announcements", run: announcements },
    Target { name: "configuration", run: configuration },
    Target { name: "connections", run: connections },
    Target { name: "contract", run: contract },
    Target { name: "dhcp", run: dhcp },
    Target { name: "dns_answer", run: dns_answer },
    Target { name: "dns_question", run: dns_question },
    Target { name: "dnsproxyd", run: dnsproxyd },
    Target { name: "ipsec", run: ipsec },
    Target { name: "ipset", run: ipset },
    Target { name: "links", run: links },
    Target { name: "netd_words", run: netd_words },
    Target { name: "nftables", run: nftables },
    Target { name: "own_nftables", run: own_nftables },
    Target { name: "probes", run: probes },
    Target { name: "process", run: process },
    Target { name: "resolv_conf", run: resolv_conf },
    Target { name: "routes", run: routes },
    Target { name: "rules", run: rules },
    Target { name: "store", run: store },
    Target { name: "trace", run: trace },
    Target { name: "traffic_control", run: traffic_control },
    Target { name: "uplink", run: uplink },
    Target { name: "xtables", run: xtables },
];
