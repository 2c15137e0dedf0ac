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
    Cause::Cause, ChangeKind::ChangeKind, Dhcp::Dhcp, DnsMode::DnsMode, EndCause::EndCause,
    FirewallBackend::FirewallBackend, GuestEvent::GuestEvent, GuestKind::GuestKind,
    GuestState::GuestState, Layer::Layer, LayerState::LayerState, Lifeline::Lifeline,
    Operation::Operation, Place::Place, ProbeOutcome::ProbeOutcome, TraceGap::TraceGap,
    Verdict::Verdict, VpnPolicy::VpnPolicy,
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
    Cause {
        HEALTHY => "healthy",
        UNREADABLE => "unreadable",
        LINK_GONE => "link_gone",
        LINK_DOWN => "link_down",
        GUEST_LINK_DOWN => "guest_link_down",
        LINK_CHANGED => "link_changed",
        NEIGHBOUR_WRONG => "neighbour_wrong",
        ADDRESS_MISSING => "address_missing",
        SUBNET_CONFLICT => "subnet_conflict",
        GUEST_ROUTE_MISSING => "guest_route_missing",
        VPN_CAPTURES => "vpn_captures",
        ANSWERS_ELSEWHERE => "answers_elsewhere",
        KILL_SWITCH => "kill_switch",
        RP_FILTER => "rp_filter",
        RULE_MISSING => "rule_missing",
        RULE_SHADOWED => "rule_shadowed",
        LOCKDOWN => "lockdown",
        FORWARDING_OFF => "forwarding_off",
        FORWARDING_NOT_OURS => "forwarding_not_ours",
        NETD_UNANSWERED => "netd_unanswered",
        FILTER_PROGRAM_FAILED => "filter_program_failed",
        FILTER_PROGRAM_STUCK => "filter_program_stuck",
        FILTER_CHANGED => "filter_changed",
        FORWARD_DROPPED => "forward_dropped",
        NETD_TETHERCTRL_DROP => "netd_tetherctrl_drop",
        INPUT_DROPPED => "input_dropped",
        MASQUERADE_MISSING => "masquerade_missing",
        WRONG_SOURCE => "wrong_source",
        NOT_TRACKED => "not_tracked",
        CONNTRACK_FULL => "conntrack_full",
        DNS_NONE => "dns_none",
        DNS_SILENT => "dns_silent",
        DNS_REFUSED => "dns_refused",
        DNS_ELSEWHERE => "dns_elsewhere",
        DNS_PORT_TAKEN => "dns_port_taken",
        UPLINK_MISSING => "uplink_missing",
        NO_CARRIER => "no_carrier",
        UPLINK_NO_ADDRESS => "uplink_no_address",
        NO_DEFAULT_ROUTE => "no_default_route",
        DEFAULT_ROUTE_ELSEWHERE => "default_route_elsewhere",
        TUN_MISSING => "tun_missing",
        TUN_DOWN => "tun_down",
        UPLINK_IPV6_ONLY => "uplink_ipv6_only",
        CAPTIVE_PORTAL => "captive_portal",
        MTU_BLACKHOLE => "mtu_blackhole",
        UPSTREAM_DOWN => "upstream_down",
        NOT_VALIDATED => "not_validated",
        GUEST_ADDRESS_LOST => "guest_address_lost",
        GUEST_ROUTE_LOST => "guest_route_lost",
        GUEST_RESOLVER => "guest_resolver",
        GUEST_FIREWALL => "guest_firewall",
        TX_CHECKSUM => "tx_checksum",
        SEGMENT_BROKEN => "segment_broken",
    }
    ChangeKind { ADD => "add", SET => "set", DELETE => "delete", }
    DnsMode {
        AUTO => "auto",
        DNAT => "dnat",
        FORWARD => "forward",
        SERVERS => "servers",
    }
    EndCause {
        NONE => "none",
        DETACHED => "detached",
        PROCESS_EXITED => "process_exited",
        NAMESPACE_GONE => "namespace_gone",
        LINK_DELETED => "link_deleted",
        OWNER_DIED => "owner_died",
        LEASE_ENDED => "lease_ended",
        TAP_CLOSED => "tap_closed",
    }
    FirewallBackend { NFTABLES => "nftables", IPTABLES => "iptables", }
    GuestEvent { ATTACHED => "attached", STATE => "state", DETACHED => "detached", LOST => "lost", }
    GuestKind { VETH => "veth", BRIDGED => "bridged", TAP => "tap", }
    GuestState {
        ATTACHED => "attached",
        WAITING_FOR_UPLINK => "waiting_for_uplink",
        GONE => "gone",
        NOT_ADOPTED => "not_adopted",
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
        SEGMENT => "segment",
    }
    Dhcp { AUTO => "auto", OFF => "off", }
    Lifeline { TARGET => "target", NAMESPACE => "namespace", }
    LayerState { OK => "ok", WAITING => "waiting", BAD => "bad", UNKNOWN => "unknown", }
    Operation {
        ADD_LINK => "add_link",
        DELETE_LINK => "delete_link",
        SET_LINK_UP => "set_link_up",
        SET_LINK_DOWN => "set_link_down",
        SET_MTU => "set_mtu",
        SET_ALIAS => "set_alias",
        ADD_ADDRESS => "add_address",
        DELETE_ADDRESS => "delete_address",
        ADD_ROUTE => "add_route",
        DELETE_ROUTE => "delete_route",
        ADD_RULE => "add_rule",
        DELETE_RULE => "delete_rule",
        SET_SYSCTL => "set_sysctl",
        SET_FORWARDING => "set_forwarding",
        SET_PACKET_FILTER => "set_packet_filter",
        FORGET_CONNECTIONS => "forget_connections",
        SET_SEGMENT => "set_segment",
        OPEN_TARGET => "open_target",
        CHOOSE_SLOT => "choose_slot",
        ENTER_NETNS => "enter_netns",
        OBSERVE => "observe",
        READ_BACK => "read_back",
        STORE => "store",
        LEAVE_NETNS => "leave_netns",
    }
    Place { DEVICE => "device", GUEST => "guest", }
    ProbeOutcome {
        NOT_MADE => "not_made",
        OK => "ok",
        SILENT => "silent",
        REFUSED => "refused",
        NOT_SENT => "not_sent",
        TOO_LARGE => "too_large",
        PORTAL => "portal",
        ODD => "odd",
    }
    TraceGap {
        NONE => "none",
        NOT_SUPPORTED => "not_supported",
        NOT_PERMITTED => "not_permitted",
        BUSY => "busy",
        NOT_SENT => "not_sent",
        UNSEEN => "unseen",
    }
    Verdict {
        INTERNET => "internet",
        NO_NAMES => "no_names",
        NO_INTERNET => "no_internet",
        WAITING => "waiting",
        UNSURE => "unsure",
        NO_UPLINK => "no_uplink",
    }
    VpnPolicy {
        FOLLOW_UPLINK => "follow_uplink",
        NAMED_TUN => "named_tun",
        BLOCK_UNDER_LOCKDOWN => "block_under_lockdown",
        NO_UPLINK => "no_uplink",
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
            (names(&DnsMode::enum_values()), "auto dnat forward servers"),
            (
                names(&EndCause::enum_values()),
                "none detached process_exited namespace_gone link_deleted owner_died lease_ended \
                 tap_closed",
            ),
            (names(&FirewallBackend::enum_values()), "nftables iptables"),
            (names(&Dhcp::enum_values()), "auto off"),
            (names(&Lifeline::enum_values()), "target namespace"),
            (names(&GuestEvent::enum_values()), "attached state detached lost"),
            (names(&GuestKind::enum_values()), "veth bridged tap"),
            (names(&GuestState::enum_values()), "attached waiting_for_uplink gone not_adopted"),
            (
                names(&Layer::enum_values()),
                "link address route rule forwarding firewall nat dns uplink segment",
            ),
            (names(&LayerState::enum_values()), "ok waiting bad unknown"),
            (names(&Place::enum_values()), "device guest"),
            (
                names(&ProbeOutcome::enum_values()),
                "not_made ok silent refused not_sent too_large portal odd",
            ),
            (
                names(&TraceGap::enum_values()),
                "none not_supported not_permitted busy not_sent unseen",
            ),
            (
                names(&Verdict::enum_values()),
                "internet no_names no_internet waiting unsure no_uplink",
            ),
            (
                names(&VpnPolicy::enum_values()),
                "follow_uplink named_tun block_under_lockdown no_uplink",
            ),
        ] {
            assert_eq!(names, expected);
        }
    }

    /// No value is shown by its number, and README.md has the word of each.
    #[test]
    fn operations_have_names_too() {
        let readme = include_str!("../README.md");
        for name in Operation::enum_values().map(|value| value.name()) {
            assert!(is_word(&name), "{name}");
            assert!(readme.contains(&format!("`{name}`")), "{name}");
        }
    }

    fn is_word(name: &str) -> bool {
        name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    }

    /// The word of each cause and what the contract says of it, in the contract's order.
    fn causes_of_the_contract() -> Vec<(String, String)> {
        let contract = include_str!("../../aidl/android/system/guestnet/Cause.aidl");
        let (_, values) = contract.split_once("enum Cause {").expect("the enum");
        let mut causes = Vec::new();
        for documented in values.split("/**").skip(1) {
            let (text, rest) = documented.split_once("*/").expect("the end of a comment");
            let value = rest.split('=').next().expect("a value").trim().to_lowercase();
            let lines = text.lines().map(|line| line.trim().trim_start_matches("* "));
            causes.push((value, lines.collect::<Vec<_>>().join(" ").trim().to_owned()));
        }
        causes
    }

    /// The page for who has no internet says of each cause what the contract says, and has no other.
    #[test]
    fn troubleshooting_has_every_cause_in_the_contracts_words() {
        let contract = causes_of_the_contract();
        let names = Cause::enum_values().map(|value| value.name());
        assert!(names.iter().all(|name| is_word(name)), "{names:?}");
        assert_eq!(
            contract.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            Vec::from_iter(&names)
        );

        let page = include_str!("../../docs/troubleshooting.md");
        let (_, page) = page.split_once("\n## The causes\n").expect("the causes");
        let cells =
            |row: &str| row.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let rows = page.lines().map(cells).filter(|row| row.len() == 5);
        // Behind the heading and the line below it.
        let words = |row: Vec<String>| (row[2].trim_matches('`').to_owned(), row[3].clone());
        let rows: Vec<_> = rows.skip(2).map(words).collect();
        for (row, cause) in rows.iter().zip(&contract) {
            assert_eq!(row, cause);
        }
        assert_eq!(rows.len(), contract.len());
    }

    #[test]
    fn words_for_people_and_values_of_a_newer_contract() {
        assert_eq!(GuestState::WAITING_FOR_UPLINK.words(), "waiting for uplink");
        assert_eq!(Layer(77).name(), "77");
    }
}
