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

//! The pure middle: what a guest's network is to be, and the steps there from what was found.
//! Nothing here touches the kernel, the store or the wire.

pub mod alloc;
pub mod backoff;
pub mod change;
pub mod desired;
pub mod dhcp;
pub mod diff;
pub mod dns;
pub mod fault;
mod forwarded;
pub mod forwarding;
pub mod guest_net;
pub mod guest_table;
pub mod identity;
pub mod if_index;
pub mod ipsec;
pub mod layer;
pub mod lifeline;
pub mod lockdown;
pub mod names;
pub mod object;
pub mod ownership;
pub mod policy_rules;
pub mod ruleset;
pub mod segment;
pub mod sources;
pub mod step;
pub mod subnet_conflict;
pub mod table;
pub mod tc;
pub mod timeline;
pub mod trace;
pub mod uplink;
pub mod world;

pub use guest_net::{GuestEnd, GuestNet, HostEnd};
pub use object::{Object, Scope};
pub use step::{Reversible, Step};
