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

//! Who answers a guest's questions for names, on the command line. Whether a server is one is for guestnetd
//! to judge.

use android_system_guestnet::aidl::android::system::guestnet::{DnsMode::DnsMode, Guest::Guest};
use std::str::FromStr;

/// What `--dns-mode` takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Dns {
    /// A mode without servers.
    Mode(DnsMode),
    /// These, in this order.
    Servers(Vec<String>),
}

impl FromStr for Dns {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Mode(DnsMode::AUTO)),
            "dnat" => Ok(Self::Mode(DnsMode::DNAT)),
            "forward" => Ok(Self::Mode(DnsMode::FORWARD)),
            _ if text.contains(['.', ':']) => {
                Ok(Self::Servers(text.split(',').map(str::to_owned).collect()))
            }
            _ => Err("use auto, dnat, forward or addresses such as 9.9.9.9,2620:fe::fe".to_owned()),
        }
    }
}

impl Dns {
    /// The mode, and the servers where some belong to it.
    pub fn wire(&self) -> (DnsMode, Vec<String>) {
        match self {
            Self::Mode(mode) => (*mode, Vec::new()),
            Self::Servers(servers) => (DnsMode::SERVERS, servers.clone()),
        }
    }

    /// What a guest has.
    pub fn of(guest: &Guest) -> (DnsMode, Vec<String>) {
        (guest.dns, guest.dnsServers.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_has_its_word() {
        for (text, mode, servers) in [
            ("auto", DnsMode::AUTO, &[][..]),
            ("dnat", DnsMode::DNAT, &[]),
            ("forward", DnsMode::FORWARD, &[]),
            ("9.9.9.9", DnsMode::SERVERS, &["9.9.9.9"]),
            ("::1,9.9.9.9", DnsMode::SERVERS, &["::1", "9.9.9.9"]),
        ] {
            let servers = servers.iter().map(|one| (*one).to_owned()).collect();
            assert_eq!(text.parse::<Dns>().unwrap().wire(), (mode, servers), "{text}");
        }
        for text in ["", "AUTO", "none", "forward "] {
            assert!(text.parse::<Dns>().unwrap_err().contains("auto, dnat, forward"), "{text}");
        }
    }
}
