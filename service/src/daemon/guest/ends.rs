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

//! A live guest's both ends, brought to what they should be: read, compared, changed by the executor,
//! read again. The guest's namespace is entered only where its end has to change, and is left before
//! this returns. It sleeps for some 20 ms on the way in and on the way out: never with the daemon
//! entered.

use crate::effects::executor::kernel::KernelExecutor;
use crate::effects::executor::link_deleter::Deleter;
use crate::effects::executor::{apply, marks, put_back, undo};
use crate::effects::kernel::link::{self, Link};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::netns::{reentry, Home};
use crate::effects::kernel::observe;
use crate::error::{Error, KernelError};
use crate::model::change::KernelOp;
use crate::model::desired::{desired_device_side, live_steps, may_remove, Scale};
use crate::model::diff::diff;
use crate::model::guest_net::NetnsRef;
use crate::model::if_index::IfIndex;
use crate::model::object::LinkKind;
use crate::model::timeline::{Operation, Timeline};
use crate::model::{GuestNet, Object, Reversible, Scope, Step};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// What should become of a live guest's ends.
#[derive(Clone, Debug)]
pub(in crate::daemon) struct Job {
    /// Of the host end.
    pub(in crate::daemon) index: IfIndex,
    /// The guest's namespace, as it was attached.
    pub(in crate::daemon) netns: NetnsRef,
    /// What they should be.
    pub(in crate::daemon) net: GuestNet,
    /// How much of that.
    pub(in crate::daemon) scale: Scale,
    /// Whether DHCP clients there have to ask again, after that.
    pub(in crate::daemon) tells: bool,
}

/// How long the carrier is away once that is announced, for clients that look at what is so when they have read all
/// that was announced, as NetworkManager does: no TCP minds.
const CARRIER_AWAY: Duration = Duration::from_millis(20);
/// How long it may take to be announced, where the guest's kernel does not get to announcing it (linkwatch).
const CARRIER_AWAY_MOST: Duration = Duration::from_secs(1);

/// How long the kernel may take to clear a namespace away that has ended.
const CLEARED: Duration = Duration::from_secs(1);

/// A thread's own way to guests' ends: a socket in the device's namespace, and that namespace.
pub(in crate::daemon) struct Ends {
    netlink: Netlink,
    home: Home,
    deleter: Deleter,
}

impl Ends {
    /// For the calling thread.
    pub(in crate::daemon) fn open(deleter: Deleter) -> Result<Self, Error> {
        let failed = |e| Error::kernel("open a socket", e);
        let (netlink, home) = (
            Netlink::open().map_err(failed)?,
            Home::here().map_err(|e| Error::kernel("open the own network namespace", e))?,
        );
        Ok(Self { netlink, home, deleter })
    }

    /// Brings the ends to what `job` says; then `commit`. A failure of either takes everything back.
    pub(in crate::daemon) fn bring(
        &self,
        job: &Job,
        timeline: &mut Timeline,
        commit: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Err(e) = self.try_to(job, timeline, commit) else { return Ok(()) };
        let began = Instant::now();
        while !self.is_gone(job) {
            // What the kernel says of a namespace that has ended and is not cleared away yet.
            if e.errno() != Some(libc::EINVAL) || began.elapsed() > CLEARED {
                return Err(e);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Error::GuestGone(job.net.name.clone()))
    }

    /// Has DHCP clients in the guest ask again: its end loses its carrier for a moment. What the kernel
    /// takes from a host end that goes down is put back.
    pub(in crate::daemon) fn tell(&self, job: &Job) -> Result<(), Error> {
        let Job { index, net, .. } = job;
        let failed = |cause| Error::kernel(format!("set {} down", net.host.name), cause);
        let pair = self.find(job).ok().flatten();
        let began = Instant::now();
        marks::shut(&self.netlink, *index).map_err(failed)?;
        // What comes back before it is announced was never away.
        while began.elapsed() < CARRIER_AWAY_MOST && self.is_running(pair.as_ref()) {
            std::thread::sleep(CARRIER_AWAY / 4);
        }
        std::thread::sleep(CARRIER_AWAY);
        let host = observe::host_end_at(&self.netlink, *index, net)?;
        let host = host.ok_or_else(|| Error::GuestGone(net.name.clone()))?;
        let steps: Vec<Step> = diff(desired_device_side(net), &host.objects, may_remove(net, None));
        let mut executor = KernelExecutor {
            net,
            device: &self.netlink,
            deleter: &self.deleter,
            home: &self.home,
            guest: None,
            host_index: Some(*index),
            guest_index: None,
            tap: Vec::new(),
        };
        put_back(net.name.as_str(), &steps, &mut executor, &mut Timeline::new(Instant::now()))
    }

    fn try_to(
        &self,
        job: &Job,
        timeline: &mut Timeline,
        commit: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let pair = self.find(job)?;
        timeline.enter(Operation::Observe, "looked at what is there", began);
        let stays = |pair: &&Pair| {
            job.scale.before.is_none() && (!job.scale.mtu || pair.guest.mtu == job.net.mtu.bytes())
        };
        let Some(pair) = pair.as_ref() else {
            return self.bring_inside(job, None, None, timeline, commit);
        };
        if stays(&pair) {
            return self.bring_inside(job, Some(pair), None, timeline, commit);
        }
        let began = Instant::now();
        let way =
            reentry::behind(&self.netlink, &self.home, pair.netns, job.netns.handle.as_ref())?;
        let inside = self
            .home
            .inside(way.as_fd(), Netlink::open)
            .map_err(|e| Error::kernel("enter the guest's network namespace", e))?;
        timeline.enter(Operation::EnterNetns, "entered netns", began);
        let there = Some((way.as_fd(), &inside));
        let done = self.bring_inside(job, Some(pair), there, timeline, commit);
        let began = Instant::now();
        drop(inside);
        drop(way);
        timeline.enter(Operation::LeaveNetns, "left netns", began);
        done
    }

    /// Both ends as they are; refuses a guest's end that is not where it was put. None: there is but one, a
    /// TAP device.
    fn find(&self, job: &Job) -> Result<Option<Pair>, Error> {
        let failed = |cause| Error::kernel("read the link", cause);
        let gone = || Error::GuestGone(job.net.name.clone());
        let host = link::by_index(&self.netlink, job.index).map_err(failed)?;
        let host = host.filter(|host| host.kind == job.net.kind.link_kind()).ok_or_else(gone)?;
        if !job.net.kind.has_inside() {
            return Ok(None);
        }
        let netns = host.elsewhere.ok_or_else(|| moved(&job.net))?;
        if netns < 0 {
            return Err(gone());
        }
        if job.netns.id.is_some_and(|known| known != netns) {
            return Err(moved(&job.net));
        }
        let end = host.other_end.ok_or_else(gone)?;
        let guest = link::beyond(&self.netlink, netns, end).map_err(failed)?;
        let guest = peer_of(&job.net, host.index, guest)?;
        Ok(Some(Pair { netns, guest }))
    }

    fn bring_inside(
        &self,
        job: &Job,
        pair: Option<&Pair>,
        guest: Option<(BorrowedFd<'_>, &Netlink)>,
        timeline: &mut Timeline,
        commit: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let who = job.net.name.as_str();
        let steps = self.steps(job, pair, guest)?;
        let mut executor = KernelExecutor {
            net: &job.net,
            device: &self.netlink,
            deleter: &self.deleter,
            home: &self.home,
            guest,
            host_index: Some(job.index),
            guest_index: pair.map(|pair| pair.guest.index),
            tap: Vec::new(),
        };
        apply(who, &steps, &mut executor, timeline)?;
        let finish = || {
            let began = Instant::now();
            let missing = self.steps(job, pair, guest)?;
            timeline.enter(Operation::ReadBack, "read back", began);
            match missing.first() {
                None => commit(),
                Some(_) => {
                    let missing: Vec<_> = missing.iter().map(Reversible::describe).collect();
                    Err(Error::Verify(missing.join(", ")))
                }
            }
        };
        finish().map_err(|error| undo(who, &steps, &mut executor, error))
    }

    /// What is left to do; `guest` is none where the guest's end is as it should be, and `pair` where there
    /// is none.
    fn steps(
        &self,
        job: &Job,
        pair: Option<&Pair>,
        guest: Option<(BorrowedFd<'_>, &Netlink)>,
    ) -> Result<Vec<Step>, Error> {
        let net = &job.net;
        let host = observe::host_end_at(&self.netlink, job.index, net)?;
        let host =
            host.ok_or_else(|| Error::kernel(format!("find {}", net.host.name), no_device()))?;
        let mut found = host.objects;
        let mut other_default = None;
        match (pair, guest) {
            (None, _) => {}
            (Some(pair), Some((netns, inside))) => {
                let open = || self.home.inside(netns, Netlink::open);
                let there = observe::guest_side(inside, open, net)?;
                if there.index != Some(pair.guest.index) {
                    return Err(moved(net));
                }
                found.extend(there.objects);
                other_default = there.other_default;
            }
            (Some(pair), None) => found.push((
                Scope::Guest,
                Object::Link {
                    name: net.guest.name.clone(),
                    kind: LinkKind::VethPeer,
                    mac: net.guest.mac,
                    mtu: pair.guest.mtu,
                },
            )),
        }
        let steps = live_steps(net, &job.scale, &found);
        let routed =
            |step: &Step| (step.scope, step.operation()) == (Scope::Guest, KernelOp::AddRoute);
        match other_default.filter(|_| steps.iter().any(routed)) {
            Some(route) => Err(Error::GuestRouteExists(route)),
            None => Ok(steps),
        }
    }

    /// Whether a guest's end is still said to be operational.
    fn is_running(&self, pair: Option<&Pair>) -> bool {
        let guest = pair.map(|pair| link::beyond(&self.netlink, pair.netns, pair.guest.index));
        matches!(guest, Some(Ok(Some(link))) if link.running)
    }

    /// Whether the host end is gone, or is about to go with the guest's namespace.
    fn is_gone(&self, job: &Job) -> bool {
        match link::by_index(&self.netlink, job.index) {
            Ok(Some(host)) => host.elsewhere.is_some_and(|id| id < 0),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

/// A live pair.
struct Pair {
    /// The id of the guest's namespace.
    netns: i32,
    /// The guest's end, as it can be seen from outside.
    guest: Link,
}

/// The guest's end, if it is that: the guest may have renamed it, or moved it.
fn peer_of(net: &GuestNet, host: IfIndex, there: Option<Link>) -> Result<Link, Error> {
    let is_it = |link: &Link| {
        link.kind == "veth" && link.other_end == Some(host) && link.name == net.guest.name.as_str()
    };
    there.filter(is_it).ok_or_else(|| moved(net))
}

fn moved(net: &GuestNet) -> Error {
    Error::GuestInterfaceMoved { guest: net.name.clone(), interface: net.guest.name.clone() }
}

fn no_device() -> KernelError {
    KernelError { errno: libc::ENODEV, text: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::netns::handle;
    use crate::model::desired::desired_guest;
    use crate::model::diff::diff;
    use crate::model::object::Loopback;
    use crate::model::policy_rules::RoutingMode;
    use crate::spec::{GuestName, GuestSpec, IfName};
    use nix::sched::{unshare, CloneFlags};
    use std::fs::File;
    use std::io::Write;

    fn net(address: [u8; 4], mtu: u32) -> GuestNet {
        let (name, wlan0) = (GuestName::new("demo").unwrap(), IfName::new("wlan0").unwrap());
        let spec = GuestSpec::new(name, wlan0, None, [172, 17, 3, 2].into(), 16, -1).unwrap();
        GuestNet::new(&spec, 1, address.into(), mtu.try_into().unwrap()).routed(RoutingMode::Main)
    }

    /// An attached guest in a device of its own, and the ways to both.
    fn with_a_guest(test: impl FnOnce(&Ends, &File, Job) + Send + 'static) {
        if !nix::unistd::geteuid().is_root() {
            let name = std::thread::current().name().unwrap_or("?").to_owned();
            let _ = writeln!(std::io::stderr(), "SKIPPED {name}: it needs root");
            return;
        }
        let in_a_device = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let held = || {
                unshare(CloneFlags::CLONE_NEWNET).unwrap();
                File::open("/proc/thread-self/ns/net").unwrap()
            };
            let guest = std::thread::spawn(held).join().unwrap();
            let (done, _deleted) = tokio::sync::mpsc::unbounded_channel();
            let ends = Ends::open(Deleter::new(done).unwrap()).unwrap();
            let (was, now) = (net([172, 17, 3, 4], 1500), net([172, 17, 3, 9], 1000));
            let inside = ends.home.inside(guest.as_fd(), Netlink::open).unwrap();
            let mut executor = KernelExecutor {
                net: &was,
                device: &ends.netlink,
                deleter: &ends.deleter,
                home: &ends.home,
                guest: Some((guest.as_fd(), &inside)),
                host_index: None,
                guest_index: None,
                tap: Vec::new(),
            };
            let found = [(Scope::Guest, Object::Loopback(Loopback::New))];
            let steps = diff(desired_guest(&was), &found, |_, _| false);
            apply("demo", &steps, &mut executor, &mut Timeline::new(Instant::now())).unwrap();
            let host = link::by_name(&ends.netlink, "vm_wlan1").unwrap().unwrap();
            let netns = NetnsRef { id: host.elsewhere, handle: handle::of(guest.as_fd()) };
            let scale = Scale { mtu: true, before: Some(was) };
            let index = host.index;
            test(&ends, &guest, Job { index, netns, net: now, scale, tells: false });
        };
        std::thread::spawn(in_a_device).join().unwrap();
    }

    /// Whether both ends are as `net` says, and have nothing of `other`.
    fn has(ends: &Ends, guest: &File, net: &GuestNet, other: &GuestNet) -> bool {
        let inside = ends.home.inside(guest.as_fd(), Netlink::open).unwrap();
        let mut found = observe::host_end(&ends.netlink, net).unwrap().unwrap().objects;
        let open = || ends.home.inside(guest.as_fd(), Netlink::open);
        found.extend(observe::guest_side(&inside, open, net).unwrap().objects);
        live_steps(net, &Scale { mtu: true, before: Some(other.clone()) }, &found).is_empty()
    }

    #[test]
    fn what_cannot_be_committed_is_taken_back() {
        with_a_guest(|ends, guest, job| {
            let was = job.scale.before.clone().unwrap();
            let mut timeline = Timeline::new(Instant::now());
            let committed = || {
                assert!(has(ends, guest, &job.net, &was), "before it is committed, it is there");
                Err(Error::Ending)
            };
            let refused = ends.bring(&job, &mut timeline, committed);
            assert!(matches!(refused, Err(Error::Ending)), "{refused:?}");
            // From 1000 bytes to 1500: IPv6 begins again, which the next look at the end puts right.
            let host = observe::host_end(&ends.netlink, &was).unwrap().unwrap();
            let left = live_steps(&was, &Scale::default(), &host.objects);
            let left: Vec<_> = left.iter().map(Reversible::describe).collect();
            assert_eq!(left, ["no IPv6 on vm_wlan1"]);
            let switch = format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", was.host.name);
            std::fs::write(switch, "1").unwrap();
            assert!(has(ends, guest, &was, &job.net));
            ends.bring(&job, &mut timeline, || Ok(())).unwrap();
            assert!(has(ends, guest, &job.net, &was));
            // By the TUN device.
            let netns = NetnsRef { handle: None, ..job.netns.clone() };
            let scale = Scale { mtu: true, before: Some(job.net.clone()) };
            let back = Job { netns, scale, net: was.clone(), ..job.clone() };
            ends.bring(&back, &mut timeline, || Ok(())).unwrap();
            assert!(has(ends, guest, &was, &job.net));
        });
    }

    #[test]
    fn a_carrier_that_goes_comes_back_with_all_of_the_host_end() {
        with_a_guest(|ends, guest, job| {
            let was = job.scale.before.clone().unwrap();
            let scale = Scale::default();
            let tells = Job { net: was.clone(), scale, tells: true, ..job.clone() };
            let ups = || ends.find(&tells).unwrap().unwrap().guest.carrier_ups.unwrap();
            let before = ups();
            ends.tell(&tells).unwrap();
            assert_eq!(ups(), before + 1);
            assert!(has(ends, guest, &was, &job.net));
        });
    }

    #[test]
    fn an_end_in_another_namespace_is_not_the_guests() {
        with_a_guest(|ends, _guest, job| {
            let id = job.netns.id.map(|id| id + 1);
            let other = Job { netns: NetnsRef { id, ..job.netns.clone() }, ..job };
            let result = ends.bring(&other, &mut Timeline::new(Instant::now()), || Ok(()));
            assert!(matches!(result, Err(Error::GuestInterfaceMoved { .. })), "{result:?}");
        });
    }
}
