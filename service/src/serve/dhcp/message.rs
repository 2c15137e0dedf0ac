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

//! DHCP messages (RFC 2131, options of RFC 2132): what a client sends is read, what it gets is written.
//! Pure. A client may be a hostile guest: what cannot be read is refused with its cause, and what is read
//! is never longer than what came.

use crate::ordered::OrderedMap;
use std::net::Ipv4Addr;
use std::ops::Range;

/// Length of BOOTP's part (RFC 951), which the cookie follows.
const HEADER: usize = 236;
/// Says that options follow (RFC 2131, 3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// BOOTP's least length (RFC 1542, 2.1): there are clients that drop what is shorter.
const LEAST: usize = 300;
/// What every client takes: a packet of 576 bytes (RFC 2131, 2).
const EVERY_CLIENT: usize = 576 - HEADERS;
/// The most that an answer has, whatever a client would take: Ethernet's.
const MOST: usize = 1500 - HEADERS;
/// IPv4's and UDP's.
const HEADERS: usize = 28;

const BOOTREQUEST: u8 = 1;
const BOOTREPLY: u8 = 2;
/// `sname` and `file`.
const SNAME: Range<usize> = 44..108;
const FILE: Range<usize> = 108..HEADER;
/// `ARPHRD_ETHER`, and the length of its addresses.
const ETHERNET: (u8, u8) = (1, 6);
/// Of `flags`: the client takes broadcasts only until it has its address.
const BROADCAST: u16 = 0x8000;

/// Codes of options.
pub mod code {
    /// One byte of nothing.
    pub const PAD: u8 = 0;
    /// Subnet mask.
    pub const MASK: u8 = 1;
    /// Routers.
    pub const ROUTER: u8 = 3;
    /// Domain name servers.
    pub const DNS: u8 = 6;
    /// The client's name.
    pub const HOST_NAME: u8 = 12;
    /// The domain that names are completed with.
    pub const DOMAIN: u8 = 15;
    /// The interface's MTU.
    pub const MTU: u8 = 26;
    /// Broadcast address.
    pub const BROADCAST: u8 = 28;
    /// What a vendor has to say to its clients.
    pub const VENDOR: u8 = 43;
    /// The address that a client asks for.
    pub const REQUESTED: u8 = 50;
    /// Lease time in seconds.
    pub const LEASE: u8 = 51;
    /// `file` and `sname` hold options, too.
    pub const OVERLOAD: u8 = 52;
    /// The kind of message.
    pub const KIND: u8 = 53;
    /// The server that speaks, or is spoken to.
    pub const SERVER: u8 = 54;
    /// Codes of the options that a client asks for.
    pub const ASKED: u8 = 55;
    /// Why a request is refused, in words.
    pub const MESSAGE: u8 = 56;
    /// The longest message that a client takes.
    pub const MAX_SIZE: u8 = 57;
    /// After how many seconds a client renews.
    pub const RENEW: u8 = 58;
    /// After how many seconds it asks any server.
    pub const REBIND: u8 = 59;
    /// What a client calls itself.
    pub const CLIENT_ID: u8 = 61;
    /// URL of the captive portal's API (RFC 8910).
    pub const PORTAL: u8 = 114;
    /// Classless static routes (RFC 3442).
    pub const ROUTES: u8 = 121;
    /// The end of options.
    pub const END: u8 = 255;
}

/// Those that a client is asked about.
const WANTED: [u8; 7] = [
    code::REQUESTED,
    code::OVERLOAD,
    code::KIND,
    code::SERVER,
    code::ASKED,
    code::MAX_SIZE,
    code::CLIENT_ID,
];

/// The kinds of messages (RFC 2132, 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A client looks for servers.
    Discover = 1,
    /// A server offers an address.
    Offer = 2,
    /// A client takes what was offered, or goes on with what it has.
    Request = 3,
    /// A client has found that another has the address.
    Decline = 4,
    /// It is the client's.
    Ack = 5,
    /// It is not.
    Nak = 6,
    /// A client needs its address no more.
    Release = 7,
    /// A client has an address, and asks for the rest.
    Inform = 8,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        use Kind::*;
        let all = [Discover, Offer, Request, Decline, Ack, Nak, Release, Inform];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }

    pub(crate) fn is_a_clients(self) -> bool {
        !matches!(self, Self::Offer | Self::Ack | Self::Nak)
    }
}

/// Why bytes are no message of a client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They end before the options.
    #[error("it is too short")]
    Short,
    /// They are a server's.
    #[error("it is not a client's")]
    NotAClients,
    /// Its hardware address is none of Ethernet's.
    #[error("its hardware address is not Ethernet's")]
    NotEthernet,
    /// BOOTP's, of before DHCP.
    #[error("it has no options of DHCP")]
    NoOptions,
    /// An option goes on behind the end.
    #[error("option {0} is cut off")]
    CutOff(u8),
    /// An option has not the length that it always has.
    #[error("option {0} has a wrong length")]
    Length(u8),
    /// No kind that a client sends.
    #[error("it is of no kind that a client sends")]
    NoKind,
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it wants.
    pub kind: Kind,
    /// By which it knows the answer.
    pub xid: u32,
    /// Whether it takes broadcasts only.
    pub broadcast: bool,
    /// The address that it uses.
    pub ciaddr: Ipv4Addr,
    /// The relay that it came by.
    pub giaddr: Ipv4Addr,
    /// Its MAC.
    pub chaddr: [u8; 6],
    /// The address that it asks for.
    pub requested: Option<Ipv4Addr>,
    /// The server that it speaks to.
    pub server: Option<Ipv4Addr>,
    /// Codes of the options that it asks for, in its order.
    pub asked: Vec<u8>,
    /// What it calls itself.
    pub client_id: Option<Vec<u8>>,
    /// The longest answer that it takes, in bytes of a message.
    pub room: usize,
}

impl Request {
    /// Reads the bytes behind the UDP header.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or(Malformed::Short)?;
        if header[0] != BOOTREQUEST {
            return Err(Malformed::NotAClients);
        }
        if (header[1], header[2]) != ETHERNET {
            return Err(Malformed::NotEthernet);
        }
        let options = rest.strip_prefix(&COOKIE).ok_or(Malformed::NoOptions)?;
        let options = Options::read(options, header)?;
        let address_at = |at| Ipv4Addr::from(u32_at(header, at));
        Ok(Self {
            kind: options.kind()?,
            xid: u32_at(header, 4),
            broadcast: u16::from_be_bytes([header[10], header[11]]) & BROADCAST != 0,
            ciaddr: address_at(12),
            giaddr: address_at(24),
            chaddr: std::array::from_fn(|at| header[28 + at]),
            requested: options.address(code::REQUESTED)?,
            server: options.address(code::SERVER)?,
            asked: options.get(code::ASKED).unwrap_or_default().to_vec(),
            client_id: options.get(code::CLIENT_ID).map(<[u8]>::to_vec),
            room: options.room()?,
        })
    }
}

fn u32_at(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_be_bytes(std::array::from_fn(|n| header[at + n]))
}

/// The options that matter here. One that stands more than once is one long one (RFC 3396).
#[derive(Debug, Default)]
struct Options(OrderedMap<u8, Vec<u8>>);

impl Options {
    /// Those of a message, and of its fields `file` and `sname` where it says so.
    fn read(bytes: &[u8], header: &[u8; HEADER]) -> Result<Self, Malformed> {
        let mut options = Self::default();
        options.take(bytes)?;
        let overload = match options.get(code::OVERLOAD) {
            None => 0,
            Some([fields @ 1..=3]) => *fields,
            Some(_) => return Err(Malformed::Length(code::OVERLOAD)),
        };
        if overload & 1 != 0 {
            options.take(&header[FILE])?;
        }
        if overload & 2 != 0 {
            options.take(&header[SNAME])?;
        }
        Ok(options)
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Malformed> {
        loop {
            let (code, rest) = match bytes {
                // There are clients that leave the end out.
                [] | [code::END, ..] => return Ok(()),
                [code::PAD, rest @ ..] => {
                    bytes = rest;
                    continue;
                }
                [code, rest @ ..] => (*code, rest),
            };
            let (length, rest) = rest.split_first().ok_or(Malformed::CutOff(code))?;
            let length = usize::from(*length);
            let value = rest.get(..length).ok_or(Malformed::CutOff(code))?;
            if WANTED.contains(&code) {
                self.0.entry(code).or_default().extend(value);
            }
            bytes = rest.get(length..).unwrap_or_default();
        }
    }

    fn get(&self, code: u8) -> Option<&[u8]> {
        self.0.get(&code).map(Vec::as_slice)
    }

    /// Of an option that always has that length.
    fn fixed<const LENGTH: usize>(&self, code: u8) -> Result<Option<[u8; LENGTH]>, Malformed> {
        let Some(value) = self.get(code) else { return Ok(None) };
        value.try_into().map(Some).map_err(|_| Malformed::Length(code))
    }

    fn address(&self, code: u8) -> Result<Option<Ipv4Addr>, Malformed> {
        Ok(self.fixed::<4>(code)?.map(Ipv4Addr::from))
    }

    fn kind(&self) -> Result<Kind, Malformed> {
        let kind = self.fixed(code::KIND)?.and_then(|[kind]| Kind::of(kind));
        kind.filter(|kind| kind.is_a_clients()).ok_or(Malformed::NoKind)
    }

    /// A client that says less than it has to take is not believed.
    fn room(&self) -> Result<usize, Malformed> {
        let size = self.fixed(code::MAX_SIZE)?.map(u16::from_be_bytes);
        let room = size.map_or(0, |size| usize::from(size).saturating_sub(HEADERS));
        Ok(room.clamp(EVERY_CLIENT, MOST))
    }
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub kind: Kind,
    /// As the client had it.
    pub xid: u32,
    /// As the client had it.
    pub broadcast: bool,
    /// The address that the client uses.
    pub ciaddr: Ipv4Addr,
    /// The address that is the client's.
    pub yiaddr: Ipv4Addr,
    /// The client's MAC.
    pub chaddr: [u8; 6],
    /// The options.
    pub options: Written,
}

impl Reply {
    /// As it is sent, behind a UDP header.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![BOOTREPLY, ETHERNET.0, ETHERNET.1, 0];
        bytes.extend(self.xid.to_be_bytes());
        // `secs`.
        bytes.extend([0, 0]);
        bytes.extend(if self.broadcast { BROADCAST } else { 0 }.to_be_bytes());
        bytes.extend(self.ciaddr.octets());
        bytes.extend(self.yiaddr.octets());
        // `siaddr`, from which nothing is booted, and `giaddr`.
        bytes.extend([0; 8]);
        bytes.extend(self.chaddr);
        bytes.resize(HEADER, 0);
        bytes.extend(COOKIE);
        bytes.extend(&self.options.bytes);
        bytes.push(code::END);
        bytes.resize(bytes.len().max(LEAST), code::PAD);
        bytes
    }
}

/// Options of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    bytes: Vec<u8>,
    most: usize,
}

impl Written {
    /// None yet, of a message with that many bytes at most.
    pub fn within(room: usize) -> Self {
        // Cookie and end.
        Self { bytes: Vec::new(), most: room.saturating_sub(HEADER + COOKIE.len() + 1) }
    }

    /// One more, unless it does not fit.
    pub fn put(&mut self, code: u8, value: &[u8]) {
        let Ok(length) = u8::try_from(value.len()) else { return };
        if self.bytes.len() + 2 + value.len() <= self.most {
            self.bytes.extend([code, length]);
            self.bytes.extend(value);
        }
    }
}

#[cfg(test)]
pub(in crate::serve::dhcp) mod tests {
    use super::*;

    /// A client's message with these options, which it has to end itself.
    pub(in crate::serve::dhcp) fn message(options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 1, 6, 0, 1, 2, 3, 4, 0, 9, 0x80, 0, 172, 17, 3, 3];
        bytes.extend([0; 8]);
        bytes.extend([10, 0, 0, 1]);
        bytes.extend([2, 0, 0, 0, 0, 7]);
        bytes.resize(HEADER, 0);
        bytes.extend(COOKIE);
        bytes.extend(options);
        bytes
    }

    #[test]
    fn a_request_is_read() {
        let options = [
            &[0, 0, 53, 1, 3, 50, 4, 172, 17, 3, 3, 54, 4, 172, 17, 3, 2, 57, 2, 2, 88][..],
            // Asked for in two parts, and what nobody here knows between them.
            &[55, 2, 1, 3, 60, 3, 1, 2, 3, 55, 1, 121, 61, 3, 1, 2, 3, 255, 53, 9],
        ];
        let request = Request::read(&message(&options.concat())).unwrap();
        let expected = Request {
            kind: Kind::Request,
            xid: 0x0102_0304,
            broadcast: true,
            ciaddr: [172, 17, 3, 3].into(),
            giaddr: [10, 0, 0, 1].into(),
            chaddr: [2, 0, 0, 0, 0, 7],
            requested: Some([172, 17, 3, 3].into()),
            server: Some([172, 17, 3, 2].into()),
            asked: vec![1, 3, 121],
            client_id: Some(vec![1, 2, 3]),
            room: 600 - 28,
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn options_may_be_in_the_fields_of_bootp() {
        let with = |overload, file: &[u8], sname: &[u8]| {
            let mut bytes = message(&[52, 1, overload, 255]);
            bytes[108..108 + file.len()].copy_from_slice(file);
            bytes[44..44 + sname.len()].copy_from_slice(sname);
            Request::read(&bytes).map(|request| (request.kind, request.asked))
        };
        let (kind, asked) = (&[53, 1, 1, 255][..], &[55, 1, 6][..]);
        assert_eq!(with(1, kind, asked), Ok((Kind::Discover, vec![])));
        assert_eq!(with(2, asked, kind), Ok((Kind::Discover, vec![])));
        assert_eq!(with(3, kind, asked), Ok((Kind::Discover, vec![6])));
        assert_eq!(with(3, &[55, 255], kind), Err(Malformed::CutOff(55)));
        assert_eq!(with(4, kind, asked), Err(Malformed::Length(52)));
    }

    #[test]
    fn what_is_no_clients_message_has_its_cause() {
        let discover = message(&[53, 1, 1, 255]);
        let bent = |at: usize, byte| {
            let mut bytes = discover.clone();
            bytes[at] = byte;
            Request::read(&bytes).map(|request| request.kind)
        };
        assert_eq!(bent(3, 9), Ok(Kind::Discover));
        assert_eq!(bent(0, 2), Err(Malformed::NotAClients));
        assert_eq!(bent(1, 6), Err(Malformed::NotEthernet));
        assert_eq!(bent(2, 16), Err(Malformed::NotEthernet));
        assert_eq!(bent(236, 0), Err(Malformed::NoOptions));
        for kind in [0, 2, 5, 6, 9, 255] {
            assert_eq!(bent(242, kind), Err(Malformed::NoKind), "{kind}");
        }
        for (options, why) in [
            (&[][..], Malformed::NoKind),
            (&[255], Malformed::NoKind),
            (&[53], Malformed::CutOff(53)),
            (&[53, 1], Malformed::CutOff(53)),
            (&[53, 2, 1, 1], Malformed::Length(53)),
            (&[53, 1, 1, 53, 1, 1], Malformed::Length(53)),
            (&[53, 1, 1, 50, 3, 1, 2, 3], Malformed::Length(50)),
            (&[53, 1, 1, 57, 1, 2], Malformed::Length(57)),
            (&[53, 1, 1, 200, 255, 0], Malformed::CutOff(200)),
        ] {
            assert_eq!(Request::read(&message(options)), Err(why), "{options:?}");
        }
        assert_eq!(Request::read(&discover[..239]), Err(Malformed::NoOptions));
        assert_eq!(Request::read(&discover[..235]), Err(Malformed::Short));
    }

    #[test]
    fn no_client_is_believed_to_take_less_than_all_do() {
        let room = |size: u16| {
            let [high, low] = size.to_be_bytes();
            Request::read(&message(&[53, 1, 1, 57, 2, high, low])).unwrap().room
        };
        assert_eq!([0, 27, 575, 576].map(room), [EVERY_CLIENT; 4]);
        assert_eq!([577, 1500, 65535].map(room), [549, MOST, MOST]);
    }

    #[test]
    fn an_answer_is_as_long_as_bootp_and_no_longer_than_its_room() {
        let mut options = Written::within(EVERY_CLIENT);
        options.put(code::KIND, &[2]);
        let mut reply = Reply {
            kind: Kind::Offer,
            xid: 7,
            broadcast: true,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: [172, 17, 3, 3].into(),
            chaddr: [2, 0, 0, 0, 0, 7],
            options,
        };
        let bytes = reply.bytes();
        assert_eq!(
            (bytes.len(), &bytes[..3], &bytes[10..12]),
            (LEAST, &[2, 1, 6][..], &[128, 0][..])
        );
        assert_eq!(bytes[240..245], [53, 1, 2, 255, 0]);
        let before = reply.options.clone();
        reply.options.put(code::PORTAL, &[b'x'; 256]);
        assert_eq!(reply.options, before, "longer than any option");
        reply.options.put(code::PORTAL, &[b'x'; 255]);
        reply.options.put(code::DOMAIN, &[b'x'; 43]);
        assert_eq!(reply.bytes().len(), EVERY_CLIENT - 2);
        reply.options.put(code::DOMAIN, b"x");
        assert_eq!(reply.bytes().len(), EVERY_CLIENT - 2, "no room");
        reply.options.put(code::DOMAIN, b"");
        assert_eq!(reply.bytes().len(), EVERY_CLIENT);
    }

    /// How many inputs a test takes; tests/soak/dhcp has more of them.
    pub(in crate::serve::dhcp) fn inputs() -> u64 {
        let asked = std::env::var("GUESTNET_INPUTS").ok().and_then(|text| text.parse().ok());
        asked.unwrap_or(50_000)
    }

    /// xorshift: the same inputs in each run.
    pub(in crate::serve::dhcp) fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn nothing_that_comes_is_taken_for_more_than_it_is() {
        let whole = message(&[
            52, 1, 3, 53, 1, 3, 50, 4, 172, 17, 3, 3, 55, 5, 1, 3, 6, 26, 121, 57, 2, 5, 220, 61,
            2, 1, 2, 255,
        ]);
        let mut state = 0x9e37_79b9_7f4a_7c15;
        let mut read = 0;
        for _ in 0..inputs() {
            let mut bytes = whole.clone();
            for _ in 0..random(&mut state) % 6 {
                let at = random(&mut state) as usize % bytes.len();
                bytes[at] = random(&mut state) as u8;
            }
            // In the options more often than elsewhere, which is most of the message.
            let at = 240 + random(&mut state) as usize % (bytes.len() - 240);
            bytes[at] = random(&mut state) as u8;
            bytes.truncate(bytes.len() - random(&mut state) as usize % 8);
            let Ok(request) = Request::read(&bytes) else { continue };
            read += 1;
            assert!(request.kind.is_a_clients());
            let options = request.asked.len() + request.client_id.map_or(0, |id| id.len());
            assert!(options < bytes.len());
        }
        assert!(read > inputs() / 20, "{read} were read");
    }
}
