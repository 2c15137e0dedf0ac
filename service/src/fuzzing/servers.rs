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

//! What guests ask guestnetd's servers, what resolvers and netd answer, and what comes back to probes.

use crate::doctor::wire::{dns, echo, http, packet};
use crate::effects::platform::resolver_query::{judge, What};
use crate::model::ownership::Mac;
use crate::model::GuestNet;
use crate::serve::dhcp::decide::{decide, Terms, Verdict};
use crate::serve::dhcp::frame;
use crate::serve::dhcp::message::Request;
use crate::serve::dns::message::{self, refuse, Query, Rcode};
use crate::serve::dns::{netd, stream, Guest, Zone};
use crate::spec::{GuestName, GuestSpec, IfName, Mtu};
use std::net::Ipv4Addr;
use std::sync::Arc;

const GUEST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

/// A question of a guest's. What is answered without asking anybody is an answer to it.
pub fn dns_question(bytes: &[u8]) {
    let refusal = refuse(bytes, Rcode::ServFail);
    assert_eq!(refusal.is_some(), bytes.len() >= message::HEADER);
    let framed = stream::framed(bytes);
    assert_eq!(stream::first(&framed), Some(bytes.get(..65_535).unwrap_or(bytes)));
    if let Some(first) = stream::first(bytes) {
        assert!(first.len() + 2 <= bytes.len());
    }
    let Ok(query) = Query::parse(bytes) else { return };
    assert!(query.is_answered_by(bytes, &refusal.unwrap_or_default()), "{bytes:02x?}");
    assert!(netd::request(100, bytes).len() < 4096, "FrameworkListener's buffer");
    let guest = Guest {
        name: "box".into(),
        address: GUEST,
        gateway: GATEWAY,
        prefix: 16,
        way: None,
        servers: None,
        peers: None,
    };
    let zone = Zone::new("guest").expect("a zone");
    if let Some(answer) = zone.answer(&guest, &query, bytes) {
        assert!(query.is_answered_by(bytes, &answer), "{bytes:02x?} {answer:02x?}");
        assert!(answer.len() <= bytes.len() + 12 + 16);
    }
}

/// A question and what came for an answer: two bytes say how long the former is.
pub fn dns_answer(bytes: &[u8]) {
    let Some(question) = stream::first(bytes) else { return };
    let mut answer = bytes.get(2 + question.len()..).unwrap_or_default().to_vec();
    for what in [What::Root, What::Version] {
        let _ = judge(&answer, 0x1234, what);
    }
    let Ok(query) = Query::parse(question) else { return };
    if !query.is_answered_by(question, &answer) {
        return;
    }
    assert_eq!(answer.get(..2), question.get(..2), "another question's");
    let _ = (message::rcode(&answer), message::is_truncated(&answer));
    let whole = answer.clone();
    let told = query.fit(&mut answer).to_vec();
    assert!(told == whole || told.len() < whole.len() && message::is_truncated(&told));
    assert!(told.len() <= query.most.max(question.len()));
    assert!(query.is_answered_by(question, &told), "{question:02x?} {told:02x?}");
}

/// What netd's resolver answers, in whatever pieces.
pub fn dnsproxyd(bytes: &[u8]) {
    let whole = netd::answer(bytes);
    if let Ok(Some(message)) = &whole {
        assert!(message.len() + 8 <= bytes.len());
    }
    for end in (0..bytes.len()).take(16).chain([bytes.len() / 2]) {
        // What was an answer is the same when more has come.
        match (netd::answer(bytes.get(..end).unwrap_or_default()), &whole) {
            (Ok(Some(early)), Ok(Some(late))) => assert_eq!(early, *late),
            (Ok(Some(_)), _) | (Err(_), Ok(_)) => panic!("{end}: {bytes:02x?}"),
            _ => {}
        }
    }
}

fn terms() -> Terms {
    let (name, wlan0) = (GuestName::new("box"), IfName::new("wlan0"));
    let (name, wlan0) = (name.expect("a name"), wlan0.expect("a name"));
    let spec = GuestSpec::new(name, wlan0, None, GATEWAY, 16, -1).expect("a guest");
    let mut net = GuestNet::new(&spec, 0, GUEST, Mtu::new(1400).expect("an MTU"));
    net.guest.mac = Mac(MAC);
    Terms { net: Arc::new(net), way: Arc::default(), domain: Some("guest".into()) }
}

/// A packet to the port of DHCP servers, and a message for itself: whatever it says, the one lease to the
/// one guest.
pub fn dhcp(bytes: &[u8]) {
    thread_local! {
        static TERMS: Terms = terms();
    }
    let datagram = frame::read(bytes, true);
    let _ = frame::read(bytes, false);
    let alone = frame::Datagram {
        source: Ipv4Addr::UNSPECIFIED,
        destination: Ipv4Addr::BROADCAST,
        port: frame::CLIENT_PORT,
        payload: bytes,
    };
    for datagram in datagram.into_iter().chain([alone]) {
        let Ok(request) = Request::read(datagram.payload) else { continue };
        assert!(request.kind.is_a_clients());
        let Ok(verdict) = TERMS.with(|terms| decide(terms, MAC, &datagram, &request)) else {
            continue;
        };
        let Verdict::Answer(reply, to) = verdict else { continue };
        assert!([Ipv4Addr::UNSPECIFIED, GUEST].contains(&reply.yiaddr));
        assert!(to.mac.is_none() || to.mac == Some(MAC));
        assert!([GUEST, Ipv4Addr::BROADCAST].contains(&to.address), "{to:?} for {request:?}");
        let answer = reply.bytes();
        assert!(answer.len() <= request.room);
        let packet = frame::write(GATEWAY, to.address, &answer);
        assert_eq!(packet.len(), answer.len() + 28);
    }
}

/// What comes back to doctor's probes, and passes by its taps.
pub fn probes(bytes: &[u8]) {
    let id = bytes.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    if let Some(answer) = dns::answer(bytes, id) {
        assert!(answer.addresses.len() * 4 <= bytes.len());
    }
    let _ = (packet::read(bytes), echo::read(bytes), echo::is_reply(bytes, 7));
    let _ = (http::judge(bytes, false), http::judge(bytes, true));
}
