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

//! The bed of the black-box tests: devices, an internet, guests and real containers, each in
//! network namespaces that it makes and removes itself, and the real guestnetd among them.
//!
//! It knows guestnetd by its command line and its AIDL contract only, never by its code. It is
//! for tests: whatever of the bed itself goes wrong is a panic that says what.

pub mod bed;
pub mod client;
pub mod daemon;
pub mod device;
pub mod internet;
pub mod kills;
pub mod lxc;
pub mod netd;
pub mod netns;
pub mod program;
pub mod resolver;
pub mod snapshot;
pub mod traffic;
pub mod user;
pub mod vm;
pub mod xdp;

pub use bed::Bed;
pub use daemon::Daemon;
pub use device::Device;
pub use guestnet_on_device::{
    guest, must, poll, probe, said, uninterrupted, Guest, InNetns, Probe,
};
pub use internet::Internet;
pub use lxc::Container;
pub use netd::NetdDevice;
pub use netns::Netns;
pub use snapshot::Snapshot;
