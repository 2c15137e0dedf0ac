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

//! How the device routes, and which rules of ours lead guests' packets to their way out. Pure.
//!
//! Linux asks table main; a device with netd asks one table for each interface, and main never:
//! netd's `RouteController::Init()` flushes every rule but that for table local, and ends with
//! `32000 unreachable`. Which of the two it is can be seen by the rules that are there.

use super::table::TableId;
use crate::model::if_index::IfIndex;
use crate::ordered::sort_short;
use crate::spec::{IfName, IpPrefix, Subnet};
use std::fmt;
use std::net::Ipv4Addr;

/// netd's mark of a socket that has chosen its network (`Fwmark::explicitlySelected`).
const EXPLICITLY_SELECTED: u32 = 0x1_0000;
/// netd's mark of a socket that may go past a VPN (`Fwmark::protectedFromVpn`).
const PROTECTED_FROM_VPN: u32 = 0x2_0000;
/// netd's mark of a network (`Fwmark::netId`).
const NET_ID: u32 = 0xffff;
/// Where netd has the rules for sockets that have chosen their network: Android 11, and later ones.
const EXPLICIT_NETWORK: [u32; 2] = [13_000, 16_000];
/// `SO_MARK` of a socket that answers guests where netd is: of the local network, chosen, and past a VPN
/// for all of the device, whose rule (13000) would take the answer before that for local networks.
pub const ANSWERS_GUESTS: u32 = EXPLICITLY_SELECTED | PROTECTED_FROM_VPN | LOCAL_NET_ID;
/// netd's mark of a socket of the system's (`Fwmark::permission`), who may choose a VPN, too.
const OF_THE_SYSTEM: u32 = 0xc_0000;
/// netd's number of the network of the device's own guests (`INetd.LOCAL_NET_ID`).
const LOCAL_NET_ID: u32 = 99;
/// From the rule for local networks to those for tethering (`RULE_PRIORITY_TETHERING`): Android 11
/// has them at 17000 and 18000, later ones at 20000 and 21000.
const TETHERING: u32 = 1000;
/// Where in the slot for tethering ours are: netd uses its first number only.
const IN_SLOT: u32 = 500;
/// Rules for single guests come before those for subnets.
const FOR_ONE: u32 = 100;
/// Where ours are on a device that routes by main, and everywhere those that lead to guests: before
/// others', which send packets elsewhere. Tailscale's are 5210 and on, strongSwan's is 220, netd's begin
/// at 10000.
const BEFORE_OTHERS: u32 = 100;
/// A route to one address has so many bits; ours to guests are of this kind.
const ONE_ADDRESS: u32 = 32;

/// A rule as the kernel describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its number: the lowest is asked first.
    pub priority: u32,
    /// Which table it asks; 0 where it does something else.
    pub table: TableId,
    /// What it does (`FR_ACT_*`).
    pub action: u8,
    /// The source that it is for.
    pub from: Option<IpPrefix>,
    /// The destination that it is for.
    pub to: Option<IpPrefix>,
    /// Of the table, routes to prefixes of at most so many bits do not count.
    pub suppress: Option<u32>,
    /// The interface that a packet came in by; `lo` is the device itself.
    pub input: Option<String>,
    /// Mark and mask.
    pub mark: (u32, u32),
    /// Whether it is for a range of users.
    pub users: bool,
    /// Whether root is not among them.
    pub without_root: bool,
    /// Whether it is for packets that all of this does not fit.
    pub negated: bool,
    /// Whether it is for sockets that are bound to an interface: for nothing that is forwarded.
    pub bound: bool,
    /// Whether it asks anything else of a packet, or one of the two.
    pub more: bool,
    /// Whether it asks for a protocol or for ports, among other things.
    pub ports: bool,
    /// `FRA_PROTOCOL`: who made it.
    pub protocol: u8,
}

/// A packet without a mark, as far as rules ask.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The interface that it comes in by; `lo`: it is the device's own.
    pub input: &'a str,
    /// Its source.
    pub from: Ipv4Addr,
    /// Its destination.
    pub to: Ipv4Addr,
    /// Its mark.
    pub mark: u32,
}

/// The rule that sends a packet of no bound socket to `table`; to none: that refuses it. Where rules ask
/// what cannot be seen here, it is the first that may do so.
pub fn decider<'a>(
    rules: &'a [Rule],
    packet: &Packet<'_>,
    table: Option<TableId>,
) -> Option<&'a Rule> {
    let decides = |rule: &&Rule| match table {
        Some(table) => rule.action == TO_TABLE && rule.table == table,
        None => matches!(rule.action, BLACKHOLE..=PROHIBIT),
    };
    let may = |rule: &&Rule| !rule.bound && (rule.negated || rule.takes(packet));
    rules.iter().filter(decides).find(may)
}

/// The rule that refuses root's packet as unreachable, and the tables that rules behind it ask. The kernel
/// says the same where it has no route at all: the rule is to blame where one of those has a route. netd's
/// own comes behind all of its tables.
pub fn unreachable<'a>(rules: &'a [Rule], packet: &Packet<'_>) -> Option<(&'a Rule, Vec<TableId>)> {
    let takes = |rule: &Rule| {
        let asks = rule.bound || rule.ports || rule.without_root;
        !asks && (rule.negated || Rule { users: false, ..rule.clone() }.takes(packet))
    };
    let mut rules = rules.iter().filter(|rule| takes(rule));
    let refuses = rules.find(|rule| rule.action == UNREACHABLE)?;
    let asked = rules.filter(|rule| rule.action == TO_TABLE && rule.suppress.is_none());
    let mut tables = Vec::new();
    for rule in asked {
        if !tables.contains(&rule.table) {
            tables.push(rule.table);
        }
    }
    Some((refuses, tables))
}

impl Rule {
    /// Whether it is for such a packet, as far as can be seen.
    fn takes(&self, packet: &Packet<'_>) -> bool {
        let within = |prefix: &Option<IpPrefix>, address| {
            prefix.and_then(|p| p.v4()).map_or(prefix.is_none(), |p| p.contains(address))
        };
        let input = self.input.is_none() || self.input.as_deref() == Some(packet.input);
        // Users are those of the device's own packets.
        let user = !self.users || packet.input == "lo";
        let mark = (packet.mark ^ self.mark.0) & self.mark.1 == 0;
        input && user && mark && within(&self.from, packet.from) && within(&self.to, packet.to)
    }

    /// Whether it asks a table for packets of any user and any destination.
    fn is_lookup(&self) -> bool {
        let all = !self.users && !self.more && self.to.is_none() && self.suppress.is_none();
        self.action == TO_TABLE && all
    }

    /// Whether it is one that the kernel makes with a namespace (fib_default_rules_init()).
    fn is_born_with_the_kernel(&self) -> bool {
        const BORN: [(u32, TableId); 3] =
            [(0, TableId::LOCAL), (32_766, TableId::MAIN), (32_767, TableId::DEFAULT)];
        let all = self.mark == (0, 0) && self.input.is_none() && self.from.is_none();
        self.is_lookup() && all && BORN.contains(&(self.priority, self.table))
    }
}

/// `FR_ACT_TO_TBL` (linux/fib_rules.h).
pub const TO_TABLE: u8 = 1;
/// `FR_ACT_BLACKHOLE`.
const BLACKHOLE: u8 = 6;
/// `FR_ACT_UNREACHABLE`.
const UNREACHABLE: u8 = 7;
/// `FR_ACT_PROHIBIT`.
pub const PROHIBIT: u8 = 8;

/// How the device routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoutingMode {
    /// By table main.
    #[default]
    Main,
    /// By netd's rules.
    Netd {
        /// The number of the rule that asks the table of local networks.
        local: u32,
    },
}

impl RoutingMode {
    /// By netd's rules as they have been since Android 12.
    pub const NETD: Self = Self::Netd { local: 20_000 };

    /// What the rules say; none when they say nothing: while netd starts they are not all there.
    pub fn of(rules: &[Rule]) -> Option<Self> {
        let lookup = |rule: &&Rule| rule.is_lookup();
        let all = |rule: &&Rule| rule.mark == (0, 0) && rule.input.is_none() && rule.from.is_none();
        let mut lookups = rules.iter().filter(lookup);
        // First: table main has no default route where netd is, whoever else looks it up.
        let local = lookups.clone().find(|rule| {
            let for_all = rule.input.is_none() && rule.mark == (0, EXPLICITLY_SELECTED);
            rule.table == TableId::LOCAL_NETWORK && for_all
        });
        let main =
            || lookups.any(|rule| rule.table == TableId::MAIN && all(&rule)).then_some(Self::Main);
        local.map(|rule| Self::Netd { local: rule.priority }).or_else(main)
    }

    /// The table that has the device's routes to guests.
    pub fn guests_table(self) -> TableId {
        match self {
            Self::Main => TableId::MAIN,
            Self::Netd { .. } => TableId::LOCAL_NETWORK,
        }
    }

    /// The table that has the routes by an interface.
    pub fn table_of(self, index: IfIndex) -> TableId {
        match self {
            Self::Main => TableId::MAIN,
            Self::Netd { .. } => TableId::of_interface(index),
        }
    }

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Netd { .. } => "netd",
        }
    }
}

/// The interfaces of netd's default network, in the order of being asked: their rules are the last ones
/// that look up an interface's table for the device's own packets, whatever their user. More than one
/// where a clat is stacked on it (PhysicalNetwork::addAsDefault()).
pub fn default_network(rules: &[Rule]) -> Vec<IfIndex> {
    let default = |rule: &&Rule| {
        let own = rule.input.as_deref() == Some("lo") && rule.mark == (0, NET_ID);
        own && rule.is_lookup() && rule.from.is_none()
    };
    let rules = rules.iter().filter(default);
    let Some(last) = rules.clone().map(|rule| rule.priority).max() else { return Vec::new() };
    let tables = rules.filter(|rule| rule.priority == last).map(|rule| rule.table);
    tables.filter_map(TableId::interface).collect()
}

/// Whether netd starts: it deletes all its rules one after the other, lowest numbers first
/// (`RouteController::flushRules()`), and of those that are always there this is the lowest, of what the system sends
/// past a VPN (`addLegacyRouteRules()`).
pub fn netd_starts(rules: &[Rule]) -> bool {
    let first = (OF_THE_SYSTEM, OF_THE_SYSTEM | EXPLICITLY_SELECTED);
    !rules.iter().any(|rule| rule.is_lookup() && rule.mark == first)
}

/// Whether rules of others may lead what the device passes on elsewhere than what it sends itself: by the
/// interface that it comes in by (`lo`, for its own) or by its source.
pub fn tell_senders_apart(rules: &[Rule], ours: u8) -> bool {
    let asks = |rule: &Rule| rule.input.is_some() || rule.from.is_some() || rule.more;
    rules.iter().any(|rule| rule.protocol != ours && asks(rule))
}

/// Whether there are users that may not go around a VPN. netd has one rule for each range of them
/// (`modifyRejectNonSecureNetworkRule()`): its number is another one in Android 11 than later, the rest is
/// the same up to 15. A prohibition for users of another kind is somebody else's.
pub fn lockdown(rules: &[Rule]) -> bool {
    rules.iter().any(|rule| {
        let of_users = rule.users && rule.input.as_deref() == Some("lo");
        let all = rule.from.is_none() && rule.to.is_none() && !rule.more;
        let unprotected = rule.mark == (0, PROTECTED_FROM_VPN) && all;
        rule.action == PROHIBIT && of_users && unprotected
    })
}

/// A rule of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyRule {
    /// Its number.
    pub priority: u32,
    /// Whose packets.
    pub selector: Selector,
    /// Where they are led.
    pub to: Action,
}

/// Where a rule of ours leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// To a table of the device's.
    Table(TableId),
    /// To that table's routes to single addresses, and to no others.
    Hosts(TableId),
    /// To our table for the interface of this index, which has a default route by it and no other.
    Own(IfIndex),
    /// Nowhere: the kernel says to the guest that it is prohibited.
    Nowhere,
}

impl Action {
    /// The table, where there is one.
    pub fn table(self) -> Option<TableId> {
        match self {
            Self::Table(table) | Self::Hosts(table) => Some(table),
            Self::Own(index) => Some(TableId::own(index)),
            Self::Nowhere => None,
        }
    }
}

impl PolicyRule {
    /// The interface whose table is ours, too.
    pub fn own(&self) -> Option<IfIndex> {
        match self.to {
            Action::Own(index) => Some(index),
            Action::Table(_) | Action::Hosts(_) | Action::Nowhere => None,
        }
    }
}

/// Whose packets a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// Those of all guests in a subnet.
    Subnet(IpPrefix),
    /// Those of the guest behind this host end.
    Guest(IfName),
    /// Those to guests in a subnet, whoever sends them.
    ToGuests(IpPrefix),
}

impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::Subnet(subnet) => write!(f, "from {subnet} ")?,
            Selector::Guest(host) => write!(f, "iif {host} ")?,
            Selector::ToGuests(subnet) => write!(f, "to {subnet} ")?,
        }
        match (self.to, self.to.table()) {
            (Action::Hosts(table), _) => {
                write!(f, "lookup {table} suppress_prefixlength {}", ONE_ADDRESS - 1)
            }
            (_, Some(table)) => write!(f, "lookup {table}"),
            (_, None) => f.write_str("prohibit"),
        }
    }
}

/// What our rules depend on.
#[derive(Clone, Debug, Default)]
pub struct RuleInputs {
    /// How the device routes.
    pub shape: RoutingMode,
    /// Index of the uplink; none: there is none.
    pub uplink: Option<IfIndex>,
    /// The guests' subnets.
    pub subnets: Vec<Subnet>,
    /// Host ends of guests that leave by an interface of their own, and its index.
    pub single: Vec<(IfName, IfIndex)>,
    /// Host ends of guests that are stopped.
    pub stopped: Vec<IfName>,
}

/// netd's number of the network whose routes are in a table: of the rule for sockets that have chosen
/// that network (`RULE_PRIORITY_EXPLICIT_NETWORK`).
pub fn network_of(rules: &[Rule], table: TableId) -> Option<u32> {
    let chosen = EXPLICITLY_SELECTED | NET_ID;
    let is_its = |rule: &&Rule| {
        let (mark, mask) = rule.mark;
        let explicit = mask & chosen == chosen && mark & EXPLICITLY_SELECTED != 0;
        EXPLICIT_NETWORK.contains(&rule.priority) && explicit && rule.table == table
    };
    rules.iter().find(is_its).map(|rule| rule.mark.0 & NET_ID)
}

/// `SO_MARK` of a socket that asks for guests by a network where netd is: chosen, and past a VPN for all of the
/// device, whose lockdown (13000, `prohibit`) is for what apps send.
pub fn asks_by(network: u32) -> u32 {
    OF_THE_SYSTEM | EXPLICITLY_SELECTED | PROTECTED_FROM_VPN | network & NET_ID
}

/// The rules that there are to be. Two for each subnet and none for each guest: the kernel looks at
/// every rule for every packet, and an interface can be named by no pattern.
///
/// A device by main needs none that leads to guests while its rules are those of the kernel alone, which
/// then asks main without a look at them (`fib_has_custom_rules`). Where netd routes, a VPN's rules take
/// what the device itself sends to guests, and the kernel's reverse-path filter asks as the device does.
pub fn leads(ways: &RuleInputs, rules: &[Rule], ours: u8) -> Vec<PolicyRule> {
    let begin = match ways.shape {
        RoutingMode::Main => BEFORE_OTHERS + FOR_ONE,
        RoutingMode::Netd { local } => local + TETHERING + IN_SLOT - FOR_ONE,
    };
    let others = rules.iter().any(|r| r.protocol != ours && !r.is_born_with_the_kernel());
    let is_shadowed = others || matches!(ways.shape, RoutingMode::Netd { .. });
    let free = |wanted: u32| {
        let taken = |at: &u32| rules.iter().any(|r| r.priority == *at && r.protocol != ours);
        (wanted..wanted + FOR_ONE).find(|at| !taken(at)).unwrap_or(wanted)
    };
    let by = |index: IfIndex| match ways.shape {
        RoutingMode::Main => Action::Own(index),
        RoutingMode::Netd { .. } => Action::Table(ways.shape.table_of(index)),
    };
    let single = ways.single.iter().map(|(host, index)| (host, by(*index)));
    let one = single.chain(ways.stopped.iter().map(|host| (host, Action::Nowhere)));
    let priority = free(begin);
    let lead = |(host, to): (&IfName, Action)| PolicyRule {
        priority,
        selector: Selector::Guest(host.clone()),
        to,
    };
    let mut leads: Vec<_> = one.map(lead).collect();
    if let (RoutingMode::Netd { .. }, Some(uplink)) = (ways.shape, ways.uplink) {
        let priority = free(begin + FOR_ONE);
        let to = by(uplink);
        let lead = |subnet: &Subnet| PolicyRule {
            priority,
            selector: Selector::Subnet((*subnet).into()),
            to,
        };
        leads.extend(ways.subnets.iter().map(lead));
    }
    if is_shadowed {
        let priority = free(BEFORE_OTHERS);
        let to = Action::Hosts(ways.shape.guests_table());
        let lead = |subnet: &Subnet| PolicyRule {
            priority,
            selector: Selector::ToGuests((*subnet).into()),
            to,
        };
        leads.extend(ways.subnets.iter().map(lead));
    }
    sort_short(&mut leads, |one, other| one < other);
    leads
}

impl PolicyRule {
    /// The rule as one of ours, if it is one that we would make.
    pub fn read(rule: &Rule, ours: u8) -> Option<Self> {
        let plain = rule.mark == (0, 0) && !rule.users && !rule.more;
        if rule.protocol != ours || !plain {
            return None;
        }
        let to = match (rule.action, rule.table, rule.suppress) {
            (PROHIBIT, _, None) => Action::Nowhere,
            // A table that we would take.
            (TO_TABLE, TableId(TableId::OF_INTERFACE..), None) => {
                rule.table.own_interface().map_or(Action::Table(rule.table), Action::Own)
            }
            (TO_TABLE, table, Some(bits)) if bits == ONE_ADDRESS - 1 => Action::Hosts(table),
            _ => return None,
        };
        let selector = match (rule.from, &rule.input, rule.to) {
            (Some(subnet), None, None) => Selector::Subnet(subnet),
            (None, Some(host), None) => Selector::Guest(IfName::new(host)?),
            (None, None, Some(subnet)) => Selector::ToGuests(subnet),
            _ => return None,
        };
        // A number that we would take: a protocol's number is anybody's.
        let [android11, later] = [17_000, 20_000].map(|local| local + TETHERING + IN_SLOT);
        let numbers = [BEFORE_OTHERS + FOR_ONE, android11, later];
        let ours = |at: &u32| (at - FOR_ONE..at + FOR_ONE).contains(&rule.priority);
        numbers.iter().any(ours).then_some(Self { priority: rule.priority, selector, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: u8 = 103;

    fn lookup(priority: u32, table: TableId) -> Rule {
        Rule { priority, table, action: TO_TABLE, ..Rule::default() }
    }

    fn netd(local: u32, default: u32, wlan0: u32) -> Vec<Rule> {
        let own = |rule: Rule| Rule { input: Some("lo".into()), ..rule };
        vec![
            lookup(0, TableId::LOCAL),
            own(Rule {
                mark: (0x6_0063, 0x6_ffff),
                ..lookup(local - 4000, TableId::LOCAL_NETWORK)
            }),
            Rule { mark: (0, EXPLICITLY_SELECTED), ..lookup(local, TableId::LOCAL_NETWORK) },
            own(Rule {
                mark: (0, NET_ID),
                ..lookup(default, TableId::of_interface(IfIndex::of(wlan0)))
            }),
            Rule { priority: 32000, action: 7, ..Rule::default() },
        ]
    }

    fn subnet() -> Subnet {
        Subnet::containing([172, 17, 0, 0].into(), 16).unwrap()
    }

    fn ways(shape: RoutingMode) -> RuleInputs {
        RuleInputs {
            shape,
            uplink: Some(IfIndex::of(7)),
            subnets: vec![subnet()],
            ..RuleInputs::default()
        }
    }

    #[test]
    fn the_shape_is_seen_by_the_rules() {
        let linux = [
            lookup(0, TableId::LOCAL),
            lookup(32766, TableId::MAIN),
            lookup(32767, TableId::DEFAULT),
        ];
        assert_eq!(RoutingMode::of(&linux), Some(RoutingMode::Main));
        assert_eq!(
            RoutingMode::of(&netd(20000, 31000, 7)),
            Some(RoutingMode::Netd { local: 20000 })
        );
        assert_eq!(
            RoutingMode::of(&netd(17000, 22000, 7)),
            Some(RoutingMode::Netd { local: 17000 })
        );
        let both = [netd(20000, 31000, 7), vec![lookup(9999, TableId::MAIN)]].concat();
        assert_eq!(RoutingMode::of(&both), Some(RoutingMode::Netd { local: 20000 }));
        // A VPN's rule for table main with a mark is not the device's; nothing is said while netd starts.
        let marked = [lookup(0, TableId::LOCAL), Rule { mark: (1, 1), ..lookup(9, TableId::MAIN) }];
        assert_eq!(RoutingMode::of(&marked), None);
        assert_eq!(RoutingMode::of(&[lookup(0, TableId::LOCAL)]), None);
    }

    fn to_guests(priority: u32, table: TableId) -> PolicyRule {
        let selector = Selector::ToGuests(subnet().into());
        PolicyRule { priority, selector, to: Action::Hosts(table) }
    }

    #[test]
    fn a_networks_number_is_in_the_rule_for_who_has_chosen_it() {
        let chosen = |priority, number: u32, table| Rule {
            mark: (EXPLICITLY_SELECTED | number, EXPLICITLY_SELECTED | NET_ID),
            input: Some("lo".to_owned()),
            ..lookup(priority, TableId(table))
        };
        // A secure VPN's, which since 12 have the number that this one had in 11.
        let vpn = |priority| {
            let of_the_system = (0xc_0065, 0xc_ffff);
            let users = Rule { users: true, ..lookup(priority, TableId(1009)) };
            [
                Rule { mark: of_the_system, ..lookup(priority, TableId(1009)) },
                Rule { mark: (0, PROTECTED_FROM_VPN), ..users },
            ]
        };
        // Android 11's numbers, and those since 12.
        for (explicit, secure) in [(13_000, 12_000), (16_000, 13_000)] {
            let mut rules = vec![chosen(explicit, LOCAL_NET_ID, 97)];
            rules.extend(vpn(secure));
            assert_eq!(network_of(&rules, TableId(1009)), None, "{explicit}: the VPN's users");
            rules.extend([chosen(explicit, 100, 1007), chosen(explicit, 101, 1009)]);
            let of = |table| network_of(&rules, TableId(table));
            assert_eq!(
                [of(1007), of(1009), of(97), of(1008)],
                [Some(100), Some(101), Some(99), None]
            );
        }
        // Of a socket that has chosen nothing, and at another place.
        let implicit = Rule { mark: (100, 0x1_ffff), ..lookup(16_000, TableId(1007)) };
        let elsewhere = chosen(23_000, 100, 1007);
        assert_eq!(network_of(&[implicit, elsewhere], TableId(1007)), None);
    }

    #[test]
    fn marks_have_netds_bits() {
        assert_eq!(ANSWERS_GUESTS, 0x3_0063);
        assert_eq!(asks_by(100), 0xf_0064);
    }

    #[test]
    fn ours_are_in_the_slot_for_tethering() {
        for (local, default, expected) in [(17000, 22000, 18500), (20000, 29000, 21500)] {
            let rules = netd(local, default, 7);
            let shape = RoutingMode::of(&rules).unwrap();
            let found = leads(&ways(shape), &rules, OURS);
            let selector = Selector::Subnet(subnet().into());
            let from =
                PolicyRule { priority: expected, selector, to: Action::Table(TableId(1007)) };
            assert_eq!(found, [to_guests(100, TableId::LOCAL_NETWORK), from]);
        }
        assert!(leads(&ways(RoutingMode::Main), &[], OURS).is_empty());
    }

    #[test]
    fn others_rules_do_not_take_what_is_for_guests() {
        let main = ways(RoutingMode::Main);
        let born = vec![
            lookup(0, TableId::LOCAL),
            lookup(32_766, TableId::MAIN),
            lookup(32_767, TableId::DEFAULT),
        ];
        let own = Rule { protocol: OURS, ..lookup(200, TableId::own(IfIndex::of(9))) };
        assert!(leads(&main, &[born.clone(), vec![own]].concat(), OURS).is_empty());
        for other in [
            lookup(5270, TableId(52)),
            Rule { suppress: Some(0), ..lookup(32_764, TableId::MAIN) },
            Rule { mark: (1, 1), ..lookup(32_766, TableId::MAIN) },
            Rule { priority: 9, action: PROHIBIT, ..Rule::default() },
        ] {
            let rules = [born.clone(), vec![other]].concat();
            assert_eq!(leads(&main, &rules, OURS), [to_guests(100, TableId::MAIN)]);
        }
        let taken = [
            born,
            vec![lookup(100, TableId(52)), Rule { protocol: 4, ..lookup(101, TableId(52)) }],
        ]
        .concat();
        assert_eq!(leads(&main, &taken, OURS), [to_guests(102, TableId::MAIN)]);
        let text = "to 172.17.0.0/16 lookup main suppress_prefixlength 31";
        assert_eq!(to_guests(100, TableId::MAIN).to_string(), text);
    }

    #[test]
    fn a_number_that_somebody_has_is_left_to_him() {
        let mut rules = netd(20000, 31000, 7);
        rules.push(lookup(21500, TableId(9)));
        rules.push(Rule { protocol: OURS, ..lookup(21501, TableId(1007)) });
        let found = leads(&ways(RoutingMode::Netd { local: 20000 }), &rules, OURS);
        assert_eq!(found[1].priority, 21501);
    }

    #[test]
    fn a_guest_with_a_way_of_its_own_or_none_comes_first() {
        let (one, other) = (IfName::host_end(3), IfName::host_end(4));
        let lead = |host: &IfName, priority, to| PolicyRule {
            priority,
            selector: Selector::Guest(host.clone()),
            to,
        };
        for (shape, priority, to) in [
            (RoutingMode::Main, 200, Action::Own(IfIndex::of(9))),
            (RoutingMode::Netd { local: 20000 }, 21400, Action::Table(TableId(1009))),
        ] {
            let (single, stopped) = (vec![(one.clone(), IfIndex::of(9))], vec![other.clone()]);
            let found = leads(&RuleInputs { single, stopped, ..ways(shape) }, &[], OURS);
            let own = [lead(&one, priority, to), lead(&other, priority, Action::Nowhere)];
            assert!(found.windows(2).any(|two| two == own), "{found:?}");
        }
        assert_eq!(lead(&other, 200, Action::Nowhere).to_string(), "iif vm_wlan4 prohibit");
    }

    #[test]
    fn the_default_network_is_the_last_for_everybody() {
        let default = |rules: &[Rule]| -> Vec<u32> {
            default_network(rules).into_iter().map(IfIndex::get).collect()
        };
        let mut rules = netd(20000, 31000, 7);
        assert_eq!(default(&rules), [7]);
        let vpn = Rule { users: true, ..rules[3].clone() };
        rules.push(Rule { priority: 31500, table: TableId(1009), ..vpn });
        rules.push(Rule { priority: 17000, table: TableId(1008), ..rules[3].clone() });
        assert_eq!(default(&rules), [7]);
        rules.remove(3);
        assert_eq!(default(&rules), [8]);
        assert_eq!(default(&[]), [0; 0]);
        let mut rules = netd(20000, 31000, 7);
        rules.insert(4, Rule { table: TableId(1009), ..rules[3].clone() });
        assert_eq!(default(&rules), [7, 9], "with its clat");
    }

    #[test]
    fn a_rule_by_interface_or_source_tells_senders_apart() {
        let plain = [
            lookup(0, TableId::LOCAL),
            Rule { mark: (1, 1), ..lookup(9, TableId(100)) },
            lookup(32766, TableId::MAIN),
        ];
        assert!(!tell_senders_apart(&plain, OURS));
        for rule in [
            Rule { input: Some("lo".into()), ..lookup(9, TableId(100)) },
            Rule { from: Some(subnet().into()), ..lookup(9, TableId(100)) },
            Rule { more: true, ..lookup(9, TableId(100)) },
        ] {
            assert!(tell_senders_apart(&[rule.clone(), lookup(32766, TableId::MAIN)], OURS));
            assert!(!tell_senders_apart(&[Rule { protocol: OURS, ..rule }], OURS));
        }
    }

    #[test]
    fn lockdown_is_netds_prohibition_for_users_who_may_not_go_past_a_vpn() {
        let netds = Rule {
            action: PROHIBIT,
            users: true,
            input: Some("lo".into()),
            mark: (0, PROTECTED_FROM_VPN),
            ..Rule::default()
        };
        for priority in [12500, 14000] {
            assert!(lockdown(&[Rule { priority, ..netds.clone() }]));
        }
        let priority = 14000;
        for others in [
            Rule { users: false, ..netds.clone() },
            Rule { action: TO_TABLE, ..netds.clone() },
            Rule { mark: (0, 0), ..netds.clone() },
            Rule { mark: (PROTECTED_FROM_VPN, PROTECTED_FROM_VPN), ..netds.clone() },
            Rule { mark: (0, u32::MAX), ..netds.clone() },
            Rule { input: None, ..netds.clone() },
            Rule { input: Some("wlan0".into()), ..netds.clone() },
            Rule { from: Some(subnet().into()), ..netds.clone() },
            Rule { to: Some(subnet().into()), ..netds.clone() },
            Rule { more: true, ..netds.clone() },
        ] {
            assert!(!lockdown(&[Rule { priority, ..others.clone() }]), "{others:?}");
        }
        assert!(!lockdown(&netd(20000, 31000, 7)));
    }

    #[test]
    fn the_rule_that_decides_is_found() {
        let rules = [
            lookup(0, TableId::LOCAL),
            Rule { mark: (0x8_0000, 0xff_0000), ..lookup(5210, TableId(52)) },
            Rule { input: Some("eth1".into()), ..lookup(5220, TableId(52)) },
            Rule { users: true, ..lookup(5230, TableId(52)) },
            Rule { to: "172.16.0.0/12".parse().ok(), ..lookup(5270, TableId(52)) },
            Rule { priority: 6000, action: 7, from: "10.0.0.0/8".parse().ok(), ..Rule::default() },
            // netd's, for who has chosen the interface, and one that is for all others.
            Rule { bound: true, more: true, ..lookup(6500, TableId(53)) },
            Rule { input: Some("lo".into()), more: true, ..lookup(6600, TableId(53)) },
            Rule { more: true, ..lookup(7000, TableId(53)) },
            Rule { mark: (1, 1), negated: true, more: true, ..lookup(8000, TableId(54)) },
        ];
        let [from, to] = [[203, 0, 113, 1], [172, 17, 3, 3]].map(Ipv4Addr::from);
        let packet = Packet { input: "wlan0", from, to, mark: 0 };
        let number =
            |packet: &Packet, table| decider(&rules, packet, table).map(|rule| rule.priority);
        assert_eq!(number(&packet, Some(TableId(52))), Some(5270));
        assert_eq!(number(&Packet { input: "lo", ..packet }, Some(TableId(52))), Some(5230));
        assert_eq!(number(&Packet { to: from, ..packet }, Some(TableId(52))), None);
        assert_eq!(number(&packet, Some(TableId(53))), Some(7000), "it may be this one");
        assert_eq!(number(&Packet { input: "lo", ..packet }, Some(TableId(53))), Some(6600));
        assert_eq!(number(&packet, Some(TableId(54))), Some(8000));
        assert_eq!(number(&packet, None), None);
        let marked = Packet { mark: 0x8_0001, ..packet };
        assert_eq!(number(&marked, Some(TableId(52))), Some(5210), "by its mark");
        assert_eq!(number(&Packet { mark: 1, ..packet }, Some(TableId(52))), Some(5270));
        let from = Ipv4Addr::new(10, 1, 1, 1);
        assert_eq!(number(&Packet { from, ..packet }, None), Some(6000));
    }

    #[test]
    fn the_rule_that_says_unreachable_is_found_with_the_tables_behind_it() {
        let says = |rule: Rule| Rule { priority: 50, action: UNREACHABLE, ..rule };
        let all = Rule::default();
        let [from, to] = [[172, 17, 3, 3], [203, 0, 113, 1]].map(Ipv4Addr::from);
        let guests = Packet { input: "vm_wlan", from, to, mark: 0 };
        let own = Packet { input: "lo", from: Ipv4Addr::UNSPECIFIED, to, mark: 0 };
        let found = |refuses: &Rule, packet| {
            let rules = [
                lookup(0, TableId::LOCAL),
                Rule { action: PROHIBIT, ports: true, more: true, ..lookup(9, TableId(0)) },
                refuses.clone(),
                Rule { suppress: Some(0), ..lookup(60, TableId(52)) },
                Rule { input: Some("eth9".into()), ..lookup(70, TableId(53)) },
                lookup(32_766, TableId::MAIN),
                lookup(32_767, TableId::DEFAULT),
                lookup(32_768, TableId::MAIN),
            ];
            let found = unreachable(&rules, packet);
            found.map(|(rule, tables)| {
                assert_eq!(tables, [TableId::MAIN, TableId::DEFAULT]);
                rule.priority
            })
        };
        for (rule, is_own, is_guests) in [
            (all.clone(), true, true),
            (Rule { users: true, ..all.clone() }, true, true),
            (Rule { users: true, without_root: true, ..all.clone() }, false, false),
            (Rule { ports: true, more: true, ..all.clone() }, false, false),
            (Rule { bound: true, more: true, ..all.clone() }, false, false),
            (Rule { input: Some("lo".into()), ..all.clone() }, true, false),
            (Rule { from: Some(subnet().into()), ..all.clone() }, false, true),
            (Rule { mark: (7, 7), negated: true, more: true, ..all.clone() }, true, true),
        ] {
            let rule = says(rule);
            let found = (found(&rule, &own).is_some(), found(&rule, &guests).is_some());
            assert_eq!(found, (is_own, is_guests), "{rule:?}");
        }
        assert!(found(&Rule { action: BLACKHOLE, ..says(all) }, &own).is_none());
        // netd's.
        let last =
            [lookup(31_000, TableId(1007)), Rule { priority: 32_000, ..says(Rule::default()) }];
        let (rule, tables) = unreachable(&last, &guests).unwrap();
        assert_eq!((rule.priority, tables.len()), (32_000, 0));
    }

    #[test]
    fn what_was_made_is_known_again() {
        let rule =
            Rule { from: Some(subnet().into()), protocol: OURS, ..lookup(21500, TableId(1007)) };
        let lead = PolicyRule::read(&rule, OURS).unwrap();
        assert_eq!(lead, leads(&ways(RoutingMode::Netd { local: 20000 }), &[], OURS)[1]);
        assert_eq!(PolicyRule::read(&Rule { protocol: 4, ..rule.clone() }, OURS), None);
        assert_eq!(PolicyRule::read(&Rule { mark: (1, 1), ..rule.clone() }, OURS), None);
        assert_eq!(PolicyRule::read(&Rule { table: TableId(999), ..rule.clone() }, OURS), None);
        assert_eq!(PolicyRule::read(&Rule { action: 7, ..rule.clone() }, OURS), None);
        // An earlier guestnetd's, on a device by main: it goes.
        let input = Some("vm_wlan3".to_owned());
        let former = Rule { from: None, input, ..lookup(21_400, TableId::own(IfIndex::of(9))) };
        assert!(PolicyRule::read(&Rule { protocol: OURS, ..former }, OURS).is_some());
        let (to, suppress) = (Some(subnet().into()), Some(31));
        let to_all = Rule { to, suppress, protocol: OURS, ..lookup(100, TableId::MAIN) };
        assert_eq!(PolicyRule::read(&to_all, OURS), Some(to_guests(100, TableId::MAIN)));
        for other in [
            Rule { suppress: None, ..to_all.clone() },
            Rule { suppress: Some(30), ..to_all.clone() },
            Rule { priority: 99, ..to_all.clone() },
            Rule { input: Some("wlan0".to_owned()), ..to_all },
        ] {
            assert_eq!(PolicyRule::read(&other, OURS), None, "{other:?}");
        }
        let stopped = Rule { action: PROHIBIT, table: TableId(0), ..rule };
        assert_eq!(PolicyRule::read(&stopped, OURS).map(|lead| lead.to), Some(Action::Nowhere));
    }
}
