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

//! Whether a guest's subnet is free on the device. Pure. (Between guests: `leases.rs`.)

use crate::error::Error;
use crate::spec::{GuestSpec, Subnet};
use std::fmt;

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

/// Refuses a subnet that the device uses itself. `device` holds no default routes and nothing of
/// guestnetd's own.
pub fn check(spec: &GuestSpec, device: &[DevicePrefix]) -> Result<(), Error> {
    match device.iter().find(|p| p.subnet.overlaps(&spec.subnet)) {
        Some(taken) => Err(Error::SubnetOverlap { subnet: spec.subnet, what: taken.to_string() }),
        None => Ok(()),
    }
}
