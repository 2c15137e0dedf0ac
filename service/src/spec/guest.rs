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

//! What a caller asked for, checked: a `GuestSpec` cannot describe a network that cannot be.

use super::kind::Kind;
use super::mtu::Mtu;
use super::names::{GuestName, IfName, SegmentName};
use super::resolver::{Dns, MOST_RESOLVERS};
use super::subnet::Subnet;
use super::vpn::VpnPolicy;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not a guest's name.
    #[error(
        "{0:?} is not a guest's name: 1 to 63 of A-Z a-z 0-9 . _ - with a letter or digit first"
    )]
    Name(String),
    /// Not an interface's name.
    #[error(
        "{0:?} is not a name for the guest's interface: 1 to 15 of A-Z a-z 0-9 . _ - and not lo"
    )]
    Interface(String),
    /// Not an address.
    #[error("{what} {text:?} is not an IPv4 unicast address such as 172.17.3.9")]
    Address {
        /// "address" or "gateway".
        what: &'static str,
        /// What was passed.
        text: String,
    },
    /// In another subnet.
    #[error("address {address} is not in {subnet}, the gateway's subnet")]
    Outside {
        /// The address asked for.
        address: Ipv4Addr,
        /// The gateway's subnet.
        subnet: Subnet,
    },
    /// An address with a meaning of its own.
    #[error("{address} is the {role} address of {subnet}; choose another one")]
    Reserved {
        /// The address asked for.
        address: Ipv4Addr,
        /// "network", "broadcast" or "gateway".
        role: &'static str,
        /// The gateway's subnet.
        subnet: Subnet,
    },
    /// Not a prefix for a gateway and a guest.
    #[error("prefix length {0} leaves no room for a gateway and a guest: use 1 to 30")]
    Prefix(i32),
    /// An address with the length of another subnet.
    #[error(
        "address {text:?} has another prefix length than the subnet, {subnet}: use that, or none"
    )]
    Length {
        /// What was passed.
        text: String,
        /// The subnet's.
        subnet: i32,
    },
    /// Not an MTU.
    #[error("MTU {0} is not possible: use 68 to 65535, or -1 for the uplink's")]
    Mtu(i32),
    /// Not an MTU of a TAP device's.
    #[error("MTU {0} is not possible with a TAP: use 68 to 65521, or -1 for the uplink's")]
    TapMtu(Mtu),
    /// Not as many queues as a link can have.
    #[error("{0} queues are not possible: use 1 to 16, and more than 1 with a TAP only")]
    Queues(i32),
    /// Not a segment's name.
    #[error(
        "{0:?} is not a segment's name: use 1 to 63 letters, digits, '.', '_' and '-', the first one a letter or digit"
    )]
    Segment(String),
    /// A guest on a segment, and none named; or a segment named, and its guest is on none.
    #[error("GuestKind.{0}: name a segment (GuestConfig.segment) with BRIDGED or TAP, and with BRIDGED in any case")]
    SegmentKind(&'static str),
    /// Not a lease.
    #[error("a lease of {0} ms is not possible: use 1000 (a second) to 31536000000 (a year), or 0 for none")]
    Lease(i64),
    /// More text than a valid configuration has.
    #[error("the configuration holds {0} bytes of text; no valid one holds more than {MAX_TEXT}")]
    TooLarge(usize),
    /// A way out that is none.
    #[error(
        "{0:?} is not a valid name of a VPN's interface: use its name, such as tun0; not lo, not a guest's link"
    )]
    Tun(String),
    /// A policy without its way out.
    #[error("NAMED_TUN needs the name of the VPN's interface in GuestConfig.uplink, such as tun0")]
    NoTun,
    /// A way out without its policy.
    #[error("GuestConfig.uplink is for NAMED_TUN only: choose that policy, or leave {0:?} out")]
    StrayTun(String),
    /// Not an uplink's name.
    #[error(
        "{0:?} is not a valid uplink: use an interface such as wlan0; not lo, not a guest's link"
    )]
    Uplink(String),
    /// Not a resolver's address.
    #[error("{text:?} cannot be a resolver: {why}")]
    Resolver {
        /// What was passed.
        text: String,
        /// Cause and remedy.
        why: &'static str,
    },
    /// Servers without their mode, or the mode without.
    #[error("GuestConfig.dnsServers belong to DnsMode.SERVERS, which needs 1 to {MOST_RESOLVERS} of them")]
    Servers,
    /// More resolvers than anybody needs.
    #[error(
        "{0} resolvers are too many: name {MOST_RESOLVERS} at most; the first is the one in use"
    )]
    TooManyResolvers(usize),
    /// Not the URL of a captive portal's API.
    #[error("{text:?} cannot be a captive portal's URL: {why}")]
    CaptivePortal {
        /// What was passed.
        text: String,
        /// Cause and remedy.
        why: &'static str,
    },
    /// Not where a probe can go.
    #[error("{text:?} cannot be probed: {why}")]
    ProbeTarget {
        /// What was passed.
        text: String,
        /// Cause and remedy.
        why: &'static str,
    },
    /// An enum value of another version.
    #[error("{what} {value} is unknown to this version")]
    Unknown {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: i32,
    },
}

/// Most text in a configuration, in bytes. Far above what a valid one needs.
pub const MAX_TEXT: usize = 4096;

/// A guest's network as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct GuestSpec {
    /// Who.
    pub name: GuestName,
    /// How it is connected.
    #[serde(skip_serializing_if = "Kind::is_veth")]
    pub kind: Kind,
    /// The interface's name in the guest.
    pub interface: IfName,
    /// The guest's addresses, at most one of each family; none: its slot's. IPv4 only, as [`Self::new`]
    /// takes them today.
    pub addresses: Vec<IpAddr>,
    /// The device's address on the link.
    pub gateway: Ipv4Addr,
    /// The subnet that both are in.
    pub subnet: Subnet,
    /// MTU; none: the uplink's.
    pub mtu: Option<Mtu>,
    /// What becomes of its traffic under a VPN.
    pub vpn: VpnPolicy,
    /// Where its questions for names go.
    #[serde(skip_serializing_if = "Dns::is_auto")]
    pub dns: Dns,
    /// Whether what it loses of its own side is put back unasked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// Whether it outlives the process that names it, for as long as its namespace is there.
    pub outlives_process: bool,
    /// How long it lives unless it is updated; none: there is no end.
    pub lease: Option<Duration>,
    /// Whether its DHCP clients are answered.
    #[serde(skip_serializing_if = "is_true")]
    pub dhcp: bool,
    /// The segment that it is on; none: it sees no other guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<SegmentName>,
}

/// The shortest and the longest lease, in milliseconds: a second, a year.
const LEASE: std::ops::RangeInclusive<i64> = 1_000..=31_536_000_000;

/// A specification as it is stored, which may be anything.
#[derive(Deserialize)]
struct Stored {
    name: GuestName,
    #[serde(default)]
    kind: Kind,
    interface: IfName,
    #[serde(default)]
    addresses: Vec<IpAddr>,
    /// What was stored before there could be more than one.
    #[serde(default)]
    address: Option<Ipv4Addr>,
    gateway: Ipv4Addr,
    subnet: Subnet,
    mtu: Option<Mtu>,
    #[serde(default)]
    vpn: VpnPolicy,
    #[serde(default)]
    dns: Dns,
    #[serde(default)]
    keep: bool,
    /// A guest of before it could be chosen lives by its namespace.
    #[serde(default = "yes")]
    outlives_process: bool,
    #[serde(default)]
    lease: Option<Duration>,
    #[serde(default = "yes")]
    dhcp: bool,
    #[serde(default)]
    segment: Option<SegmentName>,
}

fn yes() -> bool {
    true
}

fn is_true(value: &bool) -> bool {
    *value
}

impl TryFrom<Stored> for GuestSpec {
    type Error = SpecError;
    fn try_from(s: Stored) -> Result<Self, SpecError> {
        let mtu = s.mtu.map_or(-1, |mtu| mtu.bytes() as i32);
        let prefix = s.subnet.prefix().into();
        let mut given = s.addresses.into_iter().chain(s.address.map(IpAddr::V4));
        let address = match (given.next(), given.next()) {
            (None, _) => None,
            (Some(IpAddr::V4(address)), None) => Some(address),
            (Some(other), None) | (_, Some(other)) => {
                return Err(SpecError::Address { what: "address", text: other.to_string() })
            }
        };
        let spec = Self::new(s.name, s.interface, address, s.gateway, prefix, mtu)?;
        let lease = s.lease.map_or(0, |lease| i64::try_from(lease.as_millis()).unwrap_or(-1));
        let spec = spec.under(s.vpn)?.lives(s.outlives_process, lease)?;
        spec.kept(s.keep).asks(s.dns).with_dhcp(s.dhcp).on(s.segment).connected(s.kind)
    }
}

impl GuestSpec {
    /// Checks what belongs together. `prefix` and `mtu` as in the contract's `GuestConfig`.
    pub fn new(
        name: GuestName,
        interface: IfName,
        address: Option<Ipv4Addr>,
        gateway: Ipv4Addr,
        prefix: i32,
        mtu: i32,
    ) -> Result<Self, SpecError> {
        if interface.as_str() == "lo" {
            return Err(SpecError::Interface("lo".into()));
        }
        let subnet = u8::try_from(prefix)
            .ok()
            .filter(|prefix| (1..=30).contains(prefix))
            .and_then(|prefix| Subnet::containing(gateway, prefix))
            .ok_or(SpecError::Prefix(prefix))?;
        let possible = || u32::try_from(mtu).ok().and_then(Mtu::new).ok_or(SpecError::Mtu(mtu));
        let mtu = if mtu == -1 { None } else { Some(possible()?) };
        usable("gateway", gateway)?;
        ends(gateway, subnet)?;
        if let Some(address) = address {
            usable("address", address)?;
            if !subnet.contains(address) {
                return Err(SpecError::Outside { address, subnet });
            }
            ends(address, subnet)?;
            if address == gateway {
                return Err(SpecError::Reserved { address, role: "gateway", subnet });
            }
        }
        let (vpn, dns) = (VpnPolicy::default(), Dns::default());
        let addresses = address.into_iter().map(IpAddr::V4).collect();
        let (keep, outlives_process, lease) = (false, false, None);
        Ok(Self {
            name,
            kind: Kind::Veth,
            interface,
            addresses,
            gateway,
            subnet,
            mtu,
            vpn,
            dns,
            keep,
            outlives_process,
            lease,
            dhcp: true,
            segment: None,
        })
    }

    /// The same, connected in another way.
    pub fn connected(self, kind: Kind) -> Result<Self, SpecError> {
        match self.mtu.filter(|mtu| !kind.takes(*mtu)) {
            Some(mtu) => Err(SpecError::TapMtu(mtu)),
            None => Ok(Self { kind, ..self }),
        }
    }

    /// The same on a segment, or on none.
    pub fn on(self, segment: Option<SegmentName>) -> Self {
        Self { segment, ..self }
    }

    /// The IPv4 address that was asked for.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        })
    }

    /// The same with another life. `lease_millis` as in the contract's `GuestConfig`.
    pub fn lives(self, outlives_process: bool, lease_millis: i64) -> Result<Self, SpecError> {
        let lease = match lease_millis {
            0 => None,
            millis if LEASE.contains(&millis) => Some(Duration::from_millis(millis.unsigned_abs())),
            millis => return Err(SpecError::Lease(millis)),
        };
        Ok(Self { outlives_process, lease, ..self })
    }

    /// The same under another VPN policy.
    pub fn under(self, vpn: VpnPolicy) -> Result<Self, SpecError> {
        match vpn.tun() {
            Some(tun) if !tun.leads_out() => Err(SpecError::Tun(tun.to_string())),
            _ => Ok(Self { vpn, ..self }),
        }
    }

    /// The same, with its questions going elsewhere.
    pub fn asks(self, dns: Dns) -> Self {
        Self { dns, ..self }
    }

    /// The same, with what it loses put back unasked or not.
    pub fn kept(self, keep: bool) -> Self {
        Self { keep, ..self }
    }

    /// The same, with its DHCP clients answered or not.
    pub fn with_dhcp(self, dhcp: bool) -> Self {
        Self { dhcp, ..self }
    }
}

/// Whether an interface can have this address at all.
fn usable(what: &'static str, address: Ipv4Addr) -> Result<(), SpecError> {
    let [first, ..] = address.octets();
    // 0/8, 127/8, multicast and 240/4: the kernel takes or routes none of them as a unicast address.
    if first == 0 || first == 127 || first >= 224 {
        return Err(SpecError::Address { what, text: address.to_string() });
    }
    Ok(())
}

fn ends(address: Ipv4Addr, subnet: Subnet) -> Result<(), SpecError> {
    let role = match address {
        a if a == subnet.network() => "network",
        a if a == subnet.broadcast() => "broadcast",
        _ => return Ok(()),
    };
    Err(SpecError::Reserved { address, role, subnet })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(address: &str, gateway: &str, prefix: i32, mtu: i32) -> Result<GuestSpec, SpecError> {
        GuestSpec::new(
            GuestName::new("g").unwrap(),
            IfName::new("wlan0").unwrap(),
            (!address.is_empty()).then(|| address.parse().unwrap()),
            gateway.parse().unwrap(),
            prefix,
            mtu,
        )
    }

    #[test]
    fn the_original_is_valid() {
        let s = spec("", "172.17.3.2", 16, -1).unwrap();
        assert_eq!(
            (s.subnet.to_string().as_str(), s.mtu, s.address()),
            ("172.17.0.0/16", None, None)
        );
    }

    #[test]
    fn a_way_out_of_its_own_leads_out() {
        let under = |vpn| spec("", "172.17.3.2", 16, -1).unwrap().under(vpn);
        let tun = |name| VpnPolicy::NamedTun(IfName::new(name).unwrap());
        for good in [tun("tun0"), tun("vm_wlan0"), VpnPolicy::BlockUnderLockdown] {
            assert_eq!(under(good.clone()).unwrap().vpn, good);
        }
        for bad in ["lo", "vm_wlan", "vm_wlan7"] {
            assert_eq!(under(tun(bad)), Err(SpecError::Tun(bad.into())));
        }
    }

    #[test]
    fn what_is_stored_may_be_older_or_odd() {
        let asked = spec("", "172.17.3.2", 16, -1).unwrap();
        let tun = VpnPolicy::NamedTun(IfName::new("tun0").unwrap());
        let under_tun = asked.clone().under(tun).unwrap();
        let mut stored = serde_json::to_value(&under_tun).unwrap();
        assert_eq!(serde_json::from_value::<GuestSpec>(stored.clone()).unwrap(), under_tun);
        let tap = Kind::Tap { queues: crate::spec::Queues::new(2).unwrap(), owner: 10_123 };
        let as_tap = under_tun.clone().connected(tap).unwrap();
        let mut odd = serde_json::to_value(&as_tap).unwrap();
        assert_eq!(serde_json::from_value::<GuestSpec>(odd.clone()).unwrap(), as_tap);
        odd["kind"]["Tap"]["queues"] = 17.into();
        assert!(serde_json::from_value::<GuestSpec>(odd).is_err());
        stored["vpn"]["NamedTun"] = "vm_wlan".into();
        let error = serde_json::from_value::<GuestSpec>(stored.clone()).unwrap_err();
        assert!(error.to_string().contains("not a guest's link"), "{error}");
        stored.as_object_mut().unwrap().remove("vpn");
        assert_eq!(serde_json::from_value::<GuestSpec>(stored.clone()).unwrap(), asked);
        // Before there could be more than one address.
        stored.as_object_mut().unwrap().remove("addresses");
        stored["address"] = "172.17.3.9".into();
        let read = serde_json::from_value::<GuestSpec>(stored.clone()).unwrap();
        assert_eq!(read, spec("172.17.3.9", "172.17.3.2", 16, -1).unwrap());
        for odd in [serde_json::json!(["::1"]), serde_json::json!(["172.17.3.8"])] {
            stored["addresses"] = odd;
            assert!(serde_json::from_value::<GuestSpec>(stored.clone()).is_err());
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_cause() {
        use SpecError::*;
        let reserved =
            |r: Result<_, _>, role| matches!(r, Err(Reserved { role: x, .. }) if x == role);
        for prefix in [i32::MIN, -1, 0, 31, 32, 33, 272] {
            assert_eq!(spec("", "172.17.3.2", prefix, -1), Err(Prefix(prefix)));
        }
        for mtu in [i32::MIN, -2, 0, 67, 65536, 70000] {
            assert_eq!(spec("", "172.17.3.2", 16, mtu), Err(Mtu(mtu)));
        }
        for mtu in [68, 65535] {
            assert!(spec("", "172.17.3.2", 16, mtu).is_ok());
        }
        let tap = Kind::Tap { queues: crate::spec::Queues::ONE, owner: 0 };
        let wide = spec("", "172.17.3.2", 16, 65522).unwrap();
        let most = crate::spec::Mtu::new(65522).unwrap();
        assert_eq!(wide.connected(tap), Err(TapMtu(most)));
        assert_eq!(spec("", "172.17.3.2", 16, 65521).unwrap().connected(tap).unwrap().kind, tap);
        assert!(matches!(spec("172.18.0.1", "172.17.3.2", 16, -1), Err(Outside { .. })));
        assert!(reserved(spec("172.17.3.2", "172.17.3.2", 16, -1), "gateway"));
        assert!(reserved(spec("172.17.0.0", "172.17.3.2", 16, -1), "network"));
        assert!(reserved(spec("172.17.255.255", "172.17.3.2", 16, -1), "broadcast"));
        assert!(reserved(spec("", "10.0.0.0", 24, -1), "network"));
        assert!(reserved(spec("", "10.0.0.255", 24, -1), "broadcast"));
        for odd in ["0.1.2.3", "127.0.0.1", "224.0.0.5", "255.255.255.255"] {
            assert!(matches!(spec("", odd, 8, -1), Err(Address { what: "gateway", .. })), "{odd}");
        }
    }
}
