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

//! The sockets by which servers are asked by UDP. To open one, to have it at its port and to close it costs more
//! than all else of a question, so each serves a few questions, one after the other, at one server. It
//! serves few, and is not kept for long: whoever wants to forge an answer has to guess its port anew.

use super::forward::{Target, Token};
use super::socket;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How many questions one socket serves.
const MOST_USES: u8 = 8;
/// How long one is kept that nobody uses, and as long as that at most from its first question on.
const KEPT: Duration = Duration::from_millis(500);
/// How many are kept.
const MOST_KEPT: usize = 64;

/// Whom a socket asks, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Whom {
    at: IpAddr,
    by: String,
    mark: Option<u32>,
}

impl Whom {
    fn is(&self, target: &Target<'_>) -> bool {
        matches!(target, Target::Server { at, by, mark, tcp: false }
            if *at == self.at && *by == self.by && *mark == self.mark)
    }
}

struct Line {
    socket: UdpSocket,
    whom: Whom,
    opened: Instant,
    uses: u8,
    /// The question that it is used for; none: it is kept.
    token: Option<Token>,
}

/// The sockets, each known by its place.
#[derive(Default)]
pub struct Pool {
    lines: Vec<Option<Line>>,
    /// Places without a socket.
    free: Vec<usize>,
    /// Places of those that are kept, the oldest first.
    kept: Vec<usize>,
}

impl Pool {
    /// Asks by a socket that is kept, or by a new one, which `watch` has watched.
    pub fn ask(
        &mut self,
        token: Token,
        target: &Target<'_>,
        message: &[u8],
        now: Instant,
        watch: impl FnOnce(&UdpSocket, usize) -> io::Result<()>,
    ) -> io::Result<usize> {
        while let Some(at) = self.take(target, now) {
            let Some(Some(line)) = self.lines.get_mut(at) else { continue };
            // One that cannot send any more is of no use to the next question either.
            if line.socket.send(message).is_ok() {
                (line.token, line.uses) = (Some(token), line.uses + 1);
                return Ok(at);
            }
            self.close(at);
        }
        let Target::Server { at, by, mark, .. } = *target else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let socket = socket::open_datagram(target)?;
        let place = self.free.pop().unwrap_or(self.lines.len());
        let watched = watch(&socket, place).and_then(|()| socket.send(message));
        let whom = Whom { at, by: by.to_owned(), mark };
        let line = Some(Line { socket, whom, opened: now, uses: 1, token: Some(token) });
        match self.lines.get_mut(place) {
            Some(at) => *at = line,
            None => self.lines.push(line),
        }
        watched.inspect_err(|_| self.close(place))?;
        Ok(place)
    }

    /// Sends a question again by its socket.
    pub fn again(&self, at: usize, message: &[u8]) {
        if let Some(Some(line)) = self.lines.get(at) {
            let _ = line.socket.send(message);
        }
    }

    /// What has come by a socket, and whose it is. Of a kept one it is read all the same: another answer to a
    /// question that was sent twice. What is wrong with a kept one is the end of it.
    pub fn receive(&mut self, at: usize, buffer: &mut [u8]) -> Option<(Token, io::Result<usize>)> {
        let Some(Some(line)) = self.lines.get(at) else { return None };
        let (token, received) = (line.token, line.socket.recv(buffer));
        let lives = match &received {
            Ok(_) => true,
            Err(e) => e.kind() == io::ErrorKind::WouldBlock,
        };
        if token.is_none() && !lives {
            self.kept.retain(|place| *place != at);
            self.close(at);
        }
        Some((token?, received))
    }

    /// A question is over. Its socket is kept for the next if it was answered.
    pub fn over(&mut self, at: usize, answered: bool, now: Instant) {
        let Some(Some(line)) = self.lines.get_mut(at) else { return };
        line.token = None;
        let serves = line.uses < MOST_USES && now < line.opened + KEPT;
        if answered && serves && self.kept.len() < MOST_KEPT {
            self.kept.push(at);
        } else {
            self.close(at);
        }
    }

    /// When [`Self::expire`] has something to do. The oldest place is not the oldest socket, so that one may be
    /// kept a little longer than it has to be.
    pub fn due(&self) -> Option<Instant> {
        let Some(Some(line)) = self.lines.get(*self.kept.first()?) else { return None };
        Some(line.opened + KEPT)
    }

    /// Closes those whose time is over.
    pub fn expire(&mut self, now: Instant) {
        self.close_kept(|line| line.opened + KEPT <= now);
    }

    /// Closes those that are kept: whom they ask may not be asked any more, or not so.
    pub fn close_all_kept(&mut self) {
        self.close_kept(|_| true);
    }

    fn close_kept(&mut self, is_over: impl Fn(&Line) -> bool) {
        let is_over = |at: &usize| self.lines.get(*at).into_iter().flatten().all(&is_over);
        let (over, kept): (Vec<_>, Vec<_>) = self.kept.iter().partition(|at| is_over(at));
        self.kept = kept;
        over.into_iter().for_each(|at| self.close(at));
    }

    /// One that is kept for the same.
    fn take(&mut self, target: &Target<'_>, now: Instant) -> Option<usize> {
        let fits = |at: &usize| {
            let line = self.lines.get(*at).and_then(Option::as_ref);
            line.is_some_and(|line| line.whom.is(target) && now < line.opened + KEPT)
        };
        let at = self.kept.iter().rposition(fits)?;
        Some(self.kept.remove(at))
    }

    fn close(&mut self, at: usize) {
        if self.lines.get_mut(at).and_then(Option::take).is_some() {
            self.free.push(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::testing::{in_a_netns, ip};

    fn target(at: &IpAddr) -> Target<'_> {
        Target::Server { at: *at, by: "lo", mark: None, tcp: false }
    }

    /// Asks, and says by which place and port.
    fn ask(pool: &mut Pool, token: Token, at: &str, now: Instant) -> (usize, u16) {
        let at = at.parse().unwrap();
        let place = pool.ask(token, &target(&at), b"?", now, |_, _| Ok(())).unwrap();
        let port = pool.lines[place].as_ref().unwrap().socket.local_addr().unwrap().port();
        (place, port)
    }

    #[test]
    fn a_socket_serves_a_few_questions_at_one_server_and_not_for_long() {
        in_a_netns(|_| serves_a_few());
    }

    fn serves_a_few() {
        ip("link set lo up");
        let (mut pool, mut now) = (Pool::default(), Instant::now());
        // Else the second question would find that the first was refused.
        let _listener = UdpSocket::bind("127.0.0.1:53").unwrap();
        let (first, port) = ask(&mut pool, 1, "127.0.0.1", now);
        let (second, other) = ask(&mut pool, 2, "127.0.0.1", now);
        assert_ne!(port, other, "at the same time each has its own");
        pool.over(first, true, now);
        assert!(pool.due().is_some());
        for token in 3..=9 {
            let (place, again) = ask(&mut pool, token, "127.0.0.1", now);
            assert_eq!((place, again), (first, port), "{token}");
            pool.over(place, true, now);
        }
        assert_eq!((pool.kept.len(), pool.due()), (0, None), "it has served as many as it may");
        pool.over(second, false, now);
        assert!(pool.kept.is_empty(), "nobody has answered it");
        let (third, _) = ask(&mut pool, 10, "127.0.0.1", now);
        assert!([first, second].contains(&third), "a place is used again");
        pool.over(third, true, now);
        now += KEPT;
        let (fourth, _) = ask(&mut pool, 11, "127.0.0.1", now);
        assert_ne!(fourth, third, "it is too old");
        pool.expire(now);
        assert!(pool.kept.is_empty());
        pool.over(fourth, true, now);
        pool.close_all_kept();
        assert_eq!((pool.kept.len(), pool.free.len()), (0, pool.lines.len()));
    }

    #[test]
    fn what_comes_by_a_kept_socket_is_nobodys() {
        in_a_netns(|_| is_nobodys());
    }

    fn is_nobodys() {
        ip("link set lo up");
        let listener = UdpSocket::bind("127.0.0.3:53").unwrap();
        let (mut pool, now) = (Pool::default(), Instant::now());
        let (place, _) = ask(&mut pool, 7, "127.0.0.3", now);
        let mut buffer = [0; 16];
        let (_, from) = listener.recv_from(&mut buffer).unwrap();
        listener.send_to(b"one", from).unwrap();
        listener.send_to(b"two", from).unwrap();
        let (token, length) = pool.receive(place, &mut buffer).unwrap();
        assert_eq!((token, length.unwrap()), (7, 3));
        pool.over(place, true, now);
        assert!(pool.receive(place, &mut buffer).is_none());
        assert!(pool.receive(place, &mut buffer).is_none(), "nothing is there, and it lives on");
        assert_eq!(pool.kept, [place]);
        drop(listener);
        // A refusal is no answer to the next question.
        pool.again(place, b"?");
        assert!(pool.receive(place, &mut buffer).is_none());
        assert!(pool.kept.is_empty() && pool.due().is_none());
    }
}
