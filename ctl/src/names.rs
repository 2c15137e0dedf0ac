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

//! The contract's enums as words, for tables and for JSON. A value that this guestnetctl does not
//! know is shown by its number.

use android_system_guestnet::aidl::android::system::guestnet::{
    ChangeKind::ChangeKind, FirewallBackend::FirewallBackend, GuestEvent::GuestEvent,
    GuestKind::GuestKind, GuestState::GuestState, Layer::Layer, LayerState::LayerState,
    Place::Place, VpnPolicy::VpnPolicy,
};

/// A value of an enum as a word.
pub trait Name {
    /// Lower case, with underscores: the word of the contract.
    fn name(&self) -> String;

    /// The same for people.
    fn words(&self) -> String {
        self.name().replace('_', " ")
    }
}

macro_rules! names {
    ($($enum:ident { $($value:ident => $name:literal,)+ })+) => {
        $(impl Name for $enum {
            fn name(&self) -> String {
                match *self {
                    $($enum::$value => $name.to_owned(),)+
                    other => other.0.to_string(),
                }
            }
        })+
    };
}

names! {
    ChangeKind { ADD => "add", SET => "set", DELETE => "delete", }
    FirewallBackend { NFTABLES => "nftables", IPTABLES => "iptables", }
    GuestEvent { ATTACHED => "attached", STATE => "state", DETACHED => "detached", LOST => "lost", }
    GuestKind { VETH => "veth", BRIDGED => "bridged", TAP => "tap", }
    GuestState {
        ATTACHED => "attached",
        WAITING_FOR_UPLINK => "waiting_for_uplink",
        GONE => "gone",
    }
    Layer {
        LINK => "link",
        ADDRESS => "address",
        ROUTE => "route",
        RULE => "rule",
        FORWARDING => "forwarding",
        FIREWALL => "firewall",
        NAT => "nat",
        DNS => "dns",
        UPLINK => "uplink",
    }
    LayerState { OK => "ok", WAITING => "waiting", BAD => "bad", UNKNOWN => "unknown", }
    Place { DEVICE => "device", GUEST => "guest", }
    VpnPolicy {
        FOLLOW_UPLINK => "follow_uplink",
        NAMED_TUN => "named_tun",
        BLOCK_UNDER_LOCKDOWN => "block_under_lockdown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Documented in README.md: scripts compare with them.
    #[test]
    fn every_value_has_its_name() {
        fn names<T: Name>(values: &[T]) -> String {
            values.iter().map(Name::name).collect::<Vec<_>>().join(" ")
        }
        for (names, expected) in [
            (names(&ChangeKind::enum_values()), "add set delete"),
            (names(&FirewallBackend::enum_values()), "nftables iptables"),
            (names(&GuestEvent::enum_values()), "attached state detached lost"),
            (names(&GuestKind::enum_values()), "veth bridged tap"),
            (names(&GuestState::enum_values()), "attached waiting_for_uplink gone"),
            (
                names(&Layer::enum_values()),
                "link address route rule forwarding firewall nat dns uplink",
            ),
            (names(&LayerState::enum_values()), "ok waiting bad unknown"),
            (names(&Place::enum_values()), "device guest"),
            (names(&VpnPolicy::enum_values()), "follow_uplink named_tun block_under_lockdown"),
        ] {
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn words_for_people_and_values_of_a_newer_contract() {
        assert_eq!(GuestState::WAITING_FOR_UPLINK.words(), "waiting for uplink");
        assert_eq!(Layer(77).name(), "77");
    }
}
