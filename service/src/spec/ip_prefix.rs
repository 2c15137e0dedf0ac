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

//! IP prefixes of both families and their arithmetic. Pure.

use super::subnet::Subnet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// That of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Bits of an address.
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// An address and the length of its prefix, as an interface has them (`172.17.0.1/16`); with no
/// host bit set, a network (`172.17.0.0/16`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpPrefix {
    address: IpAddr,
    length: u8,
}

impl IpPrefix {
    /// An address and the length of its prefix; nothing if that is over 32, or 128.
    pub fn new(address: impl Into<IpAddr>, length: u8) -> Option<Self> {
        let address = address.into();
        (length <= Family::of(address).bits()).then_some(Self { address, length })
    }

    /// The network that an address is in; nothing if the length is over 32, or 128.
    pub fn containing(address: impl Into<IpAddr>, length: u8) -> Option<Self> {
        let prefix = Self::new(address, length)?;
        Some(Self { address: prefix.network(), ..prefix })
    }

    /// The network of everything: `0.0.0.0/0` or `::/0`.
    pub fn everything(family: Family) -> Self {
        Self { address: address(family, 0), length: 0 }
    }

    /// The IP version.
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// The address, host bits and all.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Length of the prefix in bits.
    pub fn prefix(&self) -> u8 {
        self.length
    }

    /// The network address, the lowest one.
    pub fn network(&self) -> IpAddr {
        address(self.family(), number(self.address) & !self.host_bits())
    }

    /// IPv4's broadcast address; none in a network of two addresses or one (RFC 3021).
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match address(self.family(), number(self.address) | self.host_bits()) {
            IpAddr::V4(highest) => Some(highest).filter(|_| self.length < 31),
            IpAddr::V6(_) => None,
        }
    }

    /// Whether an address is in the network; never one of the other family.
    pub fn contains(&self, other: impl Into<IpAddr>) -> bool {
        let other = other.into();
        let differ = number(self.address) ^ number(other);
        self.family() == Family::of(other) && differ & !self.host_bits() == 0
    }

    /// Whether the two have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let wider = if self.length < other.length { self } else { other };
        wider.contains(self.address) && wider.contains(other.address)
    }

    /// The network, where it is IPv4's.
    pub fn v4(&self) -> Option<Subnet> {
        match self.address {
            IpAddr::V4(address) => Subnet::containing(address, self.length),
            IpAddr::V6(_) => None,
        }
    }

    fn host_bits(&self) -> u128 {
        let host = u32::from(self.family().bits() - self.length);
        1_u128.checked_shl(host).unwrap_or(0).wrapping_sub(1)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn address(family: Family, number: u128) -> IpAddr {
    match family {
        // The upper bits are 0.
        Family::V4 => Ipv4Addr::from(number as u32).into(),
        Family::V6 => IpAddr::V6(number.into()),
    }
}

impl From<Subnet> for IpPrefix {
    fn from(subnet: Subnet) -> Self {
        Self { address: subnet.network().into(), length: subnet.prefix() }
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// A text that is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a prefix: write ADDRESS/LENGTH, like 172.17.0.1/16 or fd00::1/64")]
pub struct NotAPrefix(String);

impl FromStr for IpPrefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        let parts = text.split_once('/');
        // u8's own parser takes a sign.
        let parts = parts.filter(|(_, length)| length.bytes().all(|b| b.is_ascii_digit()));
        let read = |(address, length): (&str, &str)| {
            Self::new(address.parse::<IpAddr>().ok()?, length.parse().ok()?)
        };
        parts.and_then(read).ok_or_else(|| NotAPrefix(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> IpPrefix {
        text.parse().unwrap()
    }

    fn network(text: &str) -> IpPrefix {
        let prefix = prefix(text);
        IpPrefix::containing(prefix.address(), prefix.prefix()).unwrap()
    }

    /// Many prefixes of both families, of every length, by a fixed generator (xorshift).
    fn many() -> Vec<IpPrefix> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut all = Vec::new();
        for length in 0..=128 {
            let six = u128::from(next()) << 64 | u128::from(next());
            all.push(IpPrefix::new(address(Family::V6, six), length).unwrap());
            if length <= 32 {
                let four = u128::from(next() as u32);
                all.push(IpPrefix::new(address(Family::V4, four), length).unwrap());
            }
        }
        all
    }

    #[test]
    fn arithmetic() {
        let one = prefix("172.17.3.2/16");
        assert_eq!(one.to_string(), "172.17.3.2/16");
        assert_eq!(one.network(), IpAddr::from([172, 17, 0, 0]));
        assert_eq!(network("172.17.3.2/16").to_string(), "172.17.0.0/16");
        assert_eq!(one.broadcast(), Some([172, 17, 255, 255].into()));
        assert_eq!(prefix("10.0.0.0/31").broadcast(), None);
        assert!(one.contains([172, 17, 255, 255]) && !one.contains([172, 18, 0, 0]));
        assert_eq!(network("9.9.9.9/0"), IpPrefix::everything(Family::V4));
        let six = prefix("fd00:1::2/64");
        assert_eq!(network("fd00:1::2/64").to_string(), "fd00:1::/64");
        assert_eq!((six.family(), six.broadcast(), six.v4()), (Family::V6, None, None));
        assert_eq!(network("fe80::1/0"), IpPrefix::everything(Family::V6));
        assert!(!IpPrefix::everything(Family::V6).contains([10, 0, 0, 1]));
        // The bits are those of ::a00:1.
        assert!(!prefix("::a00:1/128").overlaps(&prefix("10.0.0.1/32")));
    }

    #[test]
    fn overlap_is_exact() {
        let s = network("172.17.0.0/16");
        for (other, expected) in [
            ("172.17.42.1/24", true),
            ("172.16.0.0/12", true),
            ("0.0.0.0/0", true),
            ("172.17.3.3/32", true),
            ("172.18.0.0/16", false),
            ("172.16.255.255/32", false),
            ("::/0", false),
        ] {
            assert_eq!(s.overlaps(&prefix(other)), expected, "{other}");
        }
    }

    #[test]
    fn for_every_length_of_both_families() {
        let all = many();
        for one in &all {
            let net = IpPrefix::containing(one.address(), one.prefix()).unwrap();
            assert_eq!(IpPrefix::containing(net.address(), net.prefix()), Some(net));
            assert!(net.contains(one.address()) && one.contains(net.network()), "{one}");
            assert!(net.overlaps(one) && IpPrefix::everything(one.family()).overlaps(one));
            assert_eq!(one.to_string().parse(), Ok(*one));
            assert_eq!(one.v4().map(IpPrefix::from), (one.family() == Family::V4).then_some(net));
            // The neighbouring network of the same length has no address in common.
            if one.prefix() > 0 {
                let bit = 1 << (one.family().bits() - one.prefix());
                let beside = address(one.family(), number(one.address()) ^ bit);
                let beside = IpPrefix::new(beside, one.prefix()).unwrap();
                assert!(!one.overlaps(&beside) && !one.contains(beside.address()), "{one}");
            }
            for other in &all {
                let in_common = one.contains(other.network()) || other.contains(one.network());
                assert_eq!(one.overlaps(other), in_common, "{one} {other}");
                assert_eq!(one.overlaps(other), other.overlaps(one), "{one} {other}");
            }
        }
    }

    #[test]
    fn what_is_not_a_prefix() {
        for text in
            ["", "1.2.3.4", "1.2.3.4/33", "::/129", "1.2.3/8", "1.2.3.4/+8", "1.2.3.4/", "/8"]
        {
            assert_eq!(text.parse::<IpPrefix>(), Err(NotAPrefix(text.into())));
        }
        assert_eq!(IpPrefix::new([0; 4], 33), None);
        assert_eq!(IpPrefix::containing([0_u16; 8], 129), None);
    }
}
