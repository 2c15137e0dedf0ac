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

//! RTM_*QDISC and RTM_*TFILTER messages: a clsact, and u32 filters there that hand frames on (act_mirred). By hand:
//! netlink-packet-route has not all of it in every release that a tree may have.

use super::netlink::attr::{Request, Writer};
use super::netlink::message::{attributes, u32_at, Message};
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::model::if_index::IfIndex;
use crate::model::segment::{limit, rest, Filter, Key, Place, Verdict, AT_HUB, ETH_P_ALL};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use std::sync::atomic::{AtomicBool, Ordering};

/// Length of `struct tcmsg` (linux/rtnetlink.h).
pub(super) const TCMSG: usize = 20;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
// linux/pkt_sched.h
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
// linux/pkt_cls.h
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;
const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
const TC_U32_TERMINAL: u8 = 1;
const TC_U32_NODE: u32 = 0x0fff;
const TC_U32_ROOT: u32 = 0xfff0_0000;
const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;
const TC_ACT_UNSPEC: i32 = -1;
const TC_ACT_OK: i32 = 0;
const TC_ACT_STOLEN: i32 = 4;
// linux/tc_act/tc_mirred.h
const TCA_MIRRED_PARMS: u16 = 2;
const EGRESS_REDIR: i32 = 1;
const EGRESS_MIRROR: i32 = 2;
const INGRESS_REDIR: i32 = 3;
const INGRESS_MIRROR: i32 = 4;
// linux/pkt_cls.h, of act_police
const TCA_POLICE_TBF: u16 = 1;
const TCA_POLICE_RATE: u16 = 2;
const TCA_POLICE_RESULT: u16 = 5;
const TC_ACT_PIPE: i32 = 3;
// linux/pkt_cls.h, linux/gen_stats.h
const TCA_ACT_STATS: u16 = 4;
const TCA_STATS_QUEUE: u16 = 3;

/// A filter, and the device that it hands frames to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led<'a> {
    /// The filter.
    pub filter: &'a Filter,
    /// The device that it is at.
    pub at: IfIndex,
    /// The other one.
    pub to: IfIndex,
}

/// A filter as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The number by which it is deleted.
    handle: u32,
    /// Its priority and protocol.
    info: u32,
    /// Its keys, and what it does: as `Led` says it. None: it is no such filter.
    says: Option<(Vec<u8>, Option<Mirred>)>,
    /// Frames that were beyond its limit; none: it has none.
    over: Option<u32>,
}

/// What act_mirred does: which way, what then, and to whom.
type Mirred = (i32, i32, u32);

impl Found {
    /// Its number among those of its priority, and that.
    pub fn place(&self) -> (u16, u16) {
        // 12 and 16 bits.
        ((self.info >> 16) as u16, (self.handle & TC_U32_NODE) as u16)
    }

    fn read(message: &Message<'_>) -> Option<Self> {
        let handle = u32_at(message.body, 8)?;
        // A table of filters, which is listed as one.
        let other = message.kind != libc::RTM_NEWTFILTER || is_pin(message);
        if other || handle & TC_U32_NODE == 0 {
            return None;
        }
        let options = message.attributes(TCMSG).find(TCA_OPTIONS).unwrap_or_default();
        let actions = attributes(options, 0).find(TCA_U32_ACT).unwrap_or_default();
        let over = over(actions);
        // Behind its limit, if there is one.
        let act = mirred(actions, if over.is_some() { 2 } else { 1 });
        let says = attributes(options, 0)
            .find(TCA_U32_SEL)
            .map(|sel| (sel.get(SEL..).unwrap_or_default().to_vec(), act));
        Some(Self { handle, info: u32_at(message.body, 16)?, says, over })
    }

    /// How many frames were beyond its limit; none: it has none.
    pub fn over(&self) -> Option<u32> {
        self.over
    }

    /// Whether it is this one.
    pub fn is(&self, led: &Led<'_>) -> bool {
        let Led { filter, to, .. } = led;
        let act = action(filter.verdict).map(|(way, then)| (way, then, to.get()));
        self.place() == (filter.priority, filter.number)
            && self.info == info(filter)
            && self.says == Some((keys(&filter.keys), act))
    }
}

/// What the first action's limit has held back, if it is act_police.
fn over(actions: &[u8]) -> Option<u32> {
    let first = attributes(actions, 0).find(1)?;
    let kind = attributes(first, 0).find(TCA_ACT_KIND)?;
    let stats = attributes(first, 0).find(TCA_ACT_STATS).unwrap_or_default();
    let queue = attributes(stats, 0).find(TCA_STATS_QUEUE).unwrap_or_default();
    // `struct gnet_stats_queue`: qlen, backlog, drops, requeues, overlimits
    kind.starts_with(b"police\0").then(|| u32_at(queue, 16).unwrap_or_default())
}

/// The action of this number, if it is act_mirred.
fn mirred(actions: &[u8], number: u16) -> Option<Mirred> {
    let action = attributes(actions, 0).find(number)?;
    let options = attributes(action, 0).find(TCA_ACT_OPTIONS)?;
    let parms = attributes(options, 0).find(TCA_MIRRED_PARMS)?;
    Some((u32_at(parms, 20)? as i32, u32_at(parms, 8)? as i32, u32_at(parms, 24)?))
}

/// Gives a link its clsact.
pub(in crate::effects) fn add_clsact(netlink: &Netlink, at: IfIndex) -> Result<(), KernelError> {
    let body = Writer::after(&header(at, CLSACT_HANDLE, CLSACT, 0)).with(TCA_KIND, b"clsact\0");
    netlink.change(&Request { kind: libc::RTM_NEWQDISC, body }, NLM_F_CREATE | NLM_F_EXCL)
}

/// Takes it away, with all of its filters, if it is there.
pub(in crate::effects) fn delete_clsact(netlink: &Netlink, at: IfIndex) -> Result<(), KernelError> {
    let body = Writer::after(&header(at, CLSACT_HANDLE, CLSACT, 0));
    match netlink.change(&Request { kind: libc::RTM_DELQDISC, body }, 0) {
        Err(e) if [libc::ENOENT, libc::EINVAL].contains(&e.errno) => Ok(()),
        other => other,
    }
}

/// Adds a filter; what has its place already has to go. It has its limit where the kernel has act_police.
pub(in crate::effects) fn add(netlink: &Netlink, led: &Led<'_>) -> Result<(), KernelError> {
    let limited = led.filter.is_limited() && !NO_POLICE.load(Ordering::Relaxed);
    match add_in_place(netlink, led, limited) {
        // What has no module says ENOENT (tc_action_load_ops()), and has run modprobe for that; one that knows no
        // such limit, EINVAL. A guest without a limit is better off than without its segment.
        Err(e) if [libc::ENOENT, libc::EINVAL].contains(&e.errno) && limited => {
            let added = add_in_place(netlink, led, false);
            NO_POLICE.store(added.is_ok(), Ordering::Relaxed);
            added
        }
        other => other,
    }
}

/// Whether the kernel has no act_police, as far as it was asked.
static NO_POLICE: AtomicBool = AtomicBool::new(false);

fn add_in_place(netlink: &Netlink, led: &Led<'_>, limited: bool) -> Result<(), KernelError> {
    match try_to_add(netlink, led, limited) {
        // The second is idr_alloc_u32()'s.
        Err(e) if [libc::EEXIST, libc::ENOSPC].contains(&e.errno) => {
            let place = (led.filter.priority, led.filter.number);
            let there = of(netlink, led.at, led.filter.place)?;
            for one in there.iter().filter(|one| one.place() == place) {
                delete(netlink, led.at, led.filter.place, one)?;
            }
            try_to_add(netlink, led, limited)
        }
        other => other,
    }
}

fn try_to_add(netlink: &Netlink, led: &Led<'_>, limited: bool) -> Result<(), KernelError> {
    let Led { filter, at, to } = led;
    let count = u8::try_from(filter.keys.len()).unwrap_or(u8::MAX);
    // `struct tc_u32_sel`
    let sel = [&[TC_U32_TERMINAL, 0, count][..], &[0; SEL - 3], &keys(&filter.keys)].concat();
    let mut options = Writer::default().with(TCA_U32_SEL, &sel);
    if let Some((way, then)) = action(filter.verdict) {
        // `struct tc_mirred`: index, capab, action, refcnt, bindcnt, eaction, ifindex
        let to = i32::from_ne_bytes(to.get().to_ne_bytes());
        let parms: Vec<u8> =
            [0, 0, then, 0, 0, way, to].iter().flat_map(|n| n.to_ne_bytes()).collect();
        let parms = Writer::default().with(TCA_MIRRED_PARMS, &parms);
        let act =
            Writer::default().with(TCA_ACT_KIND, b"mirred\0").with_nested(TCA_ACT_OPTIONS, &parms);
        let actions = match limited {
            true => Writer::default().with_nested(1, &police()).with_nested(2, &act),
            false => Writer::default().with_nested(1, &act),
        };
        options = options.with_nested(TCA_U32_ACT, &actions);
    }
    let header = header(*at, u32::from(filter.number), parent(filter.place), info(filter));
    let body = Writer::after(&header).with(TCA_KIND, b"u32\0").with_nested(TCA_OPTIONS, &options);
    netlink.change(&Request { kind: libc::RTM_NEWTFILTER, body }, NLM_F_CREATE | NLM_F_EXCL)
}

/// Deletes a filter that was found there.
pub(in crate::effects) fn delete(
    netlink: &Netlink,
    at: IfIndex,
    place: Place,
    found: &Found,
) -> Result<(), KernelError> {
    let header = header(at, found.handle, parent(place), found.info);
    let body = Writer::after(&header).with(TCA_KIND, b"u32\0");
    match netlink.change(&Request { kind: libc::RTM_DELTFILTER, body }, 0) {
        Err(e) if [libc::ENOENT, libc::ENODEV].contains(&e.errno) => Ok(()),
        other => other,
    }
}

/// The filters of segments at a link; none where there is no clsact, or no link.
pub fn of(netlink: &Netlink, at: IfIndex, place: Place) -> Result<Vec<Found>, KernelError> {
    listed(netlink, at, place, Found::read)
}

/// The filters at a segment's device of the guest with this number. What that takes does not depend on how many
/// others there are.
pub fn of_member(netlink: &Netlink, hub: IfIndex, number: u16) -> Result<Vec<Found>, KernelError> {
    let all = AT_HUB.map(|priority| one(netlink, hub, priority, number));
    all.into_iter().filter_map(Result::transpose).collect()
}

/// The filter in the last filter's place at a segment's device.
pub fn last(netlink: &Netlink, hub: IfIndex) -> Result<Option<Found>, KernelError> {
    one(netlink, hub, rest().priority, rest().number)
}

/// One filter at a segment's device. Its handle begins with that of the table that all of its priority are in,
/// which the kernel has chosen, and tells (u32_get()).
fn one(
    netlink: &Netlink,
    hub: IfIndex,
    priority: u16,
    number: u16,
) -> Result<Option<Found>, KernelError> {
    let info = u32::from(priority) << 16 | u32::from(ETH_P_ALL.to_be());
    let table = get(netlink, hub, TC_U32_ROOT, info, |message| u32_at(message.body, 8))?;
    let Some(table) = table else { return Ok(None) };
    get(netlink, hub, table | u32::from(number), info, Found::read)
}

/// What `read` makes of what has this handle, if it is there.
fn get<T>(
    netlink: &Netlink,
    hub: IfIndex,
    handle: u32,
    info: u32,
    read: impl Fn(&Message<'_>) -> Option<T>,
) -> Result<Option<T>, KernelError> {
    let header = header(hub, handle, parent(Place::Hub), info);
    let body = Writer::after(&header).with(TCA_KIND, b"u32\0");
    match netlink.get(&Request { kind: libc::RTM_GETTFILTER, body }, read) {
        Ok(found) => Ok(Some(found)),
        // No such filter, none of that priority, or one of another kind; no clsact; no link.
        Err(e) if [libc::ENOENT, libc::EINVAL, libc::ENODEV].contains(&e.errno) => Ok(None),
        Err(e) => Err(e),
    }
}

/// What `read` makes of the filters at a link.
pub(super) fn listed<T>(
    netlink: &Netlink,
    at: IfIndex,
    place: Place,
    read: impl Fn(&Message<'_>) -> Option<T>,
) -> Result<Vec<T>, KernelError> {
    let body = Writer::after(&header(at, 0, parent(place), 0));
    match netlink.dump(&Request { kind: libc::RTM_GETTFILTER, body }, read) {
        Err(e) if [libc::ENOENT, libc::EINVAL, libc::ENODEV].contains(&e.errno) => Ok(Vec::new()),
        other => other,
    }
}

/// Priority and protocol of the filter that lets one source in (`pin.rs`): before those of segments, which end the
/// search for what they take. ETH_P_ALL, as on the wire.
pub(super) const PIN: u32 = 1 << 16 | 0x0003_u16.to_be() as u32;

/// Whether a filter is that one, which is no segment's.
pub(super) fn is_pin(message: &Message<'_>) -> bool {
    let kind = message.attributes(TCMSG).find(TCA_KIND).unwrap_or_default();
    kind.starts_with(b"bpf\0") && info_of(message) == Some(PIN)
}

/// Priority and protocol of a filter.
pub(super) fn info_of(message: &Message<'_>) -> Option<u32> {
    u32_at(message.body, 16)
}

/// `struct tcmsg`.
pub(super) fn header(at: IfIndex, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, at.get(), handle, parent, info].iter().flat_map(|n| n.to_ne_bytes()).collect()
}

pub(super) fn parent(place: Place) -> u32 {
    match place {
        Place::FromGuest | Place::Hub => INGRESS,
        Place::ToGuest => EGRESS,
    }
}

/// TC_H_MAKE(priority, protocol), the latter as on the wire.
fn info(filter: &Filter) -> u32 {
    u32::from(filter.priority) << 16 | u32::from(filter.protocol.to_be())
}

fn action(verdict: Verdict) -> Option<(i32, i32)> {
    match verdict {
        Verdict::Device => None,
        Verdict::Hub => Some((INGRESS_REDIR, TC_ACT_STOLEN)),
        Verdict::HubToo => Some((INGRESS_MIRROR, TC_ACT_OK)),
        Verdict::Guest | Verdict::Nobody => Some((EGRESS_REDIR, TC_ACT_STOLEN)),
        Verdict::GuestToo => Some((EGRESS_MIRROR, TC_ACT_UNSPEC)),
    }
}

/// act_police: what is within the limit goes on to the next action, and what is not goes to the device alone, as
/// any guest's. A rate in frames is for kernels from 5.13 on; so each frame is counted with so many bytes more
/// (`overhead`) that small ones and large ones are counted nearly alike.
fn police() -> Writer {
    const CELL_LOG: u8 = 3;
    const ETHERNET: u8 = 1;
    // `struct tc_ratespec`: cell_log, linklayer, overhead, cell_align, mpu, rate
    let rate = [
        &[CELL_LOG, ETHERNET][..],
        &limit::WEIGHT.to_ne_bytes(),
        &[0; 4],
        &limit::RATE.to_ne_bytes(),
    ]
    .concat();
    // `struct tc_police`: index, action, limit, burst in ticks of 64 ns, mtu, rate, peakrate, refcnt, bindcnt, capab
    let burst = limit::BURST_MILLIS * (1_000_000 / 64);
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|n| n.to_ne_bytes()).collect() };
    let parms = [words(&[0, TC_ACT_OK as u32, 0, burst, i32::MAX as u32]), rate, vec![0; 24]];
    // A table of times that no kernel of today reads and all ask for (TC_RTAB_SIZE).
    let options = Writer::default()
        .with(TCA_POLICE_TBF, &parms.concat())
        .with(TCA_POLICE_RATE, &[0; 1024])
        .with(TCA_POLICE_RESULT, &TC_ACT_PIPE.to_ne_bytes());
    Writer::default().with(TCA_ACT_KIND, b"police\0").with_nested(TCA_ACT_OPTIONS, &options)
}

/// Length of `struct tc_u32_sel` (linux/pkt_cls.h) without its keys.
const SEL: usize = 16;

/// An array of `struct tc_u32_key`: mask, value, place, and a mask for offsets that are read.
fn keys(keys: &[Key]) -> Vec<u8> {
    let bytes = |key: &Key| {
        let [mask, value] = [key.mask, key.value].map(u32::to_be_bytes);
        [mask, value, key.at.to_ne_bytes(), [0; 4]].concat()
    };
    keys.iter().flat_map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `tc filter add ... action police ... pipe action mirred` sends it, and the kernel describes it.
    #[test]
    fn a_limit_stands_before_what_it_limits() {
        let police = police();
        let options = attributes(police.bytes(), 0).find(TCA_ACT_OPTIONS).unwrap();
        let parms = attributes(options, 0).find(TCA_POLICE_TBF).unwrap();
        assert_eq!(parms.len(), 56, "struct tc_police");
        assert_eq!(u32_at(parms, 4), Some(TC_ACT_OK as u32), "beyond it");
        assert_eq!(u32_at(parms, 28), Some(limit::RATE), "struct tc_ratespec's last");
        assert_eq!(u32_at(attributes(options, 0).find(TCA_POLICE_RESULT).unwrap(), 0), Some(3));
        let parms: Vec<u8> = [0, 0, 0, 0, 0, INGRESS_MIRROR as u32, 7]
            .iter()
            .flat_map(|n: &u32| n.to_ne_bytes())
            .collect();
        let parms = Writer::default().with(TCA_MIRRED_PARMS, &parms);
        let act =
            Writer::default().with(TCA_ACT_KIND, b"mirred\0").with_nested(TCA_ACT_OPTIONS, &parms);
        let alone = Writer::default().with_nested(1, &act);
        let queue: Vec<u8> = [0, 0, 0, 0, 42u32].iter().flat_map(|n| n.to_ne_bytes()).collect();
        let stats = Writer::default().with(TCA_STATS_QUEUE, &queue);
        let both = Writer::default()
            .with_nested(1, &police.with_nested(TCA_ACT_STATS, &stats))
            .with_nested(2, &act);
        let is = Some((INGRESS_MIRROR, TC_ACT_OK, 7));
        assert_eq!((over(alone.bytes()), mirred(alone.bytes(), 1)), (None, is));
        assert_eq!((over(both.bytes()), mirred(both.bytes(), 2)), (Some(42), is));
    }
    use crate::effects::kernel::link;
    use crate::effects::kernel::testing::{in_a_netns, ip};
    use crate::model::ownership::Mac;
    use crate::model::segment::{rest, Member};
    use crate::spec::{GuestName, SegmentName};

    #[test]
    fn a_filter_is_found_as_it_was_added_and_is_gone_when_it_is_deleted() {
        in_a_netns(|netlink| {
            ip("link add name w0 type veth peer name w1");
            let at = |name| link::by_name(netlink, name).unwrap().unwrap().index;
            let (a, b) = (at("w0"), at("w1"));
            let mac = Mac::guest(&GuestName::new("x").unwrap());
            let segment = SegmentName::new("s").unwrap();
            let member = Member::new(&segment, 4000, mac, [172, 17, 3, 3].into());
            assert_eq!(of(netlink, b, Place::Hub).unwrap(), [], "there is no clsact");
            for link in [a, b] {
                add_clsact(netlink, link).unwrap();
                assert_eq!(add_clsact(netlink, link).unwrap_err().errno, libc::EEXIST);
            }
            let filters: Vec<_> = member.filters().into_iter().chain([rest()]).collect();
            let ends = |filter: &Filter| if filter.place == Place::Hub { (b, a) } else { (a, b) };
            for filter in &filters {
                let (at, to) = ends(filter);
                add(netlink, &Led { filter, at, to }).unwrap();
                // Again: what has its place goes.
                add(netlink, &Led { filter, at, to }).unwrap();
            }
            for filter in &filters {
                let (at, to) = ends(filter);
                let there = of(netlink, at, filter.place).unwrap();
                let is = |to| there.iter().filter(|f| f.is(&Led { filter, at, to })).count();
                assert_eq!(is(to), 1, "{filter:?} {there:?}");
                assert!(is(at) == 0 || filter.verdict == Verdict::Device, "another device");
            }
            let none = [of_member(netlink, b, 7), of_member(netlink, a, member.number)];
            assert_eq!(none, [Ok(Vec::new()), Ok(Vec::new())]);
            let two = of_member(netlink, b, member.number).unwrap();
            let all = of(netlink, b, Place::Hub).unwrap();
            assert!(two.len() == 2 && two.iter().all(|one| all.contains(one)), "{two:?}");
            assert!(all.contains(&last(netlink, b).unwrap().unwrap()));
            for (at, place, count) in
                [(a, Place::FromGuest, 5), (a, Place::ToGuest, 1), (b, Place::Hub, 3)]
            {
                let there = of(netlink, at, place).unwrap();
                assert_eq!(there.len(), count);
                for one in &there {
                    delete(netlink, at, place, one).unwrap();
                    delete(netlink, at, place, one).unwrap();
                }
                assert_eq!(of(netlink, at, place).unwrap(), []);
            }
            for link in [a, b] {
                delete_clsact(netlink, link).unwrap();
                delete_clsact(netlink, link).unwrap();
            }
        });
    }
}
