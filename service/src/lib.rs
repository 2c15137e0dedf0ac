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
//! Data flows one way: a call (`api`) becomes a `spec` that cannot be wrong; the `daemon` compares it
//! with what is there (`model`), applies the steps to the `kernel` and the `firewall`, reads back
//! what is there, and answers. `spec`, `model` and `alloc` are pure; the kernel is touched in `kernel`
//! and `firewall` only.

#![deny(missing_docs)]

pub mod alloc;
pub mod api;
pub mod cli;
pub mod daemon;
pub mod error;
pub mod firewall;
pub mod kernel;
pub mod logging;
pub mod model;
mod platform;
pub mod run;
pub mod spec;
pub mod store;
pub mod uplink;
