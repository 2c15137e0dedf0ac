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

//! Whether a guest's subnet is free on the device, and one that is. Pure. (Between guests: `leases.rs`.)

use super::table::TableId;
use crate::error::Error;
use crate::spec::{GuestSpec, Subnet};
use std::fmt;
use std::net::Ipv4Addr;

/// A prefix that the device uses for itself, with what a person needs to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePrefix {
    /// The prefix.
    pub subnet: Subnet,
    /// The interface it is on; empty for routes without one (blackhole).
    pub interface: String,
    /// The routing table it is in; none for an address.
    pub table: Option<TableId>,
}

impl fmt::Display for DevicePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The kernel takes a name with control characters, and this goes to a log and a terminal.
        let interface = self.interface.escape_debug();
        match self.table {
            None => write!(f, "{} of {interface}", self.subnet),
            Some(table) if self.interface.is_empty() => {
                write!(f, "the route {} in table {table}", self.subnet)
            }
            Some(table) => {
                write!(f, "the route {} dev {interface} in table {table}", self.subnet)
            }
        }
    }
}

/// Refuses a subnet that the device uses itself. `device` holds no default routes and nothing of
/// guestnetd's own.
pub fn check(spec: &GuestSpec, device: &[DevicePrefix]) -> Result<(), Error> {
    match device.iter().find(|p| p.subnet.overlaps(&spec.subnet)) {
        Some(taken) => {
            let (subnet, what) = (spec.subnet, taken.to_string());
            Err(Error::SubnetOverlap { subnet, what, guest: None, free: None })
        }
        None => Ok(()),
    }
}

/// The error with a gateway that can be asked for instead: of a subnet as long, with the same host
/// bits, of which `taken` says that it is free.
pub fn with_a_free_gateway(
    error: Error,
    gateway: Ipv4Addr,
    taken: impl Fn(&Subnet) -> bool,
) -> Error {
    let Error::SubnetOverlap { subnet, what, guest, .. } = error else { return error };
    let free = neighbours(gateway, subnet.prefix())
        .find(|other| Subnet::containing(*other, subnet.prefix()).is_some_and(|s| !taken(&s)));
    Error::SubnetOverlap { subnet, what, guest, free }
}

/// The same address in other private networks (RFC 1918), those nearest to the default first:
/// networks of 16 bits, or as wide as asked for.
fn neighbours(gateway: Ipv4Addr, prefix: u8) -> impl Iterator<Item = Ipv4Addr> {
    const PRIVATE: [(u32, u8); 3] = [(0xac10_0000, 12), (0x0a00_0000, 8), (0xc0a8_0000, 16)];
    let width = prefix.min(16);
    let host = u32::from(gateway) & u32::MAX.checked_shr(width.into()).unwrap_or(0);
    let wide_enough = PRIVATE.into_iter().filter(move |(_, length)| *length <= width);
    wide_enough.flat_map(move |(first, length)| {
        (0..1 << (width - length)).map(move |n| Ipv4Addr::from(first | n << (32 - width) | host))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(gateway: [u8; 4], prefix: u8, taken: &[([u8; 4], u8)]) -> Option<Ipv4Addr> {
        let subnet = |(address, prefix): ([u8; 4], u8)| {
            Subnet::containing(Ipv4Addr::from(address), prefix).unwrap()
        };
        let taken: Vec<_> = taken.iter().map(|one| subnet(*one)).collect();
        let overlap = Error::SubnetOverlap {
            subnet: subnet((gateway, prefix)),
            what: String::new(),
            guest: None,
            free: None,
        };
        let error = with_a_free_gateway(overlap, gateway.into(), |subnet| {
            taken.iter().any(|taken| taken.overlaps(subnet))
        });
        match error {
            Error::SubnetOverlap { free, .. } => free,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn an_interfaces_name_is_shown_without_control_characters() {
        let subnet = Subnet::containing([10, 0, 0, 1].into(), 24).unwrap();
        for table in [None, Some(TableId::MAIN)] {
            let interface = "\u{1b}[31mX\u{7}".to_owned();
            let shown = DevicePrefix { subnet, interface, table }.to_string();
            assert!(!shown.contains(char::is_control) && shown.contains("[31mX"), "{shown}");
        }
    }

    #[test]
    fn a_free_gateway_is_offered() {
        let gateway = [172, 17, 3, 2];
        let all = ([172, 16, 0, 0], 12);
        for (prefix, taken, free) in [
            (16, &[([172, 17, 0, 1], 16)][..], Some([172, 16, 3, 2])),
            (16, &[([172, 16, 0, 0], 15)], Some([172, 18, 3, 2])),
            (16, &[all], Some([10, 0, 3, 2])),
            (24, &[all, ([10, 0, 0, 0], 8)], Some([192, 168, 3, 2])),
            (24, &[all, ([10, 0, 0, 0], 8), ([192, 168, 3, 0], 24)], None),
            (12, &[all], Some([10, 1, 3, 2])),
            (8, &[([10, 0, 0, 0], 8)], None),
            (1, &[], None),
        ] {
            let found = offered(gateway, prefix, taken);
            assert_eq!(found, free.map(Ipv4Addr::from), "/{prefix}, {taken:?}");
        }
    }
}
