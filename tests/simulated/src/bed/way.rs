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
use std::path::PathBuf;

/// Which packet filter guestnetd has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// nf_tables.
    Nftables,
    /// x_tables, by the programs in this directory.
    Xtables(PathBuf),
    /// x_tables by netd's helper in this directory, on a device that netd shapes; whether it is Android 16.
    Netd(PathBuf, bool),
}

impl Way {
    /// Whether it is on a device that netd shapes.
    pub(super) fn has_netd(&self) -> bool {
        matches!(self, Self::Netd(..))
    }

    pub(super) fn options(&self) -> Options {
        match self {
            Self::Nftables => Choice::Nftables.into(),
            Self::Xtables(dir) => {
                let iptables = Some(dir.join("iptables"));
                Options { choice: Choice::Iptables, iptables }
            }
            Self::Netd(dir, _) => {
                let iptables = Some(dir.join("iptables-wrapper-1.0"));
                Options { choice: Choice::Auto, iptables }
            }
        }
    }
}
