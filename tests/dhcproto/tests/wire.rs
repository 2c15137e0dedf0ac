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

//! A client that speaks by dhcproto, in a guest, gets its lease of guestnetd.

use dhcproto::v4::{Decoder, DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Encodable};
use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::{Guest, InNetns, Probe};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

const GUEST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);

struct Client {
    socket: UdpSocket,
    mac: [u8; 6],
}

impl Client {
    fn of(guest: &Guest) -> Self {
        let socket = guest.enter(|| UdpSocket::bind("0.0.0.0:68")).expect("the clients' port");
        socket.set_broadcast(true).expect("SO_BROADCAST");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a time limit");
        let link = b"wlan0";
        // SAFETY: the descriptor is open, and the kernel reads five bytes.
        let bound = unsafe {
            let (level, option) = (libc::SOL_SOCKET, libc::SO_BINDTODEVICE);
            libc::setsockopt(socket.as_raw_fd(), level, option, link.as_ptr().cast(), 5)
        };
        assert_eq!(bound, 0);
        let link = guest.link("wlan0").expect("its end");
        let text = link["address"].as_str().expect("a MAC").to_owned();
        let mac: Vec<u8> =
            text.split(':').map(|b| u8::from_str_radix(b, 16).expect("hex")).collect();
        Self { socket, mac: mac.try_into().expect("six bytes") }
    }

    /// A message of this kind, about which the caller has more to say; and what is answered.
    fn asks(&self, kind: MessageType, with: impl Fn(&mut Message)) -> Message {
        let mut message = Message::default();
        message.set_opcode(Opcode::BootRequest).set_chaddr(&self.mac);
        message.set_flags(Flags::default().set_broadcast());
        message.opts_mut().insert(DhcpOption::MessageType(kind));
        let asked = vec![OptionCode::SubnetMask, OptionCode::Router, OptionCode::InterfaceMtu];
        message.opts_mut().insert(DhcpOption::ParameterRequestList(asked));
        with(&mut message);
        let bytes = message.to_vec().expect("dhcproto writes it");
        let began = std::time::Instant::now();
        let mut buffer = [0; 1500];
        while began.elapsed() < BOUND {
            self.socket.send_to(&bytes, "255.255.255.255:67").expect("sent");
            while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
                let answer = Message::decode(&mut Decoder::new(&buffer[..length]))
                    .expect("dhcproto reads it");
                if answer.xid() == message.xid() {
                    assert_eq!(from.to_string(), format!("{GATEWAY}:67"));
                    return answer;
                }
            }
        }
        panic!("no answer to {message:?}");
    }
}

#[test]
fn a_client_that_speaks_by_dhcproto_gets_its_lease_keeps_it_and_no_other() {
    let bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    let client = Client::of(&bed.guest);
    let wants = |address: Ipv4Addr| {
        move |message: &mut Message| {
            let server = DhcpOption::ServerIdentifier(GATEWAY);
            message.opts_mut().insert(DhcpOption::RequestedIpAddress(address));
            message.opts_mut().insert(server);
        }
    };
    let offer = client.asks(MessageType::Discover, |_| ());
    assert_eq!((offer.opts().msg_type(), offer.yiaddr()), (Some(MessageType::Offer), GUEST));
    let ack = client.asks(MessageType::Request, wants(offer.yiaddr()));
    assert_eq!((ack.opts().msg_type(), ack.yiaddr()), (Some(MessageType::Ack), GUEST));
    let option = |code| ack.opts().get(code).cloned();
    assert_eq!(option(OptionCode::Router), Some(DhcpOption::Router(vec![GATEWAY])));
    assert_eq!(option(OptionCode::InterfaceMtu), Some(DhcpOption::InterfaceMtu(1500)));
    assert_eq!(option(OptionCode::AddressLeaseTime), Some(DhcpOption::AddressLeaseTime(3600)));
    let renewed = client.asks(MessageType::Request, |message| {
        message.set_ciaddr(GUEST);
    });
    assert_eq!((renewed.opts().msg_type(), renewed.ciaddr()), (Some(MessageType::Ack), GUEST));
    let informed = client.asks(MessageType::Inform, |message| {
        message.set_ciaddr(GUEST);
    });
    assert_eq!(informed.opts().msg_type(), Some(MessageType::Ack));
    assert_eq!(informed.yiaddr(), Ipv4Addr::UNSPECIFIED);
    let refused = client.asks(MessageType::Request, wants(Ipv4Addr::new(172, 17, 3, 4)));
    assert_eq!(refused.opts().msg_type(), Some(MessageType::Nak));
}
