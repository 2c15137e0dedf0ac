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

//! What a caller may ask for, as types that cannot hold a bad value. Pure: nothing here knows
//! the wire, and nothing here touches the kernel.

mod guest;
mod ip_prefix;
mod kind;
mod mtu;
mod names;
mod resolver;
mod subnet;
mod uplink_info;
mod vpn;

pub use guest::{GuestSpec, SpecError, MAX_TEXT};
pub use ip_prefix::{Family, IpPrefix, NotAPrefix};
pub use kind::{Kind, Queues};
pub use mtu::Mtu;
pub use names::{GuestName, IfName, IfPattern, SegmentName, HOST_PREFIX};
pub use resolver::{asked, resolver, Dns, MOST_RESOLVERS};
pub use subnet::Subnet;
pub use uplink_info::{portal, DeviceState, UplinkInfo, UplinkInfos};
pub use vpn::VpnPolicy;
