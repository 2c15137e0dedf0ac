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

//! The kernel: everything that reads or changes it is in here, and nothing that decides.

pub mod address;
pub mod capabilities;
pub mod conntrack;
mod ctnetlink;
pub mod fib;
pub mod heard;
pub mod inside;
pub mod ipsec;
pub mod link;
pub mod mirred;
pub mod monitor;
pub mod neighbour;
pub mod netlink;
pub mod netns;
pub mod nexthop;
pub mod observe;
pub mod pin;
pub mod process;
pub mod route;
pub mod rule;
pub mod sysctl;
pub mod tc;
#[cfg(test)]
pub(crate) mod testing;
pub mod told;
pub mod tracked;
pub mod tun;
pub mod uplink;
