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

//! guestnetd: gives a guest on an Android device its network.
//!
//! Data flows one way, whatever triggers it:
//!
//! ```text
//! call, kernel event, timer → spec, world → model (pure) → apply → kernel, firewall → read back → answer, event
//! ```
//!
//! | module | what | touches |
//! |---|---|---|
//! | [`api`] | who calls; parcels to [`spec`] and back; listeners, dumps | Binder |
//! | [`spec`] | what was asked for, in types that cannot be wrong | nothing |
//! | [`model`] | what should be, what is, the steps between; slots and addresses | nothing |
//! | [`daemon`] | the guests, the order of things, repairs, health | by the two below |
//! | [`effects`] | the executor, what guests share, kernel, packet filter, platform: the only writers | the kernel, netd |
//! | [`doctor`] | probes, and one cause | the network |
//! | [`confine`] | what guestnetd's own process may use and do | its own process |
//! | [`serve`] | servers for guests, on a thread of their own | sockets |
//! | [`memory`] | what its allocator keeps | its own process |
//! | `config` | the configuration file: options, and what guests get by their names; on Linux | the file |
//! | [`store`] | what must survive a restart | the state directory |
//!
//! The contract is AIDL (`aidl/`): clients link against that and never against this crate.

#![deny(missing_docs)]

pub mod api;
pub mod cli;
#[cfg(not(target_os = "android"))]
pub mod config;
pub mod confine;
pub mod daemon;
pub mod doctor;
pub mod effects;
pub mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod logging;
pub mod memory;
pub mod model;
pub mod ordered;
pub mod run;
pub mod serve;
pub mod spec;
pub mod store;
pub mod write;
