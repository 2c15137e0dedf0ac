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

//! Which addresses can be a resolver's behind an uplink.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

/// Where a guest's questions for names go, which it asks its gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dns {
    /// To guestnetd's forwarder where netd resolves or where no one resolver would do; else as `Dnat`.
    #[default]
    Auto,
    /// To the resolver behind the uplink itself, its address changed on the way.
    Dnat,
    /// To guestnetd's forwarder, which asks netd, or all resolvers behind the guest's way out.
    Forward,
    /// To guestnetd's forwarder, which asks these, in their order.
    Servers(Vec<IpAddr>),
}

impl Dns {
    /// Whether nothing was asked for.
    pub fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// A server that the forwarder may ask for a guest, or why it may not, with the remedy.
pub fn asked(text: &str) -> Result<IpAddr, &'static str> {
    match text.parse() {
        Ok(IpAddr::V6(address)) if address.is_loopback() => {
            Err("it is a loopback address; name the server that the local resolver asks")
        }
        Ok(IpAddr::V6(address)) if address.is_multicast() || address.is_unspecified() => {
            Err("it is no host's address; name one server")
        }
        // As another family would ask it, which it does not mean.
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            Err("it is an IPv4 address in IPv6's clothes; name the IPv4 address")
        }
        Ok(IpAddr::V6(address)) => Ok(address.into()),
        _ => resolver(text).map(IpAddr::V4),
    }
}

/// Most resolvers for one uplink.
pub const MOST_RESOLVERS: usize = 8;

/// A resolver's address, or why it can be none, with the remedy.
pub fn resolver(text: &str) -> Result<Ipv4Addr, &'static str> {
    let address = match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address,
        Ok(IpAddr::V6(_)) => return Err("guests have no IPv6; name an IPv4 address of the server"),
        Err(_) => return Err("it is not an IPv4 address such as 192.0.2.53"),
    };
    match address.octets() {
        [0, ..] => Err("0.0.0.0/8 is not a host's address; name the server's"),
        [127, ..] => Err("it is a loopback address; name the server that the local resolver asks"),
        [224..=239, ..] => Err("it is a multicast address; name one server"),
        [240..=255, ..] => Err("240.0.0.0/4 is not a host's address; name the server's"),
        _ => Ok(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_beyond_the_uplink_is_one() {
        for text in ["192.0.2.53", "10.0.0.1", "1.1.1.1", "223.255.255.254", "169.254.1.1"] {
            assert_eq!(resolver(text), Ok(text.parse().unwrap()));
        }
    }

    #[test]
    fn what_is_none_has_its_cause() {
        for (text, cause) in [
            ("", "not an IPv4 address"),
            ("dns.example", "not an IPv4 address"),
            ("192.0.2.53:53", "not an IPv4 address"),
            ("192.0.2.053", "not an IPv4 address"),
            (" 192.0.2.53", "not an IPv4 address"),
            ("::1", "no IPv6"),
            ("2001:db8::53", "no IPv6"),
            ("::ffff:192.0.2.53", "no IPv6"),
            ("0.0.0.0", "0.0.0.0/8"),
            ("127.0.0.53", "loopback"),
            ("224.0.0.251", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "240.0.0.0/4"),
            ("255.255.255.255", "240.0.0.0/4"),
        ] {
            let why = resolver(text).unwrap_err();
            assert!(why.contains(cause), "{text}: {why}");
        }
    }
}
