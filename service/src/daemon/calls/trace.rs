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
//! One probe of a diagnosis is sent again, and followed hook by hook: by the kernel's own word where that
//! traces, else by what the rules say. Nothing of it is left, also when the guest or guestnetd dies meanwhile.

use super::subject::{enter, is_still_there, Known};
use crate::daemon::Attached;
use crate::doctor::flight::{random, Flight};
use crate::doctor::probe::{Kind, Outcome, Over};
use crate::doctor::targets::Targets;
use crate::doctor::trail::Side;
use crate::doctor::verdict::{Facts, Probed};
use crate::effects::firewall::diagnose::{self, journey, Kernel};
use crate::effects::firewall::trace::{predict, Tracer};
use crate::effects::kernel::link;
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::netns::Home;
use crate::error::Error;
use crate::model::fault::Cause;
use crate::model::trace::{Flow, Gap, Step, Trace};
use nix::poll::{poll, PollFd, PollTimeout};
use std::io;
use std::time::{Duration, Instant};

/// How long the probe has. With the rest, a diagnosis takes less than three seconds.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between the answer and the end, for what the kernel has not told yet.
const LAST: Duration = Duration::from_millis(20);

/// The trace of the first probe that fails, or of a question for a name.
pub(super) fn of(
    known: &Known,
    guest: &Attached,
    targets: &Targets,
    facts: &Facts,
    cause: Cause,
) -> Result<Trace, Error> {
    let Some((number, probed)) = chosen(&facts.probes, cause) else {
        let gap = Some(Gap::NotSent("there is no probe to follow".to_owned()));
        return Ok(Trace { probe: String::new(), gap, steps: Vec::new() });
    };
    let netlink = Netlink::open().map_err(|e| Error::kernel("open a socket", e))?;
    let home = Home::here().map_err(|e| Error::kernel("open the own network namespace", e))?;
    let probe = probed.probe.name.clone();
    let filters = diagnose::read();
    let traced = follow(known, guest, (number, probed), targets, (&netlink, &home), &filters);
    is_still_there(&netlink, &home, guest)?;
    let (gap, steps) = match traced {
        Ok(steps) if steps.is_empty() => (Some(Gap::Unseen), steps),
        Ok(steps) => (None, steps),
        Err(gap) => {
            let kernel = Kernel { netlink: &netlink, expected: None };
            let steps = known.journey.as_ref().map(|guest| {
                predict(&filters, &kernel, guest, as_followed(&probed.probe.kind, probed))
            });
            (Some(gap), steps.unwrap_or_default())
        }
    };
    Ok(Trace { probe, gap, steps })
}

/// Which probe: the first that fails; where all is well, a question, else a ping.
fn chosen(probes: &[Probed], cause: Cause) -> Option<(usize, &Probed)> {
    let mut sent =
        probes.iter().enumerate().filter(|(_, probed)| probed.probe.from_guest.is_some());
    let fails = |probed: &Probed| {
        use Outcome::{NotSent, Refused, Silent};
        matches!(probed.guest.outcome, Silent | Refused | NotSent)
    };
    let asks = |probed: &Probed| matches!(probed.probe.kind, Kind::Dns(_, Over::Udp));
    let failed = sent.clone().find(|(_, probed)| cause != Cause::Healthy && fails(probed));
    failed.or_else(|| sent.clone().find(|(_, probed)| asks(probed))).or_else(|| sent.next())
}

/// The probe as the rules are gone through.
fn as_followed(kind: &Kind, probed: &Probed) -> journey::Probe {
    match kind {
        Kind::Ping(_) => journey::Probe::Ping,
        Kind::Dns(..) => journey::Probe::AskGateway,
        Kind::Tcp | Kind::Page => match probed.probe.from_guest.map(|to| to.port()) {
            Some(443) => journey::Probe::Https,
            _ => journey::Probe::Http,
        },
    }
}

/// Sends it, and takes what the kernel tells.
fn follow(
    known: &Known,
    guest: &Attached,
    (number, probed): (usize, &Probed),
    targets: &Targets,
    (netlink, home): (&Netlink, &Home),
    filters: &diagnose::chains::Filters,
) -> Result<Vec<Step>, Gap> {
    let unsent = |why: String| Gap::NotSent(why);
    let end = link::by_index(netlink, guest.index).ok().flatten();
    let end = end.ok_or_else(|| unsent("its link is gone".to_owned()))?;
    let (mut flight, id) = enter(netlink, home, guest, &end, || {
        let magic = random() as u32;
        let flight = Flight::open((number, &probed.probe), (Side::Guest, None), targets, magic);
        let flight = flight.ok_or_else(|| io::Error::other("it is not the guest's"))?;
        let id = flight.settle()?;
        Ok((flight, id))
    })
    .map_err(|e| unsent(e.to_string()))?;
    let to = probed.probe.from_guest.ok_or_else(|| unsent("it has no address".to_owned()))?;
    let protocol = match probed.probe.kind {
        Kind::Ping(_) => libc::IPPROTO_ICMP,
        Kind::Dns(_, Over::Udp | Over::UncheckedUdp) => libc::IPPROTO_UDP,
        Kind::Dns(_, Over::Tcp) | Kind::Tcp | Kind::Page => libc::IPPROTO_TCP,
    };
    // Enough bytes for a constant that is below 256.
    let protocol = protocol as u8;
    let flow = Flow { guest: guest.net.guest.address, to: *to.ip(), protocol, id, port: to.port() };
    let mut tracer = Tracer::open(flow, &known.store, known.programs.as_ref(), filters)?;
    flight.begin(Instant::now(), None);
    let mut until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if flight.has_ended() {
            until = until.min(Instant::now() + LAST);
        }
        wait(&tracer, &mut flight, until);
        tracer.read(Duration::ZERO);
    }
    let steps = tracer.steps(filters, netlink);
    match flight.found.outcome {
        Outcome::NotSent => Err(unsent(flight.found.detail.clone())),
        _ => Ok(steps),
    }
}

/// Until something is told, or answered.
fn wait(tracer: &Tracer, flight: &mut Flight, until: Instant) {
    let left = until.saturating_duration_since(Instant::now()).as_millis() + 1;
    let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    let answer = flight.waits_for().map(|(fd, events)| PollFd::new(fd, events));
    let told = tracer.sockets().map(|fd| PollFd::new(fd, nix::poll::PollFlags::POLLIN));
    let mut fds: Vec<_> = answer.into_iter().chain(told).collect();
    let waits = flight.waits_for().is_some();
    let answered = poll(&mut fds, left).is_ok()
        && waits
        && fds.first().and_then(|fd| fd.revents()).is_some_and(|events| !events.is_empty());
    drop(fds);
    if answered {
        flight.ready(Instant::now());
    }
}
