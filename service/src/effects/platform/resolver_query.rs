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

//! Asks resolvers whether they resolve, all at once, by the interface that guests' questions leave by. One
//! small question each: the name servers of the root, which every resolver knows or asks for, and which
//! tells nobody what a guest does. Reads an answer that may be anything.

use crate::model::names::Answer;
use crate::spec::IfName;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::sockopt::BindToDevice;
use nix::sys::socket::{setsockopt, socket, AddressFamily, SockFlag, SockType};
use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The resolver.
    pub server: Ipv4Addr,
    /// The interface to ask by; none: the one that the device takes.
    pub by: Option<IfName>,
}

/// When a datagram that nobody has answered is sent again: one may be lost.
const AGAIN: Duration = Duration::from_millis(300);

/// Asks all of them; gives the answers in their order, at the latest after `patience`.
pub fn ask(questions: &[Question], patience: Duration) -> Vec<Answer> {
    let deadline = Instant::now() + patience;
    let mut asked: Vec<_> = questions.iter().map(Asked::begin).collect();
    loop {
        let now = Instant::now();
        let open = || asked.iter().filter(|one| one.answer.is_none());
        let Some(next) = open().map(|one| one.again).min().filter(|_| now < deadline) else {
            break;
        };
        let sockets: Vec<_> = open().filter_map(|one| one.socket.as_ref()).collect();
        let mut fds: Vec<_> =
            sockets.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)).collect();
        let wait = next.min(deadline).saturating_duration_since(now) + Duration::from_millis(1);
        let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO);
        // An interrupted wait is a short one.
        let _ = poll(&mut fds, wait);
        for one in asked.iter_mut().filter(|one| one.answer.is_none()) {
            one.go_on();
        }
    }
    let silence = |nonsense| if nonsense { Answer::Nonsense } else { Answer::Silent(None) };
    asked.into_iter().map(|one| one.answer.unwrap_or(silence(one.nonsense))).collect()
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// `. NS`.
    Root,
    /// `version.bind TXT`, class CHAOS: what is a resolver's own, where it offers to resolve and knows no
    /// root: a forwarder for certain names alone.
    Version,
}

impl What {
    /// The question (RFC 1035, 4.1.2).
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Root => b"\0\0\x02\0\x01",
            Self::Version => b"\x07version\x04bind\0\0\x10\0\x03",
        }
    }
}

/// A question on its way.
struct Asked {
    socket: Option<UdpSocket>,
    what: What,
    id: u16,
    /// When it is sent again.
    again: Instant,
    /// Whether something came that is no answer. What is one may come behind it.
    nonsense: bool,
    answer: Option<Answer>,
}

impl Asked {
    fn begin(question: &Question) -> Self {
        let id = RandomState::new().hash_one(question.server) as u16;
        let (what, again) = (What::Root, Instant::now());
        let mut asked = Self { socket: None, what, id, again, nonsense: false, answer: None };
        match open(question) {
            Ok(socket) => asked.socket = Some(socket),
            Err(e) => asked.answer = Some(failed(&e)),
        }
        asked.send();
        asked
    }

    fn send(&mut self) {
        self.again = Instant::now() + AGAIN;
        let Some(socket) = &self.socket else { return };
        // RD, one question.
        let mut message = self.id.to_be_bytes().to_vec();
        message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        message.extend(self.what.bytes());
        match socket.send(&message) {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => self.answer = Some(failed(&e)),
            _ => {}
        }
    }

    /// Reads what has come, and sends again what waits too long.
    fn go_on(&mut self) {
        // More than any sends to who has not asked for it: what is cut off would be no answer.
        let mut buffer = [0; 4096];
        while let Some(socket) = self.socket.as_ref().filter(|_| self.answer.is_none()) {
            match socket.recv(&mut buffer) {
                Ok(length) => {
                    let message = buffer.get(..length).unwrap_or_default();
                    match judge(message, self.id, self.what) {
                        Some(Judged::Is(answer)) => self.answer = Some(answer),
                        Some(Judged::AskMore) => {
                            self.what = What::Version;
                            self.send();
                        }
                        // Again to the question before.
                        None if judge(message, self.id, What::Root).is_some() => {}
                        None => self.nonsense = true,
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => self.answer = Some(failed(&e)),
            }
        }
        if self.answer.is_none() && self.again <= Instant::now() {
            self.send();
        }
    }
}

/// A socket that receives from the resolver alone.
fn open(question: &Question) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    if let Some(by) = &question.by {
        setsockopt(&socket, BindToDevice, &OsString::from(by.as_str()))?;
    }
    let socket = UdpSocket::from(socket);
    socket.connect((question.server, 53))?;
    Ok(socket)
}

/// What an error of a socket says of the resolver: ICMP's, most often.
fn failed(error: &io::Error) -> Answer {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => Answer::Silent(Some("nothing listens on its port 53")),
        Some(libc::EHOSTUNREACH) => Answer::Silent(Some("it cannot be reached")),
        Some(libc::ENETUNREACH) => Answer::Silent(Some("no route leads there")),
        // A rule in OUTPUT, which what guests send does not meet.
        Some(libc::EPERM) => {
            Answer::Unasked("the device's own packet filter keeps guestnetd from asking".into())
        }
        _ => Answer::Unasked(error.to_string()),
    }
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    Is(Answer),
    /// It offers to resolve, but not this.
    AskMore,
}

/// Judges a message; none if it is no answer to this.
pub(crate) fn judge(message: &[u8], id: u16, what: What) -> Option<Judged> {
    const QR: u8 = 0x80;
    const RA: u8 = 0x80;
    let [high, low, flags, more, 0, questions, ..] = *message else { return None };
    if u16::from_be_bytes([high, low]) != id || flags & QR == 0 {
        return None;
    }
    // Some leave the question out where they refuse it.
    let echo = message.get(12..12 + what.bytes().len());
    if questions != 0 && !echo.is_some_and(|echo| echo.eq_ignore_ascii_case(what.bytes())) {
        return None;
    }
    let count = message.get(6..8).and_then(|count| count.try_into().ok()).map(u16::from_be_bytes);
    let answered = count.is_some_and(|count| count != 0);
    let records = if questions == 0 { 12 } else { 12 + what.bytes().len() };
    if !has_records(message, records, count.unwrap_or(0)) {
        return None;
    }
    Some(match (what, more & 0x0f) {
        // Without recursion, and without an answer: it refers to others, which a guest's own resolver
        // does not follow.
        (What::Root, 0) if more & RA == 0 && !answered => {
            Judged::Is(Answer::Refuses("a referral, as it does not resolve for others"))
        }
        (_, 0 | 3) => Judged::Is(Answer::Answers),
        (_, 2) => Judged::Is(Answer::Refuses("SERVFAIL")),
        (What::Root, 5) if more & RA != 0 => Judged::AskMore,
        (_, 5) => Judged::Is(Answer::Refuses("REFUSED")),
        // FORMERR, NOTIMP: this question is too much for it, as for some routers; it does answer.
        _ => Judged::Is(Answer::Answers),
    })
}

/// Whether so many records are there, from a place on, and whole (RFC 1035, 4.1.3).
fn has_records(message: &[u8], from: usize, count: u16) -> bool {
    const POINTER: u8 = 0xc0;
    /// Type, class and time to live, before the length of what follows.
    const FIXED: usize = 8;
    let mut at = from;
    for _ in 0..count {
        loop {
            match message.get(at) {
                Some(0) => at += 1,
                Some(label) if label & POINTER == POINTER => at += 2,
                Some(label) if label & POINTER == 0 => {
                    at += 1 + usize::from(*label);
                    continue;
                }
                _ => return false,
            }
            break;
        }
        let Some([high, low]) = message.get(at + FIXED..at + FIXED + 2) else { return false };
        at += FIXED + 2 + usize::from(u16::from_be_bytes([*high, *low]));
        if at > message.len() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(what: What, flags: [u8; 2], answers: u8) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, flags[0], flags[1], 0, 1, 0, answers, 0, 0, 0, 0];
        message.extend(what.bytes());
        // The question's name again, or the root; an address.
        for name in (0..answers).map(|n| if n % 2 == 0 { &b"\xc0\x0c"[..] } else { b"\0" }) {
            message.extend(name);
            message.extend(b"\0\x01\0\x01\0\0\0\0\0\x04\xcb\0\x71\x50");
        }
        message
    }

    #[test]
    fn an_answer_is_judged_by_its_code() {
        use What::*;
        let is = |answer| Some(Judged::Is(answer));
        for (what, flags, answers, judged) in [
            (Root, [0x81, 0x80], 13, is(Answer::Answers)),
            (Root, [0x81, 0x00], 13, is(Answer::Answers)),
            (Root, [0x81, 0x83], 0, is(Answer::Answers)),
            (Root, [0x81, 0x82], 0, is(Answer::Refuses("SERVFAIL"))),
            (Root, [0x81, 0x05], 0, is(Answer::Refuses("REFUSED"))),
            (Root, [0x81, 0x85], 0, Some(Judged::AskMore)),
            (Version, [0x85, 0x80], 1, is(Answer::Answers)),
            (Version, [0x81, 0x85], 0, is(Answer::Refuses("REFUSED"))),
            (Root, [0x81, 0x81], 0, is(Answer::Answers)),
            (Root, [0x01, 0x00], 0, None),
        ] {
            assert_eq!(judge(&answer(what, flags, answers), 0x1234, what), judged, "{flags:x?}");
        }
        let referral = judge(&answer(Root, [0x81, 0x00], 0), 0x1234, Root);
        assert!(matches!(referral, Some(Judged::Is(Answer::Refuses(_)))));
    }

    #[test]
    fn what_is_no_answer_to_it_is_nothing() {
        let whole = answer(What::Root, [0x81, 0x80], 1);
        assert_eq!(judge(&whole, 0x1235, What::Root), None, "another id");
        assert_eq!(judge(&whole, 0x1234, What::Version), None, "another question");
        for end in 0..whole.len() {
            assert_eq!(judge(&whole[..end], 0x1234, What::Root), None, "{end}");
        }
        let mut bare = whole;
        (bare[3], bare[5]) = (0x05, 0);
        bare[7] = 0;
        bare.truncate(12);
        let judged = judge(&bare, 0x1234, What::Root);
        assert_eq!(judged, Some(Judged::Is(Answer::Refuses("REFUSED"))));
    }

    #[test]
    fn all_are_asked_at_once_and_none_is_waited_for_longer() {
        crate::effects::kernel::testing::in_a_netns(|_| {
            for command in [
                "link set lo up",
                "addr add 192.0.2.1/32 dev lo",
                "addr add 192.0.2.2/32 dev lo",
                "addr add 192.0.2.3/32 dev lo",
                "addr add 192.0.2.4/32 dev lo",
            ] {
                crate::effects::kernel::testing::ip(command);
            }
            let at = |last| Ipv4Addr::new(192, 0, 2, last);
            let [answers, silent, echoes] =
                [1, 2, 4].map(|last| UdpSocket::bind((at(last), 53)).unwrap());
            let serve = move || {
                let mut buffer = [0; 512];
                // The first is lost.
                answers.recv_from(&mut buffer).unwrap();
                let (length, from) = answers.recv_from(&mut buffer).unwrap();
                (buffer[2], buffer[3]) = (0x81, 0x80);
                answers.send_to(&buffer[..length], from).unwrap();
            };
            let echo = move || {
                let mut buffer = [0; 512];
                let (length, from) = echoes.recv_from(&mut buffer).unwrap();
                echoes.send_to(&buffer[..length], from).unwrap();
                echoes
            };
            let echoed = std::thread::spawn(echo);
            let served = std::thread::spawn(serve);
            let lo = IfName::new("lo");
            let to = |server, by: &Option<IfName>| Question { server, by: by.clone() };
            let nobody = IfName::new("nobody0");
            let questions = [
                to(at(1), &lo),
                to(at(2), &None),
                to(at(3), &lo),
                to([198, 51, 100, 1].into(), &None),
                to(at(1), &nobody),
                to(at(4), &lo),
            ];
            let began = Instant::now();
            let got = ask(&questions, Duration::from_millis(700));
            let took = began.elapsed();
            served.join().unwrap();
            echoed.join().unwrap();
            drop(silent);
            assert_eq!(got[0], Answer::Answers);
            assert_eq!(got[1], Answer::Silent(None));
            assert_eq!(got[2], Answer::Silent(Some("nothing listens on its port 53")));
            assert_eq!(got[3], Answer::Silent(Some("no route leads there")));
            assert!(matches!(got[4], Answer::Unasked(_)), "{:?}", got[4]);
            assert_eq!(got[5], Answer::Nonsense);
            assert!((700..1500).contains(&took.as_millis()), "{took:?}");
        });
    }
}
