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

//! From what happens on a device to the traffic that flows again: probes that are sent all the time,
//! what the kernel announces meanwhile, which connections it forgets.

mod announced;
pub mod cpu;
mod flow;
pub mod netlink;
mod prober;
mod tracked;

pub use announced::{Announced, Heard, Monitor, Ours, Who};
pub use flow::{flow, Flow, Sent};
pub use prober::Prober;
pub use tracked::Forgotten;
