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

//! All probes at once, on one thread, until all have ended or the time is over.

use super::echo::Echo;
use super::flight::Flight;
use super::probe::{Kind, Probe};
use super::tap::Tap;
use super::targets::Targets;
use super::trail::Side;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::net::SocketAddrV4;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long the probes have. With what is read before and after, a diagnosis takes less than three seconds.
pub const PATIENCE: Duration = Duration::from_millis(1900);
/// Between the last answer and the end, for what taps have not told yet.
const LAST: Duration = Duration::from_millis(5);

/// Everything that is on its way.
#[derive(Debug, Default)]
pub struct Run {
    /// The probes.
    pub flights: Vec<Flight>,
    /// The echoes between guest and device.
    pub echoes: Vec<Echo>,
    /// The taps.
    pub taps: Vec<Tap>,
}

impl Run {
    /// Opens the sockets of one side, in the calling thread's network namespace. `magic` begins the tokens
    /// of echoes.
    pub fn open(
        &mut self,
        probes: &[Probe],
        (side, interface): (Side, Option<&str>),
        targets: &Targets,
        magic: u32,
    ) {
        let flights = probes.iter().enumerate().filter_map(|probe| {
            let interface = interface.filter(|_| !probe.1.is_near);
            Flight::open(probe, (side, interface), targets, magic)
        });
        self.flights.extend(flights);
    }

    /// Sends everything and takes what comes back. Returns when all have ended, `PATIENCE` at the latest.
    pub fn go(&mut self, probes: &[Probe], targets: &Targets) {
        let began = Instant::now();
        for flight in &mut self.flights {
            flight.begin(Instant::now(), None);
        }
        let mut end = began + PATIENCE;
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            for flight in &mut self.flights {
                flight.wake(now);
            }
            for echo in &mut self.echoes {
                echo.wake(now);
            }
            self.ask_for_pages(probes, targets, now);
            let busy = self.flights.iter().any(|flight| !flight.has_ended())
                || self.echoes.iter().any(|echo| !echo.has_ended());
            if !busy {
                end = end.min(now + LAST);
            }
            self.wait(end);
        }
        for tap in &mut self.taps {
            tap.read();
        }
        self.flights.iter_mut().for_each(Flight::end);
        self.echoes.iter_mut().for_each(Echo::end);
    }

    /// Waits until something comes or is due, and takes it.
    fn wait(&mut self, end: Instant) {
        let due = self.flights.iter().filter_map(Flight::due);
        let due = due.chain(self.echoes.iter().filter_map(Echo::due)).fold(end, Instant::min);
        let left = due.saturating_duration_since(Instant::now());
        // Rounded up: to be woken too early is to wait again.
        let millis = u16::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        let taps = self.taps.iter().filter(|tap| tap.is_open());
        let taps = taps.map(|tap| PollFd::new(tap.as_fd(), PollFlags::POLLIN));
        let echoes = self.echoes.iter().flat_map(Echo::sockets);
        let echoes = echoes.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN));
        let waiting = self.flights.iter().enumerate().filter_map(|(at, flight)| {
            let (fd, events) = flight.waits_for()?;
            Some((at, PollFd::new(fd, events)))
        });
        let (numbers, flights): (Vec<_>, Vec<_>) = waiting.unzip();
        let mut fds: Vec<_> = flights.into_iter().chain(taps).chain(echoes).collect();
        if poll(&mut fds, PollTimeout::from(millis)).is_err() {
            return;
        }
        let woken = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        let ready: Vec<usize> =
            numbers.iter().zip(&fds).filter(|(_, fd)| woken(fd)).map(|(at, _)| *at).collect();
        drop(fds);
        let now = Instant::now();
        for at in ready {
            if let Some(flight) = self.flights.get_mut(at) {
                flight.ready(now);
            }
        }
        for tap in &mut self.taps {
            tap.read();
        }
    }

    /// Asks for the page as soon as its host's address is known.
    fn ask_for_pages(&mut self, probes: &[Probe], targets: &Targets, now: Instant) {
        for side in [Side::Guest, Side::Device] {
            let names = |flight: &&Flight| {
                let kind = probes.get(flight.probe).map(|probe| probe.kind);
                flight.side == side && matches!(kind, Some(Kind::Dns(..)))
            };
            let named = self.flights.iter().filter(names);
            let address = named.clone().find_map(|flight| flight.addresses.first().copied());
            let hopeless = address.is_none() && named.clone().all(Flight::has_ended);
            let waits = |flight: &&mut Flight| flight.side == side && flight.waits_for_address();
            for page in self.flights.iter_mut().filter(waits) {
                match address {
                    Some(address) => {
                        page.begin(now, Some(SocketAddrV4::new(address, targets.page.port)));
                    }
                    None if hopeless => page.end(),
                    None => {}
                }
            }
        }
    }
}
