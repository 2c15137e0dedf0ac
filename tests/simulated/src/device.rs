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

//! The device and its guests, and what others do to them: the same bytes for any kernel.

use crate::wire::{self, attribute, attributes, ifinfo, name, rtmsg, Message, CHANGE, DUMP, NEW};
use crate::world::{all_messages, world, World};
use guestnet_simulator::{Netns, ROUTE};
use std::collections::BTreeMap;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_PID: u16 = 19;
const IFLA_IFALIAS: u16 = 20;
const UP: u32 = 1;

/// The process that holds what is beyond the uplink.
const BEYOND: i32 = 1;

/// One request of others; whether it was granted.
fn ask(netns: Netns, message: Message) -> bool {
    world().ask(netns, ROUTE, &message.bytes()).0 == 0
}

/// An interface as it is seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its index.
    pub index: i32,
    /// Its name.
    pub name: String,
    /// IFF_*.
    pub flags: u32,
    /// What is written on it.
    pub alias: Option<String>,
}

/// All interfaces of a namespace.
pub fn links(netns: Netns) -> Vec<Seen> {
    links_of(world(), netns)
}

/// The same.
pub fn links_of(world: &mut World, netns: Netns) -> Vec<Seen> {
    let dump = Message::new(RTM_GETLINK, DUMP, &ifinfo(0, 0, 0)).bytes();
    let (_, answers) = world.ask(netns, ROUTE, &dump);
    let mut found = Vec::new();
    for message in all_messages(&answers) {
        if message.get(4..6) != Some(&RTM_NEWLINK.to_ne_bytes()) || message.len() < 32 {
            continue;
        }
        let number = |at: usize| u32::from_ne_bytes(message[at..at + 4].try_into().unwrap());
        let all = attributes(&message[32..]);
        let text = |kind| {
            let value = all.iter().find(|(k, _)| *k == kind).map(|(_, value)| *value)?;
            Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned())
        };
        found.push(Seen {
            index: number(20) as i32,
            flags: number(24),
            name: text(IFLA_IFNAME).unwrap_or_default(),
            alias: text(20),
        });
    }
    found
}

/// The interface of a name.
pub fn link(netns: Netns, name: &str) -> Option<Seen> {
    links(netns).into_iter().find(|link| link.name == name)
}

/// Sets an interface up or down.
pub fn set_up(netns: Netns, name: &str, up: bool) -> bool {
    let Some(link) = link(netns, name) else { return false };
    ask(netns, Message::new(RTM_NEWLINK, CHANGE, &ifinfo(link.index, u32::from(up) * UP, UP)))
}

fn ipv4(text: &str) -> [u8; 4] {
    text.parse::<std::net::Ipv4Addr>().expect("an address").octets()
}

/// Gives an interface an address, or takes it away.
pub fn address(netns: Netns, name: &str, address: &str, prefix: u8, gone: bool) -> bool {
    let Some(link) = link(netns, name) else { return false };
    let mut header = vec![2, prefix, 0, 0];
    header.extend(link.index.to_ne_bytes());
    let (kind, flags) = if gone { (RTM_DELADDR, CHANGE) } else { (RTM_NEWADDR, NEW) };
    let address = ipv4(address);
    ask(netns, Message::new(kind, flags, &header).with(1, &address).with(2, &address))
}

/// Sets the default route by an interface, or takes it away.
pub fn default_route(netns: Netns, name: &str, gateway: &str, gone: bool) -> bool {
    let Some(link) = link(netns, name) else { return false };
    let (kind, flags) = if gone { (RTM_DELROUTE, CHANGE) } else { (RTM_NEWROUTE, NEW) };
    let message = Message::new(kind, flags, &rtmsg(0)).with(5, &ipv4(gateway));
    ask(netns, message.with(4, &link.index.to_ne_bytes()))
}

/// Makes a veth pair, whose other end is in the namespace of a process.
pub fn veth(netns: Netns, own: &str, other: &str, pid: i32) -> bool {
    let mut peer = ifinfo(0, 0, 0);
    attribute(&mut peer, IFLA_IFNAME, &name(other));
    attribute(&mut peer, IFLA_NET_NS_PID, &pid.to_ne_bytes());
    let (mut data, mut info) = (Vec::new(), Vec::new());
    attribute(&mut data, 1, &peer);
    attribute(&mut info, 1, b"veth");
    attribute(&mut info, 2, &data);
    let message = Message::new(RTM_NEWLINK, NEW, &ifinfo(0, 0, 0)).with(IFLA_IFNAME, &name(own));
    ask(netns, message.with(IFLA_LINKINFO, &info))
}

/// Renames an interface.
pub fn rename(netns: Netns, from: &str, to: &str) -> bool {
    let Some(link) = link(netns, from) else { return false };
    let message = Message::new(RTM_NEWLINK, CHANGE, &ifinfo(link.index, 0, 0));
    ask(netns, message.with(IFLA_IFNAME, &name(to)))
}

/// Writes something else on an interface.
pub fn relabel(netns: Netns, name: &str, text: &str) -> bool {
    let Some(link) = link(netns, name) else { return false };
    let message = Message::new(RTM_NEWLINK, CHANGE, &ifinfo(link.index, 0, 0));
    ask(netns, message.with(IFLA_IFALIAS, text.as_bytes()))
}

/// Deletes an interface.
pub fn delete(netns: Netns, name: &str) -> bool {
    let Some(link) = link(netns, name) else { return false };
    ask(netns, Message::new(RTM_DELLINK, CHANGE, &ifinfo(link.index, 0, 0)))
}

/// A policy rule of others': what comes from a network of theirs looks into a table of theirs.
pub fn rule(netns: Netns, number: u8, gone: bool) -> bool {
    let (kind, flags) = if gone { (RTM_DELRULE, CHANGE) } else { (RTM_NEWRULE, NEW) };
    let message = Message::new(kind, flags, &wire::fib_rule(24, 100 + number, 1));
    let priority = 20_000 + u32::from(number);
    ask(netns, message.with(2, &[198, 51, number, 0]).with(6, &priority.to_ne_bytes()))
}

/// A route of others' by the uplink.
pub fn route(netns: Netns, name: &str, number: u8, gone: bool) -> bool {
    let Some(link) = link(netns, name) else { return false };
    let (kind, flags) = if gone { (RTM_DELROUTE, CHANGE) } else { (RTM_NEWROUTE, NEW) };
    let message = Message::new(kind, flags, &rtmsg(24)).with(1, &[198, 18, number, 0]);
    ask(netns, message.with(5, &ipv4("192.0.2.1")).with(4, &link.index.to_ne_bytes()))
}

/// An interface is there that leads beyond, and it is up.
pub fn interface_comes(name: &str) {
    let device = world().device;
    let far = if name == "wlan0" { "ap" } else { &format!("far-{name}") };
    if link(device, name).is_none() {
        veth(device, name, far, BEYOND);
    }
    let beyond = world().kernel.netns_of(BEYOND).expect("what is beyond");
    set_up(beyond, far, true);
    set_up(device, name, true);
}

/// The uplink comes: its link, its address, the default route.
pub fn uplink_comes() {
    let device = world().device;
    interface_comes("wlan0");
    address(device, "wlan0", "192.0.2.7", 24, false);
    default_route(device, "wlan0", "192.0.2.1", false);
}

/// A device, and what is beyond.
pub fn beyond() {
    let beyond = world().kernel.netns_add();
    world().process_add(BEYOND, beyond, 1);
    let device = world().device;
    set_up(device, "lo", true);
}

/// A device with an uplink.
pub fn build() {
    beyond();
    uplink_comes();
    // As hardened devices have it; the kernel makes it 1 when forwarding is switched off.
    let device = world().device;
    let _ = world().kernel.write(device, "/proc/sys/net/ipv4/conf/all/accept_redirects", b"0");
}

/// The first policy rule but that of table local goes, whosever it is; tells whether there was one.
pub fn first_rule_goes() -> bool {
    let device = world().device;
    let dump = Message::new(RTM_GETRULE, DUMP, &[vec![2], vec![0; 11]].concat()).bytes();
    let (_, answers) = world().ask(device, ROUTE, &dump);
    // Each is told by what the kernel says of it, as `ip rule flush` does.
    let all = all_messages(&answers);
    let found = all.iter().find(|message| {
        let has = |kind| attributes(&message[28..]).iter().any(|(own, _)| *own == kind);
        message.get(4..6) == Some(&RTM_NEWRULE.to_ne_bytes()) && has(6)
    });
    found.is_some_and(|message| {
        let mut header = message[16..28].to_vec();
        header[8..].fill(0);
        let said = attributes(&message[28..]);
        // The masks of ports are not asked for.
        let said = said.iter().filter(|(kind, _)| !(28..=29).contains(kind));
        let gone = Message::new(RTM_DELRULE, CHANGE, &header);
        ask(device, said.fold(gone, |gone, (kind, value)| gone.with(*kind, value)))
    })
}

/// Whether there is a default route.
pub fn has_default_route(netns: Netns) -> bool {
    if world().netd.is_some() {
        return has_default_of_netd(netns);
    }
    let asked = Message::new(RTM_GETROUTE, DUMP, &[vec![2], vec![0; 11]].concat()).bytes();
    let (_, answers) = world().ask(netns, ROUTE, &asked);
    // A unicast route to everywhere, in table main.
    let is_it = |m: &&[u8]| {
        m.get(16..18) == Some(&[2, 0]) && m.get(20) == Some(&254) && m.get(23) == Some(&1)
    };
    all_messages(&answers).iter().any(is_it)
}

/// The same where netd routes: in the table of its default network.
fn has_default_of_netd(netns: Netns) -> bool {
    let Some(table) = crate::netd::default_table() else { return false };
    let asked = Message::new(RTM_GETROUTE, DUMP, &[vec![2], vec![0; 11]].concat()).bytes();
    let (_, answers) = world().ask(netns, ROUTE, &asked);
    let is_it = |m: &&[u8]| {
        let there = m.get(16..18) == Some(&[2, 0]) && m.get(23) == Some(&1);
        there && attributes(&m[28..]).contains(&(15, &table.to_ne_bytes()[..]))
    };
    all_messages(&answers).iter().any(is_it)
}

/// The settings of the device that guestnetd writes.
fn settings(netns: Netns) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut read = |path: String| {
        if let Ok(value) = world().kernel.read(netns, &path) {
            found.insert(path, String::from_utf8_lossy(&value).trim().to_owned());
        }
    };
    read("/proc/sys/net/ipv4/ip_forward".into());
    for name in ["all", "default", "lo", "wlan0"] {
        for key in ["forwarding", "accept_redirects"] {
            read(format!("/proc/sys/net/ipv4/conf/{name}/{key}"));
        }
    }
    found
}

/// All of a namespace that others could see, as lines that do not depend on how it came about: names for
/// indexes, no counters, no handles.
pub fn state(netns: Netns) -> Vec<String> {
    let links = links(netns);
    let name_of = |index: i32| {
        let found = links.iter().find(|link| link.index == index);
        found.map_or_else(|| format!("#{index}"), |link| link.name.clone())
    };
    let mut lines: Vec<String> = links
        .iter()
        .map(|link| format!("link {} {:x} {:?}", link.name, link.flags & 0x1_0043, link.alias))
        .collect();
    if world().netd.is_some() {
        let all = crate::netd::requesters().into_iter();
        lines.extend(all.map(|who| format!("{who} asks netd for forwarding")));
    }
    for (kind, new, header, what) in [
        (RTM_GETADDR, RTM_NEWADDR, 8, "address"),
        (RTM_GETROUTE, RTM_NEWROUTE, 12, "route"),
        (RTM_GETRULE, RTM_NEWRULE, 12, "rule"),
    ] {
        let asked = Message::new(kind, DUMP, &[vec![2], vec![0; header - 1]].concat()).bytes();
        let (_, answers) = world().ask(netns, ROUTE, &asked);
        for message in all_messages(&answers) {
            if message.get(4..6) != Some(&new.to_ne_bytes()) {
                continue;
            }
            let head = &message[16..16 + header];
            let mut line = match what {
                "address" => {
                    let index = i32::from_ne_bytes(head[4..8].try_into().unwrap());
                    format!("address {} {:?}", name_of(index), &head[..4])
                }
                _ => format!("{what} {head:?}"),
            };
            for (kind, value) in attributes(&message[16 + header..]) {
                match (what, kind, value.len()) {
                    // Cache information: how long ago.
                    ("address", 6, _) | ("route", 12, _) => {}
                    // Of netd's the number is that of an interface, which another one may have next time.
                    ("route" | "rule", 15, 4) if world().netd.is_some() => {
                        let table = u32::from_ne_bytes(value.try_into().unwrap());
                        line.push_str(&match crate::netd::of_table(table) {
                            Some((index, what)) => format!(" {what} {}", name_of(index)),
                            None => format!(" table {table}"),
                        });
                    }
                    ("route", 4, 4) => {
                        let index = i32::from_ne_bytes(value.try_into().unwrap());
                        line.push_str(&format!(" dev={}", name_of(index)));
                    }
                    _ => line.push_str(&format!(" {kind}={value:?}")),
                }
            }
            lines.push(line);
        }
    }
    lines.extend(settings(netns).into_iter().map(|(path, value)| format!("{path} {value}")));
    lines.extend(filter(netns));
    lines.extend(crate::segments::lines(netns));
    lines.sort();
    lines
}

/// The packet filter's rules, without handles and counters.
fn filter(netns: Netns) -> Vec<String> {
    let mut lines = crate::filter::lines(netns);
    lines.extend(crate::tables::lines(netns));
    lines
}
