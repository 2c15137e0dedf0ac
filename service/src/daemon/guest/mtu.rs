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

//! Guests that asked for no MTU have that of their way out, the uplink or a tun, also when it becomes
//! another one. Half of that is the guest's end, and the way back into a guest takes some 20 ms: a
//! thread of its own does it, guest by guest, and ends when there is nothing left to do. What cannot
//! be done is said, and the guest left as it is: it works, only it learns of a smaller MTU by the
//! device's ICMP messages.

use crate::daemon::{Attached, Daemon, GuestEvent, Handle, Notice};
use crate::error::{Error, KernelError};
use crate::kernel::link::{self, Link, Namespace};
use crate::kernel::netlink::Netlink;
use crate::kernel::netns::reentry;
use crate::kernel::netns::Home;
use crate::spec::{GuestName, IfName};
use crate::store::{AttachedRecord, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The least of IPv4 (RFC 791).
const LEAST: u32 = 68;

/// What there is to do, and whether somebody does it.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Mtus {
    /// Told when guests have another MTU than their ways out.
    pub(in crate::daemon) due: Arc<Notify>,
    /// Whether the thread is there.
    at_work: bool,
    /// Links, by their index, of which one end may have an MTU that we do not know of.
    unread: BTreeSet<u32>,
}

/// A guest that is to have another MTU.
#[derive(Debug)]
struct Change {
    name: GuestName,
    /// Of the host end.
    index: u32,
    before: u32,
    mtu: u32,
}

impl Daemon {
    /// After a start: what guests that follow have is read before it is believed.
    pub(in crate::daemon) fn doubt_mtus(&mut self) {
        let following = self.world.guests.attached().filter(|guest| guest.spec.mtu.is_none());
        self.mtus.unread = following.map(|guest| guest.index).collect();
    }

    /// Whether a link's ends may have what they are to have by turns.
    pub(in crate::daemon) fn is_being_resized(&self, index: u32) -> bool {
        self.mtus.at_work || self.mtus.unread.contains(&index)
    }

    /// The MTU of a guest's way out; none when nothing is to be followed now: a way that comes up
    /// later may have another one by then.
    fn mtu_of_way(&self, guest: &Attached) -> Option<u32> {
        let usable = self.world.uplink.usable() && self.world.uplink.mtu >= LEAST;
        let mtu = match guest.net.vpn.tun() {
            Some(tun) => {
                let tun = self.world.tuns.get(tun).filter(|tun| tun.up && tun.mtu >= LEAST);
                tun.map(|tun| tun.mtu)
            }
            None => usable.then_some(self.world.uplink.mtu),
        };
        mtu.map(|mtu| mtu.min(65535))
    }

    /// Has guests follow the MTU of their ways out, if there are some that do not have it.
    pub(in crate::daemon) fn follow_mtu(&self) {
        if self.next_mtu(&BTreeMap::new()).is_some() {
            self.mtus.due.notify_one();
        }
    }

    /// A guest that has another MTU than its way out; not one that was tried with this one.
    fn next_mtu(&self, tried: &BTreeMap<u32, u32>) -> Option<Change> {
        let lags = |guest: &Attached, mtu: u32| {
            let untried = tried.get(&guest.index) != Some(&mtu);
            untried && (guest.net.mtu != mtu || self.mtus.unread.contains(&guest.index))
        };
        let mut following = self.world.guests.attached().filter(|guest| guest.spec.mtu.is_none());
        let (guest, mtu) = following.find_map(|guest| {
            let mtu = self.mtu_of_way(guest)?;
            lags(guest, mtu).then_some((guest, mtu))
        })?;
        let (name, before) = (guest.name().clone(), guest.net.mtu);
        Some(Change { name, index: guest.index, before, mtu })
    }

    /// What the thread is to do next; with nothing, it ends.
    fn next_or_end(&mut self, tried: &BTreeMap<u32, u32>) -> Option<Change> {
        let next = self.next_mtu(tried);
        self.mtus.at_work = next.is_some();
        next
    }

    fn changed(&mut self, change: &Change) {
        self.mtus.unread.remove(&change.index);
        let guest = self.world.guests.get_mut(&change.name).filter(|g| g.index == change.index);
        let Some(guest) = guest.filter(|g| g.net.mtu != change.mtu) else { return };
        guest.net.mtu = change.mtu;
        let guest = guest.clone();
        let record = Record { slot: guest.net.slot, attached: Some(AttachedRecord::of(&guest)) };
        if let Err(e) = self.store.put(&change.name, &record) {
            log::error!("{}: {e}", change.name);
        }
        let way = guest.net.vpn.tun().map_or("the uplink", IfName::as_str);
        log::info!("{}: MTU {}, as {way}", change.name, change.mtu);
        let seen = self.seen(&guest);
        (self.notify)(Notice::Guest(GuestEvent::State, seen));
    }

    /// It is tried again when its way out changes again.
    fn not_changed(&mut self, change: &Change, why: &Error) {
        self.catch_up();
        // One end may be done.
        self.mtus.unread.insert(change.index);
        if let Some(guest) = self.world.guests.get(&change.name).filter(|g| g.index == change.index)
        {
            let Change { name, before, mtu, .. } = change;
            let way = guest.net.vpn.tun().map_or("the uplink", IfName::as_str);
            log::error!("{name}: keeps MTU {before}, {way} has {mtu}: {why}");
        }
    }
}

/// Starts the thread, unless it is there.
pub(in crate::daemon) fn start(owner: &Handle) -> Result<(), Error> {
    if owner.enter(|owner| Ok(std::mem::replace(&mut owner.mtus.at_work, true)))? {
        return Ok(());
    }
    let with = owner.clone();
    let spawned = std::thread::Builder::new().name("mtu".into()).spawn(move || work(&with));
    let Err(e) = spawned else { return Ok(()) };
    log::error!("guests keep their MTU, for want of a thread: {e}");
    owner.enter(|owner| {
        owner.mtus.at_work = false;
        Ok(())
    })
}

/// The thread.
fn work(owner: &Handle) {
    // With which MTU, by the host end's index.
    let mut tried = BTreeMap::new();
    let device = Device::open();
    while let Ok(Some(change)) = owner.enter(|owner| Ok(owner.next_or_end(&tried))) {
        tried.insert(change.index, change.mtu);
        let result = device.as_ref().map_err(|e| Error::kernel("open a socket", e.clone()));
        let result = result.and_then(|device| device.bring(&change));
        // Else guestnetd ends.
        let _ = owner.enter(|owner| {
            match &result {
                Ok(true) => owner.changed(&change),
                Ok(false) => {}
                Err(why) => owner.not_changed(&change, why),
            }
            Ok(())
        });
    }
}

/// The thread's own socket in the device's namespace, and that namespace.
struct Device {
    netlink: Netlink,
    home: Home,
}

/// How long the kernel may take to clear a namespace away that has ended.
const PATIENCE: Duration = Duration::from_secs(1);

impl Device {
    fn open() -> Result<Self, KernelError> {
        Ok(Self { netlink: Netlink::open()?, home: Home::here()? })
    }

    /// Gives both ends the MTU; false when the guest ended meanwhile.
    fn bring(&self, change: &Change) -> Result<bool, Error> {
        let Err(e) = self.set_both(change) else { return Ok(true) };
        let began = Instant::now();
        while !self.ended(change) {
            // What the kernel says of a namespace that has ended and is not cleared away yet.
            if e.errno() != Some(libc::EINVAL) || began.elapsed() > PATIENCE {
                return Err(e);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(false)
    }

    fn set_both(&self, change: &Change) -> Result<(), Error> {
        let failed = |cause| Error::kernel("read the link", cause);
        let host = link::by_index(&self.netlink, change.index).map_err(failed)?;
        let host = host.filter(Link::is_ours).ok_or_else(|| failed(gone()))?;
        let netnsid = host.elsewhere.ok_or_else(|| failed(gone()))?;
        // This much can be seen from here.
        let seen = link::beyond(&self.netlink, netnsid, host.other_end).map_err(failed)?;
        let seen = pair_of(&host, seen).map_err(failed)?;
        if seen.mtu == change.mtu {
            return self.set_host(change, &host);
        }
        let way = reentry::open(&self.netlink, Namespace::Id(netnsid))?;
        let entered = self.home.inside(way.as_fd(), Netlink::open);
        let inside =
            entered.map_err(|e| Error::kernel("enter the guest's network namespace", e))?;
        let there = link::by_index(&inside, host.other_end).map_err(failed)?;
        let there = pair_of(&host, there).map_err(failed)?;
        let set_guest = || {
            let set = link::set_mtu(&inside, there.index, change.mtu);
            set.map_err(|e| Error::kernel(format!("set the MTU of the guest's {}", there.name), e))
        };
        // The host end always takes what the guest sends.
        if change.mtu < there.mtu {
            set_guest()?;
            self.set_host(change, &host)
        } else {
            self.set_host(change, &host)?;
            set_guest()
        }
    }

    /// Whether the host end is gone, or is about to go with the guest's namespace.
    fn ended(&self, change: &Change) -> bool {
        match link::by_index(&self.netlink, change.index) {
            Ok(Some(host)) => host.elsewhere.is_some_and(|id| id < 0),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    fn set_host(&self, change: &Change, host: &Link) -> Result<(), Error> {
        if host.mtu == change.mtu {
            return Ok(());
        }
        let failed = |e| Error::kernel(format!("set the MTU of {}", host.name), e);
        link::set_mtu(&self.netlink, host.index, change.mtu).map_err(failed)
    }
}

/// The guest's end, if it is that: the id may have become another namespace's meanwhile.
fn pair_of(host: &Link, there: Option<Link>) -> Result<Link, KernelError> {
    let pair = |link: &Link| link.kind == "veth" && link.other_end == host.index;
    there.filter(pair).ok_or_else(gone)
}

fn gone() -> KernelError {
    KernelError { errno: libc::ENODEV, text: Some("it is not there any more".into()) }
}
