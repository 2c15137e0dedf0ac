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

//! The two sysctls that guestnetd writes. `/proc/sys/net` shows the network namespace of the
//! thread that opens it, so no mount is needed.

use crate::spec::IfName;
use std::{fs, io};

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// Whether the device forwards IPv4.
pub fn forwarding() -> io::Result<bool> {
    Ok(fs::read_to_string(IP_FORWARD)?.trim() == "1")
}

/// Switches IPv4 forwarding.
pub fn set_forwarding(on: bool) -> io::Result<()> {
    fs::write(IP_FORWARD, if on { "1" } else { "0" })
}

fn disable_ipv6_path(interface: &IfName) -> String {
    format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6")
}

/// Whether IPv6 is off on an interface; so it is where the kernel has no IPv6.
pub fn ipv6_disabled(interface: &IfName) -> io::Result<bool> {
    match fs::read_to_string(disable_ipv6_path(interface)) {
        Ok(text) => Ok(text.trim() == "1"),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(e),
    }
}

/// Switches IPv6 off on an interface, before it is up and would get a link-local address.
pub fn disable_ipv6(interface: &IfName) -> io::Result<()> {
    match fs::write(disable_ipv6_path(interface), "1") {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
