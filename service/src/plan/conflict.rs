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

//! Whether a guest's subnet is free on the device. Pure.

use crate::error::Error;
use crate::spec::{GuestName, GuestSpec, Subnet};
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
    pub table: Option<u32>,
}

impl fmt::Display for DevicePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table {
            None => write!(f, "{} of {}", self.subnet, self.interface),
            Some(table) if self.interface.is_empty() => {
                write!(f, "the route {} in table {table}", self.subnet)
            }
            Some(table) => {
                write!(f, "the route {} by {} in table {table}", self.subnet, self.interface)
            }
        }
    }
}

/// An attached guest, as far as addresses go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour<'a> {
    /// Who.
    pub name: &'a GuestName,
    /// Its subnet.
    pub subnet: Subnet,
    /// Its gateway.
    pub gateway: Ipv4Addr,
    /// Its address.
    pub address: Ipv4Addr,
}

/// Refuses a subnet that the device or other guests use in another way, and an address that
/// another guest has. `device` holds no default routes and nothing of guestnetd's own.
pub fn check<'a>(
    spec: &GuestSpec,
    device: &[DevicePrefix],
    guests: impl IntoIterator<Item = Neighbour<'a>>,
) -> Result<(), Error> {
    if let Some(taken) = device.iter().find(|p| p.subnet.overlaps(&spec.subnet)) {
        return Err(Error::SubnetOverlap { subnet: spec.subnet, what: taken.to_string() });
    }
    for other in guests {
        if spec.address == Some(other.address) {
            return Err(Error::AddressInUse { address: other.address, guest: other.name.clone() });
        }
        let same = other.subnet == spec.subnet && other.gateway == spec.gateway;
        if !same && other.subnet.overlaps(&spec.subnet) {
            let what =
                format!("{} of guest {} (gateway {})", other.subnet, other.name, other.gateway);
            return Err(Error::SubnetOverlap { subnet: spec.subnet, what });
        }
    }
    Ok(())
}
