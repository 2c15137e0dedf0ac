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

//! The resolvers that the device itself uses, where they are in a file (resolv.conf(5)). Reads only.

mod watch;

pub use watch::Watch;

use crate::kernel::netns::proc_net;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::SystemTime;

/// Where a resolver on the device's own loopback (a stub) says whom it asks: systemd-resolved's and
/// NetworkManager's own files. A guest cannot reach the stub itself.
const BEHIND_STUBS: [&str; 2] =
    ["/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf"];

/// When a file was written last; none when it is not there.
pub fn written(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// The IPv4 resolvers in `path` that are not on the loopback, or those that a stub there asks.
pub fn servers(path: &Path) -> Vec<Ipv4Addr> {
    let read = |path: &Path| fs::read_to_string(path).map(|text| parse(&text)).unwrap_or_default();
    let all = read(path);
    let others = beyond_loopback(&all);
    if !others.is_empty() || all.is_empty() {
        return others;
    }
    let behind = BEHIND_STUBS.iter().map(|path| beyond_loopback(&read(Path::new(path))));
    behind.into_iter().find(|servers| !servers.is_empty()).unwrap_or_default()
}

/// Whether a resolver of the device itself listens at one of these addresses, or at all.
pub fn is_served_here(gateway: impl Fn(Ipv4Addr) -> bool) -> bool {
    let sockets = fs::read_to_string(proc_net("udp")).unwrap_or_default();
    sockets.lines().filter_map(listens_for_names).any(|at| at.is_unspecified() || gateway(at))
}

/// `sl local_address ...`: an address as the kernel has it in memory and a port, both hexadecimal.
fn listens_for_names(line: &str) -> Option<Ipv4Addr> {
    let (address, port) = line.split_whitespace().nth(1)?.split_once(':')?;
    let address = u32::from_str_radix(address, 16).ok().filter(|_| port == "0035")?;
    Some(Ipv4Addr::from(address.to_ne_bytes()))
}

fn beyond_loopback(servers: &[Ipv4Addr]) -> Vec<Ipv4Addr> {
    let usable = |server: &&Ipv4Addr| !server.is_loopback() && !server.is_unspecified();
    servers.iter().filter(usable).copied().collect()
}

/// The IPv4 addresses of `nameserver` lines.
fn parse(text: &str) -> Vec<Ipv4Addr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok())?
    };
    text.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_that_a_guest_can_reach_count() {
        let text = "# nameserver 9.9.9.9\nsearch example.org\nnameserver 127.0.0.53\n\
                    nameserver  192.0.2.53 \nnameserver fe80::1%wlan0\nnameserver\nnameserver x\n\
                    ; nameserver 1.1.1.1\n\tnameserver 192.0.2.54\nnameserver 0.0.0.0";
        let found = beyond_loopback(&parse(text));
        assert_eq!(found, [Ipv4Addr::new(192, 0, 2, 53), Ipv4Addr::new(192, 0, 2, 54)]);
        let udp = |at: &str| listens_for_names(&format!("  1: {at} 00000000:0000 07 00000000"));
        assert_eq!(udp("00000000:0035"), Some(Ipv4Addr::UNSPECIFIED));
        let gateway = u32::from_ne_bytes([172, 17, 3, 2]);
        assert_eq!(udp(&format!("{gateway:08X}:0035")), Some(Ipv4Addr::new(172, 17, 3, 2)));
        assert_eq!((udp("0100007F:0036"), udp("local_address")), (None, None));
        assert!(servers(Path::new("/nonexistent/resolv.conf")).is_empty());
    }
}
