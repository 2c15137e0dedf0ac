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

//! The sysctls that guestnetd writes: the forwarding switch and disable_ipv6. `/proc/sys/net` shows the network namespace of the
//! thread that opens it, so no mount is needed.

use crate::model::forwarding::Before;
use crate::ordered::OrderedSet;
use crate::spec::IfName;
use crate::write::{self, What};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
const DEFAULT_TTL: &str = "/proc/sys/net/ipv4/ip_default_ttl";
const LOCAL_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const CONNTRACK: &str = "/proc/sys/net/netfilter/nf_conntrack";
const CONF: &str = "/proc/sys/net/ipv4/conf";
/// Of AF_INET, 2.
const LOGGER: &str = "/proc/sys/net/netfilter/nf_log/2";
const ACCEPT_REDIRECTS: &str = "/proc/sys/net/ipv4/conf/all/accept_redirects";

/// The ports that the device's own connections have; none where nobody may read that. Any other failure passes.
pub fn local_ports() -> io::Result<Option<(u16, u16)>> {
    let text = match text(LOCAL_PORTS) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            return Ok(None)
        }
        other => other?,
    };
    let mut numbers = text.split_whitespace().map_while(|number| number.parse().ok());
    Ok(numbers.next().zip(numbers.next()))
}

/// How many connections are tracked in this network namespace, and how many can be; none where that
/// cannot be read.
pub fn connections() -> Option<(u64, u64)> {
    let number = |name| text(format!("{CONNTRACK}_{name}")).ok()?.parse().ok();
    Some((number("count")?, number("max")?))
}

/// Whether the device forwards IPv4.
pub fn forwarding() -> io::Result<bool> {
    is_one(IP_FORWARD)
}

/// `net.ipv4.conf.all.rp_filter`: the larger of this and an interface's own counts.
pub fn rp_filter_of_all() -> io::Result<u32> {
    text(format!("{CONF}/all/rp_filter"))?.parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// How many hops packets may go that say nothing of it themselves.
pub fn default_ttl() -> io::Result<u8> {
    text(DEFAULT_TTL)?.parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// What switching forwarding on will change beside the switch.
pub fn before_forwarding() -> io::Result<Before> {
    let accept_redirects = is_one(ACCEPT_REDIRECTS)?;
    let mut forwarding = OrderedSet::new();
    for entry in fs::read_dir(CONF)?.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        // An interface that goes meanwhile has no value to come back to.
        if name != "all" && is_one(&format!("{CONF}/{name}/forwarding")).unwrap_or(false) {
            forwarding.insert(name);
        }
    }
    Ok(Before { accept_redirects, forwarding: forwarding.into_iter().collect() })
}

/// Switches IPv4 forwarding on, for all interfaces.
pub(in crate::effects) fn forwarding_on() -> io::Result<()> {
    set(IP_FORWARD, "1")
}

/// Switches it off, for all interfaces.
pub(in crate::effects) fn forwarding_off() -> io::Result<()> {
    set(IP_FORWARD, "0")
}

/// Puts back what has changed by that.
pub(in crate::effects) fn put_back(before: &Before) -> io::Result<()> {
    set(ACCEPT_REDIRECTS, if before.accept_redirects { "1" } else { "0" })?;
    for name in before.forwarding.iter().filter(|name| !name.contains('/')) {
        match set(format!("{CONF}/{name}/forwarding"), "1") {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// A setting for IPv4 of an interface, or of `all`; none where it cannot be read.
pub fn conf_of(interface: &str, key: &str) -> Option<u32> {
    if interface.contains('/') {
        return None;
    }
    text(format!("{CONF}/{interface}/{key}")).ok()?.parse().ok()
}

/// Whether the reverse-path filter of an interface is strict: the higher of its own value and of that
/// for all counts (net.ipv4.conf.all.rp_filter in ip-sysctl). Not where it cannot be read.
pub fn is_strict(interface: &str) -> bool {
    let value = |name: &str| text(format!("{CONF}/{name}/rp_filter")).ok()?.parse::<u8>().ok();
    !interface.contains('/') && value("all").max(value(interface)) == Some(1)
}

/// Whether the device tells by ARP on an interface that it has an address of another one: with arp_ignore 0
/// (arp_ignore() in arp.c), of the greater of the interface's and that for all. Not where it cannot be read.
pub fn answers_for_all(interface: &str) -> bool {
    let value = |name: &str| text(format!("{CONF}/{name}/arp_ignore")).ok()?.parse::<u8>().ok();
    !interface.contains('/') && value("all").max(value(interface)) == Some(0)
}

/// Whether IPv4 that comes in by an interface is forwarded. So it is where that cannot be read.
pub fn forwards(interface: &str) -> bool {
    interface.contains('/') || is_one(&format!("{CONF}/{interface}/forwarding")).unwrap_or(true)
}

/// Whether the table of connections has no room, or nearly none. Not where it cannot be read.
pub fn connections_are_full() -> bool {
    let full =
        |(count, max): (u64, u64)| max != 0 && count.saturating_mul(100) >= max.saturating_mul(99);
    connections().is_some_and(full)
}

/// Who logs IPv4 packets for the packet filter: a logger's name, or `NONE`.
pub fn logger() -> io::Result<String> {
    text(LOGGER)
}

/// Has another one log.
pub(in crate::effects) fn set_logger(name: &str) -> io::Result<()> {
    set(LOGGER, name)
}

/// What a file there says, by three calls: the library asks for a length, which these do not have, and
/// reads until nothing comes.
fn text(path: impl AsRef<Path>) -> io::Result<String> {
    // The longest are two numbers, and a logger's name.
    let mut bytes = [0; 128];
    let length = File::open(path)?.read(&mut bytes)?;
    Ok(String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).trim().to_owned())
}

fn set(path: impl AsRef<Path>, value: &str) -> io::Result<()> {
    let path = path.as_ref();
    write::through(What::Sysctl(path), || fs::write(path, value))
}

fn is_one(path: &str) -> io::Result<bool> {
    Ok(text(path)? == "1")
}

/// Writes `disable_ipv6` of an interface, before it is up and would get a link-local address. A
/// kernel without IPv6 has no such file.
pub(in crate::effects) fn disable_ipv6(interface: &IfName, disable: bool) -> io::Result<()> {
    let path = format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6");
    match set(path, if disable { "1" } else { "0" }) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
