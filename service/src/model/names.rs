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

//! Which resolvers answer, as they were asked last, and which one guests' questions go to. Pure.

use crate::ordered::{IntoOrdered, OrderedMap};
use crate::spec::IfName;
use std::net::Ipv4Addr;

/// By what guests leave: a tun of their own; none: the uplink.
pub type Way = Option<IfName>;

/// What became of a question to a resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was answered.
    Answers,
    /// It was not, and why, where something is known.
    Silent(Option<&'static str>),
    /// It was refused, by this code (RFC 1035, 4.1.1).
    Refuses(&'static str),
    /// Something came, and it was no answer.
    Nonsense,
    /// The device sends what guests ask it by an interface that they may not leave by.
    Elsewhere {
        /// Its name.
        by: String,
        /// Whether it is a VPN's.
        vpn: bool,
    },
    /// The device has no way there for guests.
    NoWay,
    /// It could not be sent.
    Unasked(String),
}

impl Answer {
    /// Whether another resolver is better.
    fn is_bad(&self) -> bool {
        !matches!(self, Self::Answers | Self::Unasked(_))
    }
}

/// What is known of the resolvers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(OrderedMap<(Way, Ipv4Addr), Answer>);

impl Names {
    /// What a resolver said last to guests that leave so.
    pub fn answer(&self, way: &Way, server: Ipv4Addr) -> Option<&Answer> {
        self.0.get(&(way.clone(), server))
    }

    /// Whether guests that leave so have asked.
    pub fn has(&self, way: &Way) -> bool {
        self.0.keys().any(|(known, _)| known == way)
    }

    /// All that is known from now on.
    pub fn set(&mut self, answers: impl IntoIterator<Item = (Way, Ipv4Addr, Answer)>) {
        self.0 = answers.into_iter().map(|(way, server, is)| ((way, server), is)).into_map();
    }

    /// Whether it was of no use to guests that leave so.
    pub fn is_bad(&self, way: &Way, server: Ipv4Addr) -> bool {
        self.answer(way, server).is_some_and(Answer::is_bad)
    }

    /// Whether it is silent to us, for any guests.
    pub fn is_silent(&self, server: Ipv4Addr) -> bool {
        let silent = |((_, of), answer): (&(Way, Ipv4Addr), &Answer)| {
            *of == server && matches!(answer, Answer::Silent(_))
        };
        self.0.iter().any(silent)
    }

    /// It has answered guests' own questions, which counts more than its silence to ours.
    pub fn heard(&mut self, server: Ipv4Addr) {
        let of_it = self.0.iter_mut().filter(|((_, of), _)| *of == server);
        for (_, answer) in of_it.filter(|(_, answer)| matches!(answer, Answer::Silent(_))) {
            *answer = Answer::Answers;
        }
    }

    /// The network is another one: nothing is known.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The one that the questions of guests that leave so go to: the first that is not known to be of no
    /// use. Where all are bad, the first.
    pub fn in_use(
        &self,
        way: &Way,
        servers: impl Iterator<Item = Ipv4Addr> + Clone,
    ) -> Option<Ipv4Addr> {
        let bad = |server: &Ipv4Addr| self.answer(way, *server).is_some_and(Answer::is_bad);
        let mut all = servers.clone();
        servers.clone().find(|server| !bad(server)).or_else(|| all.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
    const B: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 53);

    fn in_use(answers: &[(Option<&str>, Ipv4Addr, Answer)]) -> Option<Ipv4Addr> {
        let mut names = Names::default();
        let way = |name: &Option<&str>| name.map(|name| IfName::new(name).unwrap());
        names.set(answers.iter().map(|(by, server, is)| (way(by), *server, is.clone())));
        names.in_use(&None, [A, B].into_iter())
    }

    #[test]
    fn the_first_that_is_of_use_is_taken() {
        use Answer::*;
        let elsewhere = || Elsewhere { by: "tun0".into(), vpn: true };
        for (answers, expected) in [
            (&[][..], A),
            (&[(None, A, Answers), (None, B, Answers)], A),
            (&[(None, A, Silent(None)), (None, B, Answers)], B),
            (&[(None, A, Silent(None))], B),
            (&[(None, A, Refuses("REFUSED")), (None, B, Answers)], B),
            (&[(None, A, Nonsense), (None, B, Answers)], B),
            (&[(None, A, elsewhere()), (None, B, Answers)], B),
            (&[(None, A, NoWay), (None, B, NoWay)], A),
            (&[(None, A, Unasked("".into())), (None, B, Answers)], A),
            // A guest with a way of its own does not decide for the others.
            (&[(None, A, Answers), (Some("tun0"), A, Silent(None)), (None, B, Answers)], A),
            (&[(Some("tun0"), A, Silent(None)), (Some("tun0"), B, Answers)], A),
        ] {
            assert_eq!(in_use(answers), Some(expected), "{answers:?}");
        }
        assert_eq!(Names::default().in_use(&None, std::iter::empty()), None);
    }

    /// Connection tracking sees that something came back, and not what.
    #[test]
    fn what_guests_are_answered_counts_more_than_silence_and_not_more_than_nonsense() {
        for (known, then) in [
            (Answer::Silent(None), Answer::Answers),
            (Answer::Nonsense, Answer::Nonsense),
            (Answer::NoWay, Answer::NoWay),
        ] {
            let mut names = Names::default();
            names.set([(None, A, known.clone())]);
            assert_eq!(names.is_silent(A), known == Answer::Silent(None));
            names.heard(A);
            assert_eq!(names.answer(&None, A), Some(&then));
        }
    }
}
