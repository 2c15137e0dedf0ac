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

//! What a client says: guestnetd's name, and the two values that most calls take.

use std::os::fd::OwnedFd;

use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::TargetKind::TargetKind;
use binder::ParcelFileDescriptor;

/// The name that guestnetd is registered under.
pub const NAME: &str = "android.system.guestnet.IGuestNet/default";

/// The original's set-up for a guest of this name.
pub fn config(name: &str) -> GuestConfig {
    GuestConfig { name: name.to_owned(), ..Default::default() }
}

/// A guest's first address, without its prefix length.
pub fn address(guest: &Guest) -> &str {
    let first = guest.addresses.first().map_or("", String::as_str);
    first.split_once('/').map_or(first, |(address, _)| address)
}

/// The guest that a process is in.
pub fn by_pid(pid: i32) -> GuestTarget {
    GuestTarget { kind: TargetKind::PID, fd: None, pid }
}

/// The guest that the process of a pidfd is in.
pub fn by_pidfd(fd: OwnedFd) -> GuestTarget {
    GuestTarget { kind: TargetKind::PIDFD, fd: Some(ParcelFileDescriptor::new(fd)), pid: 0 }
}

/// The guest whose network namespace this is.
pub fn by_netns(fd: OwnedFd) -> GuestTarget {
    GuestTarget { kind: TargetKind::NETNS, fd: Some(ParcelFileDescriptor::new(fd)), pid: 0 }
}
