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

//! A guest's own side, as it is now. Its link and its addresses can be read from outside, by the id of its
//! namespace; its routes from inside alone. Reads as little as says it, whatever a guest has there.

use super::address::{self, Address};
use super::link::{self, Link};
use super::netlink::Netlink;
use super::netns::{handle, reentry, Home};
use super::observe::ELSEWHERE;
#[cfg(not(target_os = "android"))]
use super::process;
use super::route::{self, WayOut};
use super::rule;
use crate::error::{Error, KernelError};
use crate::model::fault::Fault;
use crate::model::guest_net::NetnsRef;
use crate::model::if_index::IfIndex;
use crate::model::layer::Layer;
use crate::model::lifeline::ProcessRef;
use crate::model::policy_rules::{unreachable, Packet};
use crate::model::GuestNet;
use crate::spec::Family;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most addresses that are read of one end, and most rules.
const MOST: usize = 1024;

/// What a guest's side is like.
#[derive(Clone, Debug)]
pub struct Inside {
    /// Its end of the link.
    pub link: Link,
    /// The addresses of that, where it is not plain from its routes that it has its own.
    pub addresses: Option<Addresses>,
    /// The guest's interface that has its address instead, and that sends by its end: a bridge that the end
    /// is a port of, or one on top of it.
    pub above: Option<Link>,
    /// How its packets leave; none where nobody looked.
    pub ways: Option<Ways>,
    /// What else stops them there, as who looked says.
    pub stops: Stops,
}

/// What stops packets in a namespace.
#[derive(Clone, Debug, Default)]
pub struct Stops {
    /// Each by the layer that it is said of.
    pub faults: Vec<(Layer, Fault)>,
    /// What may stop them, which nobody can tell.
    pub doubts: Vec<(Layer, Fault)>,
    /// The gateway is silent: to be said where nothing else is to blame for it.
    pub silence: Option<Fault>,
}

/// Looks at more of a namespace, from inside: by a socket in it, at the guest's end.
pub type More<'a> = &'a dyn Fn(&Netlink, &Link) -> Stops;

/// Addresses of a guest's end.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// They.
    pub found: Vec<Address>,
    /// Whether these are all.
    pub whole: bool,
}

/// How a guest's packets leave, as its kernel would send them.
#[derive(Clone, Debug)]
pub struct Ways {
    /// To the internet; none: it has no route there.
    pub out: Option<Way>,
    /// To its gateway.
    pub gateway: Option<Way>,
    /// What of its rules or routes refuses what goes to the internet, and to its gateway.
    pub refused: (Option<Refused>, Option<Refused>),
}

/// A rule or a route refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The number of the rule, where it is known.
    pub rule: Option<u32>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Way {
    /// How.
    pub way: WayOut,
    /// The interface, where it is another one than guestnetd's.
    pub other: Option<Link>,
}

/// How far it is worth looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Inside only where the kernel has a handle of its namespace, or its process may be asked for it, which
    /// takes microseconds.
    Quick,
    /// By a TUN device, too, which takes 40 ms, and which the guest sees.
    Thorough,
}

/// Looks at the side of a guest behind the host end `host`; `process` is the one that it goes with. None
/// where its end is not where it was put. `more` is asked where one is inside.
pub fn look(
    home: &Home,
    device: &Netlink,
    net: &GuestNet,
    netns: &NetnsRef,
    host: &Link,
    (process, effort): (Option<&ProcessRef>, Effort),
    more: More<'_>,
) -> Result<Option<Inside>, Error> {
    let failed = |e: KernelError| Error::kernel("look at the guest's link", e);
    let id = host.elsewhere.filter(|id| *id >= 0 && (netns.id.is_none() || netns.id == Some(*id)));
    let Some((id, end)) = id.zip(host.other_end) else { return Ok(None) };
    let Some(mut link) = link::beyond(device, id, end).map_err(failed)? else {
        return Ok(None);
    };
    // In a VRF of the guest's it is what it was; a bridge takes what comes in.
    if let Some(master) = link.master {
        let master = link::beyond(device, id, master).map_err(failed)?;
        if master.into_iter().all(|master| master.kind != "bridge") {
            link.master = None;
        }
    }
    if let Some(known) = process.filter(|_| netns.handle.is_none()) {
        // It may be elsewhere by now, or not be ours to ask.
        let ways = of_process(known).and_then(|netns| {
            let is_there = end_is_there(home, netns.as_fd(), net, link.index)?;
            is_there.then(|| ways(home, netns.as_fd(), net, &link, more).ok()).flatten()
        });
        if ways.is_some() {
            return with_addresses(device, id, link, ways, net).map(Some);
        }
    }
    let opened = match (netns.handle.as_ref(), effort) {
        (Some(known), _) => Some(handle::open(home.as_fd(), known).map_err(|e| entered(&e))?),
        (None, Effort::Quick) => None,
        (None, Effort::Thorough) => {
            let way = reentry::behind(device, home, id, None)?;
            let ways = ways(home, way.as_fd(), net, &link, more)?;
            return with_addresses(device, id, link, Some(ways), net).map(Some);
        }
    };
    let ways = opened.map(|netns| ways(home, netns.as_fd(), net, &link, more)).transpose()?;
    with_addresses(device, id, link, ways, net).map(Some)
}

/// The namespace of a process. SELinux keeps it from guestnetd on Android, and asking would be told.
#[cfg(not(target_os = "android"))]
fn of_process(known: &ProcessRef) -> Option<OwnedFd> {
    let pidfd = process::open_again(known).ok().flatten()?;
    let netns = std::fs::File::open(format!("/proc/{}/ns/net", known.pid)).ok()?;
    // What was opened was this process's only if it still lives.
    (!process::has_ended(pidfd.as_fd())).then(|| netns.into())
}

#[cfg(target_os = "android")]
fn of_process(_: &ProcessRef) -> Option<OwnedFd> {
    None
}

/// Whether the guest's end is in this namespace.
fn end_is_there(
    home: &Home,
    netns: BorrowedFd<'_>,
    net: &GuestNet,
    index: IfIndex,
) -> Option<bool> {
    let inside = home.inside(netns, Netlink::open).ok()?;
    let end = link::by_index(&inside, index).ok()?;
    Some(end.is_some_and(|end| end.mac == net.guest.mac.0))
}

fn entered(e: &io::Error) -> Error {
    let errno = e.raw_os_error().unwrap_or(libc::EIO);
    Error::kernel("look into the guest's network namespace", KernelError { errno, text: None })
}

fn ways(
    home: &Home,
    netns: BorrowedFd<'_>,
    net: &GuestNet,
    link: &Link,
    more: More<'_>,
) -> Result<(Ways, Stops), Error> {
    let index = link.index;
    let inside = home.inside(netns, Netlink::open).map_err(|e| entered(&e))?;
    let failed = |e: KernelError| Error::kernel("look at the guest's routes", e);
    let look = |to| -> Result<Result<Option<Way>, Refused>, KernelError> {
        let way = match route::asked(&inside, to) {
            Ok(way) => way,
            // Prohibit, blackhole (fib_props, fib4_rule_action()).
            Err(e) if [libc::EACCES, libc::EINVAL].contains(&e.errno) => {
                return Ok(Err(Refused { rule: None }))
            }
            // No route, or a rule that says so.
            Err(e) if e.errno == libc::ENETUNREACH => {
                let open = || Ok(home.inside(netns, Netlink::open)?);
                let rule = refuser(open, to)?;
                return Ok(if rule.is_some() { Err(Refused { rule }) } else { Ok(None) });
            }
            Err(e) if e.errno == libc::EHOSTUNREACH => return Ok(Ok(None)),
            Err(e) => return Err(e),
        };
        let other = match way.index == index {
            true => None,
            false => link::counted(&inside, way.index)?,
        };
        Ok(Ok(Some(Way { way, other })))
    };
    let out = look(ELSEWHERE).map_err(failed)?;
    let gateway = look(net.guest.gateway).map_err(failed)?;
    let refused = (out.as_ref().err().copied(), gateway.as_ref().err().copied());
    let ways = Ways { out: out.ok().flatten(), gateway: gateway.ok().flatten(), refused };
    let stops = home.inside(netns, || Ok(more(&inside, link))).map_err(|e| entered(&e))?;
    Ok((ways, stops))
}

/// The rule of a guest's that says unreachable of a packet that has a way behind it. Some of its rules, and
/// of its tables, are enough to look at.
fn refuser(
    open: impl Fn() -> Result<Netlink, KernelError>,
    to: Ipv4Addr,
) -> Result<Option<u32>, KernelError> {
    const TABLES: usize = 16;
    let rules = rule::first(open()?, MOST)?;
    let packet = Packet { input: "lo", from: Ipv4Addr::UNSPECIFIED, to, mark: 0 };
    let Some((rule, tables)) = unreachable(&rules, &packet) else { return Ok(None) };
    for table in tables.into_iter().take(TABLES) {
        if route::defaults(open()?, table)?.iter().any(|route| route.unicast) {
            return Ok(Some(rule.priority));
        }
    }
    Ok(None)
}

/// Its addresses are read where its packets do not leave with its own.
fn with_addresses(
    device: &Netlink,
    id: i32,
    link: Link,
    found: Option<(Ways, Stops)>,
    net: &GuestNet,
) -> Result<Inside, Error> {
    let (ways, stops) = found.map_or((None, Stops::default()), |(ways, stops)| (Some(ways), stops));
    let address = net.guest.address.into();
    let out = ways.as_ref().and_then(|ways| ways.out.as_ref());
    let by_its_end = |other: &Option<Link>| other.iter().all(|other| is_above(other, &link));
    let own = |out: &&Way| out.way.source == Some(address) && by_its_end(&out.other);
    if let Some(out) = out.filter(own) {
        let above = out.other.clone();
        return Ok(Inside { link, addresses: None, above, ways, stops });
    }
    let failed = |e: KernelError| Error::kernel("look at the guest's addresses", e);
    let read = |index| address::beyond(Netlink::open()?, id, index, MOST);
    let (found, whole) = read(Some(link.index)).map_err(failed)?;
    let own = |one: &&Address| one.address == address;
    let above = match found.iter().any(|one| own(&one)) {
        true => None,
        false => {
            let (all, _) = read(None).map_err(failed)?;
            let holder = all.iter().find(own).map(|one| one.index);
            let holder = holder.map(|index| link::beyond(device, id, index)).transpose();
            let holder = holder.map_err(failed)?.flatten();
            holder.filter(|other| is_above(other, &link))
        }
    };
    Ok(Inside { link, addresses: Some(Addresses { found, whole }), above, ways, stops })
}

/// The interface that has a guest's address: its end, or one above it. `netlink` is in its namespace.
pub fn holder(netlink: &Netlink, end: IfIndex, address: Ipv4Addr) -> IfIndex {
    let found = || {
        let all = address::of(netlink, Family::V4, None).ok()?;
        let mut holders = all.iter().filter(|one| one.address == address).map(|one| one.index);
        if holders.clone().any(|holder| holder == end) {
            return None;
        }
        let link = link::by_index(netlink, end).ok().flatten()?;
        holders.find(|holder| {
            let other = link::by_index(netlink, *holder).ok().flatten();
            other.is_some_and(|other| is_above(&other, &link))
        })
    };
    found().unwrap_or(end)
}

/// Whether another interface of the guest's sends by its end: a bridge whose port that is, or a link on top
/// of it whose frames are like its own.
fn is_above(other: &Link, end: &Link) -> bool {
    let on_top = ["macvlan", "ipvlan"].contains(&other.kind.as_str());
    let of_it = other.other_end == Some(end.index) && other.elsewhere.is_none();
    let bridge = other.kind == "bridge" && end.master == Some(other.index);
    bridge || on_top && of_it
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::process;
    use crate::effects::kernel::testing::in_a_netns;
    use crate::spec::{GuestName, GuestSpec, IfName, Mtu};
    use std::process::{Command, Stdio};

    fn run(line: &str) {
        let mut words = line.split(' ');
        let status = Command::new(words.next().unwrap()).args(words).status().unwrap();
        assert!(status.success(), "{line}");
    }

    /// As before Linux 6.18: no handle, and no way in but the process.
    #[test]
    fn a_route_that_was_deleted_inside_is_seen_without_a_handle() {
        in_a_netns(|device| {
            let mut child = Command::new("unshare")
                .args(["-n", "sh", "-c", "echo; exec sleep 60"])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            // It is there once it says so.
            let mut said = [0];
            io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
            let pid = i32::try_from(child.id()).unwrap();
            let name = GuestName::new("demo").unwrap();
            let (gateway, address) = (Ipv4Addr::new(10, 9, 0, 2), Ipv4Addr::new(10, 9, 0, 3));
            let interface = IfName::new("wlan0").unwrap();
            let spec = GuestSpec::new(name, interface, None, gateway, 24, 1500).unwrap();
            let net = GuestNet::new(&spec, 0, address, Mtu::ETHERNET);
            let mac = net.guest.mac.to_string();
            run(&format!(
                "ip link add vm_wlan type veth peer name wlan0 address {mac} netns {pid}"
            ));
            run("ip link set vm_wlan up");
            let inside = |line: &str| run(&format!("nsenter -t {pid} -n {line}"));
            inside("ip addr add 10.9.0.3/24 dev wlan0");
            inside("ip link set wlan0 up");
            inside("ip route add default via 10.9.0.2");
            let (_, known) = process::open_and_know(pid).unwrap().unwrap();
            let home = Home::here().unwrap();
            let host = link::by_name(device, "vm_wlan").unwrap().unwrap();
            let netns = NetnsRef { id: host.elsewhere, handle: None };
            let seen = |process: Option<&ProcessRef>| {
                let seen =
                    look(&home, device, &net, &netns, &host, (process, Effort::Quick), &|_, _| {
                        Stops::default()
                    });
                seen.unwrap().unwrap().ways.map(|ways| ways.out.is_some())
            };
            assert_eq!(seen(Some(&known)), Some(true));
            assert_eq!(seen(None), None, "nobody looked");
            let another = ProcessRef { started: known.started + 1, ..known };
            assert_eq!(seen(Some(&another)), None, "another process with its pid");
            let own = process::open_and_know(i32::try_from(std::process::id()).unwrap());
            assert_eq!(seen(own.unwrap().map(|(_, own)| own).as_ref()), None, "it is elsewhere");
            inside("ip route del default");
            assert_eq!(seen(Some(&known)), Some(false));
            child.kill().unwrap();
            child.wait().unwrap();
        });
    }
}
