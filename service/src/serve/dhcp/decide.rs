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

//! What is answered to a client. Pure, and without a memory of clients: behind each link there is one
//! guest, and its lease is the address that it was attached with. So it is the same after a restart of
//! guestnetd, and nobody else ever gets one.

use super::frame::{Datagram, CLIENT_PORT};
use super::message::{code, Kind, Reply, Request, Written};
use crate::model::dhcp::{Told, WayOut};
use crate::model::ownership::Mac;
use crate::model::GuestNet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// How long a lease is. A client that was not told of a change learns of it after half of that at the
/// latest.
pub const LEASE: Duration = Duration::from_secs(3600);

const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ALL: Ipv4Addr = Ipv4Addr::BROADCAST;

/// The text by which Android's clients know a metered network (its `DhcpPacket`).
const METERED: &[u8] = b"ANDROID_METERED";

/// What a guest is told: what it has, and what there is to say of its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its network.
    pub net: Arc<GuestNet>,
    /// Its way out.
    pub way: Arc<WayOut>,
    /// The domain that names are completed with; none: nobody would answer for those.
    pub domain: Option<Arc<str>>,
}

impl Terms {
    /// What a client that has this as its lease was told.
    pub fn told(&self) -> Told {
        let GuestNet { guest, mtu, .. } = &*self.net;
        let (address, prefix, gateway) = (guest.address, guest.prefix, guest.gateway);
        Told { address, prefix, gateway, mtu: *mtu, metered: self.way.metered }
    }

    fn address(&self) -> Ipv4Addr {
        self.net.guest.address
    }

    /// The server, too.
    fn gateway(&self) -> Ipv4Addr {
        self.net.guest.gateway
    }

    fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.net.guest.prefix)).unwrap_or(0)
    }
}

/// Where an answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct To {
    /// The MAC; none: everybody's on the link.
    pub mac: Option<[u8; 6]>,
    /// The address.
    pub address: Ipv4Addr,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Answer(Box<Reply>, To),
    /// It is for another server.
    NotOurs,
    /// The client says that another has its address.
    Declined,
    /// The client gives its lease back.
    Released,
}

/// Why a message is not answered: a guest gets its own lease, by its own link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It came from another port than clients have.
    #[error("it is not from port 68")]
    Port,
    /// It has come by a relay, or says so.
    #[error("it came by a relay")]
    Relay,
    /// It is not from the guest's end, or about another.
    #[error("it has another MAC than the guest's end")]
    Mac,
    /// It is from an address that is not the client's.
    #[error("it is from an address that is not the client's")]
    Source,
    /// It says too little, or what contradicts itself.
    #[error("it asks for nothing that there is")]
    Pointless,
}

/// Decides. `mac` is where the frame came from.
pub fn decide(
    terms: &Terms,
    mac: [u8; 6],
    datagram: &Datagram<'_>,
    request: &Request,
) -> Result<Verdict, Refusal> {
    if datagram.port != CLIENT_PORT {
        return Err(Refusal::Port);
    }
    if request.giaddr != NOBODY {
        return Err(Refusal::Relay);
    }
    let Mac(own) = terms.net.guest.mac;
    if mac != own || request.chaddr != own {
        return Err(Refusal::Mac);
    }
    // A client that has an address sends from that: its lease's, or one that it is to lose.
    if ![NOBODY, terms.address(), request.ciaddr].contains(&datagram.source) {
        return Err(Refusal::Source);
    }
    let speaks_to_us = request.server.map(|server| server == terms.gateway());
    let holds = request.ciaddr == terms.address();
    match request.kind {
        Kind::Discover => Ok(answer(terms, request, Kind::Offer)),
        Kind::Request if speaks_to_us == Some(false) => Ok(Verdict::NotOurs),
        Kind::Request => {
            // The four states of RFC 2131, 4.3.2: SELECTING and INIT-REBOOT name an address that they ask
            // for; RENEWING and REBINDING use one.
            let wants = match (request.ciaddr, request.requested) {
                (NOBODY, None) => return Err(Refusal::Pointless),
                (NOBODY, Some(wants)) => wants,
                (has, _) => has,
            };
            let kind = if wants == terms.address() { Kind::Ack } else { Kind::Nak };
            Ok(answer(terms, request, kind))
        }
        Kind::Inform if holds => Ok(answer(terms, request, Kind::Ack)),
        Kind::Decline | Kind::Release if speaks_to_us != Some(true) => Ok(Verdict::NotOurs),
        Kind::Decline if request.requested == Some(terms.address()) => Ok(Verdict::Declined),
        Kind::Release if holds => Ok(Verdict::Released),
        _ => Err(Refusal::Pointless),
    }
}

fn answer(terms: &Terms, request: &Request, kind: Kind) -> Verdict {
    let informs = request.kind == Kind::Inform;
    let mut options = Written::within(request.room);
    options.put(code::KIND, &[kind as u8]);
    options.put(code::SERVER, &terms.gateway().octets());
    if kind == Kind::Nak {
        options.put(code::MESSAGE, b"not the address of this guest");
    } else {
        if !informs {
            options.put(code::LEASE, &seconds(LEASE));
            options.put(code::RENEW, &seconds(LEASE / 2));
            options.put(code::REBIND, &seconds(LEASE / 8 * 7));
        }
        parameters(terms, request, &mut options);
    }
    if let Some(id) = &request.client_id {
        options.put(code::CLIENT_ID, id); // RFC 6842
    }
    let reply = Reply {
        kind,
        xid: request.xid,
        broadcast: request.broadcast,
        ciaddr: if kind == Kind::Ack { request.ciaddr } else { NOBODY },
        yiaddr: if kind == Kind::Nak || informs { NOBODY } else { terms.address() },
        chaddr: request.chaddr,
        options,
    };
    // RFC 2131, 4.1. A client that is refused may have no address at all.
    let to = match kind {
        Kind::Nak => To { mac: None, address: ALL },
        Kind::Ack if request.ciaddr != NOBODY => {
            To { mac: Some(request.chaddr), address: request.ciaddr }
        }
        _ if request.broadcast => To { mac: None, address: ALL },
        _ => To { mac: Some(request.chaddr), address: terms.address() },
    };
    Verdict::Answer(Box::new(reply), to)
}

fn seconds(duration: Duration) -> [u8; 4] {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).to_be_bytes()
}

/// What every client needs, and then what it asks for, in its order: what does not fit is the last.
fn parameters(terms: &Terms, request: &Request, options: &mut Written) {
    // The mask stands before the router (RFC 2132, 3.3).
    let always = [code::MASK, code::ROUTER, code::DNS, code::MTU, code::BROADCAST];
    let mut done = [false; 256];
    for code in always.into_iter().chain(request.asked.iter().copied()) {
        let is_done = done.get_mut(usize::from(code)).map(|done| std::mem::replace(done, true));
        if is_done == Some(true) {
            continue;
        }
        if let Some(value) = parameter(terms, code) {
            options.put(code, &value);
        }
    }
}

fn parameter(terms: &Terms, code: u8) -> Option<Vec<u8>> {
    let (mask, way) = (terms.mask(), &terms.way);
    Some(match code {
        code::MASK => mask.to_be_bytes().to_vec(),
        // The gateway answers for names, too: it leads questions to whoever knows.
        code::ROUTER | code::DNS | code::ROUTES if !terms.net.vpn.leaves() => return None,
        code::ROUTER | code::DNS => terms.gateway().octets().to_vec(),
        code::MTU => u16::try_from(terms.net.mtu.bytes()).ok()?.to_be_bytes().to_vec(),
        code::BROADCAST => (u32::from(terms.address()) | !mask).to_be_bytes().to_vec(),
        code::HOST_NAME => host_name(terms.net.name.as_str())?.as_bytes().to_vec(),
        code::DOMAIN => terms.domain.as_ref()?.as_bytes().to_vec(),
        code::VENDOR if way.metered => METERED.to_vec(),
        code::PORTAL => way.portal.as_ref()?.as_bytes().to_vec(),
        // A client that knows these looks at no others (RFC 3442): the default route stands here, too.
        code::ROUTES => [&[0][..], &terms.gateway().octets()].concat(),
        _ => return None,
    })
}

/// A guest's name, where it can be a host's (RFC 1123, 2.1): one label of letters, digits and hyphens.
fn host_name(name: &str) -> Option<&str> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    Some(name).filter(|name| fits && !name.ends_with('-'))
}
#[cfg(test)]
mod tests {
    use super::super::message::tests::{inputs, message, random};
    use super::*;
    use crate::spec::{GuestName, GuestSpec, IfName, Mtu};

    const GUEST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);
    const OTHER: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 9);
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

    fn terms() -> Terms {
        let (name, wlan0) = (GuestName::new("box").unwrap(), IfName::new("wlan0").unwrap());
        let spec = GuestSpec::new(name, wlan0, None, GATEWAY, 16, -1).unwrap();
        let mut net = GuestNet::new(&spec, 0, GUEST, Mtu::new(1400).expect("an MTU"));
        net.guest.mac = Mac(MAC);
        Terms { net: Arc::new(net), way: Arc::default(), domain: None }
    }

    fn with(change: impl FnOnce(&mut GuestNet, &mut WayOut)) -> Terms {
        let Terms { mut net, mut way, domain } = terms();
        change(Arc::make_mut(&mut net), Arc::make_mut(&mut way));
        Terms { net, way, domain }
    }

    fn request(kind: Kind) -> Request {
        Request {
            kind,
            xid: 7,
            broadcast: false,
            ciaddr: NOBODY,
            giaddr: NOBODY,
            chaddr: MAC,
            requested: None,
            server: None,
            asked: Vec::new(),
            client_id: None,
            room: 548,
        }
    }

    fn datagram(source: Ipv4Addr) -> Datagram<'static> {
        Datagram { source, destination: ALL, port: CLIENT_PORT, payload: b"" }
    }

    fn decided(request: &Request) -> Result<Verdict, Refusal> {
        decide(&terms(), MAC, &datagram(request.ciaddr), request)
    }

    /// The kind, the address given, and where it goes.
    fn answered(request: &Request) -> (Kind, Ipv4Addr, To) {
        match decided(request) {
            Ok(Verdict::Answer(reply, to)) => (reply.kind, reply.yiaddr, to),
            other => panic!("{request:?}: {other:?}"),
        }
    }

    /// The options of an answer, in order.
    fn options(terms: &Terms, request: &Request) -> Vec<(u8, Vec<u8>)> {
        let Ok(Verdict::Answer(reply, _)) = decide(terms, MAC, &datagram(NOBODY), request) else {
            panic!("{request:?}");
        };
        let bytes = reply.bytes();
        let (mut rest, mut options) = (&bytes[240..], Vec::new());
        while let [code @ 1..=254, length, behind @ ..] = rest {
            let (value, next) = behind.split_at(usize::from(*length));
            options.push((*code, value.to_vec()));
            rest = next;
        }
        options
    }

    #[test]
    fn a_guest_gets_its_address_and_nothing_else() {
        let client = || To { mac: Some(MAC), address: GUEST };
        let all = || To { mac: None, address: ALL };
        let discover = request(Kind::Discover);
        assert_eq!(answered(&discover), (Kind::Offer, GUEST, client()));
        let other = Request { requested: Some(OTHER), ..discover.clone() };
        assert_eq!(answered(&other), (Kind::Offer, GUEST, client()));
        let deaf = Request { broadcast: true, ..discover };
        assert_eq!(answered(&deaf), (Kind::Offer, GUEST, all()));
        // SELECTING, INIT-REBOOT
        for server in [Some(GATEWAY), None] {
            let wants =
                |address| Request { server, requested: Some(address), ..request(Kind::Request) };
            assert_eq!(answered(&wants(GUEST)), (Kind::Ack, GUEST, client()));
            assert_eq!(answered(&wants(OTHER)), (Kind::Nak, NOBODY, all()));
        }
        // RENEWING and REBINDING
        let has = |ciaddr| Request { ciaddr, ..request(Kind::Request) };
        assert_eq!(answered(&has(GUEST)), (Kind::Ack, GUEST, client()));
        let broadcast = Request { broadcast: true, ..has(GUEST) };
        assert_eq!(answered(&broadcast), (Kind::Ack, GUEST, client()));
        assert_eq!(answered(&has(OTHER)), (Kind::Nak, NOBODY, all()));
        // It keeps the address that it has, and no lease of it is begun.
        let informs = Request { ciaddr: GUEST, ..request(Kind::Inform) };
        assert_eq!(answered(&informs), (Kind::Ack, NOBODY, client()));
    }

    #[test]
    fn what_is_for_another_server_is_not_answered() {
        let server = Some(OTHER);
        for kind in [Kind::Request, Kind::Decline, Kind::Release] {
            let other = Request { server, requested: Some(GUEST), ciaddr: GUEST, ..request(kind) };
            assert_eq!(decided(&other), Ok(Verdict::NotOurs), "{kind:?}");
        }
        let to_us = |kind| Request { server: Some(GATEWAY), ..request(kind) };
        let declines = Request { requested: Some(GUEST), ..to_us(Kind::Decline) };
        assert_eq!(decided(&declines), Ok(Verdict::Declined));
        let releases = Request { ciaddr: GUEST, ..to_us(Kind::Release) };
        assert_eq!(decided(&releases), Ok(Verdict::Released));
    }

    #[test]
    fn a_stranger_gets_nothing() {
        let discover = request(Kind::Discover);
        let from = |mac, datagram: &Datagram<'_>, request: &Request| {
            decide(&terms(), mac, datagram, request).unwrap_err()
        };
        let nobody = datagram(NOBODY);
        let stranger = [2, 0, 0, 0, 0, 8];
        assert_eq!(from(stranger, &nobody, &discover), Refusal::Mac);
        let spoofed = Request { chaddr: stranger, ..discover.clone() };
        assert_eq!(from(MAC, &nobody, &spoofed), Refusal::Mac);
        assert_eq!(from(MAC, &datagram(OTHER), &discover), Refusal::Source);
        let relayed = Request { giaddr: GATEWAY, ..discover.clone() };
        assert_eq!(from(MAC, &nobody, &relayed), Refusal::Relay);
        let port = Datagram { port: 1024, ..nobody };
        assert_eq!(from(MAC, &port, &discover), Refusal::Port);
        assert_eq!(decided(&request(Kind::Request)), Err(Refusal::Pointless));
        assert_eq!(decided(&request(Kind::Inform)), Err(Refusal::Pointless));
        let informs = Request { ciaddr: OTHER, ..request(Kind::Inform) };
        assert_eq!(decided(&informs), Err(Refusal::Pointless));
    }

    #[test]
    fn options_stand_in_the_order_in_which_they_are_asked_for() {
        let asked = vec![121, 6, 3, 1, 12, 15, 43, 114, 28, 26, 42, 121, 0, 255];
        let plain = options(&terms(), &Request { asked: asked.clone(), ..request(Kind::Discover) });
        let codes = |options: &[(u8, Vec<u8>)]| options.iter().map(|one| one.0).collect::<Vec<_>>();
        assert_eq!(codes(&plain), [53, 54, 51, 58, 59, 1, 3, 6, 26, 28, 121, 12]);
        let value = |code| &plain.iter().find(|one| one.0 == code).unwrap().1;
        assert_eq!(*value(51), 3600_u32.to_be_bytes());
        assert_eq!(*value(58), 1800_u32.to_be_bytes());
        assert_eq!(*value(59), 3150_u32.to_be_bytes());
        assert_eq!(*value(1), [255, 255, 0, 0]);
        assert_eq!(*value(26), 1400_u16.to_be_bytes());
        assert_eq!(*value(28), [172, 17, 255, 255]);
        assert_eq!(*value(121), [0, 172, 17, 3, 2]);
        assert_eq!(*value(12), b"box");
        let full = with(|_, way| {
            way.metered = true;
            way.portal = Some("https://portal.example/api".into());
        });
        let full = Terms { domain: Some("guest".into()), ..full };
        let all = options(&full, &Request { asked, ..request(Kind::Discover) });
        assert_eq!(codes(&all), [53, 54, 51, 58, 59, 1, 3, 6, 26, 28, 121, 12, 15, 43, 114]);
        assert_eq!(all[12].1, b"guest");
        assert_eq!(all[13].1, b"ANDROID_METERED");
        assert_eq!(all[14].1, b"https://portal.example/api");
        let bare = options(&full, &request(Kind::Discover));
        assert_eq!(codes(&bare), [53, 54, 51, 58, 59, 1, 3, 6, 26, 28]);
    }

    #[test]
    fn a_refusal_and_an_inform_have_no_lease() {
        let codes = |request: &Request| {
            options(&terms(), request).iter().map(|one| one.0).collect::<Vec<_>>()
        };
        let client_id = Some(vec![1, 2, 3]);
        let asked = vec![12];
        let other = Request { requested: Some(OTHER), asked, client_id, ..request(Kind::Request) };
        assert_eq!(codes(&other), [53, 54, 56, 61]);
        let informs = Request { ciaddr: GUEST, ..request(Kind::Inform) };
        assert_eq!(codes(&informs), [53, 54, 1, 3, 6, 26, 28]);
    }

    #[test]
    fn a_portal_whose_url_does_not_fit_is_left_out() {
        let terms = with(|_, way| {
            way.portal = Some(format!("https://{}/", "p".repeat(240)));
        });
        let terms = Terms { domain: Some("d".repeat(100).into()), ..terms };
        let asks = |room| Request { asked: vec![15, 114, 12], room, ..request(Kind::Discover) };
        let codes = |room| options(&terms, &asks(room)).iter().map(|one| one.0).collect::<Vec<_>>();
        assert!(codes(548).ends_with(&[15, 12]));
        assert!(codes(1472).ends_with(&[15, 114, 12]));
    }

    #[test]
    fn what_a_client_has_to_know_makes_it_ask_again() {
        let has = terms();
        assert_eq!(has.told(), terms().told());
        for other in [
            with(|net, _| net.guest.address = OTHER),
            with(|net, _| net.mtu = Mtu::ETHERNET),
            with(|_, way| way.metered = true),
        ] {
            assert_ne!(has.told(), other.told(), "{other:?}");
        }
        let portal = with(|_, way| way.portal = Some("https://p".into()));
        assert_eq!(has.told(), portal.told());
    }

    #[test]
    fn a_name_is_told_where_it_can_be_a_hosts() {
        for (name, told) in
            [("box-1", true), ("7", true), ("a_b", false), ("a.b", false), ("box-", false)]
        {
            assert_eq!(host_name(name).is_some(), told, "{name}");
        }
    }

    /// Whatever is sent, from whomever: the one lease, to the one guest.
    #[test]
    fn no_message_gets_another_address_than_the_guests() {
        let whole =
            message(&[53, 1, 3, 50, 4, 172, 17, 3, 3, 54, 4, 172, 17, 3, 2, 55, 3, 1, 3, 114]);
        let mut state = 0x2545_f491_4f6c_dd1d;
        let mut answers = 0;
        for _ in 0..inputs() {
            let mut bytes = whole.clone();
            // No relay, most often.
            bytes[24..28].fill(0);
            for _ in 0..random(&mut state) % 4 {
                let at = random(&mut state) as usize % bytes.len();
                bytes[at] = random(&mut state) as u8;
            }
            let at = 240 + random(&mut state) as usize % (bytes.len() - 240);
            bytes[at] = random(&mut state) as u8;
            let Ok(request) = Request::read(&bytes) else { continue };
            let source = [NOBODY, GUEST, request.ciaddr][random(&mut state) as usize % 3];
            let Ok(verdict) = decide(&terms(), MAC, &datagram(source), &request) else { continue };
            let Verdict::Answer(reply, to) = verdict else { continue };
            answers += 1;
            assert!([NOBODY, GUEST].contains(&reply.yiaddr));
            assert!(to.mac.is_none() || to.mac == Some(MAC));
            assert!([GUEST, ALL].contains(&to.address), "{to:?} for {request:?}");
            assert!(reply.bytes().len() <= request.room);
        }
        assert!(answers > inputs() / 20, "{answers} answers");
    }
}
