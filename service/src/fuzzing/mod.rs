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
//! fuzz/fuzz_targets (libFuzzer)         ─┐
//! tests/fuzz.rs (seeds, some mutations) ─┴─► TARGETS ─► the parsers themselves
//! ```

mod contract;
mod filters;
mod kernel;
mod servers;
mod texts;

pub use crate::effects::firewall::diagnose::nftables::read as tables_of_nftables;
pub use crate::effects::kernel::netlink::tape::record;
pub use crate::serve::dns::corpus::messages as questions;
pub use contract::METHODS;

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
    Target { name: "addresses", run: kernel::addresses },
    Target { name: "announcements", run: kernel::announcements },
    Target { name: "configuration", run: texts::configuration },
    Target { name: "connections", run: kernel::connections },
    Target { name: "contract", run: contract::call },
    Target { name: "dhcp", run: servers::dhcp },
    Target { name: "dns_answer", run: servers::dns_answer },
    Target { name: "dns_question", run: servers::dns_question },
    Target { name: "dnsproxyd", run: servers::dnsproxyd },
    Target { name: "ipsec", run: kernel::ipsec },
    Target { name: "ipset", run: filters::ipset },
    Target { name: "links", run: kernel::links },
    Target { name: "netd_words", run: texts::netd_words },
    Target { name: "nftables", run: filters::nftables },
    Target { name: "own_nftables", run: filters::own_nftables },
    Target { name: "probes", run: servers::probes },
    Target { name: "process", run: texts::process },
    Target { name: "resolv_conf", run: texts::resolv_conf },
    Target { name: "routes", run: kernel::routes },
    Target { name: "rules", run: kernel::rules },
    Target { name: "store", run: texts::store },
    Target { name: "trace", run: filters::trace },
    Target { name: "traffic_control", run: kernel::traffic_control },
    Target { name: "uplink", run: kernel::uplink },
    Target { name: "xtables", run: filters::xtables },
];

/// Gives an input to the target of this name, as the files in fuzz/fuzz_targets do.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no target {name}")).run)(input);
}
