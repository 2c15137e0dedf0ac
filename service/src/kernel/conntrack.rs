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

//! Connection tracking: forgets the connections of an address, so that the next guest to have it
//! does not get its predecessor's. A small codec of ctnetlink's own, for one message each way.

use super::netlink::ask_for_words;
use super::netlink::message::{
    acknowledged, attributes, ipv4, Messages, HEADER, NLMSG_DONE, NLMSG_ERROR,
};
use crate::error::KernelError;
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{Socket, SocketAddr};
use std::net::Ipv4Addr;

// linux/netlink.h, linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const NFGENMSG: usize = 4;
const CT_NEW: u16 = 1 << 8; // NFNL_SUBSYS_CTNETLINK << 8
const CT_GET: u16 = CT_NEW | 1;
const CT_DELETE: u16 = CT_NEW | 2;
const NLA_F_NESTED: u16 = 1 << 15;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_FILTER: u16 = 25;
const CTA_TUPLE_IP: u16 = 1;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
const CTA_FILTER_F_CTA_IP_SRC: u32 = 1;

/// Forgets every IPv4 connection that `source` opened.
pub fn forget(source: Ipv4Addr) -> Result<(), KernelError> {
    match forget_at_once(source) {
        // Kernels before 6.11 know the filter for reading only: there a tuple has to be whole.
        Err(e) if e.errno == libc::EINVAL || e.errno == libc::EOPNOTSUPP => forget_each(source),
        other => other,
    }
}

/// The addresses of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Who opened it.
    pub from: Ipv4Addr,
    /// To whom.
    pub to: Ipv4Addr,
    /// Who answers: another one than `to` where that was translated.
    pub answered_by: Ipv4Addr,
    /// To whom that one answers: another one than `from` where that was translated.
    pub answered_to: Ipv4Addr,
}

/// Forgets the IPv4 connections with such ends; gives their number. Reads all connections.
pub fn forget_all(such: &dyn Fn(&Ends) -> bool) -> Result<usize, KernelError> {
    let socket = open()?;
    let found = names(&socket, such)?;
    for name in &found {
        change(&socket, CT_DELETE, name)?;
    }
    Ok(found.len())
}

/// One message; nothing is listed.
fn forget_at_once(source: Ipv4Addr) -> Result<(), KernelError> {
    let source = attribute(CTA_IP_V4_SRC, &source.octets());
    let ip = attribute(CTA_TUPLE_IP | NLA_F_NESTED, &source);
    let filter = [
        attribute(CTA_FILTER_ORIG_FLAGS, &CTA_FILTER_F_CTA_IP_SRC.to_ne_bytes()),
        attribute(CTA_FILTER_REPLY_FLAGS, &0u32.to_ne_bytes()),
    ];
    let body = [
        attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, &ip),
        attribute(CTA_FILTER | NLA_F_NESTED, &filter.concat()),
    ];
    change(&open()?, CT_DELETE, &body.concat())
}

/// Reads all connections and forgets those of `source`, each by its own tuple.
fn forget_each(source: Ipv4Addr) -> Result<(), KernelError> {
    let socket = open()?;
    for name in names(&socket, &|ends| ends.from == source)? {
        change(&socket, CT_DELETE, &name)?;
    }
    Ok(())
}

/// What names each connection with such ends.
fn names(socket: &Socket, such: &dyn Fn(&Ends) -> bool) -> Result<Vec<Vec<u8>>, KernelError> {
    send(socket, CT_GET, NLM_F_REQUEST | NLM_F_DUMP, &[])?;
    let mut found = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        for message in Messages(&datagram) {
            match message.kind {
                NLMSG_DONE => return Ok(found),
                NLMSG_ERROR => return acknowledged(message.body).map(|()| found),
                _ => found.extend(name_of(message.body, such)),
            }
        }
    }
}

/// The attributes that name a connection, if it has such ends.
fn name_of(body: &[u8], such: &dyn Fn(&Ends) -> bool) -> Option<Vec<u8>> {
    let all = attributes(body, NFGENMSG);
    let tuple = all.clone().find(CTA_TUPLE_ORIG)?;
    let address = |tuple, kind| {
        let addresses = attributes(tuple, 0).find(CTA_TUPLE_IP)?;
        attributes(addresses, 0).find(kind).and_then(ipv4)
    };
    let reply = all.clone().find(CTA_TUPLE_REPLY)?;
    let ends = Ends {
        from: address(tuple, CTA_IP_V4_SRC)?,
        to: address(tuple, CTA_IP_V4_DST)?,
        answered_by: address(reply, CTA_IP_V4_SRC)?,
        answered_to: address(reply, CTA_IP_V4_DST)?,
    };
    let mut name = attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, tuple);
    for kind in [CTA_ID, CTA_ZONE] {
        name.extend(all.clone().find(kind).into_iter().flat_map(|value| attribute(kind, value)));
    }
    such(&ends).then_some(name)
}

fn open() -> Result<Socket, KernelError> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    ask_for_words(&mut socket)?;
    Ok(socket)
}

fn send(socket: &Socket, kind: u16, flags: u16, body: &[u8]) -> Result<(), KernelError> {
    let mut message = ((HEADER + NFGENMSG + body.len()) as u32).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]); // sequence and port: one request at a time
    message.extend([libc::AF_INET as u8, 0, 0, 0]); // struct nfgenmsg
    message.extend(body);
    socket.send_to(&message, &SocketAddr::new(0, 0), 0)?;
    Ok(())
}

fn change(socket: &Socket, kind: u16, body: &[u8]) -> Result<(), KernelError> {
    send(socket, kind, NLM_F_REQUEST | NLM_F_ACK, body)?;
    match answered(socket) {
        // It is gone already, which is what was asked for.
        Err(e) if e.errno == libc::ENOENT => Ok(()),
        other => other,
    }
}

fn answered(socket: &Socket) -> Result<(), KernelError> {
    let (answer, _) = socket.recv_from_full()?;
    let error = Messages(&answer).find(|message| message.kind == NLMSG_ERROR);
    acknowledged(error.map(|message| message.body).unwrap_or_default())
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize((bytes.len() + 3) & !3, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{unshare, CloneFlags};

    const A: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
    const B: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 4);
    const C: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    fn tuple(direction: u16, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Vec<u8> {
        let ip = [attribute(1, &from.0.octets()), attribute(2, &to.0.octets())].concat();
        let udp = [
            attribute(1, &[17]),
            attribute(2, &from.1.to_be_bytes()),
            attribute(3, &to.1.to_be_bytes()),
        ];
        let both = [attribute(1 | NLA_F_NESTED, &ip), attribute(2 | NLA_F_NESTED, &udp.concat())];
        attribute(direction | NLA_F_NESTED, &both.concat())
    }

    /// A connection as if a packet had passed.
    fn connect(socket: &Socket, from: Ipv4Addr, port: u16) {
        connect_as(socket, from, port, from);
    }

    /// The same, leaving with another address.
    fn connect_as(socket: &Socket, from: Ipv4Addr, port: u16, leaves_with: Ipv4Addr) {
        const NLM_F_CREATE: u16 = 0x400;
        let server = (Ipv4Addr::new(192, 0, 2, 1), 53);
        let timeout = attribute(7, &600u32.to_be_bytes());
        let tuples = [tuple(1, (from, port), server), tuple(2, server, (leaves_with, port))];
        let body = [tuples.concat(), timeout].concat();
        send(socket, CT_NEW, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, &body).unwrap();
        answered(socket).unwrap();
    }

    fn count(of: Ipv4Addr) -> usize {
        names(&open().unwrap(), &|ends| ends.from == of).unwrap().len()
    }

    fn forgets(how: fn(Ipv4Addr) -> Result<(), KernelError>) {
        if !nix::unistd::geteuid().is_root() {
            return; // a network namespace of its own needs root
        }
        let test = move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let socket = open().unwrap();
            for port in 1000..1040 {
                connect(&socket, A, port);
                connect(&socket, B, port);
            }
            assert_eq!((count(A), count(B)), (40, 40));
            how(A).unwrap();
            assert_eq!((count(A), count(B)), (0, 40), "A's, and nobody else's");
            how(A).unwrap();
        };
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn one_addresses_connections_are_forgotten_each_by_its_name() {
        forgets(forget_each);
    }

    #[test]
    fn one_addresses_connections_are_forgotten() {
        forgets(forget);
    }

    #[test]
    fn only_what_left_with_the_old_address_is_forgotten() {
        if !nix::unistd::geteuid().is_root() {
            return; // a network namespace of its own needs root
        }
        let test = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let socket = open().unwrap();
            connect_as(&socket, A, 1000, C);
            connect_as(&socket, A, 1001, B);
            connect_as(&socket, B, 1002, C);
            assert_eq!(forget_all(&|e| e.answered_to == C && e.from == A).unwrap(), 1);
            assert_eq!((count(A), count(B)), (1, 1), "another address; another's source");
        };
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn no_message_makes_it_panic() {
        let mut message = vec![0; NFGENMSG];
        message.extend(tuple(1, (A, 1), (B, 2)));
        message.extend(tuple(2, (B, 2), (C, 1)));
        let ends = Ends { from: A, to: B, answered_by: B, answered_to: C };
        assert!(name_of(&message, &|found| *found == ends).is_some());
        assert!(name_of(&message, &|found| found.from == B).is_none());
        for end in 0..message.len() {
            let _ = name_of(&message[..end], &|_| true);
        }
        for at in 0..message.len() {
            for byte in [0, 1, 3, 4, 0x7f, 0xff] {
                let mut bent = message.clone();
                bent[at] = byte;
                let _ = name_of(&bent, &|_| true);
            }
        }
    }
}
