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

use std::net::{IpAddr, Ipv4Addr};

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
