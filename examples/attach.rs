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

//! A client in Rust: attaches the network namespace of a process, says what it got, and detaches it.
//!
//!     attach unix:///run/guestnet/guestnet.sock box 1234
//!
//! In an Android tree the same source builds with rustlibs "libbinder_rs", "libguestnet_platform",
//! "android.system.guestnet-rust", and the service is at `binder://`.

use std::error::Error;
use std::fs::File;

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::{
    IGuestNet, ERROR_NAME_IN_USE,
};
use android_system_guestnet::aidl::android::system::guestnet::TargetKind::TargetKind;
use binder::ParcelFileDescriptor;

const SERVICE: &str = "android.system.guestnet.IGuestNet/default";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().collect();
    let [_, endpoint, name, pid] = &words[..] else {
        return Err("usage: attach ENDPOINT NAME PID".into());
    };
    let net = guestnet_platform::connect::<dyn IGuestNet>(&endpoint.parse()?, SERVICE)?;

    // Everything that is not said is as the original has it. An open descriptor keeps the
    // namespace, and with it the link: the call takes this one along and closes it.
    let config = GuestConfig { name: name.clone(), ..Default::default() };
    let netns = File::open(format!("/proc/{pid}/ns/net"))?;
    let fd = Some(ParcelFileDescriptor::new(netns));
    let target = GuestTarget { kind: TargetKind::NETNS, fd, pid: 0 };
    let guest = match net.attach(&config, &target, None) {
        Ok(guest) => guest,
        // Each error has a number, and its message says the cause and the next step.
        Err(e) if e.service_specific_error() == ERROR_NAME_IN_USE => {
            return Err(format!("{name} is attached already").into());
        }
        Err(e) => return Err(guestnet_platform::status_message(&e).into()),
    };
    println!("{name}: {} {}", guest.interfaceName, guest.addresses.join(", "));

    net.detach(name)?;
    Ok(())
}
