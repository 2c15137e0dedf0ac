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
    Place::Place,
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

        #[cfg(test)]
        #[test]
        fn every_value_has_a_name() {
            $(for value in $enum::enum_values() {
                assert!(value.name().parse::<i32>().is_err(), "{}: {:?}", stringify!($enum), value);
            })+
        }
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
        FORWARDING => "forwarding",
        FIREWALL => "firewall",
        NAT => "nat",
        UPLINK => "uplink",
    }
    LayerState { OK => "ok", WAITING => "waiting", BAD => "bad", UNKNOWN => "unknown", }
    Place { DEVICE => "device", GUEST => "guest", }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words() {
        assert_eq!(GuestState::WAITING_FOR_UPLINK.name(), "waiting_for_uplink");
        assert_eq!(GuestState::WAITING_FOR_UPLINK.words(), "waiting for uplink");
        assert_eq!(Layer(77).name(), "77");
    }
}
