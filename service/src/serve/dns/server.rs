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

//! The sockets of the server for names. It decides nothing (`forward.rs`), and no error of one client or
//! of one server is more than that.

use super::book::Book;
use super::flights::Flights;
use super::forward::{Client, Step, Table, Token};
use super::listeners::Listeners;
use super::socket::{receive, send};
use super::storm::Storms;
use super::stream::Connection;
use super::Guest;
use crate::model::if_index::IfIndex;
use crate::serve::{Poll, Server, Want};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// Datagrams that are read before others are looked at.
const AT_ONCE: usize = 64;
/// Most connections of one guest, and of all.
const CONNECTIONS: (usize, usize) = (16, 256);

/// What a token is of: its two highest bits. The others are a number.
const UDP: u32 = 0;
const TCP: u32 = 1;
const CONNECTION: u32 = 2;
const FLIGHT: u32 = 3;
const NUMBER: u32 = (1 << 30) - 1;
/// The server.
pub struct Names {
    book: Arc<Book>,
    table: Table,
    storms: Storms,
    listeners: Listeners,
    flights: Flights,
    connections: HashMap<u32, Connection>,
    last_connection: u32,
    /// Guests by their addresses.
    guests: HashMap<Ipv4Addr, IfIndex>,
    ids: Ids,
    buffer: Vec<u8>,
}

/// Ids that nobody can guess: the hash's keys are the kernel's random bytes.
#[derive(Default)]
struct Ids {
    random: RandomState,
    drawn: u64,
}

impl Ids {
    fn draw(&mut self) -> u16 {
        self.drawn = self.drawn.wrapping_add(1);
        self.random.hash_one(self.drawn) as u16
    }
}

impl Names {
    /// Nobody asks yet.
    pub fn new(book: Arc<Book>) -> Self {
        let (table, storms, listeners, connections) = Default::default();
        let (last_connection, guests, ids) = Default::default();
        let flights = Flights::new(FLIGHT << 30);
        let buffer = vec![0; 1 << 16];
        Self {
            book,
            table,
            storms,
            listeners,
            flights,
            connections,
            last_connection,
            guests,
            ids,
            buffer,
        }
    }

    fn act(&mut self, mut step: Step, poll: &Poll<'_>) {
        loop {
            step = match step {
                Step::Wait => return,
                Step::Ask(token) => {
                    self.flights.land(token, false);
                    match self.begin(token, poll) {
                        Ok(()) => return,
                        Err(e) => {
                            log::debug!("a question is not sent: {e}");
                            self.table.failed(token, Instant::now())
                        }
                    }
                }
                Step::Again(token) => {
                    if let Some((_, message)) = self.table.target(token) {
                        self.flights.again(token, message);
                    }
                    return;
                }
                Step::Forget(token) => {
                    self.flights.land(token, false);
                    return;
                }
                Step::Know(guest, client, answer) => {
                    self.tell(guest, client, &answer, poll);
                    return;
                }
                Step::Tell(token, guest, client, answer) => {
                    // First of all: who asked waits for it.
                    self.tell(guest, client, &answer, poll);
                    token.into_iter().for_each(|token| self.flights.land(token, false));
                    return;
                }
            }
        }
    }

    fn begin(&mut self, token: Token, poll: &Poll<'_>) -> io::Result<()> {
        self.table.target(token).map_or(Ok(()), |asked| self.flights.begin(token, asked, poll))
    }

    fn tell(&mut self, guest: IfIndex, client: Client, answer: &[u8], poll: &Poll<'_>) {
        match client {
            Client::Udp(to) => {
                let Some(of) = self.table.guest(guest) else { return };
                if let Some(listener) = self.listeners.of(of.gateway) {
                    // A guest that takes no datagram asks again.
                    let _ = send(&listener.udp, guest, of.gateway, to, answer);
                }
            }
            Client::Tcp(number) => {
                self.with(number, poll, |connection| connection.answer(answer, Instant::now()));
            }
        }
    }

    /// Does something at a connection, which is closed where that fails.
    fn with<T>(
        &mut self,
        number: u32,
        poll: &Poll<'_>,
        work: impl FnOnce(&mut Connection) -> io::Result<T>,
    ) -> Option<T> {
        let connection = self.connections.get_mut(&number)?;
        let done = work(connection).and_then(|done| {
            poll.change(&*connection, CONNECTION << 30 | number, connection.waits_for())?;
            Ok(done)
        });
        if done.is_err() {
            self.close(number);
        }
        done.ok()
    }

    fn close(&mut self, number: u32) {
        self.connections.remove(&number);
        for token in self.table.hung_up(number) {
            self.flights.land(token, false);
        }
    }

    /// Guests' datagrams.
    fn hear(&mut self, at: usize, poll: &Poll<'_>) {
        for _ in 0..AT_ONCE {
            let Some(listener) = self.listeners.get(at) else { return };
            let (gateway, mut buffer) = (listener.gateway, std::mem::take(&mut self.buffer));
            let heard = receive(&listener.udp, &mut buffer);
            let Ok((length, from, index)) = heard else {
                self.buffer = buffer;
                return;
            };
            if self.storms.is_shut(index) {
                self.table.news(index).counts.refused += 1;
                self.buffer = buffer;
                continue;
            }
            let now = Instant::now();
            let its = |guest: &Guest| guest.address == *from.ip() && guest.gateway == gateway;
            if self.table.guest(index).is_some_and(its) {
                let random = self.ids.draw();
                let message = buffer.get(..length).unwrap_or_default();
                let client = Client::Udp(from);
                let step = self.table.ask(index, client, message, random, now);
                self.buffer = buffer;
                let useless = is_useless(&step);
                self.act(step, poll);
                if !useless {
                    continue;
                }
            } else {
                let whose = self.table.guest(index).map(|_| index);
                self.table.news(whose).counts.odd += 1;
                self.buffer = buffer;
            }
            self.useless(index, now);
        }
    }

    /// A guest has sent what it has nothing of. Tells whether it is heard no more for a while.
    fn useless(&mut self, guest: IfIndex, now: Instant) -> bool {
        let storm = self.storms.useless(guest, now);
        if storm {
            log::warn!("the guest behind interface {guest} asks too much, and waits");
            self.shut_out();
            let its = self.connections.iter().filter(|(_, one)| one.guest == guest);
            let its: Vec<_> = its.map(|(number, _)| *number).collect();
            its.into_iter().for_each(|number| self.close(number));
        }
        storm
    }

    fn write(&mut self) {
        let mut news = std::mem::take(&mut self.table.news);
        self.book.write(&mut news, |index| self.table.guest(index).is_some_and(Guest::follows));
        // Its room is of use.
        self.table.news = news;
    }

    /// Has the kernel throw away what some guests send.
    fn shut_out(&mut self) {
        let guests: Vec<_> = self.storms.shut().collect();
        self.listeners.shut_out(&guests);
    }

    /// Guests' connections. By TCP nobody has another's address: the kernel has spoken with it, by the way
    /// that leads to it.
    fn accept(&mut self, at: usize, poll: &Poll<'_>) {
        let Some(listener) = self.listeners.get(at) else { return };
        let Ok((stream, SocketAddr::V4(from))) = listener.tcp.accept() else { return };
        let at_its_gateway = |index: &IfIndex| {
            self.table.guest(*index).is_some_and(|guest| guest.gateway == listener.gateway)
        };
        let guest = self.guests.get(from.ip()).copied().filter(at_its_gateway);
        let of = |one: &&Connection| Some(one.guest) == guest;
        let (of_a_guest, of_all) = CONNECTIONS;
        let many = self.connections.values().filter(of).count() >= of_a_guest
            || self.connections.len() >= of_all;
        let is_heard = |guest: &IfIndex| {
            !many && !self.storms.is_shut(*guest) && stream.set_nonblocking(true).is_ok()
        };
        let heard = guest.filter(is_heard);
        let Some(guest) = heard else {
            self.table.news(guest).counts.refused += 1;
            return;
        };
        self.last_connection = (self.last_connection + 1) & NUMBER;
        let number = self.last_connection;
        let connection = Connection::new(stream, guest, Instant::now());
        if poll.watch(&connection, CONNECTION << 30 | number, connection.waits_for()).is_ok() {
            self.connections.insert(number, connection);
        }
    }

    fn read(&mut self, number: u32, poll: &Poll<'_>) {
        let now = Instant::now();
        let Some(connection) = self.connections.get(&number) else { return };
        let guest = connection.guest;
        let messages = self.with(number, poll, |connection| connection.receive(now));
        for message in messages.unwrap_or_default() {
            let random = self.ids.draw();
            let step = self.table.ask(guest, Client::Tcp(number), &message, random, now);
            if matches!(step, Step::Wait | Step::Again(_)) {
                self.connections.get_mut(&number).into_iter().for_each(Connection::drop_one);
            }
            let useless = is_useless(&step);
            self.act(step, poll);
            if useless && self.useless(guest, now) {
                return;
            }
        }
    }

    /// Something has come for a question.
    fn answered(&mut self, number: u32, poll: &Poll<'_>) {
        let received = self.flights.receive(number, &mut self.buffer, poll);
        let Some((token, received)) = received else { return };
        let now = Instant::now();
        let step = match received {
            Ok(message) => match self.table.answer(token, message, now) {
                Step::Tell(Some(_), guest, client, answer) => {
                    self.tell(guest, client, &answer, poll);
                    return self.flights.land(token, true);
                }
                other => other,
            },
            Err(e) => {
                log::debug!("a question is not answered: {e}");
                self.table.failed(token, now)
            }
        };
        self.act(step, poll);
    }
}

/// Whether nobody has anything of it, or only a guest that asks what it could know: the latter costs who asks nothing,
/// and takes no place in the table.
fn is_useless(step: &Step) -> bool {
    matches!(step, Step::Wait | Step::Again(_) | Step::Tell(None, ..) | Step::Know(..))
}

impl Server for Names {
    fn bring(&mut self, want: &Want, poll: &Poll<'_>) -> io::Result<()> {
        let of = &want.dns.guests;
        let opened = self.listeners.bring(want, [UDP << 30, TCP << 30], poll);
        self.book.listens(opened.as_ref().err().map(io::Error::to_string));
        if opened? {
            self.shut_out();
        }
        self.book.forget_others(|index| of.contains_key(&index));
        self.book.turn(self.table.turned(&want.dns), self.table.followers_turn(&want.dns));
        self.guests = of.iter().map(|(index, guest)| (guest.address, *index)).collect();
        let gone = |one: &Connection| !of.contains_key(&one.guest);
        let gone: Vec<_> =
            self.connections.iter().filter(|(_, one)| gone(one)).map(|(n, _)| *n).collect();
        gone.into_iter().for_each(|number| self.close(number));
        self.flights.bring(&want.dns.netd);
        let draw = || self.ids.draw();
        for step in self.table.bring(&want.dns, draw, Instant::now()) {
            self.act(step, poll);
        }
        Ok(())
    }

    fn ready(&mut self, token: u32, poll: &Poll<'_>) -> io::Result<()> {
        let number = token & NUMBER;
        match token >> 30 {
            UDP => self.hear(number as usize, poll),
            TCP => self.accept(number as usize, poll),
            CONNECTION => self.read(number, poll),
            _ => self.answered(number, poll),
        }
        self.write();
        Ok(())
    }

    fn due(&self) -> Option<Instant> {
        let idle = self.connections.values().map(|connection| connection.until).min();
        let own = [self.table.due(), self.storms.due(), self.flights.due()];
        own.into_iter().flatten().chain(idle).min()
    }

    fn tick(&mut self, now: Instant, poll: &Poll<'_>) -> io::Result<()> {
        while let Some(step) = self.table.expire(now) {
            self.act(step, poll);
        }
        self.flights.tick(now);
        let idle = |(_, one): &(&u32, &Connection)| one.until <= now;
        let idle: Vec<_> = self.connections.iter().filter(idle).map(|(n, _)| *n).collect();
        idle.into_iter().for_each(|number| self.close(number));
        if self.storms.due().is_some_and(|at| at <= now) {
            let thrown_away = self.listeners.thrown_away();
            if self.storms.expire(now, thrown_away) {
                self.shut_out();
            }
        }
        self.write();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Want as Dns, PORT};
    use super::*;
    use crate::effects::kernel::testing::{in_a_netns, ip};
    use nix::poll::{PollFd, PollFlags};
    use nix::sys::epoll::{Epoll, EpollCreateFlags};
    use std::net::TcpStream;
    use std::os::fd::AsFd;

    #[test]
    fn a_connection_is_a_guests_at_its_own_gateway_only() {
        in_a_netns(|_| is_at_its_own_gateway());
    }

    fn is_at_its_own_gateway() {
        ip("link set lo up");
        let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
        let poll = Poll { epoll: &epoll, server: 0 };
        let guest = |n: u32| Guest {
            name: format!("box{n}").into(),
            address: [127, 0, 0, n as u8].into(),
            gateway: [127, 0, n as u8, 2].into(),
            prefix: 24,
            way: None,
            servers: None,
            peers: None,
        };
        let guests = (1..=2).map(|n| (IfIndex::of(n), Arc::new(guest(n)))).collect();
        let gateways = (1..=2).map(|n| guest(n).gateway).collect();
        let dns = Dns { guests: Arc::new(guests), gateways, ..Dns::default() };
        let mut names = Names::new(Arc::default());
        names.bring(&Want { dns, ..Want::default() }, &poll).unwrap();
        // The kernel asks from 127.0.0.1, which is the first guest.
        for (gateway, heard) in [(guest(2).gateway, 0), (guest(1).gateway, 1)] {
            let place = (0..2).find(|at| names.listeners.get(*at).unwrap().gateway == gateway);
            let _client = TcpStream::connect((gateway, PORT)).unwrap();
            // The last of the handshake may be on its way.
            let listener = &names.listeners.get(place.unwrap()).unwrap().tcp;
            let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            assert_eq!(nix::poll::poll(&mut fds, 5000u16), Ok(1));
            names.accept(place.unwrap(), &poll);
            assert_eq!(names.connections.len(), heard, "{gateway}");
        }
        assert_eq!(names.table.news(None).counts.refused, 1);
    }
}
