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

//! What dhcproto writes, guestnetd reads as it was meant, and answers so that dhcproto reads what was meant.

use dhcproto::v4::{Decoder, DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Encodable};
use guestnet_dhcproto::{message, Random};
use guestnetd::model::dhcp::WayOut;
use guestnetd::model::GuestNet;
use guestnetd::serve::dhcp::decide::{decide, Terms, Verdict, LEASE};
use guestnetd::serve::dhcp::frame::{Datagram, CLIENT_PORT};
use guestnetd::serve::dhcp::message::{Kind, Malformed, Request};
use guestnetd::spec::{GuestName, GuestSpec, IfName, Mtu};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);
const GUEST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const MANY: usize = 50_000;

fn decoded(bytes: &[u8]) -> Message {
    Message::decode(&mut Decoder::new(bytes)).expect("dhcproto reads it")
}

fn kind(of: MessageType) -> Option<Kind> {
    Some(match of {
        MessageType::Discover => Kind::Discover,
        MessageType::Offer => Kind::Offer,
        MessageType::Request => Kind::Request,
        MessageType::Decline => Kind::Decline,
        MessageType::Ack => Kind::Ack,
        MessageType::Nak => Kind::Nak,
        MessageType::Release => Kind::Release,
        MessageType::Inform => Kind::Inform,
        _ => return None,
    })
}

fn has<T>(message: &Message, code: OptionCode, of: impl Fn(&DhcpOption) -> Option<T>) -> Option<T> {
    message.opts().get(code).map(|option| of(option).unwrap_or_else(|| panic!("{option:?}")))
}

/// All that guestnetd reads, as dhcproto has it.
#[derive(Debug, PartialEq)]
struct Same {
    kind: Option<Kind>,
    xid: u32,
    broadcast: bool,
    addresses: [Ipv4Addr; 2],
    chaddr: Vec<u8>,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    asked: Option<Vec<u8>>,
    client_id: Option<Vec<u8>>,
    size: Option<u16>,
}

impl Same {
    fn of(message: &Message) -> Self {
        use DhcpOption as O;
        Self {
            kind: message.opts().msg_type().and_then(kind),
            xid: message.xid(),
            broadcast: message.flags().broadcast(),
            addresses: [message.ciaddr(), message.giaddr()],
            chaddr: message.chaddr().to_vec(),
            requested: has(message, OptionCode::RequestedIpAddress, |option| match option {
                O::RequestedIpAddress(address) => Some(*address),
                _ => None,
            }),
            server: has(message, OptionCode::ServerIdentifier, |option| match option {
                O::ServerIdentifier(address) => Some(*address),
                _ => None,
            }),
            asked: has(message, OptionCode::ParameterRequestList, |option| match option {
                O::ParameterRequestList(asked) => {
                    Some(asked.iter().map(|c| u8::from(*c)).collect())
                }
                _ => None,
            }),
            client_id: has(message, OptionCode::ClientIdentifier, |option| match option {
                O::ClientIdentifier(id) => Some(id.clone()),
                _ => None,
            }),
            size: has(message, OptionCode::MaxMessageSize, |option| match option {
                O::MaxMessageSize(size) => Some(*size),
                _ => None,
            }),
        }
    }

    /// Whether guestnetd has read that; what is an option there and not here too if it may be that dhcproto has
    /// stopped before it.
    fn is(&self, ours: &Request, stopped: bool) -> bool {
        fn like<T: PartialEq>(theirs: &Option<T>, ours: Option<T>, stopped: bool) -> bool {
            *theirs == ours || stopped && theirs.is_none()
        }
        let room = usize::from(self.size.unwrap_or(0)).saturating_sub(28).clamp(548, 1472);
        let asked = (!ours.asked.is_empty()).then(|| ours.asked.clone());
        like(&self.kind, Some(ours.kind), stopped)
            && (self.xid, self.broadcast) == (ours.xid, ours.broadcast)
            && self.addresses == [ours.ciaddr, ours.giaddr]
            && self.chaddr == ours.chaddr
            && like(&self.requested, ours.requested, stopped)
            && like(&self.server, ours.server, stopped)
            && like(&self.asked.clone().filter(|asked| !asked.is_empty()), asked, stopped)
            && like(&self.client_id, ours.client_id.clone(), stopped)
            && (room == ours.room || stopped && self.size.is_none())
    }
}

#[test]
fn what_dhcproto_writes_is_read_as_it_was_meant() {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    for _ in 0..MANY {
        let mac = std::array::from_fn(|_| random.number() as u8);
        let theirs = message(&mut random, mac);
        let bytes = theirs.to_vec().expect("dhcproto writes it");
        let ours = Request::read(&bytes).unwrap_or_else(|e| panic!("{e}: {theirs:?}"));
        assert!(Same::of(&theirs).is(&ours, false), "{theirs:?}\n{ours:?}");
    }
}

/// The codes and lengths of a message's options, in its order, and the code of the one that is cut off, if one is.
fn scan(bytes: &[u8]) -> (Vec<(u8, u8)>, Option<u8>) {
    let (mut options, mut rest) = (Vec::new(), bytes.get(240..).unwrap_or_default());
    loop {
        match rest {
            [] | [255, ..] => return (options, None),
            [0, behind @ ..] => rest = behind,
            [code] => return (options, Some(*code)),
            [code, length, behind @ ..] => {
                options.push((*code, *length));
                let Some(next) = behind.get(usize::from(*length)..) else {
                    return (options, Some(*code));
                };
                rest = next;
            }
        }
    }
}

#[test]
fn of_what_is_damaged_both_read_the_same_or_guestnetd_refuses_it_with_its_cause() {
    let mut random = Random::new(0xd1b5_4a32_d192_ed03);
    let (mut alike, mut refused) = (0, BTreeMap::new());
    for _ in 0..MANY {
        let mut bytes = message(&mut random, MAC).to_vec().expect("dhcproto writes it");
        for _ in 0..=random.below(3) {
            // In the header, or in the options.
            let at = if random.flip() {
                random.below(44)
            } else {
                236 + random.below(bytes.len() - 236)
            };
            bytes[at] = random.number() as u8;
        }
        bytes.truncate(bytes.len() - random.below(8));
        // It panics on some options whose lengths are wrong, such as routes with too long a prefix.
        let read = || Message::decode(&mut Decoder::new(&bytes)).ok();
        let Ok(Some(theirs)) = std::panic::catch_unwind(read) else { continue };
        let (codes, cut) = scan(&bytes);
        let all: BTreeMap<u8, u8> = codes.iter().copied().collect();
        // Of one that stands twice guestnetd makes one (RFC 3396), and reads those in the header (RFC 2132, 9.3):
        // dhcproto does neither.
        if all.len() != codes.len() || all.contains_key(&52) {
            continue;
        }
        let stopped = all.keys().any(|code| theirs.opts().get(OptionCode::from(*code)).is_none());
        match Request::read(&bytes) {
            Ok(ours) => {
                alike += 1;
                assert!(Same::of(&theirs).is(&ours, stopped), "{theirs:?}\n{ours:?}\n{bytes:?}");
            }
            Err(why) => {
                *refused.entry(format!("{why:?}")).or_insert(0) += 1;
                let is_so = match why {
                    Malformed::NotAClients => theirs.opcode() != Opcode::BootRequest,
                    Malformed::NotEthernet => u8::from(theirs.htype()) != 1 || theirs.hlen() != 6,
                    Malformed::NoOptions => bytes.get(236..240) != Some(&[99, 130, 83, 99]),
                    Malformed::NoKind => {
                        let kind = theirs.opts().msg_type().and_then(kind);
                        stopped
                            || !matches!(
                                kind,
                                Some(
                                    Kind::Discover
                                        | Kind::Request
                                        | Kind::Decline
                                        | Kind::Release
                                        | Kind::Inform
                                )
                            )
                    }
                    Malformed::CutOff(code) => cut == Some(code),
                    // dhcproto does not look at these.
                    Malformed::Length(code) => {
                        let fixed = BTreeMap::from([(53, 1), (50, 4), (54, 4), (57, 2)]);
                        all.get(&code) != fixed.get(&code)
                    }
                    Malformed::Short => bytes.len() < 236,
                };
                assert!(is_so, "{why:?}: {theirs:?}\n{bytes:?}");
            }
        }
    }
    assert!(alike > MANY / 8, "{alike} were read by both");
    assert!(refused.len() >= 5, "{refused:?}");
}

fn terms(random: &mut Random) -> Terms {
    let (name, wlan0) =
        (GuestName::new("box-7").expect("a name"), IfName::new("wlan0").expect("wlan0"));
    let prefix = random.of(&[8, 16, 24, 29]);
    let spec = GuestSpec::new(name, wlan0, None, GATEWAY, prefix, -1).expect("a guest");
    let mtu = Mtu::new(68 + random.below(9000) as u32).expect("an MTU");
    let mut net = GuestNet::new(&spec, 0, GUEST, mtu);
    net.guest.mac.0 = MAC;
    let way = WayOut {
        known: true,
        metered: random.flip(),
        portal: random.flip().then(|| "https://portal.example/api".into()),
    };
    let domain = random.flip().then(|| "example.test".into());
    Terms { net: Arc::new(net), way: Arc::new(way), domain }
}

/// What an answer has to have.
fn expected(terms: &Terms, request: &Request, kind: Kind) -> Vec<DhcpOption> {
    use DhcpOption as O;
    let message_type = match kind {
        Kind::Offer => MessageType::Offer,
        Kind::Ack => MessageType::Ack,
        _ => MessageType::Nak,
    };
    let mut options = vec![O::MessageType(message_type), O::ServerIdentifier(GATEWAY)];
    if let Some(id) = &request.client_id {
        options.push(O::ClientIdentifier(id.clone()));
    }
    if kind == Kind::Nak {
        options.push(O::Message("not the address of this guest".into()));
        return options;
    }
    let lease = LEASE.as_secs() as u32;
    if request.kind != Kind::Inform {
        options.push(O::AddressLeaseTime(lease));
        options.extend([O::Renewal(lease / 2), O::Rebinding(lease / 8 * 7)]);
    }
    let mask = u32::MAX << (32 - terms.net.guest.prefix);
    options.extend([
        O::SubnetMask(mask.into()),
        O::Router(vec![GATEWAY]),
        O::DomainNameServer(vec![GATEWAY]),
        O::InterfaceMtu(terms.net.mtu.bytes() as u16),
        O::BroadcastAddr((u32::from(GUEST) | !mask).into()),
    ]);
    let way = &terms.way;
    for code in request.asked.iter().collect::<BTreeSet<_>>() {
        options.extend(match code {
            12 => Some(O::Hostname("box-7".into())),
            15 => terms.domain.as_ref().map(|domain| O::DomainName(domain.to_string())),
            43 => way.metered.then(|| O::VendorExtensions(b"ANDROID_METERED".to_vec())),
            114 => way.portal.as_ref().map(|portal| O::CaptivePortal(portal.to_string())),
            121 => {
                Some(O::ClasslessStaticRoute(vec![("0.0.0.0/0".parse().expect("all"), GATEWAY)]))
            }
            _ => None,
        });
    }
    options
}

#[test]
fn answers_are_read_by_dhcproto_as_they_were_meant() {
    let mut random = Random::new(0x8cb9_2ba7_2f3d_8dd7);
    let mut answers = BTreeMap::new();
    for _ in 0..MANY {
        let terms = terms(&mut random);
        let mut asks = message(&mut random, MAC);
        // Often enough it is about what there is.
        let address = random.of(&[NOBODY, GUEST, Ipv4Addr::new(172, 17, 3, 9)]);
        asks.set_giaddr(NOBODY).set_ciaddr(random.of(&[NOBODY, address]));
        asks.opts_mut().insert(DhcpOption::RequestedIpAddress(random.of(&[GUEST, address])));
        asks.opts_mut().insert(DhcpOption::ServerIdentifier(GATEWAY));
        let bytes = asks.to_vec().expect("dhcproto writes it");
        let request = Request::read(&bytes).expect("guestnetd reads it");
        let (source, destination) = (request.ciaddr, Ipv4Addr::BROADCAST);
        let datagram = Datagram { source, destination, port: CLIENT_PORT, payload: &bytes };
        let Ok(Verdict::Answer(reply, _)) = decide(&terms, MAC, &datagram, &request) else {
            continue;
        };
        let answer = decoded(&reply.bytes());
        *answers.entry(format!("{:?}", reply.kind)).or_insert(0) += 1;
        assert_eq!(answer.opcode(), Opcode::BootReply);
        assert_eq!((answer.xid(), answer.chaddr()), (asks.xid(), &MAC[..]));
        assert_eq!(answer.flags().broadcast(), asks.flags().broadcast());
        let gives = reply.kind != Kind::Nak && request.kind != Kind::Inform;
        assert_eq!(answer.yiaddr(), if gives { GUEST } else { NOBODY });
        assert_eq!([answer.siaddr(), answer.giaddr()], [NOBODY; 2]);
        let mut found: Vec<_> =
            answer.opts().iter().map(|(_, option)| format!("{option:?}")).collect();
        let wanted = expected(&terms, &request, reply.kind);
        let mut wanted: Vec<_> = wanted.iter().map(|option| format!("{option:?}")).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{asks:?}");
    }
    for kind in ["Offer", "Ack", "Nak"] {
        assert!(answers.get(kind).is_some_and(|n| *n > MANY / 50), "{answers:?}");
    }
}

/// A message without what makes it DHCP's.
#[test]
fn a_message_of_bootp_is_read_by_dhcproto_and_refused() {
    let mut bootp = Message::default();
    bootp.set_chaddr(&MAC).set_flags(Flags::default());
    let bytes = bootp.to_vec().expect("dhcproto writes it");
    assert_eq!(decoded(&bytes).opts().msg_type(), None);
    assert_eq!(Request::read(&bytes), Err(Malformed::NoKind));
}
