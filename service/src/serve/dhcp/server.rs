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

//! The server: what comes by the packet socket is read, decided and answered. A guest that sends too much
//! is not heard for a while, by the kernel's own filter: it costs nobody anything then.

use super::decide::{decide, Refusal, Terms, Verdict};
use super::message::{Kind, Malformed, Request};
use super::socket::{Packet, Socket, MOST_DEAF};
use super::{frame, Want};
use crate::model::dhcp::Counts;
use crate::model::if_index::IfIndex;
use crate::ordered::OrderedMap;
use crate::serve::{self, dns, Counters, Poll};
use log::Level;
use nix::sys::epoll::EpollFlags;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most messages of one guest at once. A client sends two for a lease, and four in its first minute
/// where nobody answers.
const BURST: u32 = 32;
/// In what time it may send one more.
const PACE: Duration = Duration::from_millis(100);
/// How long a guest that has sent too much is not heard.
const DEAF: Duration = Duration::from_secs(1);
/// The most packets before other servers have their turn.
const TURN: usize = 64;

/// The server.
pub struct Server {
    socket: Option<Socket>,
    want: Want,
    /// The guests whose questions for names are answered here, and the zone of their own names.
    names: dns::Guests,
    zone: Option<Arc<str>>,
    counters: Arc<Counters>,
    /// What guests have sent lately, by the indexes of their host ends.
    paces: HashMap<IfIndex, Pace>,
    deaf: Deaf,
}

/// Why a message is not answered.
#[derive(Debug, thiserror::Error)]
enum Dropped {
    #[error(transparent)]
    Frame(#[from] frame::Bad),
    #[error(transparent)]
    Message(#[from] Malformed),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Server {
    /// One that answers nobody yet.
    pub fn begin(counters: &Arc<Counters>) -> Box<dyn serve::Server> {
        Box::new(Self {
            socket: None,
            want: Want::default(),
            names: Arc::default(),
            zone: None,
            counters: Arc::clone(counters),
            paces: HashMap::new(),
            deaf: Deaf::default(),
        })
    }

    fn take(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        // Of a link that is no guest's: the device may be a server itself, by another one.
        let Some(terms) = self.terms(packet.index) else { return Ok(()) };
        let now = Instant::now();
        let pace = self.paces.entry(packet.index).or_insert_with(|| Pace::new(now));
        if !pace.may(now) {
            log::log!(pace.level(), "{}: asks too much by DHCP", terms.net.name);
            self.count(packet.index, |counts| counts.refused += 1);
            return if self.deaf.add(packet.index, now + DEAF) { self.filter() } else { Ok(()) };
        }
        if let Err(e) = self.answer(packet, &terms) {
            self.count(packet.index, |counts| counts.refused += 1);
            log::debug!("{}: a DHCP message is dropped: {e}", terms.net.name);
        }
        Ok(())
    }

    fn answer(&mut self, packet: &Packet<'_>, terms: &Terms) -> Result<(), Dropped> {
        let datagram = frame::read(packet.bytes, packet.unfinished)?;
        let request = Request::read(datagram.payload)?;
        let (index, name) = (packet.index, &terms.net.name);
        let (reply, to) = match decide(terms, packet.mac, &datagram, &request)? {
            Verdict::Answer(reply, to) => (reply, to),
            Verdict::NotOurs => return Ok(()),
            Verdict::Declined => {
                let (address, level) = (terms.net.guest.address, self.level(index));
                log::log!(level, "{name}: its DHCP client says that another there has {address}");
                return Ok(());
            }
            Verdict::Released => {
                self.counters.dhcp.tell(index, None);
                return Ok(());
            }
        };
        let bytes = frame::write(terms.net.guest.gateway, to.address, &reply.bytes());
        let Some(socket) = &self.socket else { return Ok(()) };
        if let Err(e) = socket.send(index, to.mac, &bytes) {
            // Its link may be down, or about to go. It asks again.
            log::debug!("{name}: a DHCP message cannot be sent: {e}");
            return Ok(());
        }
        self.counters.dhcp.note(index, |entry| match reply.kind {
            Kind::Nak => entry.counts.naks += 1,
            Kind::Ack => entry.counts.acks += 1,
            _ => entry.counts.offers += 1,
        });
        // What was asked with an address of its own is no lease.
        if (reply.kind, request.kind) == (Kind::Ack, Kind::Request) {
            self.counters.dhcp.tell(index, Some(terms.told()));
        }
        Ok(())
    }

    /// What a guest is told; none: it is not answered.
    fn terms(&self, index: IfIndex) -> Option<Terms> {
        let domain = self.zone.clone().filter(|_| self.names.contains_key(&index));
        Some(Terms { domain, ..self.want.terms(index)? })
    }

    fn count(&self, index: IfIndex, count: impl FnOnce(&mut Counts)) {
        self.counters.dhcp.note(index, |entry| count(&mut entry.counts));
    }

    fn level(&mut self, index: IfIndex) -> Level {
        self.paces.get_mut(&index).map_or(Level::Debug, Pace::level)
    }

    fn filter(&self) -> io::Result<()> {
        self.socket.as_ref().map_or(Ok(()), |socket| socket.filter(self.deaf.0.keys().copied()))
    }
}

impl serve::Server for Server {
    fn bring(&mut self, want: &serve::Want, poll: &Poll<'_>) -> io::Result<()> {
        self.want = want.dhcp.clone();
        self.names = Arc::clone(&want.dns.guests);
        self.zone = want.dns.zone.as_ref().map(|zone| zone.text().into());
        let guests = &self.want.guests;
        self.paces.retain(|index, _| guests.contains_key(index));
        self.deaf.0.retain(|index, _| guests.contains_key(index));
        self.counters.dhcp.forget_others(guests);
        if want.is_nothing() {
            // The next guest may come at once (a detach and an attach); else the thread ends with all it has.
        } else if guests.is_empty() {
            self.socket = None;
        } else if self.socket.is_none() {
            let socket = Socket::open()?;
            poll.watch(&socket, 0, EpollFlags::EPOLLIN)?;
            self.socket = Some(socket);
        }
        Ok(())
    }

    fn ready(&mut self, _token: u32, _poll: &Poll<'_>) -> io::Result<()> {
        let mut buffer = [0; Socket::ROOM];
        for _ in 0..TURN {
            let Some(socket) = &self.socket else { return Ok(()) };
            let Some(packet) = socket.receive(&mut buffer)? else { return Ok(()) };
            self.take(&packet)?;
        }
        Ok(())
    }

    fn due(&self) -> Option<Instant> {
        self.deaf.0.values().min().copied()
    }

    fn tick(&mut self, now: Instant, _poll: &Poll<'_>) -> io::Result<()> {
        self.deaf.0.retain(|_, until| *until > now);
        self.filter()
    }
}

/// Guests that are not heard, and until when: as many as the filter has room for.
#[derive(Default)]
struct Deaf(OrderedMap<IfIndex, Instant>);

impl Deaf {
    /// One more; whether the filter is to be another. What was in the socket's queue before comes after all, and
    /// for whom there is no room is refused here: neither is worth a call for each packet.
    fn add(&mut self, index: IfIndex, until: Instant) -> bool {
        let is_new = self.0.len() < MOST_DEAF && !self.0.contains_key(&index);
        if is_new {
            self.0.insert(index, until);
        }
        is_new
    }
}

/// How much a guest may send: a bucket of messages that fills again.
struct Pace {
    left: u32,
    filled: Instant,
    /// Whether the log has had something of it: no guest fills the log.
    said: bool,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { left: BURST, filled: now, said: false }
    }

    /// How what it does is logged.
    fn level(&mut self) -> Level {
        match std::mem::replace(&mut self.said, true) {
            false => Level::Warn,
            true => Level::Debug,
        }
    }

    fn may(&mut self, now: Instant) -> bool {
        let more = now.saturating_duration_since(self.filled).as_millis() / PACE.as_millis();
        let more = u32::try_from(more).unwrap_or(u32::MAX).min(BURST);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(BURST);
            self.filled = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_another_for_each_guest_that_it_has_room_for_and_for_no_packet_more() {
        let (mut deaf, now) = (Deaf::default(), Instant::now());
        let mut add = |index| (0..3).map(|_| deaf.add(IfIndex::of(index), now)).collect::<Vec<_>>();
        // The last ones come first: the filter's order is that of their links.
        for index in (2..=201).rev() {
            assert_eq!(add(index), [true, false, false], "{index}");
        }
        assert_eq!(add(1), [false; 3], "there is no room for the 201st");
        deaf.0.remove(&IfIndex::of(7));
        assert!(deaf.add(IfIndex::of(1), now), "there is now");
    }

    #[test]
    fn a_guest_has_a_burst_and_then_its_pace() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        let may =
            |pace: &mut Pace, at: u32| (0..1000).filter(|_| pace.may(begin + PACE * at)).count();
        assert_eq!(may(&mut pace, 0), BURST as usize);
        assert_eq!(may(&mut pace, 1), 1);
        assert_eq!(may(&mut pace, 4), 3);
        assert_eq!(may(&mut pace, 4), 0);
        assert_eq!(may(&mut pace, 100_000), BURST as usize, "no more than that");
    }
}
