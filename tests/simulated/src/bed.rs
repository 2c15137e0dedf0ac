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

//! guestnetd in a history: its lives, the calls that it is asked, and what must hold of it.

use crate::cast::Cast;
use crate::device;
use crate::history::{self, Op, Step, GUESTS};
use crate::netd::{self, Wanted};
use crate::schedule::{self, inside, schedule, Nanos, Wait};
use crate::segments;
use crate::tables;
use crate::world::{world, Hearing, World};
use guestnet_simulator::{Connection, Fate, Netns, Packet};
use guestnetd::daemon::{
    AttachRequest, Attached, By, Config, Daemon, GuestReport, Handle, UpdateRequest, Verdict, Whose,
};
use guestnetd::effects::firewall::{Choice, Options};
use guestnetd::effects::kernel::netns::initial::Initial;
use guestnetd::effects::kernel::netns::target::{Named, Target};
use guestnetd::model::layer::{Layer, LayerReport, LayerState};
use guestnetd::model::ownership::LINK_GROUP;
use guestnetd::spec::{GuestName, GuestSpec, IfName, VpnPolicy};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const MS: Nanos = 1_000_000;
const S: Nanos = 1_000 * MS;
/// The longest that any call may take.
const LONGEST: Nanos = 60 * S;
/// After that everything that is tried again has been, and everything has been compared.
const REST: Nanos = 400 * S;
/// More than one life of guestnetd's ever needs.
const DESCRIPTORS: usize = 64;

/// More than any fault keeps it from a start: what cannot be opened may be what every start opens first.
const STARTS: usize = 80;

/// What keeps guests' packets from the internet, as it is read.
const UNFORWARDED: &str = "nothing is forwarded";

/// What became of something.
pub type Outcome<T> = Result<T, String>;

/// Others' things, as they are.
#[derive(Clone, Debug, Default)]
struct Others {
    rules: BTreeSet<u8>,
    routes: BTreeSet<u8>,
    tables: BTreeSet<u8>,
    /// The same in x_tables.
    chains: BTreeSet<u8>,
    /// Whether others have written the forwarding switch. From then on it is shared: it is not given
    /// back, and what is not guests' passes (`model/forwarding.rs`).
    switch: bool,
    /// What the framework wants of netd.
    netd: Option<Wanted>,
}

/// What a guest is to be, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Attached,
    Detached,
    /// A call on it was never answered, or others have been at it.
    Either,
}

/// What status says of a device.
#[derive(Debug)]
struct Said {
    well: bool,
    forwards: bool,
    guests: Vec<SaidOf>,
}

/// The same of a guest.
#[derive(Debug)]
struct SaidOf {
    name: String,
    index: u32,
    address: Ipv4Addr,
    well: bool,
    /// Whether its place in its segment is as it should be; none: it has none.
    segment: Option<bool>,
}

/// The answer of a call, once it is there.
type Answer<T> = Arc<Mutex<Option<T>>>;

/// Descriptors of a TAP device.
type Held = Arc<Mutex<Vec<i32>>>;

/// Which packet filter guestnetd has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// nf_tables.
    Nftables,
    /// x_tables, by the programs in this directory.
    Xtables(PathBuf),
    /// x_tables by netd's helper in this directory, on a device that netd shapes; whether it is Android 16.
    Netd(PathBuf, bool),
}

impl Way {
    /// Whether it is on a device that netd shapes.
    fn has_netd(&self) -> bool {
        matches!(self, Self::Netd(..))
    }

    fn options(&self) -> Options {
        match self {
            Self::Nftables => Choice::Nftables.into(),
            Self::Xtables(dir) => {
                let iptables = Some(dir.join("iptables"));
                Options { choice: Choice::Iptables, iptables }
            }
            Self::Netd(dir, _) => {
                let iptables = Some(dir.join("iptables-wrapper-1.0"));
                Options { choice: Choice::Auto, iptables }
            }
        }
    }
}

/// Everything.
pub struct Bed {
    way: Way,
    /// What it can be instead.
    other: Way,
    dir: PathBuf,
    life: u32,
    daemon: Option<Handle>,
    cast: Cast,
    guests: Vec<(i32, Netns)>,
    /// What machines have of their TAP devices.
    taps: [Held; GUESTS],
    known: Vec<Known>,
    /// Where those are that have moved, as of the last rest.
    at: [Option<Ipv4Addr>; GUESTS],
    others: Others,
    pids: i32,
    /// A fault has been planned since the last rest: a call may fail by it.
    faults_before: u32,
    trace: bool,
}

pub fn name(guest: usize) -> GuestName {
    GuestName::new(["one", "two", "three", "four"][guest]).expect("a name")
}

/// The guest that a lockdown stops, where netd is.
pub const BLOCKED: &str = "three";
/// Its number, and that of the one that leaves by the VPN there.
const STOPPED: usize = 2;
const BY_VPN: usize = 3;

fn vpn(guest: usize) -> VpnPolicy {
    match guest {
        STOPPED if netd::netd().is_some() => VpnPolicy::BlockUnderLockdown,
        BY_VPN if netd::netd().is_some() => {
            VpnPolicy::NamedTun(IfName::new(netd::VPN).expect("a name"))
        }
        _ => VpnPolicy::FollowUplink,
    }
}

/// Two guests share a subnet.
fn spec(guest: usize, mtu: i32) -> GuestSpec {
    let gateway = [[172, 17, 3, 2], [172, 28, 3, 2], [172, 28, 3, 2], [10, 77, 0, 1]][guest];
    let wlan0 = IfName::new("wlan0").expect("a name");
    GuestSpec::new(name(guest), wlan0, None, gateway.into(), 24, mtu).expect("a guest")
}

/// Where a guest is that has moved.
const MOVED: Ipv4Addr = Ipv4Addr::new(172, 28, 3, 200);

/// What must be so between any two writes: what a guest could send by its link meets guestnetd's rules, and
/// nothing passes under another address than a guest's own, or to another guest.
fn closed(world: &mut World) -> Result<(), String> {
    netd::stays_stopped(world)?;
    let device = world.device;
    let ours = |(index, name, flags, group): (u32, &str, u32, u32)| {
        (group == LINK_GROUP && flags & 1 != 0).then(|| (index, name.to_owned()))
    };
    let mut links: Vec<_> = world.kernel.links(device).filter_map(ours).collect();
    // What comes in by a segment's device its filters have taken.
    links.retain(|(index, _)| !segments::is_hubs(world, *index));
    let Some((_, first)) = links.first() else { return Ok(()) };
    // What others have opened guestnetd closes when it hears of it, or looks.
    if let Some(opened) = world.opened {
        if tables::generation(world, device) == opened || !tables::is_closed(world, device) {
            return Ok(());
        }
        world.opened = None;
    }
    if !tables::is_closed(world, device) {
        return Err(format!("{first} is up, and the packet filter is open"));
    }
    let generation = tables::generation(world, device);
    let filtered = world.kernel.filtered();
    if world.cast.has_segments() && world.looked_at_filters != filtered {
        world.looked_at_filters = filtered;
        segments::apart(world)?;
    }
    if std::mem::replace(&mut world.looked, generation) == generation {
        return Ok(());
    }
    let rules = world.filter.rules(device);
    for (index, name) in &links {
        for (from, to) in
            [(STRANGER, ELSEWHERE), (STRANGER, GUESTS_OWN[0]), (GUESTS_OWN[0], GUESTS_OWN[1])]
        {
            let fate = world.kernel.packet(device, &rules, &packet(*index as i32, from, to));
            // One of these addresses may be this guest's own.
            if from == STRANGER && matches!(fate, Fate::Sent { .. }) {
                return Err(format!("{from} to {to} by {name}: {fate:?}"));
            }
            let by_guest = |output: u32| links.iter().any(|(index, _)| *index == output);
            if matches!(fate, Fate::Sent { output, .. } if by_guest(output)) {
                return Err(format!("{from} to {to} by {name}, another guest's: {fate:?}"));
            }
        }
    }
    Ok(())
}

/// An address that is nobody's.
pub const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 66, 6, 6);
/// The internet.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
/// The first addresses that guests get in two of their subnets.
const GUESTS_OWN: [Ipv4Addr; 2] = [Ipv4Addr::new(172, 17, 3, 3), Ipv4Addr::new(172, 28, 3, 3)];

/// The first packet of a connection.
pub fn packet(input: i32, from: Ipv4Addr, to: Ipv4Addr) -> Packet {
    let (input, ports, connection) = (input as u32, (40_000, 443), Connection::New);
    Packet { input, from, to, protocol: libc::IPPROTO_TCP as u8, ports, connection }
}

impl Bed {
    /// A device, and guestnetd on it, which each guest has been attached by once.
    pub fn new(dir: PathBuf, way: Way) -> Outcome<Self> {
        inside(|| match &way {
            Way::Netd(_, sixteen) => netd::build(*sixteen),
            _ => device::build(),
        });
        let mut bed = Self {
            other: way.clone(),
            way,
            dir,
            life: 0,
            daemon: None,
            cast: Cast::Plain,
            guests: Vec::new(),
            taps: Default::default(),
            known: vec![Known::Detached; GUESTS],
            at: [None; GUESTS],
            others: Others::default(),
            pids: 1000,
            faults_before: 0,
            trace: world().trace,
        };
        for _ in 0..GUESTS {
            let guest = bed.new_guest();
            bed.guests.push(guest);
        }
        bed.start()?;
        // Each name has its place from now on, whatever comes first in a history.
        for guest in 0..GUESTS {
            bed.attach(guest)?.map_err(|e| format!("the first attach: {e}"))?;
        }
        for guest in 0..GUESTS {
            bed.detach(guest)?.map_err(|e| format!("the first detach: {e}"))?;
        }
        bed.known = vec![Known::Detached; GUESTS];
        world().watch = None;
        Ok(bed)
    }

    /// The same without a thread: guestnetd was killed. A process that is forked from here can go on.
    pub fn asleep(dir: PathBuf, way: Way) -> Outcome<Self> {
        let mut bed = Self::new(dir, way)?;
        bed.kill();
        Ok(bed)
    }

    /// Goes on from there, in a directory of its own.
    pub fn wake(&mut self, dir: PathBuf, way: Way, other: Way) -> Outcome<()> {
        inside(|| copy(&self.dir, &dir)).map_err(|e| format!("{}: {e}", dir.display()))?;
        (self.dir, self.way, self.other, self.trace) = (dir, way, other, world().trace);
        self.alive()
    }

    fn new_guest(&mut self) -> (i32, Netns) {
        inside(|| {
            self.pids += 1;
            let netns = world().kernel.netns_add();
            world().process_add(self.pids, netns, self.pids as u64);
            world().kernel.netns_del(netns);
            (self.pids, netns)
        })
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>10.3} {}", (schedule().now() - 1_000 * S) as f64 / 1e9, what());
        }
    }

    /// Lets time go by while others run.
    fn pass(&self, nanos: Nanos) {
        schedule::wait(Wait::Quiet, Some(schedule().now() + nanos));
    }

    /// Begins something on a thread of guestnetd's.
    fn begin<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
        let answer = Answer::default();
        let to = Arc::clone(&answer);
        schedule().set_life(self.life);
        let thread = std::thread::spawn(move || {
            let result = work();
            *to.lock().unwrap() = Some(result);
        });
        schedule().set_life(0);
        std::mem::forget(thread);
        answer
    }

    /// Waits for an answer; none: guestnetd was killed meanwhile.
    fn answer<T>(&self, what: &str, answer: &Answer<T>) -> Outcome<Option<T>> {
        let until = schedule().now() + LONGEST;
        let mut pause = 100_000;
        loop {
            self.pass(pause);
            if world().killed {
                return Ok(None);
            }
            if let Some(result) = answer.lock().unwrap().take() {
                return Ok(Some(result));
            }
            pause = (pause * 2).min(100 * MS);
            if schedule().now() > until {
                let waits = inside(|| schedule().waits());
                return Err(format!("{what} was not answered\n{waits}"));
            }
        }
    }

    /// Starts guestnetd, again where a fault keeps it from that.
    fn start(&mut self) -> Outcome<()> {
        for _ in 0..STARTS {
            self.life += 1;
            let faults = world().faults;
            let (uplink, ndc) = match &self.way {
                Way::Netd(dir, _) => ("default", Some(dir.join("ndc-wrapper-1.0"))),
                _ => ("wlan0", None),
            };
            let config = Config {
                uplink: uplink.parse().map_err(|_| "an uplink")?,
                firewall: self.way.options(),
                state_dir: self.dir.clone(),
                keep_forwarding: false,
                ndc,
                dnsproxyd: PathBuf::new(),
                guest_zone: None,
                resolvers: Vec::new(),
                resolv_conf: None,
                connections: 4096,
                // Twice in a rest: more often finds no more, and is most of its work.
                check_every: Duration::from_secs(180),
            };
            self.say(|| format!("start, life {}", self.life));
            let begun = self.begin(move || Daemon::spawn(config, |_| {}).map(|(handle, _)| handle));
            match self.answer("the start", &begun)? {
                None => self.bury(),
                Some(Ok(handle)) => {
                    self.daemon = Some(handle);
                    return Ok(());
                }
                // Init starts it again.
                Some(Err(e)) if world().faults > faults => {
                    self.say(|| format!("the start failed: {e}"));
                    self.kill();
                }
                Some(Err(e)) => return Err(format!("the start failed: {e}")),
            }
        }
        Err("it does not start".into())
    }

    /// What is left of a life that was killed goes.
    fn bury(&mut self) {
        self.say(|| format!("life {} was killed", self.life));
        // It holds descriptors that are nobody's any more: nothing of it is run again.
        std::mem::forget(self.daemon.take());
        let life = self.life;
        inside(|| {
            schedule().kill(life);
            world().bury(life);
            world().killed = false;
        });
    }

    fn kill(&mut self) {
        inside(|| schedule().kill(self.life));
        self.bury();
    }

    fn handle(&self) -> Handle {
        self.daemon.clone().expect("it runs")
    }

    /// What is asked for a guest, with that address or with its own.
    fn spec_at(&self, guest: usize, mtu: i32, address: Option<Ipv4Addr>) -> GuestSpec {
        let spec = self.cast.spec(guest, spec(guest, mtu));
        let vpn = if self.way.has_netd() { vpn(guest) } else { spec.vpn.clone() };
        GuestSpec { addresses: address.map(Into::into).into_iter().collect(), vpn, ..spec }
    }

    fn begin_attach(&mut self, guest: usize, at: Option<Ipv4Addr>) -> Answer<Result<(), String>> {
        let role = self.cast.role(guest);
        if !inside(|| world().lives(self.guests[role.process].0)) {
            self.guests[role.process] = self.new_guest();
        }
        let (pid, handle) = (self.guests[role.process].0, self.handle());
        let (spec, held) = (self.spec_at(guest, -1, at), Arc::clone(&self.taps[guest]));
        self.begin(move || {
            let target = match role.queues {
                Some(_) => None,
                None => {
                    let target = Target::open(Named::Pid(pid), &Initial::find());
                    Some(target.map_err(|e| e.to_string())?)
                }
            };
            let request = AttachRequest {
                spec,
                target,
                uid: 0,
                most: None,
                owner: None,
                arrived: Instant::now(),
            };
            let (_, tap) = handle.attach(request).map_err(|e| e.to_string())?;
            if !tap.is_empty() {
                pass_on(tap, &held);
            }
            Ok(())
        })
    }

    fn begin_detach(&self, guest: usize) -> Answer<Result<(), String>> {
        let handle = self.handle();
        let by = By { uid: 0, pid: 0 };
        self.begin(move || {
            handle.detach(name(guest), Whose::Everyones, by).map_err(|e| e.to_string())
        })
    }

    /// What a call on a guest was answered with; it is known from then on how that guest is.
    fn end(
        &mut self,
        what: &str,
        (guest, becomes): (usize, Known),
        answer: &Answer<Result<(), String>>,
        faults: u32,
    ) -> Outcome<Result<(), String>> {
        let result = self.answer(what, answer)?;
        self.say(|| format!("{what} {guest}: {result:?}"));
        match result {
            None => {
                self.known[guest] = Known::Either;
                Ok(Ok(()))
            }
            Some(Ok(())) => {
                self.known[guest] = becomes;
                Ok(Ok(()))
            }
            Some(Err(e)) => {
                let (was, faulty) = (self.known[guest], world().faults > faults);
                if was == Known::Either {
                    return Ok(Err(e));
                }
                // An attach that fails changes nothing; a detach may be under way.
                if becomes == Known::Detached && was == Known::Attached {
                    self.known[guest] = Known::Either;
                }
                // Who leaves by the VPN has to find it.
                let there = vpn(guest).tun().is_none() || netd::way_by_vpn().is_some();
                if !faulty && was != becomes && self.undisturbed() && there {
                    return Err(format!("{what} of {guest} failed without a reason: {e}"));
                }
                Ok(Err(e))
            }
        }
    }

    /// Whether nothing that others or faults have done is still to be dealt with.
    fn undisturbed(&self) -> bool {
        world().faults == self.faults_before && world().hearing == Hearing::Good
    }

    /// A segment's device is looked at when guestnetd compares everything, and not at each attach: until then one may
    /// fail.
    fn disturb(&mut self) {
        self.faults_before = u32::MAX;
    }

    fn attach(&mut self, guest: usize) -> Outcome<Result<(), String>> {
        self.attach_at(guest, None)
    }

    fn attach_at(&mut self, guest: usize, at: Option<Ipv4Addr>) -> Outcome<Result<(), String>> {
        let faults = world().faults;
        let answer = self.begin_attach(guest, at);
        self.end("attach", (guest, Known::Attached), &answer, faults)
    }

    fn detach(&mut self, guest: usize) -> Outcome<Result<(), String>> {
        let faults = world().faults;
        let answer = self.begin_detach(guest);
        self.end("detach", (guest, Known::Detached), &answer, faults)
    }

    /// The name of a guest's host end, where it is to be seen.
    fn host_end(&self, guest: usize) -> Option<String> {
        inside(|| {
            let name = name(guest).to_string();
            let links = device::links(world().device);
            let of =
                |alias: &str| alias.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == name);
            let found = links.iter().find(|link| link.alias.as_deref().is_some_and(of));
            found.map(|link| link.name.clone())
        })
    }

    /// Does one step.
    pub fn step(&mut self, step: &Step) -> Outcome<()> {
        self.say(|| format!("{step:?}"));
        if let Op::Chance(number) = step.op {
            schedule().seed = history::chance(number);
            return Ok(());
        }
        if !matches!(step.op, Op::Rest) {
            world().expect(step.fault.clone());
            if step.hearing != Hearing::Late && !matches!(step.op, Op::Status(_)) {
                inside(|| world().hear_late());
            }
            if !matches!(step.op, Op::Status(_)) {
                world().hearing = step.hearing;
            }
        }
        self.happens(&step.op)?;
        if !world().killed {
            self.pass(3 * MS);
        }
        self.alive()
    }

    fn happens(&mut self, op: &Op) -> Outcome<()> {
        let device = world().device;
        match *op {
            Op::Attach(guest) => drop(self.attach(guest)?),
            Op::Detach(guest) => drop(self.detach(guest)?),
            Op::AttachAndDetach(one, other) => {
                let faults = world().faults;
                let (first, second) = (self.begin_attach(one, None), self.begin_detach(other));
                drop(self.end("attach", (one, Known::Attached), &first, faults)?);
                drop(self.end("detach", (other, Known::Detached), &second, faults)?);
            }
            Op::Update(guest, mtu, moves) => {
                let (handle, faults) = (self.handle(), world().faults);
                let spec = self.spec_at(guest, mtu, moves.then_some(MOVED));
                let answer = self.begin(move || {
                    let request = UpdateRequest {
                        name: name(guest),
                        spec,
                        whose: Whose::Everyones,
                        arrived: Instant::now(),
                    };
                    handle.update(request).map(drop).map_err(|e| e.to_string())
                });
                let result = self.answer("update", &answer)?;
                self.say(|| format!("update {guest}: {result:?}"));
                let done = result.is_some_and(|result| result.is_ok());
                if done && moves && world().faults == faults && !world().killed {
                    self.has_moved(guest)?;
                }
            }
            Op::Status(guest) => {
                let first = self.status(guest)?;
                // The kernel has queued an announcement before who caused it goes on: only what is read again
                // each time is known while they are held back.
                let late = world().hearing == Hearing::Late;
                let broken = self.broken(guest).filter(|what| !late || *what == UNFORWARDED);
                // Of the uplink it knows what it has heard; where netd is, of all ways out.
                let netd = self.way.has_netd();
                let hears = !late || !netd && inside(|| device::has_default_route(device));
                let cut = |said: &Option<Said>| -> Vec<(u32, Ipv4Addr, String)> {
                    let guests = said.iter().flat_map(|said| &said.guests).filter(|_| hears);
                    guests.filter_map(|guest| inside(|| self.is_cut(guest))).collect()
                };
                let cut_before = cut(&first);
                let apart_before = self.cut_off(first.as_ref());
                if world().killed {
                    return Ok(());
                }
                let said = self.status(guest)?;
                self.say(|| format!("status {guest:?}: {said:?}, and {broken:?}"));
                let cut_after = cut(&said);
                let apart_after = self.cut_off(said.as_ref());
                // What was so before the call and is so after it was so all the time.
                let still = broken.filter(|_| !world().killed && self.broken(guest) == broken);
                let Some(said) = said.filter(|_| !world().killed) else { return Ok(()) };
                match still {
                    Some(what) if said.well => {
                        return Err(format!("{what}, and status says that all is well"));
                    }
                    Some(UNFORWARDED) if said.forwards => {
                        return Err(format!("{UNFORWARDED}, and status says that it is"));
                    }
                    _ => {}
                }
                if let Some((name, why)) = apart_after.iter().find(|one| apart_before.contains(one))
                {
                    return Err(format!(
                        "{name} is cut off from its segment, and status says it is not: {why}"
                    ));
                }
                for (index, address, why) in cut_after {
                    let was = cut_before.iter().any(|one| (one.0, one.1) == (index, address));
                    let well = |one: &&SaidOf| one.index == index && one.well;
                    if let Some(guest) = said.guests.iter().find(well).filter(|_| was) {
                        let name = &guest.name;
                        return Err(format!(
                            "nothing of {name}'s leaves, and status says it does: {why}"
                        ));
                    }
                }
            }
            Op::List => {
                let handle = self.handle();
                let answer = self.begin(move || handle.list(Whose::Everyones).is_ok());
                self.answer("list", &answer)?;
            }
            Op::GuestDies(guest) => {
                let role = self.cast.role(guest);
                if role.queues.is_some() {
                    close(&self.taps[guest]);
                    self.known[guest] = Known::Detached;
                } else {
                    inside(|| world().process_end(self.guests[role.process].0));
                    for guest in self.cast.with_process_of(guest) {
                        self.known[guest] = Known::Detached;
                    }
                }
            }
            Op::Killed => self.kill(),
            Op::Down(ref then) => {
                self.kill();
                self.happens(then)?;
            }
            Op::Restarted => {
                let handle = self.handle();
                let answer = self.begin(move || handle.end());
                self.answer("the end", &answer)?;
                self.kill();
            }
            Op::OtherFilter => {
                let handle = self.handle();
                let answer = self.begin(move || handle.end());
                self.answer("the end", &answer)?;
                self.kill();
                // A policy that drops would drop what nf_tables lets pass.
                if !self.way.has_netd() {
                    self.others_chain(2, true);
                    self.others.chains.remove(&2);
                }
                std::mem::swap(&mut self.way, &mut self.other);
            }
            Op::Chance(_) => {}
            Op::Time(ms) => self.pass(ms * MS),
            Op::Rest => self.rest()?,
            Op::UplinkGoes if self.way.has_netd() => inside(|| netd::interface_goes("wlan0")),
            Op::UplinkGoes => drop(inside(|| device::delete(device, "wlan0"))),
            Op::UplinkComes => {
                self.uplink_comes();
                inside(|| self.others_routes());
            }
            Op::NoDefaultRoute if self.way.has_netd() => inside(netd::default_route_goes),
            Op::NoDefaultRoute => {
                inside(|| device::default_route(device, "wlan0", "192.0.2.1", true));
            }
            Op::UplinkDown => drop(inside(|| device::set_up(device, "wlan0", false))),
            Op::Rule(number, gone) => {
                inside(|| device::rule(device, number, gone));
                keep(&mut self.others.rules, number, gone);
            }
            Op::Route(number, gone) => {
                inside(|| device::route(device, "wlan0", number, gone));
                keep(&mut self.others.routes, number, gone);
            }
            Op::Table(number, gone) => match self.way {
                Way::Nftables => {
                    self.others_table(number, gone);
                    keep(&mut self.others.tables, number, gone);
                }
                Way::Xtables(_) | Way::Netd(..) => {
                    self.others_chain(number, gone);
                    keep(&mut self.others.chains, number, gone);
                }
            },
            Op::NoForwarding => {
                let path = "/proc/sys/net/ipv4/ip_forward";
                // netd's switch is shared, and asked for again.
                self.others.switch |= !self.way.has_netd();
                let _ = inside(|| world().write(device, path, b"0"));
            }
            Op::FilterGoes => {
                let theirs = &self.others.chains;
                inside(|| match self.way {
                    Way::Nftables => drop(world().filter.delete(device, "guestnet")),
                    Way::Xtables(_) => tables::flush(device, theirs),
                    Way::Netd(..) => netd::take(device),
                });
                world().opened = Some(tables::generation(world(), device));
            }
            Op::FilterRuleGoes(chain) => {
                let theirs = &self.others.chains;
                inside(|| match self.way {
                    Way::Nftables => drop(world().filter.delete_rule(device, "guestnet", chain)),
                    Way::Xtables(_) => tables::spoil(device, chain, theirs),
                    Way::Netd(..) => netd::spoil(device, chain, theirs),
                });
                world().opened = Some(tables::generation(world(), device));
            }
            Op::Rename(guest) => {
                if let Some(name) = self.host_end(guest) {
                    inside(|| device::set_up(device, &name, false));
                    inside(|| device::rename(device, &name, "renamed"));
                }
            }
            Op::Relabel(guest) => {
                if let Some(name) = self.host_end(guest) {
                    inside(|| device::relabel(device, &name, "others"));
                }
            }
            Op::HostEndDown(guest) => {
                if let Some(name) = self.host_end(guest) {
                    inside(|| device::set_up(device, &name, false));
                }
            }
            Op::NoHostAddress(guest) => {
                if let Some(name) = self.host_end(guest) {
                    let gateway = spec(guest, -1).gateway.to_string();
                    inside(|| device::address(device, &name, &gateway, 32, true));
                }
            }
            Op::HostEndGoes(guest) => {
                if let Some(name) = self.host_end(guest) {
                    inside(|| device::delete(device, &name));
                    self.known[guest] = Known::Detached;
                }
            }
            Op::Netd(ref doing) if self.way.has_netd() => {
                doing.happens();
                self.after_netd(doing);
            }
            Op::Netd(_) => {}
            Op::NoFilters(guest) => {
                self.disturb();
                if let Some(name) = self.host_end(guest) {
                    inside(|| {
                        if let Some(link) = device::link(device, &name) {
                            segments::no_filters(device, link.index as u32);
                        }
                    });
                }
            }
            Op::Segment(segment, damage) => {
                self.disturb();
                inside(|| segments::damage(segment, damage));
            }
            Op::Cast(cast) => self.play(cast),
        }
        Ok(())
    }

    /// What others do when netd has done that: its start has taken all rules, and vendors' out of its chains.
    fn after_netd(&mut self, doing: &netd::Doing) {
        if matches!(doing, netd::Doing::Restarts(_)) {
            self.others.rules.clear();
            let device = world().device;
            inside(|| {
                self.others.chains.iter().for_each(|number| netd::others(device, *number, false))
            });
            world().opened = Some(tables::generation(world(), device));
        }
    }

    fn uplink_comes(&self) {
        inside(|| match self.way.has_netd() {
            true => netd::connect("wlan0"),
            false => device::uplink_comes(),
        });
    }

    /// The guests are these from now on.
    fn play(&mut self, cast: Cast) {
        (self.cast, world().cast) = (cast, cast);
    }

    /// What status says; none: guestnetd was killed meanwhile, or does not know the guest.
    fn status(&self, guest: Option<usize>) -> Outcome<Option<Said>> {
        let handle = self.handle();
        let is_well = |verdict: Verdict| matches!(verdict, Verdict::Internet | Verdict::NoNames);
        let answer = self.begin(move || {
            let report = handle.status(guest.map(name), Whose::Everyones).ok()?;
            let on =
                |one: &LayerReport| one.layer == Layer::Forwarding && one.state == LayerState::Ok;
            let of = |one: &GuestReport| SaidOf {
                name: one.guest.name().to_string(),
                index: one.guest.index.get(),
                address: one.guest.net.guest.address,
                well: is_well(one.verdict),
                segment: one
                    .layers
                    .iter()
                    .find(|layer| layer.layer == Layer::Segment)
                    .map(|layer| layer.state == LayerState::Ok),
            };
            Some(Said {
                well: is_well(report.verdict),
                // Where there is no guest it may be off.
                forwards: !report.guests.is_empty() && report.layers.iter().any(on),
                guests: report.guests.iter().map(of).collect(),
            })
        });
        Ok(self.answer("status", &answer)?.flatten())
    }

    /// What becomes of a packet of a guest's that should leave, where it does not.
    fn is_cut(&self, guest: &SaidOf) -> Option<(u32, Ipv4Addr, String)> {
        let device = world().device;
        let asked = packet(guest.index as i32, guest.address, ELSEWHERE);
        let up =
            |(index, _, flags, _): (u32, &str, u32, u32)| index == guest.index && flags & 1 != 0;
        if !world().kernel.links(device).any(up) {
            return Some((guest.index, guest.address, "its host end is down, or not there".into()));
        }
        let rules = world().filter.rules(device);
        match world().kernel.packet(device, &rules, &asked) {
            Fate::Sent { .. } => None,
            fate => Some((guest.index, guest.address, format!("{fate:?}"))),
        }
    }

    /// Guests that their segment does not reach, of whom status says that it does, and why it does not.
    fn cut_off(&self, said: Option<&Said>) -> Vec<(String, String)> {
        let well =
            said.iter().flat_map(|said| &said.guests).filter(|one| one.segment == Some(true));
        let cut = |one: &SaidOf| {
            let guest = segments::guest_of(&GuestName::new(&one.name)?)?;
            let why = inside(|| segments::cut(self.cast, guest, one.index, one.address))?;
            Some((one.name.clone(), why))
        };
        well.filter_map(cut).collect()
    }

    /// What keeps every guest's packets from the internet, where there are guests; or this one's.
    fn broken(&self, asked: Option<usize>) -> Option<&'static str> {
        let device = world().device;
        // Who leaves by the VPN needs no default network.
        let needs = |guest: &usize| !matches!(vpn(*guest), VpnPolicy::NamedTun(_));
        let mut those = (0..GUESTS).filter(|guest| asked.is_none_or(|asked| asked == *guest));
        let needs = !self.way.has_netd()
            || those.any(|guest| needs(&guest) && self.host_end(guest).is_some());
        inside(|| {
            let guests = segments::leaving(world());
            let on = world().kernel.read(device, "/proc/sys/net/ipv4/ip_forward");
            let on = on.is_ok_and(|value| value.trim_ascii() == b"1");
            match () {
                () if guests == 0 => None,
                () if !on => Some(UNFORWARDED),
                () if needs && !device::has_default_route(device) => {
                    Some("there is no default route")
                }
                () => None,
            }
        })
    }

    /// Starts guestnetd again where it was killed.
    fn alive(&mut self) -> Outcome<()> {
        if world().killed {
            self.bury();
        }
        while self.daemon.is_none() {
            self.start()?;
            self.pass(MS);
            if world().killed {
                self.bury();
            }
        }
        Ok(())
    }

    /// A table of others' comes to nf_tables, or goes.
    fn others_table(&self, number: u8, gone: bool) {
        let device = world().device;
        inside(|| world().filter.others(device, &format!("others{number}"), gone));
        if world().opened.is_some() {
            world().opened = Some(tables::generation(world(), device));
        }
    }

    /// Something of others' comes to x_tables, or goes.
    fn others_chain(&mut self, number: u8, gone: bool) {
        if self.others.chains.contains(&number) != gone {
            return;
        }
        let device = world().device;
        inside(|| match self.way.has_netd() {
            true => netd::others(device, number, gone),
            false => tables::others(device, number, gone),
        });
        // A rule for what is forwarded, or a policy, shares it (`model/forwarding.rs`).
        self.others.switch |= number != 0 && !self.way.has_netd();
        // What comes before guestnetd's own has opened it.
        if world().opened.is_some() || (number == 1 && !gone) {
            world().opened = Some(tables::generation(world(), device));
        }
    }

    fn others_routes(&self) {
        for number in self.others.routes.clone() {
            device::route(world().device, "wlan0", number, false);
        }
    }

    /// Everything comes to rest: nothing goes wrong any more, and all is as it should be after a while.
    pub fn rest(&mut self) -> Outcome<()> {
        world().expect(None);
        inside(|| world().hear_late());
        match self.way.has_netd() {
            true => netd::whole(),
            false => self.uplink_comes(),
        }
        self.others.netd = netd::netd().map(|netd| netd.wanted.clone());
        inside(|| self.others_routes());
        self.pass(REST);
        self.alive()?;
        self.faults_before = world().faults;
        let handle = self.handle();
        let listed = self.begin(move || {
            let all = handle.list(Whose::Everyones).map_err(|e| e.to_string())?;
            let one = |guest: &Attached| (guest.name().to_string(), guest.net.guest.address);
            Ok::<_, String>(all.iter().map(one).collect::<BTreeMap<_, _>>())
        });
        let listed = self.answer("list", &listed)?.ok_or("it was killed at rest")??;
        for guest in 0..GUESTS {
            let is = listed.contains_key(name(guest).as_str());
            let at = listed.get(name(guest).as_str()).copied();
            self.at[guest] = at.filter(|address| *address == MOVED);
            match (self.known[guest], is) {
                (Known::Attached, false) => return Err(format!("{} is lost", name(guest))),
                (Known::Detached, true) => return Err(format!("{} is still there", name(guest))),
                (_, true) => self.known[guest] = Known::Attached,
                (_, false) => self.known[guest] = Known::Detached,
            }
        }
        for guest in 0..GUESTS {
            self.check(guest, listed.get(name(guest).as_str()).copied())?;
        }
        let address = |guest| Some((guest, *listed.get(name(guest).as_str())?));
        let there: Vec<_> = (0..GUESTS).filter_map(address).collect();
        inside(|| segments::reached(&there))?;
        let count = inside(|| world().descriptors(self.life));
        if count > DESCRIPTORS {
            return Err(format!("{count} descriptors are open"));
        }
        match inside(|| set_aside(&self.dir)) {
            Some(path) => Err(format!("the state was whole, and {path} was made of it")),
            None => Ok(()),
        }
    }

    /// With the answer the address before is nobody's. (nf_tables alone knows guests by their addresses.)
    fn has_moved(&self, guest: usize) -> Outcome<()> {
        let Some(end) = self.host_end(guest) else { return Ok(()) };
        let lets_in = inside(|| world().filter.sources(world().device, &end));
        match lets_in.iter().all(|source| *source == MOVED) {
            true => Ok(()),
            false => Err(format!("{} has moved, and is let in from {lets_in:?}", name(guest))),
        }
    }

    /// A guest has what it should have, or nothing; and status says so.
    fn check(&mut self, guest: usize, address: Option<Ipv4Addr>) -> Outcome<()> {
        let (end, here) = (self.host_end(guest), self.known[guest] == Known::Attached);
        let who = name(guest);
        let device = world().device;
        if !here {
            return match end {
                Some(end) => Err(format!("{who} is detached, and {end} is left of it")),
                None => Ok(()),
            };
        }
        let end = end.ok_or(format!("{who} is attached, and has no host end"))?;
        let role = self.cast.role(guest);
        let (netns, interface) = (self.guests[role.process].1, self.cast.interface(guest));
        let way = self.way_out(guest);
        inside(|| {
            let up =
                |netns, name: &str| device::link(netns, name).is_some_and(|l| l.flags & 1 != 0);
            if !up(device, &end) {
                return Err(format!("{end} of {who} is down"));
            }
            if role.queues.is_none() && !up(netns, interface) {
                return Err(format!("{who} has no {interface} that is up"));
            }
            let known = match self.way {
                Way::Nftables => world().filter.knows_guest(device, &end),
                Way::Xtables(_) | Way::Netd(..) => tables::is_closed(world(), device),
            };
            if !known {
                return Err(format!("the packet filter does not know {end} of {who}"));
            }
            let link = |name: &str| device::link(device, name).map_or(0, |link| link.index);
            let (rules, address) = (world().filter.rules(device), address.unwrap_or(STRANGER));
            let ours =
                world().kernel.packet(device, &rules, &packet(link(&end), address, ELSEWHERE));
            let way = way.filter(|_| role.leaves);
            let leaves = way.is_some_and(|(uplink, address)| {
                let uplink = link(uplink) as u32;
                matches!(ours, Fate::Sent { output, from, .. } if output == uplink && from == address)
            });
            match way {
                Some(_) if !leaves => {
                    return Err(format!(
                        "a packet of {who}'s does not leave as the device's: {ours:?}"
                    ));
                }
                None if matches!(ours, Fate::Sent { .. }) => {
                    return Err(format!("{who} has no way out, and its packets leave: {ours:?}"));
                }
                _ => {}
            }
            Ok(())
        })?;
        let (handle, leaves) = (self.handle(), role.leaves);
        let said = self.begin(move || {
            let report = handle.status(Some(name(guest)), Whose::Everyones);
            report.map_err(|e| e.to_string()).map(|report| {
                let mut bad: Vec<String> = report
                    .guests
                    .iter()
                    // There is no resolver here, and it says so.
                    .filter(|one| {
                        one.verdict != if leaves { Verdict::NoNames } else { Verdict::NoUplink }
                    })
                    .map(|one| format!("{:?}: {:?}", one.verdict, one.reason))
                    .collect();
                let layers = report.guests.iter().flat_map(|one| &one.layers);
                let segment = layers.filter(|one| one.layer == Layer::Segment);
                bad.extend(
                    segment.filter(|one| one.state != LayerState::Ok).map(|one| format!("{one:?}")),
                );
                bad
            })
        });
        let bad = self.answer("status", &said)?.ok_or("it was killed at rest")??;
        // One that is to have none is asked whether it says so.
        match (way.is_none() && role.leaves, bad.is_empty()) {
            (false, true) | (true, false) => Ok(()),
            (false, false) => Err(format!("{who} has all it needs, and status says {bad:?}")),
            (true, true) => Err(format!("{who} has no way out, and status says that all is well")),
        }
    }

    /// By which interface a guest is to leave at rest, and as whom; none: it is not to.
    fn way_out(&self, guest: usize) -> Option<(&'static str, Ipv4Addr)> {
        let Some(netd) = netd::netd() else { return Some(("wlan0", Ipv4Addr::new(192, 0, 2, 7))) };
        match vpn(guest) {
            VpnPolicy::NamedTun(_) => netd::way_by_vpn(),
            VpnPolicy::BlockUnderLockdown if netd.wanted.lockdown => None,
            _ => netd::way_out(),
        }
    }

    /// All that there is at the end, in a form that does not depend on the way there.
    pub fn state(&self) -> Vec<String> {
        inside(|| {
            let mut lines = device::state(world().device);
            if self.others.switch {
                let shared = |line: &&String| {
                    line.starts_with("/proc/")
                        || line.starts_with("nft 1 guestnet chain forward rule")
                        || line.starts_with("x_tables V4 filter chain oem_guestnet_fwd rule")
                };
                lines.retain(|line| !shared(&line));
            }
            for guest in 0..GUESTS {
                let role = self.cast.role(guest);
                if self.known[guest] == Known::Attached && role.queues.is_none() {
                    let inside = device::state(self.guests[role.process].1);
                    lines.extend(inside.into_iter().map(|line| format!("{} {line}", name(guest))));
                }
            }
            lines
        })
    }

    /// All that such a device's state depends on, in words.
    pub fn left(&self) -> String {
        format!("{:?} {:?} {:?} {:?} {:?}", self.way, self.cast, self.others, self.known, self.at)
    }

    /// What a device is like where only that was done which is left: the same others' things, the same guests. Begins
    /// with one on which guestnetd was killed, as this one did.
    pub fn plain(&self, mut bed: Self, dir: PathBuf) -> Outcome<Vec<String>> {
        let (others, known, at) = (self.others.clone(), self.known.clone(), self.at);
        bed.wake(dir, self.way.clone(), self.way.clone())?;
        bed.play(self.cast);
        let device = world().device;
        inside(|| {
            for number in &others.rules {
                device::rule(device, *number, false);
            }
        });
        others.tables.iter().for_each(|number| bed.others_table(*number, false));
        others.chains.iter().for_each(|number| bed.others_chain(*number, false));
        bed.others = others;
        inside(|| bed.others_routes());
        for (guest, known) in known.iter().enumerate() {
            if *known == Known::Attached {
                bed.attach_at(guest, at[guest])?
                    .map_err(|e| format!("in the plain history: {e}"))?;
            }
        }
        bed.others.netd.iter().for_each(netd::want);
        bed.last_rest()?;
        Ok(bed.state())
    }

    /// The last rest: where there is no guest nothing is compared, so that one comes and goes.
    pub fn last_rest(&mut self) -> Outcome<()> {
        if self.way.has_netd() {
            netd::settles();
        }
        self.rest()?;
        if self.known.iter().all(|known| *known == Known::Detached) {
            self.attach(0)?.map_err(|e| format!("at the end: {e}"))?;
            self.detach(0)?.map_err(|e| format!("at the end: {e}"))?;
            self.rest()?;
        }
        Ok(())
    }

    /// Looks between any two writes from now on.
    pub fn watch(&self) {
        world().watch = Some(closed);
    }
}

/// What guestnetd has set aside of its state. Nobody damages a file here, and there is one boot.
fn set_aside(dir: &Path) -> Option<String> {
    let all = [dir.to_owned(), dir.join("guests")].into_iter().flat_map(std::fs::read_dir);
    let names =
        all.flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.into_iter().find(|name| name.ends_with(".aside"))
}

/// A directory with all that is in it.
pub fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &to)?,
            false => drop(std::fs::copy(entry.path(), to)?),
        }
    }
    Ok(())
}

/// guestnetd answers with descriptors, which are the machine's from now on. What it had before is of nothing.
fn pass_on(tap: Vec<OwnedFd>, held: &Held) {
    close(held);
    let passed = |fd: OwnedFd| inside(|| world().pass_on(fd.into_raw_fd()));
    let passed: Vec<i32> = tap.into_iter().map(passed).collect();
    *held.lock().unwrap() = passed;
}

/// The machine that has them ends.
fn close(held: &Held) {
    let all = std::mem::take(&mut *held.lock().unwrap());
    inside(|| all.into_iter().for_each(|fd| world().close(fd)));
}

fn keep(set: &mut BTreeSet<u8>, number: u8, gone: bool) {
    match gone {
        true => drop(set.remove(&number)),
        false => drop(set.insert(number)),
    }
}

/// The difference of two states.
pub fn difference(was: &[String], should: &[String]) -> Option<String> {
    let count = |lines: &[String]| {
        let mut counted = BTreeMap::<String, i32>::new();
        lines.iter().for_each(|line| *counted.entry(line.clone()).or_default() += 1);
        counted
    };
    let (was, should) = (count(was), count(should));
    let only = |one: &BTreeMap<String, i32>, other: &BTreeMap<String, i32>, sign: &str| {
        let more = one.iter().filter(|(line, n)| other.get(*line).unwrap_or(&0) < n);
        more.map(|(line, _)| format!("{sign} {line}\n")).collect::<String>()
    };
    let text = only(&should, &was, "-") + &only(&was, &should, "+");
    (!text.is_empty()).then_some(text)
}
