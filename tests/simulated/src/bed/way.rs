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

//! How guestnetd filters packets on a device.

use guestnetd::effects::firewall::{Choice, Options};

/// Where programs are that take one command each, and those that take many, too.
const ONE: &str = "/device/one";
const MANY: &str = "/device/many";
/// Where netd's helper is, under its names.
pub(super) const NETD: &str = "/device/netd";

/// Which packet filter guestnetd has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// nf_tables.
    Nftables,
    /// x_tables, by programs that take many commands, or one each.
    Xtables { many: bool },
    /// x_tables by netd's helper, on a device that netd shapes; whether it is Android 16.
    Netd(bool),
}

impl Way {
    /// Whether it is on a device that netd shapes.
    pub(super) fn has_netd(self) -> bool {
        matches!(self, Self::Netd(_))
    }

    pub(super) fn options(self) -> Options {
        let (choice, program) = match self {
            Self::Nftables => return Choice::Nftables.into(),
            Self::Xtables { many: true } => (Choice::Iptables, format!("{MANY}/iptables")),
            Self::Xtables { many: false } => (Choice::Iptables, format!("{ONE}/iptables")),
            Self::Netd(_) => (Choice::Auto, format!("{NETD}/iptables-wrapper-1.0")),
        };
        Options { choice, iptables: Some(program.into()) }
    }
}

/// All of these programs.
pub fn programs() -> impl Iterator<Item = String> {
    let plain = ["iptables", "ip6tables"].into_iter().flat_map(|name| {
        let restore = format!("{MANY}/{name}-restore");
        [format!("{ONE}/{name}"), format!("{MANY}/{name}"), restore]
    });
    let wrapped = ["iptables", "ip6tables", "ndc"];
    plain.chain(wrapped.map(|name| format!("{NETD}/{name}-wrapper-1.0")))
}
