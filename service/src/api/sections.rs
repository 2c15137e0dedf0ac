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

//! What the device's file says of guests by their names, and where it has a say: in fields of a
//! configuration that its caller has left at their defaults and not named ([`GuestConfig::given`]).

use crate::error::Error;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::spec::GuestName;
use android_system_guestnet::aidl::android::system::guestnet::{
    GuestConfig::GuestConfig, GuestField::GuestField, GuestKind::GuestKind,
};
use std::sync::{Arc, PoisonError, RwLock};

/// A field, and the key that says it: guestnetctl's option for the same.
pub const FIELDS: [(GuestField, &str); 14] = [
    (GuestField::KIND, "kind"),
    (GuestField::INTERFACE_NAME, "interface"),
    (GuestField::ADDRESSES, "address"),
    (GuestField::GATEWAY, "gateway"),
    (GuestField::PREFIX_LENGTH, "prefix"),
    (GuestField::MTU, "mtu"),
    (GuestField::VPN_POLICY, "vpn"),
    (GuestField::DNS, "dns-mode"),
    (GuestField::KEEP, "keep"),
    (GuestField::LIFELINE, "lifeline"),
    (GuestField::LEASE, "lease"),
    (GuestField::DHCP, "dhcp"),
    (GuestField::QUEUES, "queues"),
    (GuestField::SEGMENT, "segment"),
];

/// What one section says.
#[derive(Debug, Default)]
pub struct Section {
    /// The fields that it says, by their keys.
    keys: OrderedSet<&'static str>,
    /// Their values; the others are of no meaning.
    values: GuestConfig,
}

impl Section {
    /// What it says.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.keys.iter().copied()
    }

    /// It says this of a field, too, which is in `values`.
    pub fn say(&mut self, key: &'static str, values: &GuestConfig) {
        if let Some((field, key)) = FIELDS.into_iter().find(|(_, name)| *name == key) {
            copy(field, values, &mut self.values);
            self.keys.insert(key);
        }
    }

    /// A caller's configuration with what the section has to say, and the keys of that.
    pub fn complete(&self, config: &GuestConfig) -> (GuestConfig, Vec<&'static str>) {
        let default = GuestConfig::default();
        let mut whole = GuestConfig { name: config.name.clone(), ..GuestConfig::default() };
        let mut said = Vec::new();
        for (field, key) in FIELDS {
            let given = config.given.contains(&field) || !same(field, config, &default);
            let ours = !given && self.keys.contains(key);
            copy(field, if ours { &self.values } else { config }, &mut whole);
            said.extend(ours.then_some(key));
        }
        // Of the kinds without a segment one is as that with it.
        let by_segment = said.contains(&"segment") && !config.given.contains(&GuestField::KIND);
        if by_segment && whole.kind == GuestKind::VETH {
            whole.kind = GuestKind::BRIDGED;
        }
        whole.given.clone_from(&config.given);
        (whole, said)
    }
}

impl PartialEq for Section {
    fn eq(&self, other: &Self) -> bool {
        let all_same = || FIELDS.iter().all(|(field, _)| same(*field, &self.values, &other.values));
        self.keys == other.keys && all_same()
    }
}

/// The sections, by the guests' names.
pub type ByName = OrderedMap<GuestName, Section>;

/// The sections in force, for all who ask.
#[derive(Clone, Debug, Default)]
pub struct Sections(Arc<RwLock<Arc<ByName>>>);

impl Sections {
    /// These.
    pub fn new(sections: ByName) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(sections))))
    }

    /// Those in force now.
    pub fn now(&self) -> Arc<ByName> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// These are in force from now on; gives the names of guests of whom something else is said.
    pub fn replace(&self, sections: ByName) -> OrderedSet<GuestName> {
        let mut here = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let names = here.keys().chain(sections.keys());
        let other = |name: &&GuestName| here.get(*name) != sections.get(*name);
        let others = names.filter(other).cloned().collect();
        *here = Arc::new(sections);
        others
    }
}

/// A caller's configuration, completed.
pub struct Completed {
    /// None: no section has anything to say.
    whole: Option<GuestConfig>,
    /// What a section said of it.
    said: Vec<&'static str>,
}

impl Completed {
    /// By the section that is in force for a guest of its name.
    pub fn by(sections: &Sections, config: &GuestConfig) -> Self {
        let sections = sections.now();
        let section = GuestName::new(&config.name).and_then(|name| sections.get(&name));
        match section.map(|section| section.complete(config)) {
            Some((whole, said)) if !said.is_empty() => Self { whole: Some(whole), said },
            _ => Self { whole: None, said: Vec::new() },
        }
    }

    /// What counts, of a caller's own.
    pub fn config<'a>(&'a self, own: &'a GuestConfig) -> &'a GuestConfig {
        self.whole.as_ref().unwrap_or(own)
    }

    /// An error that the caller's words alone do not explain names the section, too.
    pub fn explain(&self, error: Error) -> Error {
        let ours = matches!(
            error,
            Error::Spec(_) | Error::Target(_) | Error::FieldNotUpdatable(_) | Error::NoSuchTun(_)
        );
        match &self.whole {
            Some(whole) if ours => {
                let (guest, keys) = (whole.name.clone(), self.said.join(", "));
                Error::OfSection { cause: Box::new(error), guest, keys }
            }
            _ => error,
        }
    }
}

/// Gives a field the value that it has there.
fn copy(field: GuestField, from: &GuestConfig, to: &mut GuestConfig) {
    match field {
        GuestField::KIND => to.kind = from.kind,
        GuestField::INTERFACE_NAME => to.interfaceName.clone_from(&from.interfaceName),
        GuestField::ADDRESSES => to.addresses.clone_from(&from.addresses),
        GuestField::GATEWAY => to.gateway.clone_from(&from.gateway),
        GuestField::PREFIX_LENGTH => to.prefixLength = from.prefixLength,
        GuestField::MTU => to.mtu = from.mtu,
        GuestField::VPN_POLICY => {
            to.vpnPolicy = from.vpnPolicy;
            to.uplink.clone_from(&from.uplink);
        }
        GuestField::DNS => {
            to.dns = from.dns;
            to.dnsServers.clone_from(&from.dnsServers);
        }
        GuestField::KEEP => to.keep = from.keep,
        GuestField::LIFELINE => to.lifeline = from.lifeline,
        GuestField::LEASE => to.leaseMillis = from.leaseMillis,
        GuestField::DHCP => to.dhcp = from.dhcp,
        GuestField::QUEUES => to.queues = from.queues,
        GuestField::SEGMENT => to.segment.clone_from(&from.segment),
        _ => {}
    }
}

/// Whether a field is the same in both.
fn same(field: GuestField, one: &GuestConfig, other: &GuestConfig) -> bool {
    match field {
        GuestField::KIND => one.kind == other.kind,
        GuestField::INTERFACE_NAME => one.interfaceName == other.interfaceName,
        GuestField::ADDRESSES => one.addresses == other.addresses,
        GuestField::GATEWAY => one.gateway == other.gateway,
        GuestField::PREFIX_LENGTH => one.prefixLength == other.prefixLength,
        GuestField::MTU => one.mtu == other.mtu,
        GuestField::VPN_POLICY => one.vpnPolicy == other.vpnPolicy && one.uplink == other.uplink,
        GuestField::DNS => one.dns == other.dns && one.dnsServers == other.dnsServers,
        GuestField::KEEP => one.keep == other.keep,
        GuestField::LIFELINE => one.lifeline == other.lifeline,
        GuestField::LEASE => one.leaseMillis == other.leaseMillis,
        GuestField::DHCP => one.dhcp == other.dhcp,
        GuestField::QUEUES => one.queues == other.queues,
        GuestField::SEGMENT => one.segment == other.segment,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use android_system_guestnet::aidl::android::system::guestnet::{
        Dhcp::Dhcp, DnsMode::DnsMode, Lifeline::Lifeline, VpnPolicy::VpnPolicy,
    };

    /// No field has its default.
    fn odd() -> GuestConfig {
        GuestConfig {
            name: "odd".into(),
            kind: GuestKind::TAP,
            interfaceName: "eth7".into(),
            addresses: vec!["10.9.0.7".into()],
            gateway: "10.9.0.1".into(),
            prefixLength: 24,
            mtu: 1300,
            vpnPolicy: VpnPolicy::NAMED_TUN,
            uplink: Some("tun0".into()),
            keep: true,
            lifeline: Lifeline::NAMESPACE,
            leaseMillis: 60_000,
            dhcp: Dhcp::OFF,
            dns: DnsMode::SERVERS,
            dnsServers: vec!["9.9.9.9".into()],
            queues: 4,
            segment: Some("cockpit".into()),
            given: Vec::new(),
        }
    }

    fn section(keys: &[&'static str]) -> Section {
        let mut section = Section::default();
        keys.iter().for_each(|key| section.say(key, &odd()));
        section
    }

    fn named(name: &str) -> GuestConfig {
        GuestConfig { name: name.into(), ..GuestConfig::default() }
    }

    #[test]
    fn every_field_of_the_contract_has_a_key_and_is_the_sections() {
        let fields = GuestField::enum_values();
        assert!(fields.iter().all(|field| FIELDS.iter().any(|(one, _)| one == field)));
        assert_eq!(fields.len(), FIELDS.len());
        let keys = FIELDS.map(|(_, key)| key);
        let (whole, said) = section(&keys).complete(&named("g"));
        assert_eq!(said, keys);
        assert_eq!(
            format!("{whole:?}"),
            format!("{:?}", GuestConfig { name: "g".into(), ..odd() })
        );
    }

    #[test]
    fn what_the_caller_says_wins_and_so_does_a_default_that_is_given() {
        for (field, key) in FIELDS {
            let all = section(&FIELDS.map(|(_, key)| key));
            let mut own = named("g");
            own.given = vec![field];
            let (whole, said) = all.complete(&own);
            assert!(same(field, &whole, &own) && !said.contains(&key), "{key}");
            assert_eq!(said.len(), FIELDS.len() - 1);
            let (whole, said) = section(&[key]).complete(&odd());
            assert!(said.is_empty(), "{key}");
            assert_eq!(format!("{whole:?}"), format!("{:?}", odd()));
        }
    }

    #[test]
    fn a_segment_alone_makes_a_guest_one_on_it() {
        let on = section(&["segment"]);
        let (whole, _) = on.complete(&named("g"));
        assert_eq!((whole.kind, whole.segment.as_deref()), (GuestKind::BRIDGED, Some("cockpit")));
        let tap = GuestConfig { kind: GuestKind::TAP, ..named("g") };
        assert_eq!(on.complete(&tap).0.kind, GuestKind::TAP);
        let mut veth = named("g");
        veth.given = vec![GuestField::KIND];
        assert_eq!(on.complete(&veth).0.kind, GuestKind::VETH, "who says so is told what is wrong");
    }

    #[test]
    fn a_section_that_says_nothing_changes_nothing() {
        let (whole, said) = section(&[]).complete(&named("g"));
        assert!(said.is_empty());
        assert_eq!(format!("{whole:?}"), format!("{:?}", named("g")));
    }

    #[test]
    fn those_of_whom_something_else_is_said_are_named() {
        let by_name = |all: &[(&str, &[&'static str])]| -> ByName {
            let one = |(name, keys): &(&str, &[&'static str])| {
                (GuestName::new(name).unwrap(), section(keys))
            };
            all.iter().map(one).collect()
        };
        let here = Sections::new(by_name(&[("a", &["mtu"]), ("b", &["mtu"]), ("c", &[])]));
        let others = here.replace(by_name(&[("a", &["mtu"]), ("b", &["vpn"]), ("d", &["mtu"])]));
        let names: Vec<_> = others.iter().map(GuestName::as_str).collect();
        assert_eq!(names, ["b", "c", "d"]);
    }
}
