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

//! `[guest.NAME]`: what a guest of that name gets, in the words of guestnetctl's options. Each section has to
//! make a guest by itself, and no two may be in each other's way.

use super::text::{unknown, Entry, Wrong};
use crate::api::check_section;
use crate::api::sections::{ByName, Section, FIELDS};
use crate::error::Error;
use crate::ordered::OrderedMap;
use crate::spec::{GuestName, GuestSpec, SpecError};
use android_system_guestnet::aidl::android::system::guestnet::{
    Dhcp::Dhcp, DnsMode::DnsMode, GuestConfig::GuestConfig, GuestKind::GuestKind,
    IGuestNet::MTU_FOLLOW_UPLINK, Lifeline::Lifeline, VpnPolicy::VpnPolicy,
};
use std::net::Ipv4Addr;

/// The key that all sections are in.
pub(super) const TABLE: &str = "guest";

/// The key of guestnetctl's option `--no-uplink`: a value of the field that [`VPN`] sets.
const NO_UPLINK: &str = "no-uplink";
const VPN: &str = "vpn";

/// A section with the lines of its keys.
struct Read {
    spec: GuestSpec,
    line: usize,
    lines: OrderedMap<&'static str, usize>,
}

impl Read {
    /// Where one of these is said, or else where it begins.
    fn line_of(&self, keys: &[&str]) -> usize {
        keys.iter().find_map(|key| self.lines.get(key).copied()).unwrap_or(self.line)
    }
}

/// All sections.
pub(super) fn read(entry: &Entry<'_>) -> Result<ByName, Wrong> {
    let needs = "guest needs sections, [guest.NAME]";
    let mut by_name = ByName::new();
    let mut all = OrderedMap::new();
    for entry in entry.entries().ok_or_else(|| entry.wrong(needs))? {
        let bad = || entry.wrong(SpecError::Name(entry.key.chars().take(80).collect()).to_string());
        let name = GuestName::new(entry.key).ok_or_else(bad)?;
        let (section, read) = read_one(&name, &entry)?;
        by_name.insert(name, section);
        all.insert(read.line, read);
    }
    refuse_collisions(all.values())?;
    Ok(by_name)
}

fn read_one(name: &GuestName, section: &Entry<'_>) -> Result<(Section, Read), Wrong> {
    let needs = format!("guest.{name} needs to be a section, [guest.{name}]");
    let (mut said, mut lines) = (Section::default(), OrderedMap::new());
    for entry in section.entries().ok_or_else(|| section.wrong(needs))? {
        let keys = FIELDS.into_iter().map(|(_, key)| key).chain([NO_UPLINK]);
        let Some(key) = keys.clone().find(|key| *key == entry.key) else {
            let known = keys;
            let what = format!("key of [guest.{name}]");
            let help = "guestnetctl attach --help lists the options, most of which are keys";
            return Err(entry.wrong(unknown(&what, entry.key, known, help)));
        };
        let mut values = GuestConfig::default();
        let key = match key {
            NO_UPLINK if !entry.bool()? => continue,
            NO_UPLINK => VPN,
            key => key,
        };
        set(entry.key, &entry, &mut values)?;
        said.say(key, &values);
        if lines.insert(key, entry.line).is_some() {
            return Err(entry.wrong("of vpn and no-uplink = true a guest can have one"));
        }
    }
    let spec = check_section(name, &said);
    let line = section.line;
    let read = |spec| Read { spec, line, lines: lines.clone() };
    match spec {
        Ok(spec) => Ok((said, read(spec))),
        Err(e) => {
            let keys = keys_of(&e);
            let line = keys.iter().find_map(|key| lines.get(key).copied()).unwrap_or(line);
            Err(Wrong::on(line, format!("[guest.{name}] {e}")))
        }
    }
}

/// Where to look for what cannot be, in this order.
fn keys_of(error: &Error) -> &'static [&'static str] {
    match error {
        Error::Spec(SpecError::Interface(_)) => &["interface"],
        Error::Spec(SpecError::Address { what: "gateway", .. }) => &["gateway"],
        Error::Spec(SpecError::Outside { .. } | SpecError::Length { .. }) => &["address"],
        Error::Spec(SpecError::Address { .. } | SpecError::Reserved { .. }) => {
            &["address", "gateway"]
        }
        Error::Spec(SpecError::Prefix(_)) => &["prefix"],
        Error::Spec(SpecError::Mtu(_) | SpecError::TapMtu(_)) => &["mtu"],
        Error::Spec(SpecError::Queues(_)) => &["queues"],
        Error::Spec(SpecError::Segment(_) | SpecError::SegmentKind(_)) => &["segment", "kind"],
        Error::Spec(SpecError::Lease(_)) => &["lease"],
        Error::Spec(SpecError::Tun(_) | SpecError::NoTun | SpecError::StrayTun(_)) => &["vpn"],
        Error::Spec(
            SpecError::Resolver { .. } | SpecError::Servers | SpecError::TooManyResolvers(_),
        ) => &["dns-mode"],
        Error::Unsupported(_) => &["keep", "address"],
        _ => &[],
    }
}

/// One value into the contract's field.
fn set(key: &str, entry: &Entry<'_>, config: &mut GuestConfig) -> Result<(), Wrong> {
    match key {
        "kind" => {
            config.kind = one_of(entry, &[("veth", GuestKind::VETH), ("tap", GuestKind::TAP)])?
        }
        "interface" => config.interfaceName = entry.str()?.to_owned(),
        "address" => config.addresses = vec![entry.str()?.to_owned()],
        "gateway" => config.gateway = entry.str()?.to_owned(),
        "prefix" => config.prefixLength = number(entry)?,
        "mtu" => {
            config.mtu = match entry.value.as_str() {
                Some("uplink") => MTU_FOLLOW_UPLINK,
                Some(_) => return Err(entry.wrong("mtu needs a number, or \"uplink\"")),
                None => number(entry)?,
            };
        }
        NO_UPLINK => config.vpnPolicy = VpnPolicy::NO_UPLINK,
        VPN => match entry.str()? {
            "follow" => config.vpnPolicy = VpnPolicy::FOLLOW_UPLINK,
            "block" => config.vpnPolicy = VpnPolicy::BLOCK_UNDER_LOCKDOWN,
            other => {
                let needs = || entry.wrong("vpn needs \"follow\", \"tun:NAME\" or \"block\"");
                let tun = other.strip_prefix("tun:").ok_or_else(needs)?;
                (config.vpnPolicy, config.uplink) = (VpnPolicy::NAMED_TUN, Some(tun.to_owned()));
            }
        },
        "dns-mode" => match entry.value.as_str() {
            Some("auto") => config.dns = DnsMode::AUTO,
            Some("dnat") => config.dns = DnsMode::DNAT,
            Some("forward") => config.dns = DnsMode::FORWARD,
            _ => {
                let servers = entry.words()?;
                let all = servers.iter().flat_map(|word| word.split(','));
                config.dnsServers = all.map(str::to_owned).collect();
                config.dns = DnsMode::SERVERS;
            }
        },
        "keep" => config.keep = entry.bool()?,
        "lifeline" => {
            let all = [("target", Lifeline::TARGET), ("namespace", Lifeline::NAMESPACE)];
            config.lifeline = one_of(entry, &all)?;
        }
        "lease" => config.leaseMillis = i64::from(number(entry)?).saturating_mul(1000),
        "dhcp" => config.dhcp = one_of(entry, &[("auto", Dhcp::AUTO), ("off", Dhcp::OFF)])?,
        "queues" => config.queues = number(entry)?,
        "segment" => config.segment = Some(entry.str()?.to_owned()),
        _ => return Err(entry.wrong(format!("unknown key {key:?}"))),
    }
    Ok(())
}

fn number(entry: &Entry<'_>) -> Result<i32, Wrong> {
    let number = entry.number()?;
    let large = || entry.wrong(format!("{} = {number}: the number is too large", entry.key));
    number.parse().map_err(|_| large())
}

fn one_of<T: Copy>(entry: &Entry<'_>, all: &[(&str, T)]) -> Result<T, Wrong> {
    let said = entry.str()?;
    let one = all.iter().find(|(word, _)| *word == said);
    one.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|(word, _)| format!("{word:?}")).collect();
        entry.wrong(format!("{} = {said:?}: use {}", entry.key, words.join(" or ")))
    })
}

/// What could not be attached at the same time: an address twice, or subnets that overlap with gateways of
/// their own.
fn refuse_collisions<'a>(all: impl Iterator<Item = &'a Read>) -> Result<(), Wrong> {
    let mut addresses: OrderedMap<Ipv4Addr, &Read> = OrderedMap::new();
    let mut subnets: OrderedMap<Ipv4Addr, &Read> = OrderedMap::new();
    for read in all {
        let spec = &read.spec;
        if let Some(address) = spec.address() {
            if let Some(other) = addresses.insert(address, read) {
                let (name, line) = (&other.spec.name, other.line_of(&["address"]));
                return Err(Wrong::on(
                    read.line_of(&["address"]),
                    format!(
                        "[guest.{}] address {address} is [guest.{name}]'s, in line {line}",
                        spec.name
                    ),
                ));
            }
        }
        // None of them overlap each other: who can is the last at or before it, and the first behind it.
        let first = spec.subnet.network();
        let before = subnets.range(..=first).next_back();
        let near = before.into_iter().chain(subnets.range(first..).next());
        for (_, other) in near {
            let theirs = &other.spec;
            let same = (theirs.subnet, theirs.gateway) == (spec.subnet, spec.gateway);
            if !same && theirs.subnet.overlaps(&spec.subnet) {
                let keys = ["gateway", "prefix"];
                let cause = format!(
                    "[guest.{}] {} with gateway {} overlaps {} with gateway {} of [guest.{}], in line {}: use \
                     one gateway and prefix for both, or subnets apart",
                    spec.name,
                    spec.subnet,
                    spec.gateway,
                    theirs.subnet,
                    theirs.gateway,
                    theirs.name,
                    other.line_of(&keys)
                );
                return Err(Wrong::on(read.line_of(&keys), cause));
            }
        }
        subnets.insert(first, read);
    }
    Ok(())
}
