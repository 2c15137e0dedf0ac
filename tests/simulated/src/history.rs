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

//! What happens in a history: made of a seed, and fewer of it where one that failed is made small.

use crate::cast::{Cast, SEGMENTS};
use crate::netd::{self, Doing};
use crate::seed::Seed;
use crate::segments::{Damage, DAMAGE};
use crate::world::{Fault, Hearing};
use std::time::Duration;

/// How many guests there are names for.
pub const GUESTS: usize = 4;
/// How many histories have their beginning in common, and how many of those their middle, too.
pub const TOGETHER: u64 = 64;
pub const LONGER: u64 = 16;

/// How often guestnetd compares everything: once in a rest, which is to mend all. More often finds no more, and is most
/// of its work.
pub const CHECK_EVERY: Duration = Duration::from_secs(300);

/// One thing that somebody does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A guest is attached.
    Attach(usize),
    /// A guest is detached.
    Detach(usize),
    /// A guest is attached while another one is detached.
    AttachAndDetach(usize, usize),
    /// A guest's MTU is to be another one; and its address, where it moves.
    Update(usize, i32, bool),
    /// Somebody asks how it is.
    Status(Option<usize>),
    /// Somebody asks for all guests.
    List,
    /// A guest's process ends, and its namespace with it.
    GuestDies(usize),
    /// guestnetd is killed, and started again.
    Killed,
    /// guestnetd ends, and is started again.
    Restarted,
    /// guestnetd ends, and is started again with the other packet filter.
    OtherFilter,
    /// guestnetd is killed, and started again after this was done by somebody else.
    Down(Box<Op>),
    /// So many milliseconds go by.
    Time(u64),
    /// All comes to rest, and is looked at.
    Rest,
    /// Nothing but that chance is another one from here: what follows is this history's own.
    Chance(u64),
    /// The uplink's link goes or comes.
    UplinkGoes,
    /// It comes back.
    UplinkComes,
    /// The default route goes.
    NoDefaultRoute,
    /// The uplink goes down.
    UplinkDown,
    /// A policy rule of others' comes or goes.
    Rule(u8, bool),
    /// A route of others' comes or goes.
    Route(u8, bool),
    /// A table of others' comes to the packet filter, or goes.
    Table(u8, bool),
    /// Others write 0 to ip_forward.
    NoForwarding,
    /// Others delete guestnetd's table of the packet filter.
    FilterGoes,
    /// Others delete one of its rules.
    FilterRuleGoes(usize),
    /// Others rename a guest's host end.
    Rename(usize),
    /// Others write on it what is theirs.
    Relabel(usize),
    /// Others set it down.
    HostEndDown(usize),
    /// Others take its address.
    NoHostAddress(usize),
    /// Others delete it.
    HostEndGoes(usize),
    /// netd or the framework do something.
    Netd(Doing),
    /// Others take its filters.
    NoFilters(usize),
    /// Others do something to a segment's device.
    Segment(usize, Damage),
    /// Nothing but that the guests are these.
    Cast(Cast),
}

impl Op {
    /// Whether others break something by it.
    fn breaks(&self) -> bool {
        matches!(
            self,
            Self::UplinkGoes
                | Self::NoDefaultRoute
                | Self::UplinkDown
                | Self::NoForwarding
                | Self::FilterGoes
                | Self::FilterRuleGoes(_)
                | Self::HostEndDown(_)
                | Self::NoHostAddress(_)
                | Self::Route(..)
                | Self::Rule(..)
                | Self::NoFilters(_)
                | Self::Segment(..)
        ) || matches!(self, Self::Netd(doing) if doing.breaks())
    }

    /// Whether guestnetd asks netd for the forwarding switch after it.
    fn takes_the_switch(&self) -> bool {
        matches!(self, Self::NoForwarding | Self::Netd(Doing::Restarts(_)))
    }

    /// Whether it needs no guestnetd, and is seen in the kernel alone.
    fn is_others(&self) -> bool {
        matches!(
            self,
            Self::GuestDies(_)
                | Self::UplinkGoes
                | Self::UplinkComes
                | Self::NoDefaultRoute
                | Self::UplinkDown
                | Self::NoForwarding
                | Self::FilterGoes
                | Self::FilterRuleGoes(_)
                | Self::Rename(_)
                | Self::Relabel(_)
                | Self::HostEndDown(_)
                | Self::NoHostAddress(_)
                | Self::HostEndGoes(_)
                | Self::Netd(_)
                | Self::NoFilters(_)
                | Self::Segment(..)
        )
    }
}

/// One of them, with what goes wrong meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub op: Op,
    /// At guestnetd's so many-th write from here.
    pub fault: Option<(u32, Fault)>,
    /// What becomes of announcements meanwhile.
    pub hearing: Hearing,
}

/// Histories that have found something, made small: told before all others, and with each of the faults in
/// turn.
pub fn known() -> Vec<Vec<Step>> {
    let plain = |op: Op| Step { op, fault: None, hearing: Hearing::Good };
    let faulty =
        |op: Op, at: u32, fault: &Fault| Step { fault: Some((at, fault.clone())), ..plain(op) };
    let faults = [
        Fault::Before(libc::ENOMEM),
        Fault::Before(libc::ENOBUFS),
        Fault::After,
        Fault::KilledBefore,
        Fault::KilledAfter,
    ];
    let unheard = |op: Op| Step { hearing: Hearing::Late, ..plain(op) };
    let mut all = vec![
        // Nobody has said so, and status has to look.
        vec![plain(Op::Attach(0)), unheard(Op::NoForwarding), plain(Op::Status(None))],
        vec![plain(Op::Attach(0)), unheard(Op::NoForwarding), plain(Op::Status(Some(0)))],
        // A guest that lacks a mark is still that guest.
        vec![plain(Op::Attach(1)), plain(Op::Down(Box::new(Op::Rename(1))))],
        vec![plain(Op::Attach(1)), plain(Op::Down(Box::new(Op::Relabel(1))))],
        // A guest's link under another name is not another program's, for which forwarding would stay open.
        vec![plain(Op::Attach(2)), plain(Op::Down(Box::new(Op::Rename(2)))), plain(Op::Detach(2))],
        // A segment's own device was taken for others' bridge, for which forwarding would stay open.
        vec![
            plain(Op::Cast(Cast::Segments)),
            plain(Op::Attach(1)),
            plain(Op::Attach(3)),
            plain(Op::HostEndGoes(1)),
        ],
        // And under another name it stayed for ever.
        vec![
            plain(Op::Cast(Cast::Second)),
            plain(Op::Attach(3)),
            plain(Op::Segment(0, Damage::Renamed)),
        ],
    ];
    for fault in &faults {
        // Forwarding was given back half, and its own announcement taken for somebody else's.
        all.extend((0..8).map(|at| vec![plain(Op::Attach(3)), faulty(Op::Detach(3), at, fault)]));
        // A start that met a fault while nf_tables was probed took it for an older kernel's.
        all.extend((0..6).map(|at| vec![plain(Op::Attach(1)), faulty(Op::Restarted, at, fault)]));
        // What the other packet filter has left was given up where it once could not be taken away; and it drops
        // a guest that comes meanwhile.
        all.extend((0..6).map(|at| {
            let other = faulty(Op::OtherFilter, at, fault);
            vec![plain(Op::Attach(1)), other, plain(Op::Attach(2)), plain(Op::Status(None))]
        }));
    }
    for fault in &faults {
        // A change that waited for netd's answer, and was not wanted any more, was said to wait for ever.
        all.extend((2..8).map(|at| {
            vec![plain(Op::Attach(0)), plain(Op::NoForwarding), faulty(Op::Attach(1), at, fault)]
        }));
    }
    // netd's start under a lockdown: the guest that it stops stays stopped until the framework is back.
    for late in [None, Some(2_000), Some(30_000)] {
        let netd = |doing| plain(Op::Netd(doing));
        let mut steps = vec![plain(Op::Attach(0)), plain(Op::Attach(2))];
        steps.extend([Doing::Lockdown(true), Doing::Restarts(15)].map(netd));
        steps.extend([plain(Op::Killed), plain(Op::Time(5_000)), netd(Doing::Returns(late))]);
        all.push(steps);
    }
    // One that takes its time for each rule, or whose announcements come late, was taken for the end of the lockdown.
    for (step, mut steps) in [
        (plain(Op::Netd(Doing::Restarts(120))), vec![plain(Op::Down(Box::new(Op::GuestDies(2))))]),
        (
            Step { fault: Some((2, faults[0].clone())), ..unheard(Op::Netd(Doing::Restarts(120))) },
            vec![],
        ),
    ] {
        steps.extend([plain(Op::Attach(2)), plain(Op::Netd(Doing::Lockdown(true)))]);
        steps.extend([plain(Op::Attach(0)), plain(Op::Status(None)), step]);
        steps.push(plain(Op::Netd(Doing::Returns(Some(2_000)))));
        all.push(steps);
    }
    // A switch that could be neither written nor read was taken for written, and the next 0 for somebody's.
    all.extend((6..14).map(|at| {
        let none = faulty(Op::Attach(1), at, &Fault::Unopened(libc::EMFILE, 30));
        vec![none, faulty(Op::Attach(3), 5, &Fault::After)]
    }));
    // Forwarding that others took from a guest, and that could not be put back, was forgotten by an attach that failed.
    for times in [1, 3] {
        let none = Fault::Unopened(libc::EIO, times);
        all.extend((0..4).map(|at| {
            let taken = faulty(Op::NoForwarding, at, &none);
            vec![
                plain(Op::Attach(0)),
                taken,
                faulty(Op::Attach(1), 1, &faults[1]),
                plain(Op::Status(None)),
            ]
        }));
    }
    // What had changed with the switch, and could not be put back with it, is put back later.
    all.extend((0..6).map(|at| {
        let detach = faulty(Op::Detach(0), at, &faults[0]);
        vec![plain(Op::Attach(0)), detach, plain(Op::Attach(1)), plain(Op::Detach(1))]
    }));
    // The disk is full, once or for a while, or guestnetd is killed at a write of its state.
    for fault in [
        Fault::Unwritten(libc::ENOSPC, 1),
        Fault::Unwritten(libc::ENOSPC, 30),
        Fault::KilledAtDisk(false),
        Fault::KilledAtDisk(true),
    ] {
        all.extend((0..4).flat_map(|at| {
            let ops = [Op::Attach(0), Op::Detach(1), Op::Restarted, Op::Update(1, 1380, false)];
            ops.map(|op| vec![plain(Op::Attach(1)), faulty(op, at, &fault)])
        }));
    }
    // Sockets that could not be opened were taken for a kernel that knows no ownership.
    let fault = Fault::Unopened(libc::EMFILE, 3);
    all.extend((8..20).map(|at| vec![faulty(Op::Restarted, at, &fault)]));
    // An attach that found no descriptor left its link where the start had found none for the socket that such links
    // are deleted by.
    all.extend((0..6).map(|at| {
        let start = faulty(Op::Restarted, at, &Fault::Unopened(libc::EMFILE, 30));
        vec![
            plain(Op::Cast(Cast::Segments)),
            start,
            faulty(Op::Attach(3), 7, &Fault::Unopened(libc::EMFILE, 3)),
        ]
    }));
    // A switch that was written, and not read again, had its own 0 taken for somebody else's.
    all.extend((0..12).map(|at| {
        let none = Fault::Unopened(libc::EMFILE, 30);
        vec![plain(Op::Attach(0)), faulty(Op::Detach(0), at, &none)]
    }));
    // Forwarding that could not be given back was forgotten by the next attach that failed.
    all.extend((0..4).map(|at| {
        let detach = faulty(Op::Detach(0), at, &Fault::Unopened(libc::EIO, 1));
        vec![plain(Op::Attach(0)), detach, faulty(Op::Attach(1), 1, &faults[1])]
    }));
    // A start that cannot read what its state depends on knows nothing of it, and forgets nothing.
    for times in [1, 60] {
        let fault = Fault::Unopened(libc::EMFILE, times);
        all.extend((0..12).map(|at| vec![plain(Op::Attach(1)), faulty(Op::Restarted, at, &fault)]));
    }
    all
}

/// Who is in a history, and where.
#[derive(Clone, Copy)]
struct Who {
    cast: Cast,
    netd: bool,
}

/// Where netd is there are containers: which way each leaves by is what counts.
fn cast(number: u64) -> Cast {
    match has_netd(number) {
        true => Cast::Plain,
        false => Cast::of(number / TOGETHER),
    }
}

/// The history of a number: a beginning, a middle, and what is its own.
pub fn history(number: u64) -> Vec<Step> {
    let who = Who { cast: cast(number), netd: has_netd(number) };
    let step = |op| Step { op, fault: None, hearing: Hearing::Good };
    let mut steps = vec![step(Op::Cast(who.cast))];
    steps.extend(some_of(2, 4, who, &mut Seed::new(number / TOGETHER)));
    steps.push(step(Op::Chance(!(number / LONGER))));
    steps.extend(some_of(2, 4, who, &mut Seed::new((number / LONGER).reverse_bits())));
    steps.push(step(Op::Chance(number)));
    steps.extend(some_of(1, 3, who, &mut Seed::new(!number)));
    steps
}

/// Whether its device is one that netd shapes: one in twenty.
pub fn has_netd(number: u64) -> bool {
    number / TOGETHER % 20 == 4
}

/// Whether that is of Android 16: each second one.
pub fn is_sixteen(number: u64) -> bool {
    has_netd(number) && number / TOGETHER / 20 % 2 == 1
}

/// What comes until others may part from it, and what is behind that.
pub fn parts(steps: &[Step]) -> (&[Step], &[Step]) {
    let parts = |step: &Step| matches!(step.op, Op::Chance(_));
    let at = steps.iter().skip(1).position(parts);
    steps.split_at(at.map_or(0, |at| at + 1))
}

/// What happens by chance in the history of a number, or at the beginning of several.
pub fn chance(number: u64) -> Seed {
    Seed::new(number ^ 0x5eed)
}

/// So many, or fewer than so many more.
fn some_of(least: usize, more: usize, who: Who, seed: &mut Seed) -> Vec<Step> {
    let length = least + seed.below(more);
    let mut steps = Vec::new();
    for _ in 0..length {
        let mut one = step(seed);
        if who.netd && seed.once_in(3) {
            one.op = Op::Netd(netd::some(seed));
        }
        if who.cast.has_segments() && seed.once_in(8) {
            let (guest, number) = (seed.below(GUESTS), seed.below(SEGMENTS.len()));
            one.op = match seed.below(DAMAGE.len() + 2) {
                0 | 1 => Op::NoFilters(guest),
                damage => Op::Segment(number, DAMAGE[damage - 2]),
            };
        }
        // Somebody looks while it is broken, and while nothing says so.
        let looks = one.op.breaks() && seed.once_in(2);
        if looks && seed.once_in(2) {
            one.hearing = Hearing::Late;
        } else if one.op.is_others() && seed.once_in(4) {
            one.op = Op::Down(Box::new(one.op));
        }
        // Somebody calls while netd's answer is waited for, and the call fails.
        let calls = who.netd && one.op.takes_the_switch() && seed.once_in(2);
        // The framework comes back behind netd, before anybody else asks anything of that.
        let started = matches!(one.op, Op::Netd(Doing::Restarts(_)));
        let returns = (started && seed.once_in(2)).then(|| Op::Netd(netd::returns(seed)));
        steps.push(one);
        steps.extend(returns.map(|op| Step { op, fault: None, hearing: Hearing::Good }));
        if calls {
            let (guest, at) = (seed.below(GUESTS), 2 + seed.below(6) as u32);
            let fault = [Fault::Before(libc::ENOMEM), Fault::After][seed.below(2)].clone();
            let fault = Some((at, fault));
            steps.push(Step { op: Op::Attach(guest), fault, hearing: Hearing::Good });
        }
        if looks {
            steps.push(Step { op: Op::Status(None), fault: None, hearing: Hearing::Good });
        }
    }
    steps
}

fn step(seed: &mut Seed) -> Step {
    let guest = seed.below(GUESTS);
    let number = seed.below(3) as u8;
    let yes = seed.once_in(2);
    let op = match seed.below(100) {
        0..=27 => Op::Attach(guest),
        28..=39 => Op::Detach(guest),
        40..=43 => Op::AttachAndDetach(guest, (guest + 1 + seed.below(GUESTS - 1)) % GUESTS),
        44..=48 => {
            // One that shares its subnet.
            Op::Update(guest, 1280 + 20 * seed.below(8) as i32, yes && guest == 1)
        }
        49..=52 => Op::Status(yes.then_some(guest)),
        53 => Op::List,
        54..=58 => Op::GuestDies(guest),
        59..=62 => Op::Killed,
        63..=64 => Op::Restarted,
        65 if yes => Op::OtherFilter,
        65 => Op::Restarted,
        66..=69 => {
            Op::Time([1, 30, 700, 5_000, 1_000 + CHECK_EVERY.as_millis() as u64][seed.below(5)])
        }
        70..=73 => Op::Rest,
        74..=75 => Op::UplinkGoes,
        76..=78 => Op::UplinkComes,
        79 => Op::NoDefaultRoute,
        80 => Op::UplinkDown,
        81..=82 => Op::Rule(number, yes),
        83..=84 => Op::Route(number, yes),
        85..=86 => Op::Table(number, yes),
        87..=88 => Op::NoForwarding,
        89..=90 => Op::FilterGoes,
        91..=92 => Op::FilterRuleGoes(seed.below(6)),
        93..=94 if yes => Op::Relabel(guest),
        93..=94 => Op::Rename(guest),
        95..=96 => Op::HostEndDown(guest),
        97..=98 => Op::NoHostAddress(guest),
        _ => Op::HostEndGoes(guest),
    };
    let fault = seed.once_in(3).then(|| {
        let at = seed.below(if yes { 4 } else { 24 }) as u32;
        let fault = match seed.below(12) {
            10 => Fault::Unwritten(
                [libc::ENOSPC, libc::EIO][seed.below(2)],
                [1, 2, 30][seed.below(3)],
            ),
            11 => Fault::KilledAtDisk(seed.once_in(2)),
            8 => Fault::Unopened(libc::EMFILE, [1, 3, 30][seed.below(3)]),
            9 => Fault::Unopened([libc::ENFILE, libc::EIO][seed.below(2)], 1),
            0 => Fault::KilledBefore,
            1 => Fault::KilledAfter,
            2..=4 => Fault::After,
            _ => Fault::Before([libc::ENOMEM, libc::EBUSY, libc::ENOBUFS][seed.below(3)]),
        };
        (at, fault)
    });
    let hearing = match seed.below(12) {
        0 => Hearing::Overrun,
        1 | 2 => Hearing::Late,
        _ => Hearing::Good,
    };
    Step { op, fault, hearing }
}
