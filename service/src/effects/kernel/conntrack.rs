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

use super::ctnetlink::*;
use super::netlink::attr::{Request, Writer};
use super::netlink::message::{attributes, ipv4, Message};
use super::netlink::Netlink;
use crate::error::KernelError;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// Forgets every IPv4 connection that `source` opened.
pub(in crate::effects) fn forget(netlink: &Netlink, source: Ipv4Addr) -> Result<(), KernelError> {
    if forget_at_once(netlink, source)? {
        return Ok(());
    }
    forget_each(netlink, source)
}

/// The addresses of a connection, and the ports at its far end.
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
    /// The port that it was opened to, and the one that answers. 0: its protocol has none.
    pub ports: [u16; 2],
}

/// Forgets the IPv4 connections with such ends; gives their number. Reads all connections.
pub(in crate::effects) fn forget_all(
    netlink: &Netlink,
    such: &dyn Fn(&Ends) -> bool,
) -> Result<usize, KernelError> {
    let found = names(netlink, such)?;
    for name in &found {
        delete(netlink, name)?;
    }
    Ok(found.len())
}

/// How many connections of one address may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// TCP's that are closed: where there are more, all of them go.
    pub closed: usize,
    /// All others: what is beyond goes.
    pub others: usize,
}

/// Forgets what addresses that are `such` have opened beyond what may stay; gives the number for each of
/// those. Reads all connections.
pub(in crate::effects) fn reduce(
    netlink: &Netlink,
    such: &dyn Fn(&Ends) -> bool,
    stay: Stay,
) -> Result<Vec<(Ipv4Addr, usize)>, KernelError> {
    type Names = (Vec<Writer>, Vec<Writer>);
    let of = RefCell::new(HashMap::<Ipv4Addr, Names>::new());
    let all = Request { kind: CT_GET, body: Writer::after(&NFGENMSG) };
    netlink.dump(&all, |message| {
        let opener = Cell::new(None);
        let name = name_of(message, &|ends| {
            opener.set(Some(ends.from));
            such(ends)
        })?;
        let mut of = of.borrow_mut();
        let (closed, others) = of.entry(opener.get()?).or_default();
        if is_closed(message) { closed } else { others }.push(name);
        None::<()>
    })?;
    let mut forgotten = Vec::new();
    for (address, (closed, others)) in of.into_inner() {
        let closed = if closed.len() > stay.closed { closed } else { Vec::new() };
        let beyond = others.into_iter().skip(stay.others);
        let gone: Vec<_> = closed.into_iter().chain(beyond).collect();
        for name in &gone {
            delete(netlink, name)?;
        }
        if !gone.is_empty() {
            forgotten.push((address, gone.len()));
        }
    }
    Ok(forgotten)
}

/// Whether it is TCP's and closed, as a limit of connections has it (`already_closed()`, nf_conncount.c).
fn is_closed(message: &Message<'_>) -> bool {
    let inner = |outer, kind| attributes(outer, 0).find(kind);
    let info = message.attributes(NFGENMSG.len()).find(CTA_PROTOINFO);
    let state = info
        .and_then(|info| inner(info, CTA_PROTOINFO_TCP))
        .and_then(|tcp| inner(tcp, CTA_PROTOINFO_TCP_STATE));
    state.and_then(<[u8]>::first).is_some_and(|state| CLOSED.contains(state))
}

/// How many IPv4 connections each address has opened. Reads all connections.
pub(in crate::effects) fn count(
    netlink: &Netlink,
) -> Result<HashMap<Ipv4Addr, usize>, KernelError> {
    let counts = RefCell::new(HashMap::new());
    names(netlink, &|ends| {
        *counts.borrow_mut().entry(ends.from).or_default() += 1;
        false
    })?;
    Ok(counts.into_inner())
}

/// The same by one message. Nothing is listed, and the kernel lets others run while it looks through its table. False:
/// it cannot, and nothing was done; before 6.11 it knows the filter for reading only, and a tuple has to be whole.
pub(in crate::effects) fn forget_at_once(
    netlink: &Netlink,
    source: Ipv4Addr,
) -> Result<bool, KernelError> {
    let source = Writer::default().with(CTA_IP_V4_SRC, &source.octets());
    let tuple = Writer::default().with_nested(CTA_TUPLE_IP, &source);
    let filter = Writer::default()
        .with(CTA_FILTER_ORIG_FLAGS, &CTA_FILTER_F_CTA_IP_SRC.to_ne_bytes())
        .with(CTA_FILTER_REPLY_FLAGS, &0u32.to_ne_bytes());
    let name = Writer::after(&NFGENMSG)
        .with_nested(CTA_TUPLE_ORIG, &tuple)
        .with_nested(CTA_FILTER, &filter);
    match delete(netlink, &name) {
        Err(e) if e.errno == libc::EINVAL || e.errno == libc::EOPNOTSUPP => Ok(false),
        other => other.map(|()| true),
    }
}

/// Reads all connections and forgets those of `source`, each by its own tuple.
fn forget_each(netlink: &Netlink, source: Ipv4Addr) -> Result<(), KernelError> {
    forget_all(netlink, &|ends| ends.from == source).map(drop)
}

/// What names each connection with such ends.
fn names(netlink: &Netlink, such: &dyn Fn(&Ends) -> bool) -> Result<Vec<Writer>, KernelError> {
    let all = Request { kind: CT_GET, body: Writer::after(&NFGENMSG) };
    netlink.dump(&all, |message| name_of(message, such))
}

/// The attributes that name a connection, if it has such ends.
pub(crate) fn name_of(message: &Message<'_>, such: &dyn Fn(&Ends) -> bool) -> Option<Writer> {
    let all = message.attributes(NFGENMSG.len());
    let tuple = all.clone().find(CTA_TUPLE_ORIG)?;
    let address = |tuple, kind| {
        let addresses = attributes(tuple, 0).find(CTA_TUPLE_IP)?;
        attributes(addresses, 0).find(kind).and_then(ipv4)
    };
    let reply = all.clone().find(CTA_TUPLE_REPLY)?;
    let port = |tuple, kind| {
        let protocol = attributes(tuple, 0).find(CTA_TUPLE_PROTO)?;
        let port = attributes(protocol, 0).find(kind)?;
        port.try_into().ok().map(u16::from_be_bytes)
    };
    let asked = port(tuple, CTA_PROTO_DST_PORT).unwrap_or(0);
    let answering = port(reply, CTA_PROTO_SRC_PORT).unwrap_or(0);
    let ends = Ends {
        from: address(tuple, CTA_IP_V4_SRC)?,
        to: address(tuple, CTA_IP_V4_DST)?,
        answered_by: address(reply, CTA_IP_V4_SRC)?,
        answered_to: address(reply, CTA_IP_V4_DST)?,
        ports: [asked, answering],
    };
    if !such(&ends) {
        return None;
    }
    let name = Writer::after(&NFGENMSG).with_nested(CTA_TUPLE_ORIG, &Writer::after(tuple));
    let others = all.filter(|(kind, _)| [CTA_ID, CTA_ZONE].contains(kind));
    Some(others.fold(name, |name, (kind, value)| name.with(kind, value)))
}

fn delete(netlink: &Netlink, name: &Writer) -> Result<(), KernelError> {
    match netlink.change(&Request { kind: CT_DELETE, body: name.clone() }, 0) {
        // It is gone already, which is what was asked for.
        Err(e) if e.errno == libc::ENOENT => Ok(()),
        other => other,
    }
}

#[cfg(test)]
pub(in crate::effects) mod tests {
    use super::*;
    use nix::sched::{unshare, CloneFlags};

    const A: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
    const B: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 4);
    const C: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    fn tuple(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Writer {
        tuple_of(libc::IPPROTO_UDP as u8, from, to)
    }

    fn tuple_of(protocol: u8, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Writer {
        let ip = Writer::default().with(1, &from.0.octets()).with(2, &to.0.octets());
        let ports = Writer::default().with(1, &[protocol]);
        let ports = ports.with(2, &from.1.to_be_bytes()).with(3, &to.1.to_be_bytes());
        Writer::default().with_nested(1, &ip).with_nested(2, &ports)
    }

    /// A connection as if a packet had passed.
    pub(in crate::effects) fn connect(netlink: &Netlink, from: Ipv4Addr, port: u16) {
        connect_as(netlink, from, port, from);
    }

    /// The same, leaving with another address.
    fn connect_as(netlink: &Netlink, from: Ipv4Addr, port: u16, leaves_with: Ipv4Addr) {
        const NLM_F_CREATE: u16 = 0x400;
        let server = (Ipv4Addr::new(192, 0, 2, 1), 53);
        let body = Writer::after(&NFGENMSG)
            .with_nested(1, &tuple((from, port), server))
            .with_nested(2, &tuple(server, (leaves_with, port)))
            .with(7, &600u32.to_be_bytes());
        netlink.change(&Request { kind: CT_GET - 1, body }, NLM_F_CREATE).unwrap();
    }

    pub(in crate::effects) fn count(of: Ipv4Addr) -> usize {
        names(&Netlink::open_netfilter().unwrap(), &|ends| ends.from == of).unwrap().len()
    }

    fn forgets(how: fn(&Netlink, Ipv4Addr) -> Result<(), KernelError>) {
        if !nix::unistd::geteuid().is_root() {
            return; // a network namespace of its own needs root
        }
        let test = move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let netlink = Netlink::open_netfilter().unwrap();
            for port in 1000..1040 {
                connect(&netlink, A, port);
                connect(&netlink, B, port);
            }
            assert_eq!((count(A), count(B)), (40, 40));
            assert_eq!(super::count(&netlink).unwrap(), [(A, 40), (B, 40)].into());
            how(&netlink, A).unwrap();
            assert_eq!((count(A), count(B)), (0, 40), "A's, and nobody else's");
            how(&netlink, A).unwrap();
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

    /// A closed TCP connection.
    fn close(netlink: &Netlink, from: Ipv4Addr, port: u16) {
        const NLM_F_CREATE: u16 = 0x400;
        let server = (Ipv4Addr::new(192, 0, 2, 1), 80);
        let tcp = |from, to| tuple_of(libc::IPPROTO_TCP as u8, from, to);
        let state = Writer::default().with(CTA_PROTOINFO_TCP_STATE, &CLOSED[..1]);
        let info = Writer::default().with_nested(CTA_PROTOINFO_TCP, &state);
        let body = Writer::after(&NFGENMSG)
            .with_nested(1, &tcp((from, port), server))
            .with_nested(2, &tcp(server, (from, port)))
            .with_nested(CTA_PROTOINFO, &info)
            .with(7, &600u32.to_be_bytes());
        netlink.change(&Request { kind: CT_GET - 1, body }, NLM_F_CREATE).unwrap();
    }

    #[test]
    fn what_is_closed_goes_where_there_is_much_of_it_and_others_beyond_what_may_stay() {
        if !nix::unistd::geteuid().is_root() {
            return; // a network namespace of its own needs root
        }
        let test = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let netlink = Netlink::open_netfilter().unwrap();
            for port in 1000..1010 {
                connect(&netlink, A, port);
                close(&netlink, A, port);
                close(&netlink, C, port);
            }
            (1000..1005).for_each(|port| close(&netlink, B, port));
            let stay = |closed, others| {
                reduce(&netlink, &|ends| ends.from != C, Stay { closed, others }).unwrap()
            };
            assert_eq!(stay(10, 10), []);
            assert_eq!(stay(5, 10), [(A, 10)]);
            assert_eq!((count(A), count(B), count(C)), (10, 5, 10));
            assert_eq!(stay(5, 7), [(A, 3)]);
            assert_eq!((count(A), count(B), count(C)), (7, 5, 10));
        };
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn only_what_left_with_the_old_address_is_forgotten() {
        if !nix::unistd::geteuid().is_root() {
            return; // a network namespace of its own needs root
        }
        let test = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let netlink = Netlink::open_netfilter().unwrap();
            connect_as(&netlink, A, 1000, C);
            connect_as(&netlink, A, 1001, B);
            connect_as(&netlink, B, 1002, C);
            assert_eq!(forget_all(&netlink, &|e| e.answered_to == C && e.from == A).unwrap(), 1);
            assert_eq!((count(A), count(B)), (1, 1), "another address; another's source");
        };
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn no_message_makes_it_panic() {
        let body = Writer::after(&NFGENMSG)
            .with_nested(1, &tuple((A, 1), (B, 2)))
            .with_nested(2, &tuple((B, 2), (C, 1)));
        let named = |body: &[u8], such: &dyn Fn(&Ends) -> bool| {
            name_of(&Message { kind: CT_GET - 1, flags: 0, sequence: 0, body }, such).is_some()
        };
        let ends = Ends { from: A, to: B, answered_by: B, answered_to: C, ports: [2, 2] };
        assert!(named(body.bytes(), &|found| *found == ends));
        assert!(!named(body.bytes(), &|found| found.from == B));
        for end in 0..body.bytes().len() {
            named(&body.bytes()[..end], &|_| true);
        }
        for at in 0..body.bytes().len() {
            for byte in [0, 1, 3, 4, 0x7f, 0xff] {
                let mut bent = body.bytes().to_vec();
                bent[at] = byte;
                named(&bent, &|_| true);
            }
        }
    }
}
