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

//! The devices of segments: one for each segment that guests are on, and there while they are. A guest's place
//! there is the guest's own (`executor/kernel.rs`); what is left of one that is gone is deleted here.

use super::{Done, Ending, SharedResource, Task, Trigger};
use crate::effects::executor::link_deleter::Deleter;
use crate::effects::kernel::link::{self, End, Link};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::{mirred, sysctl};
use crate::error::{Error, KernelError};
use crate::model::change::Change;
use crate::model::guest_table::Segment;
use crate::model::if_index::IfIndex;
use crate::model::ownership::Mac;
use crate::model::segment::{rest, Place};
use crate::model::world::World;
use crate::model::GuestNet;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::spec::IfName;
use std::sync::Arc;
use std::time::Duration;

/// The segments of the network namespace that it was opened in.
pub(crate) struct Segments {
    netlink: Netlink,
    deleter: Deleter,
}

/// What is there of segments.
#[derive(Default)]
struct There {
    /// Their devices.
    hubs: OrderedMap<IfName, Link>,
    /// The ends of the pairs that give them their carriers, by their own names.
    ends: OrderedMap<IfName, Link>,
    /// Those that others have given another name.
    strays: Vec<Link>,
}

impl There {
    /// Whether this one's pair is as it should be: then it has its carrier, or the kernel is about to see it.
    fn carries(&self, name: &IfName, hub: IfIndex) -> bool {
        let [port, other] = name.carriers();
        let is = |end: &IfName, master| {
            let link = self.ends.get(end);
            link.is_some_and(|link| link.up && !link.ipv6 && link.master == master)
        };
        is(&port, Some(hub)) && is(&other, None)
    }
}

type Want = Arc<OrderedMap<IfName, Segment>>;

/// No frame is longer on any guest's link.
const MTU: u32 = 65535;

/// How many milliseconds the kernel may take to see that a port has a carrier.
const CARRIER: u32 = 1500;

/// Waits until a segment's device has its carrier, which the kernel sees in a work queue of its own
/// (linkwatch). Until then what guests send to each other is lost, and nothing else. Nobody else waits.
pub(crate) fn await_carrier(hub: IfIndex) {
    let Ok(netlink) = Netlink::open() else { return };
    for _ in 0..CARRIER {
        match link::by_index(&netlink, hub) {
            Ok(Some(link)) if !link.carrier => std::thread::sleep(Duration::from_millis(1)),
            _ => break,
        }
    }
}

impl Segments {
    pub(crate) fn new(netlink: Netlink, deleter: Deleter) -> Self {
        Self { netlink, deleter }
    }

    /// What an earlier guestnetd left of them, by all links: none where that has to be looked at.
    pub(crate) fn left(links: &[Link]) -> Option<Want> {
        let any = links.iter().any(|link| link.was_hub() || link.carried().is_some());
        (!any).then(Want::default)
    }

    /// Of ours, those that are there, and the links that give these their carriers.
    fn there(&self) -> Result<There, Error> {
        let failed = |cause| Error::kernel("read the segments' devices", cause);
        let There { mut hubs, mut ends, mut strays } = There::default();
        for link in link::all(&self.netlink).map_err(failed)? {
            let name = IfName::new(&link.name);
            match name {
                Some(name) if link.carried().is_some() => drop(ends.insert(name, link)),
                Some(name) if link.is_hub() => drop(hubs.insert(name, link)),
                _ if link.was_hub() => strays.push(link),
                _ => {}
            }
        }
        Ok(There { hubs, ends, strays })
    }

    /// The device of a guest's segment, if the kernel has not seen its carrier yet.
    pub(crate) fn without_carrier(&self, net: &GuestNet) -> Option<IfIndex> {
        let hub = link::by_name(&self.netlink, net.member()?.hub.as_str()).ok()??;
        Some(hub.index).filter(|_| !hub.carrier)
    }

    fn make(&self, name: &IfName, segment: &Segment) -> Result<(), Error> {
        let what = || format!("make {name}, the device of segment {}", segment.name);
        let failed = |cause: KernelError| match cause.errno {
            libc::EEXIST => Error::HostInterfaceExists(name.clone()),
            libc::EOPNOTSUPP => Error::NoSegments { step: what(), cause },
            _ => Error::kernel(what(), cause),
        };
        let end = End { name: name.as_str(), mac: Mac::hub(&segment.name).0, mtu: MTU };
        link::create_bridge(&self.netlink, &end).map_err(failed)?;
        let there = link::by_name(&self.netlink, name.as_str()).map_err(failed)?;
        let there = there.ok_or_else(|| failed(KernelError { errno: libc::ENODEV, text: None }))?;
        self.complete(name, segment, &there, false)
    }

    /// All of it but the link itself, and but its pair if that is as it should be: up last, when nothing can
    /// come in any more.
    fn complete(
        &self,
        name: &IfName,
        segment: &Segment,
        link: &Link,
        carried: bool,
    ) -> Result<(), Error> {
        let what = || format!("set up {name}, the device of segment {}", segment.name);
        let failed = |cause: KernelError| match cause.errno {
            // What has no module says ENOENT (tcf_proto_create(), tc_action_load_ops(), qdisc_create()).
            libc::EOPNOTSUPP | libc::ENOENT => Error::NoSegments { step: what(), cause },
            _ => Error::kernel(what(), cause),
        };
        if link.ipv6 {
            sysctl::disable_ipv6(name, true).map_err(|e| failed(e.into()))?;
        }
        if link.up && carried && self.drops_the_rest(link.index).map_err(failed)? {
            return Ok(());
        }
        match mirred::add_clsact(&self.netlink, link.index) {
            Err(e) if e.errno == libc::EEXIST => {}
            other => other.map_err(failed)?,
        }
        if !self.drops_the_rest(link.index).map_err(failed)? {
            let (filter, at) = (&rest(), link.index);
            mirred::add(&self.netlink, &mirred::Led { filter, at, to: at }).map_err(failed)?;
        }
        link::set_up(&self.netlink, link.index, true).map_err(failed)?;
        self.give_carrier(name, segment, link.index).map_err(failed)
    }

    /// The port that leads nowhere is made again if it is not as it should be. It is up last.
    fn give_carrier(
        &self,
        name: &IfName,
        segment: &Segment,
        hub: IfIndex,
    ) -> Result<(), KernelError> {
        let [port, other] = name.carriers();
        self.delete_pair(name)?;
        let mac = Mac::hub(&segment.name).0;
        let end = |name| End { name, mac, mtu: MTU };
        link::create_port(&self.netlink, hub, &end(port.as_str()), &end(other.as_str()))?;
        let gone = || KernelError { errno: libc::ENODEV, text: None };
        let index = |name: &IfName| {
            let link = link::by_name(&self.netlink, name.as_str())?;
            link.map(|link| link.index).ok_or_else(gone)
        };
        let (at_port, at_other) = (index(&port)?, index(&other)?);
        for name in [&port, &other] {
            sysctl::disable_ipv6(name, true)?;
        }
        link::silence_port(&self.netlink, at_port)?;
        link::set_up(&self.netlink, at_other, true)?;
        link::set_up(&self.netlink, at_port, true)
    }

    /// Both ends, if they are there and ours.
    fn delete_pair(&self, hub: &IfName) -> Result<(), KernelError> {
        for name in hub.carriers() {
            match link::by_name(&self.netlink, name.as_str())? {
                Some(link) if link.carried().is_some() => self.delete_link(link.index)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Not before it is gone another one can have its name.
    fn delete_link(&self, index: IfIndex) -> Result<(), KernelError> {
        self.deleter.delete_now(&self.netlink, index)
    }

    fn drops_the_rest(&self, at: IfIndex) -> Result<bool, KernelError> {
        let there = mirred::last(&self.netlink, at)?;
        Ok(there.is_some_and(|found| found.is(&mirred::Led { filter: &rest(), at, to: at })))
    }

    /// Places of guests that are not there any more, or leave.
    fn strays(&self, segment: &Segment, at: IfIndex) -> Result<Vec<mirred::Found>, KernelError> {
        let last = (rest().priority, rest().number);
        let mut there = mirred::of(&self.netlink, at, Place::Hub)?;
        there.retain(|found| {
            let place = found.place();
            place != last && !segment.members.contains(&place.1)
        });
        Ok(there)
    }

    /// Takes the places of guests away that were there and are not any more; whether that could be done.
    fn remove_departed(&self, name: &IfName, was: &Segment, is: &Segment) -> bool {
        let mut gone = was.members.difference(&is.members).peekable();
        if gone.peek().is_none() {
            return true;
        }
        let hub = link::by_name(&self.netlink, name.as_str());
        let Some(hub) = hub.ok().flatten().filter(Link::is_hub) else { return false };
        let mut each = gone.map(|number| -> Result<(), KernelError> {
            let theirs = mirred::of_member(&self.netlink, hub.index, *number)?;
            let delete = |one| mirred::delete(&self.netlink, hub.index, Place::Hub, one);
            theirs.iter().try_for_each(delete)
        });
        each.all(|done| done.is_ok())
    }

    /// All of one that is not wanted.
    fn delete(&self, name: &IfName, hub: Option<IfIndex>) -> Result<(), Error> {
        let failed = |cause| Error::kernel(format!("delete {name}"), cause);
        self.delete_pair(name).map_err(failed)?;
        hub.map_or(Ok(()), |hub| self.delete_link(hub)).map_err(failed)
    }

    /// All but these.
    fn delete_others(&self, wanted: &OrderedMap<IfName, Segment>) -> Result<There, Error> {
        let there = self.there()?;
        for stray in &there.strays {
            let name = &stray.name;
            log::warn!("{name} was a segment's device until others renamed it: it is deleted");
            let failed = |cause| Error::kernel(format!("delete {name}"), cause);
            self.delete_link(stray.index).map_err(failed)?;
        }
        let carried = there.ends.keys().filter_map(IfName::carried);
        let all: OrderedSet<_> = there.hubs.keys().cloned().chain(carried).collect();
        for name in all.iter().filter(|name| !wanted.contains_key(*name)) {
            self.delete(name, there.hubs.get(name).map(|hub| hub.index))?;
        }
        Ok(there)
    }
}

/// How a segment was applied last whose device and last filter need no look; none: they do. Pure.
fn only_members_differ<'a>(
    task: &Task<'a, Want>,
    name: &IfName,
    is: &Segment,
) -> Option<&'a Segment> {
    // After a failure what is there is not known: damage may be among it.
    let was = task.from.filter(|_| !task.failing)?.get(name)?;
    // What should be as it was and is brought about all the same is to be put back.
    (was != is || task.trigger == Trigger::Call).then_some(was)
}

impl SharedResource for Segments {
    type Want = Want;
    const NAME: &'static str = "segments";
    const FIND: &'static str = "`ip monitor link` shows when";

    fn want(world: &World) -> Want {
        world.guests.segments()
    }

    fn changes(&self, from: Option<&Want>, to: &Want) -> Vec<Change> {
        let has = |all: Option<&Want>, hub| all.is_some_and(|all| all.contains_key(hub));
        let new = to.keys().filter(|hub| !has(from, hub)).map(|hub| Change::segment(hub, true));
        let old = from.into_iter().flat_map(|from| from.keys());
        let old = old.filter(|hub| !to.contains_key(hub)).map(|hub| Change::segment(hub, false));
        new.chain(old).collect()
    }

    fn drift(&mut self, want: &Want, _world: &World) -> Result<Option<String>, Error> {
        if want.is_empty() {
            return Ok(None);
        }
        let failed = |cause| Error::kernel("read the segments' devices", cause);
        let there = self.there()?;
        if let Some(stray) = there.strays.first() {
            return Ok(Some(format!("a segment's device, which is called {} now", stray.name)));
        }
        for (name, segment) in want.iter() {
            match there.hubs.get(name) {
                Some(link) if link.up && !link.ipv6 && there.carries(name, link.index) => {
                    if !self.drops_the_rest(link.index).map_err(failed)? {
                        return Ok(Some(format!("the last filter of {name}")));
                    }
                }
                _ => return Ok(Some(format!("{name}, the device of segment {}", segment.name))),
            }
        }
        Ok(None)
    }

    fn apply(&mut self, task: &Task<'_, Want>) -> Result<Done, Error> {
        // A guest more is nothing that its segment's device has to be looked at for, with all of its filters; nor is
        // one less, but for those of that one.
        let is_as_it_was = |(name, segment): &(&IfName, &Segment)| {
            let was = only_members_differ(task, name, segment);
            was.is_some_and(|was| self.remove_departed(name, was, segment))
        };
        let goes = |from: &Want| from.keys().any(|name| !task.to.contains_key(name));
        let rest: Vec<_> = task.to.iter().filter(|one| !is_as_it_was(one)).collect();
        if rest.is_empty() && task.from.is_some_and(|from| !goes(from)) {
            return Ok(Done::Applied);
        }
        let there = self.delete_others(task.to)?;
        for (name, segment) in rest {
            let Some(link) = there.hubs.get(name) else {
                // What fails is not left half made.
                let made = self.make(name, segment);
                if made.is_err() {
                    let there = self.there().unwrap_or_default().hubs;
                    let _ = self.delete(name, there.get(name).map(|hub| hub.index));
                }
                made?;
                continue;
            };
            self.complete(name, segment, link, there.carries(name, link.index))?;
            let failed = |cause| Error::kernel(format!("delete filters of {name}"), cause);
            for stray in self.strays(segment, link.index).map_err(failed)? {
                mirred::delete(&self.netlink, link.index, Place::Hub, &stray).map_err(failed)?;
            }
        }
        Ok(Done::Applied)
    }

    fn clear(&mut self, _: Ending) -> Result<(), Error> {
        self.delete_others(&OrderedMap::new()).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SegmentName;

    fn segment(members: &[u16]) -> Segment {
        let name = SegmentName::new("cockpit").unwrap();
        Segment { name, members: members.iter().copied().collect() }
    }

    #[test]
    fn damage_is_looked_for_but_where_only_guests_come_and_go() {
        let world = World::empty();
        let hub = IfName::new("seg_cockpit").unwrap();
        let want = |members: &[u16]| -> Want {
            Arc::new([(hub.clone(), segment(members))].into_iter().collect())
        };
        let (was, more) = (want(&[1, 2]), want(&[1, 2, 3]));
        let short = |to: &Want, trigger, failing| {
            let task = Task { from: Some(&was), to, world: &world, trigger, failing };
            only_members_differ(&task, &hub, to.get(&hub).unwrap()).is_some()
        };
        assert!(short(&more, Trigger::Event, false) && short(&more, Trigger::Call, false));
        assert!(short(&was, Trigger::Call, false), "another segment is what changes");
        assert!(!short(&was, Trigger::Event, false), "it is put back");
        // It could not be put back yet, and a guest comes.
        assert!(!short(&more, Trigger::Event, true) && !short(&more, Trigger::Call, true));
    }
}
