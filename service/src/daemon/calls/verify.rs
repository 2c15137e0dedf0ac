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

//! Reads back what was set up: an attach answers for what is there, not for what was done.

use crate::effects::kernel::link::{self, Link};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::route::WayOut;
use crate::effects::kernel::{observe, route};
use crate::error::Error;
use crate::model::change::KernelOp;
use crate::model::desired::{desired_guest, may_remove};
use crate::model::diff::diff;
use crate::model::if_index::IfIndex;
use crate::model::object::Ipv4Conf;
use crate::model::step::Op;
use crate::model::table::TableId;
use crate::model::{GuestNet, Reversible, Scope, Step};
use std::io;
use std::time::{Duration, Instant};

/// How long the kernel may take to find that both ends have carrier.
const SETTLE: Duration = Duration::from_secs(2);

/// How often what the guest itself has taken away is put back. Its own network manager may take what it finds on a
/// link that it sees for the first time (NetworkManager: nm_device_cleanup()), once.
const AGAIN: u32 = 3;

/// What is there after an attach.
pub(in crate::daemon) struct ReadBack {
    /// The host end's index.
    pub index: IfIndex,
    /// The id of the namespace that the other end is in.
    pub netns: Option<i32>,
    /// The guest's own interface that takes its way to the gateway.
    pub shadowed_by: Option<String>,
}

/// Reads both ends back: nothing but the mark may be missing. `ends` are the indexes of both, where the kernel gave
/// them; `open` opens another socket in the guest's namespace; `put_back` does again what the guest has taken from
/// its own side meanwhile.
///
/// The end that comes up first learns of its carrier from linkwatch, a work queue of the kernel:
/// until then what is sent by it is dropped. Asking for a single link works the queue off on
/// recent kernels (rtnl_getlink()); on others it is waited for.
pub(in crate::daemon) fn read_back(
    net: &GuestNet,
    ends: Option<(IfIndex, IfIndex)>,
    device: &Netlink,
    (inside, open): (&Netlink, impl Fn() -> io::Result<Netlink>),
    mark: &Step,
    mut put_back: impl FnMut(&[Step]) -> Result<(), Error>,
) -> Result<ReadBack, Error> {
    // Of a place in a segment its links say nothing.
    if let Some((host, guest)) = ends.filter(|_| net.segment.is_none()) {
        if let Some(link) = at_a_glance(net, (host, guest), device, inside) {
            let shadowed_by = shadow(net, guest, inside);
            return Ok(ReadBack { index: host, netns: link.elsewhere, shadowed_by });
        }
    }
    let (began, mut again) = (Instant::now(), 0);
    loop {
        let host = observe::host_end(device, net)?;
        let guest = observe::guest_side(inside, &open, net)?;
        let end = host.as_ref().map(|host| (host.index, host.elsewhere));
        let running = host.as_ref().is_some_and(|host| host.running) && guest.running;
        let mut found = guest.objects;
        found.extend(host.into_iter().flat_map(|host| host.objects));
        let mut missing = diff(desired_guest(net), &found, may_remove(net, None));
        missing.retain(|step| step != mark && !is_the_guests(step));
        let by_the_guest = |step: &Step| step.scope == Scope::Guest && step.op == Op::Add;
        if !missing.is_empty() && missing.iter().all(by_the_guest) && again < AGAIN {
            again += 1;
            log::info!("{}: the guest has taken away what it was given; it is put back", net.name);
            put_back(&missing)?;
            continue;
        }
        let mut missing: Vec<String> = missing.iter().map(Step::describe).collect();
        if let (true, true, Some((index, netns))) = (missing.is_empty(), running, end) {
            let shadowed_by = guest.index.and_then(|own| shadow(net, own, inside));
            return Ok(ReadBack { index, netns, shadowed_by });
        }
        if missing.is_empty() && began.elapsed() < SETTLE {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        if missing.is_empty() {
            missing.push(format!("carrier on {} and {}", net.host.name, net.guest.name));
        }
        return Err(Error::Verify(missing.join(", ")));
    }
}

/// The same of a TAP guest, of which there is the device's end alone. A queue that another process has
/// opened meanwhile is a failure: of several it may, until the device has its owner.
pub(in crate::daemon) fn read_back_tap(
    net: &GuestNet,
    host: Option<IfIndex>,
    device: &Netlink,
    mark: &Step,
) -> Result<ReadBack, Error> {
    let failed = |cause| Error::kernel(format!("read {}", net.host.name), cause);
    let index = host.ok_or_else(|| Error::Verify(format!("its {}", net.host.name)))?;
    let link = link::by_index(device, index).map_err(failed)?;
    let link = link.ok_or_else(|| Error::Verify(format!("its {}", net.host.name)))?;
    let queues = u32::from(net.kind.queues().count());
    let mut missing = Vec::new();
    if link.tun.map(|tun| tun.queues) != Some(queues) {
        missing.push(format!("its {queues} queues, and no other process with one"));
    }
    if !(link.up && link.carrier) {
        missing.push(format!("carrier on {}", net.host.name));
    }
    let back = route::towards(device, net.guest.address).ok().flatten();
    let is_whole =
        is_whole(net, &link) && net.segment.is_none() && back == Some(way_back(net, index));
    if !is_whole {
        let found = observe::host_end_at(device, index, net)?.map(|host| host.objects);
        let found = found.unwrap_or_default();
        let steps = diff(desired_guest(net), &found, may_remove(net, None));
        missing.extend(steps.iter().filter(|step| *step != mark).map(Step::describe));
    }
    match missing.is_empty() {
        true => Ok(ReadBack { index, netns: None, shadowed_by: None }),
        false => Err(Error::Verify(missing.join(", "))),
    }
}

/// What of the device's end its link says; nothing of a filter.
fn is_whole(net: &GuestNet, link: &Link) -> bool {
    !net.host.pinned && link.mtu == net.mtu.bytes() && link.ipv4 == Some(Ipv4Conf::HOST_END)
}

/// How the device's packets reach the guest.
fn way_back(net: &GuestNet, index: IfIndex) -> WayOut {
    WayOut {
        index,
        gateway: None,
        source: Some(net.host.address.into()),
        local: false,
        table: net.host.table,
    }
}

/// A guest's own network manager may have set another MTU meanwhile.
fn is_the_guests(step: &Step) -> bool {
    step.scope == Scope::Guest && step.operation() == KernelOp::SetMtu
}

/// Four questions whose answers hold all of it: both links run, the guest's packets leave by its
/// end, with its address, to the gateway, and the device's reach it. A yes is sure; a no is not,
/// because a guest or a device may route by rules of its own, and is looked into.
fn at_a_glance(
    net: &GuestNet,
    ends: (IfIndex, IfIndex),
    device: &Netlink,
    inside: &Netlink,
) -> Option<Link> {
    let runs = |netlink, index| {
        let link = link::by_index(netlink, index).ok().flatten();
        link.filter(|l| l.up && l.running && l.mtu == net.mtu.bytes())
    };
    let way = |netlink, to| route::towards(netlink, to).ok().flatten();
    let out = WayOut {
        index: ends.1,
        gateway: Some(net.guest.gateway.into()),
        source: Some(net.guest.address.into()),
        local: false,
        table: TableId::MAIN,
    };
    let back = way_back(net, ends.0);
    let host = runs(device, ends.0).filter(|host| is_whole(net, host))?;
    runs(inside, ends.1)?;
    let ways = way(inside, observe::ELSEWHERE) == Some(out)
        && way(device, net.guest.address) == Some(back);
    ways.then_some(host)
}

/// An interface of the guest's own that takes its way to the gateway, as Docker's docker0 does: the guest
/// has internet, and no names. The log and the answer say so now, and status later.
fn shadow(net: &GuestNet, end: IfIndex, inside: &Netlink) -> Option<String> {
    let (name, dev, gateway) = (&net.name, &net.guest.name, net.guest.gateway);
    let way = route::towards(inside, gateway).ok().flatten();
    let other = way.filter(|way| way.index != end)?;
    let other = link::by_index(inside, other.index).ok().flatten()?.name;
    log::warn!(
        "{name}: the guest's own {} takes its way to {gateway}, where its names are resolved; in the \
         guest: ip route add {gateway}/32 dev {dev}",
        other.escape_debug()
    );
    Some(other)
}
