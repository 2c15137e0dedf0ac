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

//! What becomes of each question: whom it goes to, who is asked next, what the guest is told. Pure: the
//! table of those on their way, and the time and the random numbers come from outside.

use super::book::{Lately, Page};
use super::message::{self, Bad, Query, Rcode};
use super::{Ask, Guest, Upstream, Want};
use crate::model::dns::Counts;
use crate::model::if_index::IfIndex;
use crate::spec::IfName;
use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most questions of one guest on their way.
pub const OF_A_GUEST: usize = 64;
/// Most of all guests.
pub const OF_ALL: usize = 1024;
/// How long a server has before the next is asked.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How long netd has, which asks several itself.
pub const PATIENCE_WITH_NETD: Duration = Duration::from_secs(10);
/// How often servers are asked, at least: a datagram may be lost, and a guest's own asks again after 5 s.
const TRIES: usize = 2;
/// For how long a server that was silent is asked after those that were not.
const LATER: Duration = Duration::from_secs(60);
/// How soon a question is sent again for a guest that asks again.
const AGAIN: Duration = Duration::from_millis(500);
/// `REFUSED`.
const REFUSED: u8 = 5;

/// Tokens have 29 bits, and come again after five hundred million questions.
const MOST_TOKEN: Token = (1 << 29) - 1;

/// A question on its way.
pub type Token = u32;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// Who sent a datagram.
    Udp(SocketAddrV4),
    /// A connection.
    Tcp(u32),
}

/// How a question is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// netd, about its network.
    Netd(u32),
    /// A server, by this interface.
    Server {
        /// Its address.
        at: IpAddr,
        /// The interface.
        by: &'a str,
        /// What packets are marked with.
        mark: Option<u32>,
        /// Whether by TCP.
        tcp: bool,
    },
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing but to wait.
    Wait,
    /// Ask [`Table::target`], by a new socket: one that was used for it before is closed.
    Ask(Token),
    /// Send it again by the same socket.
    Again(Token),
    /// Nobody need be asked: the client is told this.
    Know(IfIndex, Client, Vec<u8>),
    /// It is over, and its socket is closed. The client is told so, if it is there.
    Tell(Option<Token>, IfIndex, Client, Vec<u8>),
    /// It is over, and nobody waits.
    Forget(Token),
}

/// Who asked, by which id, and a hash of the question: an id alone may be that of another one.
type Asked = (Client, u16, u64);

struct Flight {
    guest: IfIndex,
    client: Client,
    query: Query,
    /// By what it is known in [`Table::asking`].
    asked_as: Asked,
    /// As it is sent: by an id of ours.
    message: Vec<u8>,
    upstream: Upstream,
    /// Which server is asked first: the first that was not silent lately.
    first: usize,
    /// How many were asked before.
    tried: usize,
    tcp: bool,
    /// When it was sent last.
    sent: Instant,
    /// When the next is asked.
    until: Instant,
    /// An answer that says no, in case that nobody knows better.
    no: Option<Vec<u8>>,
}

/// All questions on their way.
#[derive(Default)]
pub struct Table {
    want: Want,
    flights: HashMap<Token, Flight>,
    times: BTreeSet<(Instant, Token)>,
    of_guest: HashMap<IfIndex, usize>,
    /// What is asked: who asks the same again is not asked for twice.
    asking: HashMap<Asked, Token>,
    last: Token,
    /// Until when servers are asked after others, by what way they were silent.
    silent: HashMap<(IpAddr, IfName), Instant>,
    /// What became of guests' questions since somebody took it from here.
    pub news: HashMap<Option<IfIndex>, Page>,
}

impl Table {
    /// A guest, by its host end's index.
    pub fn guest(&self, index: IfIndex) -> Option<&Guest> {
        self.want.guests.get(&index).map(Arc::as_ref)
    }

    /// How many are on their way.
    pub fn len(&self) -> usize {
        self.flights.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// When [`Self::expire`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.times.first().map(|(at, _)| *at)
    }

    /// A guest has sent this. `random` is an id.
    pub fn ask(
        &mut self,
        index: IfIndex,
        client: Client,
        bytes: &[u8],
        random: u16,
        now: Instant,
    ) -> Step {
        let tell = |answer: Option<Vec<u8>>| match answer {
            Some(answer) => Step::Tell(None, index, client, answer),
            None => Step::Wait,
        };
        let query = match Query::parse(bytes) {
            Ok(query) => query,
            Err(bad) => {
                self.news(index).counts.odd += 1;
                return match bad {
                    Bad::Nothing => Step::Wait,
                    Bad::Refuse(code) => tell(message::refuse(bytes, code)),
                };
            }
        };
        self.news(index).counts.asked += 1;
        let question = self.asking.hasher().hash_one(query.question(bytes));
        let asked_as = (client, query.id, question);
        if let Some(token) = self.asking.get(&asked_as).copied() {
            let flight = self.flights.get_mut(&token);
            return match flight.filter(|flight| !flight.tcp && now >= flight.sent + AGAIN) {
                Some(flight) => {
                    flight.sent = now;
                    Step::Again(token)
                }
                None => Step::Wait,
            };
        }
        if let Some(answer) = self.known(index, &query, bytes) {
            self.news(index).counts.answered += 1;
            return Step::Know(index, client, answer);
        }
        let mine = self.of_guest.get(&index).copied().unwrap_or_default();
        if mine >= OF_A_GUEST || self.flights.len() >= OF_ALL {
            self.news(index).counts.refused += 1;
            return tell(message::refuse(bytes, Rcode::ServFail));
        }
        let upstream = self.guest(index).and_then(|guest| self.want.asks(guest));
        let Some(upstream) = upstream.filter(has_somebody) else {
            self.news(index).counts.failed += 1;
            return tell(message::refuse(bytes, Rcode::ServFail));
        };
        self.last = (self.last + 1) & MOST_TOKEN;
        let token = self.last;
        self.asking.insert(asked_as, token);
        *self.of_guest.entry(index).or_default() += 1;
        let mut message = bytes.to_vec();
        message::set_id(&mut message, random);
        let until = now + patience(&upstream);
        self.times.insert((until, token));
        let first = self.first(&upstream, now);
        let (tried, tcp, no) = (0, false, None);
        let flight = Flight {
            guest: index,
            client,
            query,
            asked_as,
            message,
            upstream,
            first,
            tried,
            tcp,
            sent: now,
            until,
            no,
        };
        self.flights.insert(token, flight);
        Step::Ask(token)
    }

    /// The first server that was not silent lately; where all were, the first.
    fn first(&self, upstream: &Upstream, now: Instant) -> usize {
        let Ask::Servers(servers) = &upstream.ask else { return 0 };
        if self.silent.is_empty() {
            return 0;
        }
        let heard = |server: &IpAddr| {
            self.silent.get(&(*server, upstream.by.clone())).map(|until| *until <= now)
                != Some(false)
        };
        servers.iter().position(heard).unwrap_or(0)
    }

    /// What is known without asking anybody.
    fn known(&self, index: IfIndex, query: &Query, bytes: &[u8]) -> Option<Vec<u8>> {
        self.want.zone.as_ref()?.answer(self.guest(index)?, query, bytes)
    }

    /// How a question is to be asked now, and its bytes.
    pub fn target(&self, token: Token) -> Option<(Target<'_>, &[u8])> {
        let flight = self.flights.get(&token)?;
        let target = match &flight.upstream.ask {
            Ask::Netd(network) => Target::Netd(*network),
            Ask::Servers(servers) => Target::Server {
                at: flight.server(servers)?,
                by: flight.upstream.by.as_str(),
                mark: flight.upstream.mark,
                tcp: flight.tcp,
            },
        };
        Some((target, &flight.message))
    }

    /// This has come by the socket of a question.
    pub fn answer(&mut self, token: Token, mut bytes: Vec<u8>, now: Instant) -> Step {
        let Some(flight) = self.flights.get_mut(&token) else { return Step::Wait };
        let netd = matches!(flight.upstream.ask, Ask::Netd(_));
        if !flight.query.is_answered_by(&flight.message, &bytes) {
            // By UDP it may be another's, and the right one is on its way.
            return if netd || flight.tcp { self.failed(token, now) } else { Step::Wait };
        }
        if !netd && !flight.tcp && message::is_truncated(&bytes) {
            if let Client::Tcp(_) = flight.client {
                flight.tcp = true;
                return self.wait_again(token, now);
            }
        }
        let code = message::rcode(&bytes);
        let no = [Rcode::ServFail as u8, Rcode::NotImp as u8, REFUSED].contains(&code);
        if no && !netd && flight.has_more() {
            flight.no = Some(bytes);
            return self.next(token, now);
        }
        let Some(flight) = self.remove(token) else { return Step::Wait };
        if !self.silent.is_empty() {
            flight.asked().map(|server| self.silent.remove(&server));
        }
        let (counts, lately) = (Counts { answered: 1, ..Counts::default() }, lately(code));
        *self.news(flight.guest) += Page { counts, lately };
        message::set_id(&mut bytes, flight.query.id);
        if let Client::Udp(_) = flight.client {
            flight.query.fit(&mut bytes);
        }
        Step::Tell(Some(token), flight.guest, flight.client, bytes)
    }

    /// Who was asked cannot be, or has hung up.
    pub fn failed(&mut self, token: Token, now: Instant) -> Step {
        if let Some(server) = self.flights.get(&token).and_then(Flight::asked) {
            self.silent.insert(server, now + LATER);
        }
        self.next(token, now)
    }

    fn next(&mut self, token: Token, now: Instant) -> Step {
        let Some(flight) = self.flights.get_mut(&token) else { return Step::Wait };
        if flight.has_more() {
            flight.tried += 1;
            flight.tcp = false;
            return self.wait_again(token, now);
        }
        self.give_up(token)
    }

    /// The first of those whose time is over.
    pub fn expire(&mut self, now: Instant) -> Option<Step> {
        let (at, token) = *self.times.first()?;
        (at <= now).then(|| self.failed(token, now))
    }

    /// What has become lately of a guest's questions, or of those that are nobody's.
    pub fn news(&mut self, index: impl Into<Option<IfIndex>>) -> &mut Page {
        self.news.entry(index.into()).or_default()
    }

    /// Whether guests that follow the uplink and choose nothing are to ask others than until now.
    pub fn followers_turn(&self, want: &Want) -> bool {
        self.want.upstreams.get(&None) != want.upstreams.get(&None)
    }

    /// The guests that are to ask others than until now.
    pub fn turned<'a>(&'a self, want: &'a Want) -> impl Iterator<Item = IfIndex> + 'a {
        let same_ways = self.want.upstreams == want.upstreams;
        let other = move |(index, guest): (&IfIndex, &Arc<Guest>)| {
            let before = self.want.guests.get(index);
            // As most are.
            let same = same_ways && before.is_some_and(|before| Arc::ptr_eq(before, guest));
            let asked = |before: &Arc<Guest>| self.want.asks(before);
            (!same && before.and_then(asked) != want.asks(guest)).then_some(*index)
        };
        want.guests.iter().filter_map(other)
    }

    /// Guests, or whom they ask, are others. What is on its way goes to whom it goes now. `draw`: an id.
    pub fn bring(&mut self, want: &Want, mut draw: impl FnMut() -> u16, now: Instant) -> Vec<Step> {
        if self.want.upstreams != want.upstreams {
            self.silent.clear();
        }
        self.want = want.clone();
        let tokens: Vec<_> = self.flights.keys().copied().collect();
        tokens.into_iter().filter_map(|token| self.follow(token, &mut draw, now)).collect()
    }

    fn follow(&mut self, token: Token, draw: impl FnOnce() -> u16, now: Instant) -> Option<Step> {
        let flight = self.flights.get_mut(&token)?;
        let Some(guest) = self.want.guests.get(&flight.guest) else {
            self.remove(token);
            return Some(Step::Forget(token));
        };
        match self.want.asks(guest).filter(has_somebody) {
            Some(same) if same == flight.upstream => None,
            Some(other) => {
                (flight.upstream, flight.first, flight.tried) = (other, 0, 0);
                (flight.tcp, flight.no) = (false, None);
                // Who was asked until now knows the old one.
                message::set_id(&mut flight.message, draw());
                Some(self.wait_again(token, now))
            }
            None => Some(self.give_up(token)),
        }
    }

    /// Whoever asked by this connection has closed it.
    pub fn hung_up(&mut self, connection: u32) -> Vec<Token> {
        let of = |(_, flight): &(&Token, &Flight)| flight.client == Client::Tcp(connection);
        let tokens: Vec<_> = self.flights.iter().filter(of).map(|(token, _)| *token).collect();
        tokens.iter().for_each(|token| drop(self.remove(*token)));
        tokens
    }

    fn wait_again(&mut self, token: Token, now: Instant) -> Step {
        let Some(flight) = self.flights.get_mut(&token) else { return Step::Wait };
        self.times.remove(&(flight.until, token));
        flight.sent = now;
        flight.until = now + patience(&flight.upstream);
        self.times.insert((flight.until, token));
        Step::Ask(token)
    }

    fn give_up(&mut self, token: Token) -> Step {
        let Some(flight) = self.remove(token) else { return Step::Wait };
        let no = flight.no.as_ref().map(|no| lately(message::rcode(no)));
        let (counts, lately) =
            (Counts { failed: 1, ..Counts::default() }, no.unwrap_or(Lately::Silent(1)));
        *self.news(flight.guest) += Page { counts, lately };
        let mut answer = flight.no.or_else(|| message::refuse(&flight.message, Rcode::ServFail));
        match answer.as_mut() {
            Some(answer) => message::set_id(answer, flight.query.id),
            None => return Step::Forget(token),
        }
        Step::Tell(Some(token), flight.guest, flight.client, answer.unwrap_or_default())
    }

    fn remove(&mut self, token: Token) -> Option<Flight> {
        let flight = self.flights.remove(&token)?;
        self.times.remove(&(flight.until, token));
        self.asking.remove(&flight.asked_as);
        if let Some(count) = self.of_guest.get_mut(&flight.guest) {
            *count -= 1;
            if *count == 0 {
                self.of_guest.remove(&flight.guest);
            }
        }
        Some(flight)
    }
}

impl Flight {
    fn server(&self, servers: &[IpAddr]) -> Option<IpAddr> {
        servers.get((self.first + self.tried).checked_rem(servers.len())?).copied()
    }

    /// The server that is asked now, and by what way.
    fn asked(&self) -> Option<(IpAddr, IfName)> {
        let Ask::Servers(servers) = &self.upstream.ask else { return None };
        Some((self.server(servers)?, self.upstream.by.clone()))
    }

    /// Whether there is another try.
    fn has_more(&self) -> bool {
        match &self.upstream.ask {
            Ask::Netd(_) => false,
            Ask::Servers(servers) => self.tried + 1 < servers.len().max(TRIES),
        }
    }
}

/// What an answer says of who gave it.
fn lately(code: u8) -> Lately {
    match code {
        REFUSED => Lately::Refused(1),
        _ => Lately::Answered,
    }
}

fn has_somebody(upstream: &Upstream) -> bool {
    !matches!(&upstream.ask, Ask::Servers(servers) if servers.is_empty())
}

fn patience(upstream: &Upstream) -> Duration {
    match upstream.ask {
        Ask::Netd(_) => PATIENCE_WITH_NETD,
        Ask::Servers(_) => PATIENCE,
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{answer, question};
    use super::*;
    use std::sync::Arc;

    const SERVERS: [&str; 2] = ["192.0.2.53", "2001:db8::53"];

    fn servers(of: &[&str]) -> Ask {
        Ask::Servers(of.iter().map(|server| server.parse().unwrap()).collect())
    }

    /// Its host end's index.
    const FIRST: IfIndex = IfIndex::of(1);
    /// The id of what goes to somebody else.
    const NEW: u16 = 0x4e45;

    fn want(guests: u32, ask: Option<Ask>) -> Want {
        let guest = |n: u32| Guest {
            name: format!("box{n}").into(),
            prefix: 16,
            address: [172, 17, 3, n as u8].into(),
            gateway: [172, 17, 3, 2].into(),
            way: None,
            servers: None,
            peers: None,
        };
        let by = IfName::new("wlan0").unwrap();
        Want {
            guests: Arc::new((1..=guests).map(|n| (IfIndex::of(n), Arc::new(guest(n)))).collect()),
            upstreams: ask
                .map(|ask| (None, Upstream { by, mark: None, ask }))
                .into_iter()
                .collect(),
            ..Want::default()
        }
    }

    struct Rig {
        table: Table,
        now: Instant,
    }

    impl Rig {
        fn new(want: &Want) -> Self {
            let mut table = Table::default();
            assert!(table.bring(want, || 0, Instant::now()).is_empty());
            Self { table, now: Instant::now() }
        }

        fn from(&mut self, guest: u32, port: u16, id: u16) -> Step {
            let client = Client::Udp(SocketAddrV4::new([172, 17, 3, guest as u8].into(), port));
            self.table.ask(IfIndex::of(guest), client, &question(id, "box.example"), !id, self.now)
        }

        fn by_tcp(&mut self, id: u16) -> Step {
            self.table.ask(FIRST, Client::Tcp(9), &question(id, "box.example"), !id, self.now)
        }

        fn at(&self, token: Token) -> (String, bool) {
            match self.table.target(token).unwrap().0 {
                Target::Server { at, tcp, .. } => (at.to_string(), tcp),
                Target::Netd(network) => (network.to_string(), false),
            }
        }

        fn answers(&mut self, token: Token, code: u8, more: usize) -> Step {
            let query = self.table.target(token).unwrap().1.to_vec();
            self.table.answer(token, answer(&query, code, more), self.now)
        }

        fn expire(&mut self) -> Vec<Step> {
            std::iter::from_fn(|| self.table.expire(self.now)).collect()
        }
    }

    #[track_caller]
    fn asked(step: Step) -> Token {
        let Step::Ask(token) = step else { panic!("{step:?}") };
        token
    }

    #[track_caller]
    fn told(step: Step) -> Vec<u8> {
        let Step::Tell(_, _, _, answer) = step else { panic!("{step:?}") };
        answer
    }

    #[test]
    fn an_answer_goes_to_who_asked_by_its_own_id() {
        let mut rig = Rig::new(&want(2, Some(servers(&SERVERS))));
        let token = asked(rig.from(1, 4000, 7));
        let other = asked(rig.from(2, 4000, 7));
        assert_ne!(token, other);
        assert_eq!(rig.at(token), (SERVERS[0].to_owned(), false));
        let sent = rig.table.target(token).unwrap().1.to_vec();
        assert_eq!(sent[..2], (!7_u16).to_be_bytes());
        let wrong = answer(&question(7, "box.example"), 0, 0);
        assert_eq!(rig.table.answer(token, wrong, rig.now), Step::Wait, "the client's id");
        let Step::Tell(Some(_), FIRST, Client::Udp(to), bytes) = rig.answers(token, 0, 16) else {
            panic!("not told")
        };
        assert_eq!((to.to_string().as_str(), &bytes[..2]), ("172.17.3.1:4000", &[0, 7][..]));
        assert_eq!(rig.table.answer(token, bytes, rig.now), Step::Wait, "once");
        assert_eq!((rig.table.len(), rig.table.news(IfIndex::of(1)).counts.answered), (1, 1));
    }

    #[test]
    fn the_next_is_asked_after_silence_failure_and_refusal() {
        let mut rig = Rig::new(&want(1, Some(servers(&SERVERS))));
        let token = asked(rig.from(1, 4000, 7));
        rig.now += PATIENCE - Duration::from_millis(1);
        assert!(rig.expire().is_empty());
        rig.now += Duration::from_millis(1);
        assert_eq!(rig.expire(), [Step::Ask(token)]);
        assert_eq!(rig.at(token).0, SERVERS[1]);
        rig.now += PATIENCE;
        let [step] = <[Step; 1]>::try_from(rig.expire()).unwrap();
        let answer = told(step);
        assert_eq!((message::rcode(&answer), &answer[..2]), (2, &[0, 7][..]));
        assert!(rig.table.is_empty() && rig.table.due().is_none());

        let token = asked(rig.from(1, 4000, 8));
        assert_eq!(rig.answers(token, REFUSED, 0), Step::Ask(token));
        let step = rig.table.failed(token, rig.now);
        assert_eq!(message::rcode(&told(step)), REFUSED, "the best that is known");

        let token = asked(rig.from(1, 4000, 9));
        assert_eq!(message::rcode(&told(rig.answers(token, 3, 0))), 3, "NXDOMAIN is an answer");
    }

    #[test]
    fn who_was_silent_is_asked_after_others_for_a_while() {
        let mut rig = Rig::new(&want(1, Some(servers(&SERVERS))));
        let first = asked(rig.from(1, 1, 1));
        assert_eq!(rig.at(first), (SERVERS[0].to_owned(), false));
        rig.now += PATIENCE;
        rig.expire();
        rig.answers(first, 0, 0);
        let second = asked(rig.from(1, 2, 2));
        assert_eq!(rig.at(second), (SERVERS[1].to_owned(), false), "nobody waits for it again");
        // The other one is silent, too: the first is asked behind it.
        rig.now += PATIENCE;
        rig.expire();
        assert_eq!(rig.at(second), (SERVERS[0].to_owned(), false));
        rig.answers(second, 0, 0);
        let third = asked(rig.from(1, 3, 3));
        assert_eq!(rig.at(third), (SERVERS[0].to_owned(), false), "it has answered");
        // A no is an answer.
        assert!(matches!(rig.answers(third, REFUSED, 0), Step::Ask(_)));
        rig.answers(third, 0, 0);
        let fourth = asked(rig.from(1, 4, 4));
        assert_eq!(rig.at(fourth), (SERVERS[0].to_owned(), false));
    }

    #[test]
    fn a_single_server_is_asked_twice_and_a_guest_may_ask_again() {
        let mut rig = Rig::new(&want(1, Some(servers(&SERVERS[..1]))));
        let token = asked(rig.from(1, 4000, 7));
        assert_eq!(rig.from(1, 4000, 7), Step::Wait, "at once");
        rig.now += AGAIN;
        assert_eq!(rig.from(1, 4000, 7), Step::Again(token));
        assert_eq!(rig.from(1, 4000, 7), Step::Wait, "once");
        rig.now += PATIENCE;
        assert_eq!(rig.expire(), [Step::Ask(token)]);
        assert_eq!(rig.at(token).0, SERVERS[0]);
        assert_eq!(rig.table.failed(token, rig.now), {
            let no = message::refuse(&question(7, "box.example"), Rcode::ServFail).unwrap();
            let client = Client::Udp("172.17.3.1:4000".parse().unwrap());
            Step::Tell(Some(token), FIRST, client, no)
        });
    }

    #[test]
    fn another_question_by_the_same_id_is_asked_for() {
        let mut rig = Rig::new(&want(1, Some(servers(&SERVERS[..1]))));
        let client = Client::Udp("172.17.3.1:4000".parse().unwrap());
        let mut types = question(7, "box.example");
        let end = types.len();
        types[end - 3] = 28;
        let tokens = [question(7, "box.example"), types, question(7, "other.example")]
            .map(|bytes| (asked(rig.table.ask(FIRST, client, &bytes, 1, rig.now)), bytes));
        for (token, bytes) in &tokens {
            let again = rig.table.ask(FIRST, client, bytes, 1, rig.now);
            assert_eq!(again, Step::Wait, "{token}: the same");
        }
        for (token, bytes) in &tokens {
            let told = told(rig.answers(*token, 0, 0));
            assert_eq!((&told[..2], &told[12..bytes.len()]), (&[0, 7][..], &bytes[12..]));
        }
        assert!(rig.table.is_empty() && rig.table.asking.is_empty());
    }

    #[test]
    fn what_is_cut_short_is_asked_by_tcp_for_who_asks_by_tcp() {
        let mut rig = Rig::new(&want(1, Some(servers(&SERVERS))));
        let cut = |rig: &Rig, token| {
            let mut bytes = answer(rig.table.target(token).unwrap().1, 0, 0);
            bytes[2] |= 2;
            bytes
        };
        let token = asked(rig.from(1, 4000, 7));
        let bytes = cut(&rig, token);
        assert!(message::is_truncated(&told(rig.table.answer(token, bytes, rig.now))));
        let token = asked(rig.by_tcp(7));
        let bytes = cut(&rig, token);
        assert_eq!(rig.table.answer(token, bytes, rig.now), Step::Ask(token));
        assert_eq!(rig.at(token), (SERVERS[0].to_owned(), true));
        assert_eq!(told(rig.answers(token, 0, 5000)).len(), 29 + 5000);
        // To a datagram's sender it is cut.
        let token = asked(rig.from(1, 4000, 8));
        let bytes = told(rig.answers(token, 0, 5000));
        assert!(message::is_truncated(&bytes) && bytes.len() == 29);
        let token = asked(rig.by_tcp(9));
        assert_eq!(rig.table.hung_up(9), [token]);
        assert!(rig.table.is_empty());
    }

    #[test]
    fn a_guest_has_so_many_and_all_have_so_many() {
        let mut rig = Rig::new(&want(20, Some(servers(&SERVERS))));
        for port in 0..OF_A_GUEST as u16 {
            asked(rig.from(1, port, 7));
        }
        assert_eq!(message::rcode(&told(rig.from(1, 99, 7))), 2);
        for guest in 2..=(OF_ALL / OF_A_GUEST) as u32 {
            for port in 0..OF_A_GUEST as u16 {
                asked(rig.from(guest, port, 7));
            }
        }
        assert_eq!(rig.table.len(), OF_ALL);
        assert_eq!(message::rcode(&told(rig.from(20, 1, 7))), 2);
        assert_eq!(rig.table.news.values().map(|page| page.counts.refused).sum::<u64>(), 2);
        rig.now += PATIENCE;
        assert_eq!(rig.expire().len(), OF_ALL);
        rig.now += PATIENCE;
        assert_eq!(rig.expire().len(), OF_ALL);
        assert!(rig.table.is_empty() && rig.table.of_guest.is_empty());
        assert!(rig.table.asking.is_empty() && rig.table.times.is_empty());
    }

    #[test]
    fn another_uplink_is_asked_at_once_and_the_old_one_not_heard() {
        let mut rig = Rig::new(&want(2, Some(servers(&SERVERS))));
        let [one, gone] = [1, 2].map(|guest| asked(rig.from(guest, 4000, 7)));
        assert!(rig.table.bring(&want(2, Some(servers(&SERVERS))), || NEW, rig.now).is_empty());
        let other = want(1, Some(servers(&["198.51.100.53"])));
        let before = rig.table.target(one).unwrap().1.to_vec();
        let mut steps = rig.table.bring(&other, || NEW, rig.now);
        steps.sort_by_key(|step| matches!(step, Step::Forget(_)));
        assert_eq!(steps, [Step::Ask(one), Step::Forget(gone)]);
        assert_eq!(rig.at(one).0, "198.51.100.53");
        assert_eq!(rig.table.target(one).unwrap().1[..2], NEW.to_be_bytes());
        assert_eq!(rig.table.answer(one, answer(&before, 0, 0), rig.now), Step::Wait, "the old id");
        let late = told(rig.answers(one, 0, 0));
        assert_eq!(late[..2], [0, 7], "the client's own");
        asked(rig.from(1, 4000, 7));
        let steps = rig.table.bring(&want(1, None), || NEW, rig.now);
        let [step] = <[Step; 1]>::try_from(steps).unwrap();
        assert_eq!(message::rcode(&told(step)), 2);
        for nobody in [None, Some(servers(&[]))] {
            rig.table.bring(&want(1, nobody), || NEW, rig.now);
            assert_eq!(message::rcode(&told(rig.from(1, 4000, 8))), 2, "at once");
        }
    }

    #[test]
    fn a_guest_has_servers_of_its_own_and_netd_is_asked_once() {
        let mut many = want(2, Some(Ask::Netd(100)));
        let mut guests = crate::ordered::OrderedMap::clone(&many.guests);
        Arc::make_mut(guests.get_mut(&FIRST).unwrap()).servers =
            Some(["198.51.100.9".parse().unwrap()].into());
        many.guests = Arc::new(guests);
        let mut rig = Rig::new(&many);
        let [own, netd] = [1, 2].map(|guest| asked(rig.from(guest, 4000, 7)));
        assert_eq!((rig.at(own).0.as_str(), rig.at(netd).0.as_str()), ("198.51.100.9", "100"));
        rig.now += PATIENCE;
        assert_eq!(rig.expire(), [Step::Ask(own)]);
        assert_eq!(message::rcode(&told(rig.answers(netd, 2, 0))), 2);
        let netd = asked(rig.from(2, 4000, 8));
        assert_eq!(message::rcode(&told(rig.table.answer(netd, vec![1, 2], rig.now))), 2);
    }

    /// Whatever comes in whatever order, nothing is lost, kept for good, or told twice.
    #[test]
    fn anything_may_happen() {
        let random = std::hash::RandomState::new();
        let mut n = 0_u64;
        let mut next = |below: u64| {
            n += 1;
            std::hash::BuildHasher::hash_one(&random, n) % below
        };
        let wants: Vec<_> = [
            Some(servers(&SERVERS)),
            None,
            Some(Ask::Netd(100)),
            Some(servers(&["198.51.100.53"])),
        ]
        .into_iter()
        .zip([9, 3, 5, 9])
        .map(|(ask, guests)| want(guests, ask))
        .collect();
        let mut rig = Rig::new(&wants[0]);
        let (mut open, mut over) = (0_i64, 0_i64);
        let mut count = |step: &Step| match step {
            Step::Tell(Some(_), ..) | Step::Forget(_) => over += 1,
            _ => {}
        };
        for _ in 0..50_000 {
            let token = rig.table.last.wrapping_sub(next(40) as u32);
            let steps = match next(12) {
                0..=4 => {
                    let before = rig.table.len();
                    let step = rig.from(1 + next(9) as u32, next(30) as u16, next(4) as u16);
                    open += i64::from(rig.table.len() > before);
                    vec![step]
                }
                5..=7 => {
                    let Some((_, query)) = rig.table.target(token) else { continue };
                    let bytes = answer(query, next(6) as u8, next(700) as usize);
                    vec![rig.table.answer(token, bytes, rig.now)]
                }
                8 => vec![rig.table.failed(token, rig.now)],
                9 => rig.table.bring(&wants[next(4) as usize], || NEW, rig.now),
                10 => rig.expire(),
                _ => {
                    rig.now += Duration::from_millis(next(900));
                    vec![]
                }
            };
            steps.iter().for_each(&mut count);
            let table = &rig.table;
            assert_eq!(table.len(), table.times.len());
            assert_eq!(table.len(), table.asking.len());
            assert_eq!(table.len(), table.of_guest.values().sum::<usize>());
            assert!(table.of_guest.values().all(|count| (1..=OF_A_GUEST).contains(count)));
        }
        for _ in 0..9 {
            rig.now += PATIENCE_WITH_NETD;
            rig.expire().iter().for_each(&mut count);
        }
        assert!(rig.table.is_empty());
        assert_eq!(open, over);
    }
}
