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

//! A caller has probes sent. What is known is read within the daemon; the probes are sent, and answers are
//! waited for, without it. Sockets in the guest's namespace keep that for as long, and no longer.

use super::subject::{enter, is_still_there, Known};
use super::trace;
use crate::daemon::health::verdict;
use crate::daemon::{Attached, Daemon, Handle, Verdict};
use crate::doctor::echo::{self, Echo};
use crate::doctor::flight::random;
use crate::doctor::probe::{self, Found, Kind, Probe, Role, Surroundings};
use crate::doctor::run::Run;
use crate::doctor::tap::Tap;
use crate::doctor::targets::Targets;
use crate::doctor::trail::{Mark, Side, Trail};
use crate::doctor::verdict::{self as table, Facts, GuestFacts, Inside, Probed, Route, Way};
use crate::doctor::{Diagnosis, Row};
use crate::effects::firewall::diagnose::journey;
use crate::effects::firewall::diagnose::{self as filters, Kernel};
use crate::effects::kernel::inside as guest_side;
use crate::effects::kernel::link::Link;
use crate::effects::kernel::neighbour::{self, Neighbour};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::netns::Home;
use crate::effects::kernel::route::{Decision, Sort};
use crate::effects::kernel::{address, link, route, sysctl, tracked};
use crate::error::Error;
use crate::model::if_index::IfIndex;
use crate::ordered::{IntoOrdered, OrderedMap};
use crate::spec::{Family, GuestName};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

impl Daemon {
    fn known(&mut self, name: Option<&GuestName>) -> Result<Known, Error> {
        self.settle();
        let find = |name: &GuestName| {
            let guest = self.world.guests.get(name).cloned();
            guest.ok_or_else(|| Error::NoSuchGuest(name.clone()))
        };
        let guest = name.map(find).transpose()?;
        let tun = guest.as_ref().and_then(|guest| guest.net.vpn.tun());
        let way = tun.or(self.world.uplink.name.as_ref()).map(|name| name.to_string());
        let also = self.world.uplink.also.iter().filter(|_| tun.is_none());
        let also = also.map(|name| name.to_string()).collect();
        let (resolver, forwarded) = self.asked_for(guest.as_ref());
        Ok(Known {
            journey: guest.as_ref().and_then(|guest| self.journey(guest)),
            store: Arc::clone(&self.store),
            programs: self.shared.packet_filter.get().programs().cloned(),
            dropped: self.shared.packet_filter.get_mut().dropped().ok(),
            way,
            also,
            table: self.world.uplink.table,
            netd: self.world.netd_routes(),
            resolver,
            forwarded,
            guest,
        })
    }
}

/// The call.
pub(in crate::daemon) fn diagnose(
    handle: &Handle,
    name: Option<GuestName>,
    targets: &Targets,
) -> Result<Diagnosis, Error> {
    let began = Instant::now();
    let known = handle.call(|daemon| daemon.known(name.as_ref()))?;
    let mut facts = Examination::begin(&known, targets)?.end(&known, targets)?;
    // Read now: what broke a moment before may have been noticed only meanwhile. Resolvers have been asked
    // by then, and by the guest.
    let seen = handle.look_inside(name.as_ref())?;
    let status = match handle.call(|daemon| daemon.status(name, &seen)) {
        Err(Error::NoSuchGuest(name)) => return Err(Error::GuestGone(name)),
        other => other?,
    };
    let dropped = known.dropped.zip(status.dropped);
    let dropped = dropped.map(|(before, after)| after.saturating_sub(before));
    facts.dropped = dropped.unwrap_or_default();
    facts.layers = match status.guests.into_iter().next() {
        Some(report) if known.guest.is_some() => report.layers,
        _ => status.layers,
    };
    let (verdict, reason) = verdict::of(&facts.layers);
    facts.reason = reason.filter(|_| verdict != Verdict::NoNames).cloned();
    let (verdict, fault) = table::of(&facts);
    let trace = match (targets.trace, &known.guest) {
        (true, Some(guest)) => Some(trace::of(&known, guest, targets, &facts, fault.cause)?),
        _ => None,
    };
    Ok(Diagnosis {
        guest: known.guest.as_ref().map(|guest| guest.name().clone()),
        verdict,
        fault,
        probes: facts.probes.iter().map(|probed| row(probed, &facts)).collect(),
        dropped,
        trace,
        took: began.elapsed(),
    })
}

/// The sockets of one examination, and what is known around it.
struct Examination {
    netlink: Netlink,
    home: Home,
    way: Way,
    probes: Vec<Probe>,
    run: Run,
    /// The guest's end of the link, and a socket beside it; or why there is none.
    inside: Result<(IfIndex, Netlink), String>,
    host_end: Option<Link>,
}

/// What taps see: packets from and to these addresses; of echoes those of this examination.
struct Tapped {
    addresses: Vec<Ipv4Addr>,
    magic: u32,
}

/// What is opened in a guest's namespace.
struct Opened {
    netlink: Netlink,
    run: Run,
    echoes: [io::Result<UdpSocket>; 2],
}

impl Examination {
    /// Opens all sockets. What cannot be opened in the guest is said later.
    fn begin(known: &Known, targets: &Targets) -> Result<Self, Error> {
        let netlink = Netlink::open().map_err(|e| Error::kernel("open a socket", e))?;
        let home = Home::here().map_err(|e| Error::kernel("open the own network namespace", e))?;
        let mut way = way(known, &netlink);
        way.router = router(known, &netlink, &way);
        let around = Surroundings {
            guest: known.guest.as_ref().map(|g| (g.net.guest.gateway, g.net.guest.address)),
            router: way.router,
            resolver: known.resolver,
            forwarded: known.forwarded,
        };
        let mut probes = probe::all(targets, &around);
        // What it does not reach by its configuration is not asked for.
        if known.guest.as_ref().is_some_and(|guest| !guest.net.vpn.leaves()) {
            probes.retain(|probe| probe.role == Role::Gateway);
        }
        let tapped = Tapped { addresses: tapped(targets, &around), magic: random() as u32 };
        let mut run = Run::default();
        let interface = Some(way.name.as_str()).filter(|name| !name.is_empty());
        run.open(&probes, (Side::Device, interface), targets, tapped.magic);
        let mut inside = Err("no guest".to_owned());
        let mut host_end = None;
        if let Some(guest) = &known.guest {
            host_end = link::by_index(&netlink, guest.index).ok().flatten();
            let opened = host_end.as_ref().ok_or_else(|| Error::GuestGone(guest.name().clone()));
            let opened = opened.and_then(|end| {
                enter(&netlink, &home, guest, end, || open_inside(&probes, targets, &tapped, guest))
            });
            match opened {
                Err(e @ Error::GuestGone(_)) => return Err(e),
                Err(e) => inside = Err(e.to_string()),
                Ok(Opened { netlink, run: theirs, echoes }) => {
                    let end = host_end.as_ref().and_then(|end| end.other_end);
                    let end = end.ok_or_else(|| "its other end is gone".to_owned());
                    inside = end.map(|end| (end, netlink));
                    run.flights.extend(theirs.flights);
                    run.taps = theirs.taps;
                    let gateway = guest.net.guest.gateway;
                    let [checked, unchecked] = echoes;
                    run.echoes = vec![
                        Echo::begin(checked, gateway, false),
                        Echo::begin(unchecked, gateway, true),
                    ];
                }
            }
            run.taps.extend(
                Tap::open(Side::Device, &tapped.addresses, tapped.magic)
                    .map_err(|e| untapped(&e))
                    .ok(),
            );
        }
        Ok(Self { netlink, home, way, probes, run, inside, host_end })
    }

    /// Sends the probes, waits, and reads what is known only then.
    fn end(mut self, known: &Known, targets: &Targets) -> Result<Facts, Error> {
        self.run.go(&self.probes, targets);
        let taps = std::mem::take(&mut self.run.taps);
        let tapped = taps.len() == 2;
        let seen: Vec<_> = taps.into_iter().flat_map(|tap| tap.sightings).collect();
        let host = known.guest.as_ref().map(|guest| guest.index);
        let mut probes: Vec<Probed> = self.probes.iter().cloned().map(Probed::from).collect();
        let mut connection = None;
        for flight in std::mem::take(&mut self.run.flights) {
            let Some(probed) = probes.get_mut(flight.probe) else { continue };
            match (flight.side, flight.mark()) {
                (Side::Device, _) => probed.device = flight.found,
                (Side::Guest, mark) => {
                    if let (Some(Mark::Tcp(port, to)), Kind::Tcp) = (mark, probed.probe.kind) {
                        connection.get_or_insert((port, to));
                    }
                    let trail = mark.zip(host).map(|(mark, host)| Trail::of(mark, host, &seen));
                    probed.trail = trail.unwrap_or_default();
                    probed.guest = flight.found;
                }
            }
        }
        let echo = match self.run.echoes.as_slice() {
            [checked, unchecked] => Some((checked.there.outcome, unchecked.there.outcome)),
            _ => None,
        };
        self.run.echoes.clear();
        let host_target = targets.hosts.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
        let guest = known.guest.as_ref().map(|guest| {
            let facts = self.of_guest(guest, known, host_target);
            let tracked = connection.and_then(|(port, to)| {
                tracked::is_known(SocketAddrV4::new(guest.net.guest.address, port), to).ok()
            });
            GuestFacts { tapped, tracked, ..facts }
        });
        let beyond =
            self.way.index.map(|index| neighbours(&self.netlink, index)).unwrap_or_default();
        self.way.router_is_deaf = self.way.router.is_some_and(|router| is_deaf(&beyond, router));
        let mut facts = Facts {
            probes,
            echo,
            guest,
            uplink: self.way.clone(),
            table_is_full: sysctl::connections_are_full(),
            ..Facts::default()
        };
        facts.interfaces = self.interfaces(&facts);
        self.leave(known)?;
        Ok(facts)
    }

    fn of_guest(&self, guest: &Attached, known: &Known, host: Ipv4Addr) -> GuestFacts {
        let net = &guest.net;
        let (address, gateway) = (net.guest.address, net.guest.gateway);
        let kernel = Kernel { netlink: &self.netlink, expected: None };
        let mark = known
            .journey
            .as_ref()
            .and_then(|guest| journey::mark(&filters::read(), &kernel, guest))
            .unwrap_or(0);
        let passing_as = |index, from, to, mark| -> Route {
            let sort = Sort { mark, ..Sort::default() };
            let asked = route::passing_as(&self.netlink, index, (from, to), sort);
            match asked.map_err(|e| e.errno)? {
                Decision::Takes(way) => Ok(Some(way)),
                Decision::Unreachable => Ok(None),
                Decision::Prohibited => Err(libc::EACCES),
                Decision::Dropped => Err(libc::EXDEV),
            }
        };
        let passing = |from, to| passing_as(guest.index, from, to, mark);
        let at_host_end = neighbours(&self.netlink, guest.index);
        let inside = match &self.inside {
            Ok((end, netlink)) => Ok(inside(netlink, *end, address, gateway, host)),
            Err(why) => Err(why.clone()),
        };
        GuestFacts {
            name: net.name.to_string(),
            address,
            gateway,
            host_end: self
                .host_end
                .as_ref()
                .map_or_else(|| net.host.name.to_string(), |l| l.name.clone()),
            host_index: guest.index,
            interface: net.guest.name.to_string(),
            inside,
            is_vm: !net.kind.has_inside(),
            leaves: net.vpn.leaves(),
            tapped: false,
            out: passing(address, host),
            back: match self.way.index {
                None => Ok(None),
                Some(index) => passing_as(index, host, address, 0),
            },
            strict: (sysctl::is_strict(net.host.name.as_str()), sysctl::is_strict(&self.way.name)),
            forwards: (sysctl::forwards(net.host.name.as_str()), sysctl::forwards(&self.way.name)),
            is_deaf: is_deaf(&at_host_end, address),
            tracked: None,
            to_resolver: match known.resolver.filter(|_| !known.forwarded) {
                Some(resolver) => passing(address, resolver),
                None => Ok(None),
            },
            asks_beyond: known.resolver.is_some() && !known.forwarded,
            forwarded: known.forwarded,
        }
    }

    /// The names of all interfaces that anything was seen at.
    fn interfaces(&self, facts: &Facts) -> OrderedMap<IfIndex, String> {
        let trails = facts.probes.iter().map(|probed| &probed.trail);
        let hops = trails.flat_map(|t| [t.arrived, t.left, t.answered, t.passed, t.astray]);
        let mut indexes = hops.flatten().map(|hop| hop.index).into_set();
        if let Some(guest) = &facts.guest {
            let routes = [&guest.out, &guest.back, &guest.to_resolver];
            indexes.extend(routes.into_iter().flatten().flatten().map(|way| way.index));
        }
        let name = |index| Some((index, link::by_index(&self.netlink, index).ok().flatten()?.name));
        indexes.into_iter().filter_map(name).into_map()
    }

    /// Lets the guest's namespace go, and says whether it ended meanwhile.
    fn leave(self, known: &Known) -> Result<(), Error> {
        let Self { netlink, home, inside, run, .. } = self;
        drop((inside, run));
        match &known.guest {
            Some(guest) => is_still_there(&netlink, &home, guest),
            None => Ok(()),
        }
    }
}

fn open_inside(
    probes: &[Probe],
    targets: &Targets,
    tapped: &Tapped,
    guest: &Attached,
) -> io::Result<Opened> {
    let netlink = Netlink::open()?;
    let mut run = Run::default();
    run.open(probes, (Side::Guest, None), targets, tapped.magic);
    run.taps.extend(
        Tap::open(Side::Guest, &tapped.addresses, tapped.magic).map_err(|e| untapped(&e)).ok(),
    );
    let address = guest.net.guest.address;
    let echoes = [false, true].map(|unchecked| echo::guest_end(address, unchecked));
    Ok(Opened { netlink, run, echoes })
}

fn untapped(e: &io::Error) {
    log::warn!("doctor: packets cannot be watched: {e}");
}

fn way(known: &Known, netlink: &Netlink) -> Way {
    let link = known.way.as_ref().and_then(|name| link::by_name(netlink, name).ok().flatten());
    let Some(link) = link else { return Way { netd: known.netd, ..Way::default() } };
    let addresses = address::of(netlink, Family::V4, Some(link.index)).unwrap_or_default();
    let v4 = addresses.iter().filter_map(|found| match found.address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    let addresses = v4.collect();
    let (name, index, netd) = (link.name, Some(link.index), known.netd);
    let also = known.also.iter().filter_map(|name| link::by_name(netlink, name).ok().flatten());
    let also = also.map(|link| link.index).collect();
    Way { name, index, also, addresses, netd, ..Way::default() }
}

/// The next hop of the way out's default route.
fn router(known: &Known, netlink: &Netlink, way: &Way) -> Option<Ipv4Addr> {
    let routes = route::of(netlink, Family::V4, Some(known.table), Some(way.index?)).ok()?;
    let default = routes.iter().filter(|route| route.destination.prefix() == 0);
    match default.min_by_key(|route| route.priority)?.gateway? {
        IpAddr::V4(router) => Some(router),
        IpAddr::V6(_) => None,
    }
}

/// The addresses whose packets taps are told of.
fn tapped(targets: &Targets, around: &Surroundings) -> Vec<Ipv4Addr> {
    let gateway = around.guest.map(|(gateway, _)| gateway);
    let near = [gateway, around.router, around.resolver].into_iter().flatten();
    targets.hosts.iter().copied().chain(targets.page.address).chain(near).collect()
}

fn inside(
    netlink: &Netlink,
    end: IfIndex,
    address: Ipv4Addr,
    gateway: Ipv4Addr,
    host: Ipv4Addr,
) -> Inside {
    let end = guest_side::holder(netlink, end, address);
    let there = link::by_index(netlink, end).ok().flatten();
    let addresses = address::of(netlink, Family::V4, Some(end)).unwrap_or_default();
    let towards = |to: Ipv4Addr| route::towards(netlink, to).ok().flatten();
    Inside {
        index: there.map(|link| link.index),
        has_address: addresses.iter().any(|found| found.address == IpAddr::V4(address)),
        out: towards(host),
        to_gateway: towards(gateway),
        gateway_is_deaf: is_deaf(&neighbours(netlink, end), gateway),
    }
}

fn neighbours(netlink: &Netlink, index: IfIndex) -> Vec<Neighbour> {
    neighbour::of(netlink, Family::V4, Some(index)).unwrap_or_default()
}

/// Whether nobody has answered for an address that was asked for.
fn is_deaf(neighbours: &[Neighbour], address: Ipv4Addr) -> bool {
    // linux/neighbour.h
    const NUD_INCOMPLETE: u16 = 0x01;
    const NUD_FAILED: u16 = 0x20;
    let known = neighbours.iter().find(|known| known.address == IpAddr::V4(address));
    known.is_some_and(|known| known.state & (NUD_INCOMPLETE | NUD_FAILED) != 0)
}

impl From<Probe> for Probed {
    fn from(probe: Probe) -> Self {
        let (guest, device) = (Found::default(), Found::default());
        Self { probe, guest, device, trail: Trail::default() }
    }
}

/// A probe, with what is known beside it.
fn row(probed: &Probed, facts: &Facts) -> Row {
    let name = |index| facts.interfaces.get(&index).cloned().unwrap_or_else(|| index.to_string());
    let mut words = Vec::new();
    let guest = facts.guest.as_ref();
    match (probed.probe.role, guest) {
        (Role::Gateway, Some(guest)) => {
            let deaf = guest.inside.as_ref().is_ok_and(|inside| inside.gateway_is_deaf);
            words.push(format!("arp {}", if deaf { "unanswered" } else { "ok" }));
        }
        (Role::Host, Some(guest)) => words.extend(kernels_way(&guest.out, &name)),
        _ => {}
    }
    words.push(probed.trail.words(&name));
    words.push(probed.guest.detail.clone());
    if probed.device.detail != probed.guest.detail && !probed.device.detail.is_empty() {
        words.push(format!("device: {}", probed.device.detail));
    }
    words.retain(|word| !word.is_empty());
    Row {
        name: probed.probe.name.clone(),
        guest: probed.guest.clone(),
        device: probed.device.clone(),
        detail: words.join("; "),
    }
}

/// What the kernel says of the way that the guest's packets take.
fn kernels_way(way: &Route, name: &dyn Fn(IfIndex) -> String) -> Option<String> {
    Some(match way {
        Ok(Some(way)) => format!("route by {}", name(way.index)),
        Ok(None) => "no route".to_owned(),
        Err(errno) => format!("no route: {:?}", nix::errno::Errno::from_raw(*errno)),
    })
}
