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

//! The program that a VM's manager becomes, in a domain of its own: a machine that speaks by the descriptor that it
//! inherits. `guest-vmm DESCRIPTOR MAC GATEWAY`: says in which domain, and what it is answered.

use std::fs;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::ExitCode;

use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest;
use guestnet_device_tests::vm::reaches_all;
use guestnet_tests::vm::{asked, Vm};

fn main() -> ExitCode {
    match run() {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("guest-vmm: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, String> {
    // linux/if_tun.h
    const TUNGETIFF: libc::c_ulong = 0x8004_54d2;
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [descriptor, mac, gateway] = &args[..] else {
        return Err("usage: guest-vmm DESCRIPTOR MAC GATEWAY".to_owned());
    };
    let number = descriptor.parse().map_err(|e| format!("{descriptor}: {e}"))?;
    // SAFETY: who has started this program has opened it for it, and nobody else here knows it.
    let tap = unsafe { OwnedFd::from_raw_fd(number) };
    let mut request = [0u8; 40];
    asked(&tap, TUNGETIFF, &mut request).map_err(|e| format!("TUNGETIFF: {e}"))?;
    let name = String::from_utf8_lossy(&request[..16]);
    let guest = Guest { mac: mac.clone(), gateway: gateway.clone(), ..Guest::default() };
    let mut vm = Vm::by(&guest, vec![tap]);
    // As VMMs do: checksums are left to it, and by it.
    vm.offloads();
    let gateway = gateway.parse().map_err(|e| format!("{gateway}: {e}"))?;
    let lease = reaches_all(&mut vm, gateway)?;
    let domain = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let domain = domain.trim_end_matches(['\0', '\n']);
    Ok(format!("{domain} by {}: {} is answered", name.trim_end_matches('\0'), lease.address))
}
