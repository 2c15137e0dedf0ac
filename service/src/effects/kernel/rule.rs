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

//! RTM_*RULE messages.

use super::netlink::message::Message;
use super::netlink::Netlink;
use super::route;
use crate::error::KernelError;
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::policy_rules::{Action, PolicyRule, Rule, Selector, PROHIBIT, TO_TABLE};
use crate::model::table::TableId;
use crate::spec::{Family, IpPrefix};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::rule::{RuleAttribute, RuleFlags, RuleMessage};
use rtnetlink::packet_route::RouteNetlinkMessage::{DelRule, GetRule, NewRule};

/// Length of `struct fib_rule_hdr` (linux/fib_rules.h).
const HEADER: usize = 12;
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_PAD: u16 = 18;
const FRA_UID_RANGE: u16 = 20;
const FRA_PROTOCOL: u16 = 21;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;
/// What a rule asks of the transport.
const PORTS: [u16; 3] = [FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE];
/// What is read. Of the rest (ports, realms, what is to come) it is enough that it is there.
const READ: [u16; 12] = [
    FRA_DST,
    FRA_SRC,
    FRA_IIFNAME,
    FRA_PRIORITY,
    FRA_FWMARK,
    FRA_SUPPRESS_IFGROUP,
    FRA_SUPPRESS_PREFIXLEN,
    FRA_TABLE,
    FRA_FWMASK,
    FRA_PAD,
    FRA_UID_RANGE,
    FRA_PROTOCOL,
];

/// A rule out of a rule message.
pub fn read(message: &Message<'_>) -> Option<Rule> {
    let others = message.attributes(HEADER).any(|(kind, _)| !READ.contains(&kind));
    let bound = message.attributes(HEADER).any(|(kind, _)| kind == FRA_OIFNAME);
    let ports = message.attributes(HEADER).any(|(kind, _)| PORTS.contains(&kind));
    let NewRule(message) = message.typed(libc::RTM_NEWRULE, HEADER, &READ)? else { return None };
    let header = message.header;
    let negated = header.flags.contains(RuleFlags::Invert);
    let asks = header.tos != 0 || negated;
    let mut rule = Rule {
        table: TableId(header.table.into()),
        action: header.action.into(),
        negated,
        bound,
        more: others || asks,
        ports,
        ..Rule::default()
    };
    let mut mask = None;
    for attribute in message.attributes {
        match attribute {
            RuleAttribute::Source(from) => {
                rule.from = Some(IpPrefix::containing(from, header.src_len)?);
            }
            RuleAttribute::Destination(to) => {
                rule.to = Some(IpPrefix::containing(to, header.dst_len)?);
            }
            RuleAttribute::Iifname(name) => rule.input = Some(name),
            RuleAttribute::Priority(priority) => rule.priority = priority,
            RuleAttribute::FwMark(mark) => rule.mark.0 = mark,
            RuleAttribute::FwMask(bits) => mask = Some(bits),
            RuleAttribute::Table(table) => rule.table = TableId(table),
            RuleAttribute::UidRange(users) => {
                rule.users = true;
                rule.without_root = users.start > 0;
            }
            RuleAttribute::Protocol(protocol) => rule.protocol = protocol.into(),
            // Of -1, nothing is suppressed.
            RuleAttribute::SuppressIfGroup(bound) => rule.more |= bound != u32::MAX,
            RuleAttribute::SuppressPrefixLen(bound) => {
                rule.suppress = Some(bound).filter(|bound| *bound != u32::MAX);
            }
            _ => {}
        }
    }
    // The kernel says no mask where it is all of a mark (fib_nl2rule()).
    rule.mark.1 = mask.unwrap_or(if rule.mark.0 == 0 { 0 } else { u32::MAX });
    Some(rule)
}

/// All rules of a family, in the order in which they are asked.
pub fn all(netlink: &Netlink, family: Family) -> Result<Vec<Rule>, KernelError> {
    netlink.dump(&GetRule(about(family, 0, 0)), read)
}

/// The first IPv4 rules, at most so many. Takes a socket of its own: a guest may have any number of them.
pub fn first(netlink: Netlink, most: usize) -> Result<Vec<Rule>, KernelError> {
    netlink.dump_at_most(&GetRule(about(Family::V4, 0, 0)), most, read).map(|(found, _)| found)
}

/// Makes a rule of ours, and the route that it leads to where that is ours, too. The route may be
/// another guest's as well.
pub(in crate::effects) fn add(
    netlink: &Netlink,
    family: Family,
    lead: &PolicyRule,
) -> Result<(), KernelError> {
    if let Some(index) = lead.own() {
        route::add_default(netlink, family, index, TableId::own(index))?;
    }
    netlink.change(&NewRule(request(family, lead)), NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes a rule of ours, and leaves its route. That it is not there is no failure.
pub(in crate::effects) fn delete(
    netlink: &Netlink,
    family: Family,
    lead: &PolicyRule,
) -> Result<(), KernelError> {
    match netlink.change(&DelRule(request(family, lead)), 0) {
        Err(e) if e.errno != libc::ENOENT => Err(e),
        _ => Ok(()),
    }
}

fn request(family: Family, lead: &PolicyRule) -> RuleMessage {
    let action = if lead.to == Action::Nowhere { PROHIBIT } else { TO_TABLE };
    let (from, to, selector) = match &lead.selector {
        Selector::Subnet(subnet) => (subnet.prefix(), 0, RuleAttribute::Source(subnet.network())),
        Selector::Guest(host) => (0, 0, RuleAttribute::Iifname(host.to_string())),
        Selector::ToGuests(subnet) => {
            (0, subnet.prefix(), RuleAttribute::Destination(subnet.network()))
        }
    };
    let mut message = about(family, from, action);
    message.header.dst_len = to;
    message.attributes = vec![
        selector,
        RuleAttribute::Priority(lead.priority),
        RuleAttribute::Protocol(ROUTE_PROTOCOL.into()),
    ];
    message.attributes.extend(lead.to.table().map(|table| RuleAttribute::Table(table.0)));
    if let Action::Hosts(_) = lead.to {
        message.attributes.push(RuleAttribute::SuppressPrefixLen(u32::from(family.bits()) - 1));
    }
    message
}

fn about(family: Family, from: u8, action: u8) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family.into();
    message.header.src_len = from;
    message.header.action = action.into();
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::testing::{in_a_netns, ip};
    use crate::model::if_index::IfIndex;
    use crate::spec::IfName;
    use rtnetlink::packet_core::NetlinkSerializable;

    fn lead(subnet: &str) -> PolicyRule {
        let selector = Selector::Subnet(subnet.parse().unwrap());
        PolicyRule { priority: 21500, selector, to: Action::Table(TableId(1007)) }
    }

    fn leads() -> [PolicyRule; 6] {
        let selector = Selector::Guest(IfName::host_end(4));
        let to = |subnet: &str| Selector::ToGuests(subnet.parse().unwrap());
        [
            PolicyRule {
                priority: 100,
                selector: to("172.17.0.0/16"),
                to: Action::Hosts(TableId::LOCAL_NETWORK),
            },
            PolicyRule {
                priority: 199,
                selector: to("10.9.8.0/24"),
                to: Action::Hosts(TableId::MAIN),
            },
            lead("172.17.0.0/16"),
            lead("fd00:17::/64"),
            PolicyRule {
                priority: 21400,
                selector: selector.clone(),
                to: Action::Own(IfIndex::of(0x1_0009)),
            },
            PolicyRule { priority: 21400, selector, to: Action::Nowhere },
        ]
    }

    fn family(lead: &PolicyRule) -> Family {
        match &lead.selector {
            Selector::Subnet(subnet) | Selector::ToGuests(subnet) => subnet.family(),
            Selector::Guest(_) => Family::V4,
        }
    }

    fn bytes(lead: &PolicyRule) -> Vec<u8> {
        let request = NewRule(request(family(lead), lead));
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        bytes
    }

    fn parse(body: &[u8]) -> Option<Rule> {
        read(&Message { kind: libc::RTM_NEWRULE, flags: 0, sequence: 0, body })
    }

    #[test]
    fn what_is_sent_is_read_back() {
        for lead in leads() {
            let rule = parse(&bytes(&lead)).unwrap();
            assert_eq!(PolicyRule::read(&rule, ROUTE_PROTOCOL), Some(lead));
        }
    }

    #[test]
    fn no_length_and_no_byte_makes_it_panic() {
        for lead in leads() {
            let whole = bytes(&lead);
            for end in 0..whole.len() {
                let _ = parse(&whole[..end]);
            }
            for at in 0..whole.len() {
                for byte in [0, 1, 4, 0x7f, 0xff] {
                    let mut bent = whole.clone();
                    bent[at] = byte;
                    let _ = parse(&bent);
                }
            }
        }
    }

    #[test]
    fn rules_of_both_families_are_made_and_removed() {
        in_a_netns(|netlink| {
            for (lead, other) in [("10.9.0.0/16", Family::V6), ("fd09::/64", Family::V4)] {
                let lead = self::lead(lead);
                let of = |family| all(netlink, family).unwrap();
                let ours = |rules: Vec<Rule>| {
                    rules.iter().find_map(|r| PolicyRule::read(r, ROUTE_PROTOCOL))
                };
                let before = of(family(&lead)).len();
                add(netlink, family(&lead), &lead).unwrap();
                assert_eq!(ours(of(family(&lead))), Some(lead.clone()));
                assert_eq!(ours(of(other)), None);
                delete(netlink, family(&lead), &lead).unwrap();
                delete(netlink, family(&lead), &lead).unwrap();
                assert_eq!(of(family(&lead)).len(), before);
            }
        });
    }

    #[test]
    fn a_rule_is_listed_as_it_is_displayed() {
        in_a_netns(|netlink| {
            for lead in leads() {
                let v6 = if family(&lead) == Family::V6 { "-6 " } else { "" };
                // There is no such interface, so no route of a table of ours.
                let to = match lead.to {
                    Action::Own(index) => Action::Table(TableId::own(index)),
                    other => other,
                };
                let lead = PolicyRule { to, ..lead };
                add(netlink, family(&lead), &lead).unwrap();
                let listed = ip(&format!("{v6}rule show pref {}", lead.priority));
                let listed = listed.replace("from all ", "").replace("[detached] ", "");
                let wanted = format!("{}:\t{lead} proto {ROUTE_PROTOCOL}", lead.priority);
                assert_eq!(listed.trim_end(), wanted);
                delete(netlink, family(&lead), &lead).unwrap();
            }
        });
    }

    /// netlink-packet-route refuses a whole message for some of these.
    #[test]
    fn a_rule_with_attributes_that_nobody_asks_for_is_read() {
        in_a_netns(|netlink| {
            let asks_more = [
                "tun_id 5",
                "dport 53 ipproto udp",
                "realms 4/5",
                "suppress_ifgroup 5",
                "iif lo oif lo tos 0x10",
                "not from 10.0.0.0/8",
            ];
            for (number, rule) in asks_more.iter().enumerate() {
                ip(&format!("rule add {rule} table 100 pref {}", 100 + number));
            }
            ip("rule add fwmark 1/3 table 100 pref 200");
            let rules = all(netlink, Family::V4).unwrap();
            let rule = |at: u32| rules.iter().find(|rule| rule.priority == at).unwrap();
            for (number, text) in asks_more.iter().enumerate() {
                let rule = rule(100 + number as u32);
                assert!(rule.more && rule.table == TableId(100), "{text}: {rule:?}");
                assert_eq!(rule.bound, text.contains("oif"), "{rule:?}");
                assert_eq!(rule.negated, text.contains("not"), "{rule:?}");
            }
            assert_eq!((rule(200).mark, rule(200).more), ((1, 3), false));
            ip("rule add to 10.0.0.0/8 table 100 suppress_prefixlength 31 pref 201");
            let rules = all(netlink, Family::V4).unwrap();
            let rule = rules.iter().find(|rule| rule.priority == 201).unwrap();
            let to = "10.0.0.0/8".parse().ok();
            assert_eq!((rule.to, rule.suppress, rule.more), (to, Some(31), false));
        });
    }
}
