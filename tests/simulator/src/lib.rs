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

//! A small deterministic Linux for tests: network namespaces with links, addresses, routes, rules and
//! sysctls, which speak netlink as the kernel does, in its bytes, and x_tables as its socket options do. There is no clock, no thread and no
//! order of chance in it: the same requests have the same answers. What it does not know it refuses
//! with EOPNOTSUPP, never with a guess. docs/decisions/simulator.md says what it knows;
//! `tests/against_linux.rs` holds it against the kernel.

mod address;
mod announce;
mod carrier;
mod conf;
mod emit;
mod fib;
mod frame;
pub mod iptables;
mod kernel;
mod link;
mod link_new;
mod neighbour;
mod nsid;
mod packet;
mod route;
mod rtnetlink;
mod rule;
mod space;
mod sysctl;
mod tc;
mod tun;
mod wire;
pub mod xtables;

pub use announce::Listener;
pub use frame::Heard;
pub use kernel::Kernel;
pub use packet::{Connection, Fate, Packet, Ruleset};
pub use space::Netns;
pub use tun::Queue;

/// Netlink's protocol for links, addresses, routes and rules.
pub const ROUTE: u32 = 0;
/// Netlink's protocol for IPsec.
pub const XFRM: u32 = 6;
/// Netlink's protocol for packet filters and connections.
pub const NETFILTER: u32 = 12;
