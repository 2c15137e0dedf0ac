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

//! What a packet's way depends on that no packet filter says: the device's routes, addresses, programs.

use super::packet::Link;
use std::net::Ipv4Addr;

/// Who answers that.
pub trait Device {
    /// By which link the device would send a packet to this address, with this mark, if it were its
    /// own; none: by none.
    fn towards(&self, address: Ipv4Addr, mark: u32) -> Option<Link>;
    /// Where it passes on what comes in by a link.
    fn onward(&self, from: Ipv4Addr, to: Ipv4Addr, input: &Link, mark: u32) -> Onward;
    /// The type of an address (RTN_*).
    fn address_type(&self, address: Ipv4Addr) -> u8;
    /// Whether a program listens at this port.
    fn listens(&self, protocol: u8, port: u16) -> bool;
    /// The user whose program listens at this port; none: that is not known.
    fn owner(&self, _protocol: u8, _port: u16) -> Option<u32> {
        None
    }
    /// Seconds since 1970; none: that is not known.
    fn now(&self) -> Option<u64> {
        None
    }
    /// How many processors there are; none: that is not known.
    fn processors(&self) -> Option<u32> {
        None
    }
    /// Whether a program takes packets from each of these queues; none: from some of them only, or that
    /// is not known.
    fn queues(&self, _first: u16, _count: u16) -> Option<bool> {
        None
    }
    /// Whether it is in the kernel's set (ipset) of this number; none: that cannot be told.
    fn in_set(&self, _set: u16, _member: &Member) -> Option<bool> {
        None
    }
    /// Whether somebody answers at an address what comes from a guest by this protocol; none: nothing was
    /// sent there.
    fn answers(&self, _from: Ipv4Addr, _at: Ipv4Addr, _protocol: u8) -> Option<bool> {
        None
    }
    /// Is told where it depends on whose packet it is which way a packet that stands for many goes.
    fn depends(&self) {}
}

/// What is looked for in a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// For each part of the set's members, the packet's address and port of the side that it is about.
    pub parts: Vec<(Ipv4Addr, Option<u16>)>,
    /// The packet's transport.
    pub protocol: u8,
}

/// Where a packet is passed on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Onward {
    /// To the device itself.
    Here,
    /// By this link.
    By(Link),
    /// Nowhere.
    Nowhere,
}
