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

//! A VPN policy on the command line. Whether a name is an interface's is for guestnetd to judge.

use android_system_guestnet::aidl::android::system::guestnet::{
    Guest::Guest, VpnPolicy::VpnPolicy,
};
use std::str::FromStr;

/// What `--vpn` takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Vpn {
    /// Out via the uplink.
    Follow,
    /// Out via this tun only.
    Tun(String),
    /// Out via the uplink, but not under a lockdown VPN.
    Block,
    /// Out via nothing: `--no-uplink`.
    NoUplink,
}

impl FromStr for Vpn {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("tun:")) {
            ("follow", _) => Ok(Self::Follow),
            ("block", _) => Ok(Self::Block),
            (_, Some(name)) => Ok(Self::Tun(name.to_owned())),
            _ => Err("use follow, tun:NAME (such as tun:tun0) or block".to_owned()),
        }
    }
}

impl Vpn {
    /// What the command line says by `--vpn` or `--no-uplink`, of which it has one at most.
    pub fn said(vpn: Option<&Self>, no_uplink: bool) -> Option<Self> {
        match no_uplink {
            true => Some(Self::NoUplink),
            false => vpn.cloned(),
        }
    }

    /// The policy, and the tun where one belongs to it.
    pub fn wire(&self) -> (VpnPolicy, Option<String>) {
        match self {
            Self::Follow => (VpnPolicy::FOLLOW_UPLINK, None),
            Self::Tun(name) => (VpnPolicy::NAMED_TUN, Some(name.clone())),
            Self::Block => (VpnPolicy::BLOCK_UNDER_LOCKDOWN, None),
            Self::NoUplink => (VpnPolicy::NO_UPLINK, None),
        }
    }
}

/// What a guest's policy comes to, in words.
pub fn words(guest: &Guest) -> String {
    match (guest.vpnPolicy, &guest.uplink) {
        (VpnPolicy::FOLLOW_UPLINK, None) => "leaves via the uplink".to_owned(),
        (VpnPolicy::BLOCK_UNDER_LOCKDOWN, None) => {
            "leaves via the uplink; stopped while a lockdown VPN is up".to_owned()
        }
        (VpnPolicy::NO_UPLINK, None) => "leaves via nothing, by its configuration".to_owned(),
        (_, Some(tun)) => format!("leaves via {tun} only"),
        (other, None) => format!("VPN policy {}", other.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_has_its_word() {
        for (text, wire) in [
            ("follow", (VpnPolicy::FOLLOW_UPLINK, None)),
            ("block", (VpnPolicy::BLOCK_UNDER_LOCKDOWN, None)),
            ("tun:tun0", (VpnPolicy::NAMED_TUN, Some("tun0".to_owned()))),
            // guestnetd has the words for this one.
            ("tun:", (VpnPolicy::NAMED_TUN, Some(String::new()))),
        ] {
            assert_eq!(text.parse::<Vpn>().unwrap().wire(), wire);
        }
        for bad in ["", "none", "tun", "tun0", "Follow", "block:tun0", "follow "] {
            assert!(bad.parse::<Vpn>().unwrap_err().contains("tun:NAME"), "{bad}");
        }
    }

    #[test]
    fn without_an_uplink_there_is_no_policy_for_it() {
        let block = Some(&Vpn::Block);
        for (vpn, no_uplink, said) in [
            (None, false, None),
            (block, false, Some(Vpn::Block)),
            (None, true, Some(Vpn::NoUplink)),
        ] {
            assert_eq!(Vpn::said(vpn, no_uplink), said);
        }
        assert_eq!(Vpn::NoUplink.wire(), (VpnPolicy::NO_UPLINK, None));
    }

    #[test]
    fn each_policy_in_words() {
        for (vpn, text) in [
            (Vpn::Follow, "leaves via the uplink"),
            (Vpn::Tun("tun0".to_owned()), "leaves via tun0 only"),
            (Vpn::NoUplink, "leaves via nothing, by its configuration"),
            (Vpn::Block, "leaves via the uplink; stopped while a lockdown VPN is up"),
        ] {
            let (policy, uplink) = vpn.wire();
            assert_eq!(words(&Guest { vpnPolicy: policy, uplink, ..Guest::default() }), text);
        }
        let newer = Guest { vpnPolicy: VpnPolicy(7), ..Guest::default() };
        assert_eq!(words(&newer), "VPN policy 7");
    }
}
