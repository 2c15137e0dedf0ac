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

//! A rule as nf_tables runs it: a list of small instructions around one register or two. Pure.

use super::layout::{whole, Addresses, Counted, Kind, Line, Set};
use super::CLOSED;
use crate::effects::firewall::{Family, Interface, Match, Network, Protocol, Verdict};
use crate::model::ownership::LINK_GROUP;
use crate::model::ruleset::{FORGOTTEN, NAMES, TOLD};
use crate::spec::HOST_PREFIX;
use netlink_bindings::nftables::{
    CmpOps, CtKeys, MetaKeys, PayloadBase, PushExprListAttrs, PushRuleAttrs, VerdictCode,
};
use netlink_bindings::traits::Pusher;
use netlink_bindings::utils::{
    finalize_nested_header, push_header, push_nested_header, RequestBuf,
};
use std::ffi::CStr;
use std::net::IpAddr;

/// The expression list of a rule that is being written.
pub(super) type List<'a> = PushExprListAttrs<PushRuleAttrs<RequestBuf<'a>>>;

/// The register that is used: 16 bytes, enough for an interface name.
pub(super) const REGISTER: u32 = 1;
/// Its second 4 bytes, as a register of their own: for the second part of a set's key.
const SECOND: u32 = 9;
/// Another register, for a port beside an address.
const OTHER: u32 = 2;
/// A third one, for the last of several ports.
const THIRD: u32 = 3;
/// Conntrack state bits, as nf_tables has them.
const ESTABLISHED: u32 = 1 << 1;
const RELATED: u32 = 1 << 2;
const NEW: u32 = 1 << 3;
/// Conntrack status bits: it is in the table, its destination was changed. (`IPS_CONFIRMED`, `IPS_DST_NAT`)
const CONFIRMED: u32 = 1 << 3;
const DESTINATION_NAT: u32 = 1 << 5;
/// `NFT_CT_SRC_IP`: the source of a connection's first packet, by `NFTA_CT_DIRECTION` 0.
const CT_SOURCE: u32 = 19;
/// `NFT_OBJECT_CT_TIMEOUT`.
const CT_TIMEOUT: u32 = 7;
/// `NFT_CT_PROTO_SRC`: the port that the first packet of a direction was sent from.
const CT_SOURCE_PORT: u32 = 11;
/// `NFT_CT_PROTO_DST`: the same, the port that it was sent to.
const CT_DESTINATION_PORT: u32 = 12;
/// `NFTA_CT_DIRECTION`: what was sent first, and what answers it.
const ORIGINAL: u8 = 0;
const REPLY: u8 = 1;
/// `NFT_NAT_SNAT`.
const SNAT: u32 = 0;
/// `NFT_NAT_DNAT`.
const DNAT: u32 = 1;

/// Writes the instructions of a rule.
pub(super) fn rule<'a>(line: &Line, mut list: List<'a>) -> List<'a> {
    for (key, interface) in [(MetaKeys::Iifname, &line.input), (MetaKeys::Oifname, &line.output)] {
        list = match interface {
            None => list,
            Some(Interface::Exceptions) => is_in(meta(list, key), &Set::EXCEPTIONS, true),
            Some(interface) => {
                let op = if interface.is_inverted() { CmpOps::Neq } else { CmpOps::Eq };
                compare(meta(list, key), op, &name(interface))
            }
        };
    }
    // A guest's link that somebody has just renamed is one by its group: what comes by it is no other's,
    // and is of no guest's name and address.
    if line.input == Some(Interface::NotGuests) {
        let group = meta(list, MetaKeys::Iifgroup);
        list = compare(group, CmpOps::Neq, &LINK_GROUP.to_ne_bytes());
    }
    if let Some(family) = line.family {
        list = equal(meta(list, MetaKeys::Nfproto), &[number(family)]);
    }
    list = match &line.addresses {
        Addresses::These(source, destination) => {
            let whole = |address: IpAddr| Network {
                address,
                prefix: if address.is_ipv4() { 32 } else { 128 },
            };
            list = source.iter().fold(list, |list, network| address(list, SOURCE, network));
            let destination = destination.map(whole);
            destination.iter().fold(list, |list, network| address(list, DESTINATION, network))
        }
        Addresses::In(set) => lookup(list, set),
    };
    list = match &line.matching {
        None => list,
        Some(Match::Established) => state(list, ESTABLISHED | RELATED),
        Some(Match::Answered) => state(list, ESTABLISHED),
        Some(Match::Known) => {
            let list = load_status(state(list, ESTABLISHED | NEW), CONFIRMED);
            compare(list, CmpOps::Neq, &[0; 4])
        }
        Some(Match::New) => state(list, NEW),
        Some(Match::Of(protocol)) => {
            // Enough bytes for a constant that is below 256.
            equal(meta(list, MetaKeys::L4Proto), &[l4(*protocol) as u8])
        }
        Some(Match::NewAsSent) => status(state(list, NEW), DESTINATION_NAT),
        Some(Match::OwnRelated) => {
            let list = meta(state(list, RELATED), MetaKeys::Iifname);
            is_guest(opener(list), true)
        }
        Some(Match::ConnectionsOver(most)) => {
            let list = status(list, CONFIRMED);
            let list = payload(list, REGISTER, PayloadBase::NetworkHeader, [SOURCE[0], 4]);
            dynamic(list, &Set::CONNECTIONS, 0, "connlimit", |count| {
                count.number(1, *most);
                count.number(2, 1); // NFT_CONNLIMIT_F_INV
            })
        }
        Some(Match::ForeignSource) => is_guest(source(meta(list, MetaKeys::Iifname)), false),
        Some(Match::OwnSource) => is_guest(source(meta(list, MetaKeys::Iifname)), true),
        Some(Match::FragmentsOver(rate, burst)) => {
            // More are to come, or it is not the first: all bits but two of the offset's.
            let list = payload(list, REGISTER, PayloadBase::NetworkHeader, [6, 2]);
            let list = compare(mask(list, &[0x3f, 0xff]), CmpOps::Neq, &[0; 2]);
            over(list, &Set::FRAGMENTS, *rate, *burst)
        }
        Some(Match::OpenedOver(of, rate, burst)) => {
            let list = status(list, CONFIRMED);
            // Enough bytes for a constant that is below 256.
            let only = |list, of: &Protocol| equal(meta(list, MetaKeys::L4Proto), &[l4(*of) as u8]);
            over(of.iter().fold(list, only), &Set::OPENED, *rate, *burst)
        }
        Some(Match::OpenedEach(of, every)) => {
            // Enough bytes for a constant that is below 256.
            let list = equal(meta(status(list, CONFIRMED), MetaKeys::L4Proto), &[l4(*of) as u8]);
            let list = raw(list, c"numgen", |number| {
                number.number(1, REGISTER);
                number.number(2, *every);
                number.number(3, 0); // NFT_NG_INCREMENTAL
                number.number(4, 0);
            });
            equal(list, &[0; 4])
        }
        Some(Match::CrowdOver(network, rate, burst)) => {
            let list = address(status(list, CONFIRMED), DESTINATION, &(*network).into());
            over(list, &Set::CROWD, *rate, *burst)
        }
        Some(Match::EchoRequest) => match line.family {
            Some(Family::V6) => equal(transport(list, libc::IPPROTO_ICMPV6, 0, 1), &[128]),
            _ => equal(transport(list, libc::IPPROTO_ICMP, 0, 1), &[8]),
        },
        Some(Match::Led { protocol, port }) => {
            let list = equal(transport(list, l4(*protocol), 2, 2), &port.to_be_bytes());
            equal(port_of(list, CT_DESTINATION_PORT, ORIGINAL), &NAMES.to_be_bytes())
        }
        Some(Match::ForwarderUnreachable(at)) => {
            // ICMP_DEST_UNREACH, ICMP_PORT_UNREACH.
            let list = equal(transport(list, libc::IPPROTO_ICMP, 0, 2), &[3, 3]);
            let list = equal(port_of(list, CT_DESTINATION_PORT, ORIGINAL), &NAMES.to_be_bytes());
            equal(port_of(list, CT_SOURCE_PORT, REPLY), &at.to_be_bytes())
        }
        Some(Match::FromStranger { protocol, port, user }) => {
            // What is passed on is nobody's, and ends here.
            let users = [0, *user].into_iter().take(1 + usize::from(*user != 0));
            let list = users.fold(list, |list, user| {
                compare(meta(list, MetaKeys::Skuid), CmpOps::Neq, &user.to_ne_bytes())
            });
            let list = equal(meta(list, MetaKeys::L4Proto), &[l4(*protocol) as u8]);
            let list = equal(port_of(list, CT_DESTINATION_PORT, ORIGINAL), &NAMES.to_be_bytes());
            equal(port_of(list, CT_SOURCE_PORT, REPLY), &port.to_be_bytes())
        }
        Some(Match::Proto { protocol, ports }) => {
            let list = transport(list, l4(*protocol), 2, 2);
            let (first, last) = (ports.start().to_be_bytes(), ports.end().to_be_bytes());
            match first == last {
                true => equal(list, &first),
                false => compare(compare(list, CmpOps::Gte, &first), CmpOps::Lte, &last),
            }
        }
    };
    match &line.verdict {
        Verdict::Accept => verdict(list, VerdictCode::Accept),
        Verdict::Drop => {
            let list = list.nested_elem().nested_data_counter().end_nested().end_nested();
            match line.counted() {
                Some(counted) => go_to(list, counted.chain()),
                None => drop_it(list),
            }
        }
        Verdict::Forget => raw(list, c"objref", |data| {
            data.number(1, CT_TIMEOUT);
            data.text(2, CLOSED);
        }),
        Verdict::Tell => raw(list, c"log", |log| log.bytes(1, &TOLD.to_be_bytes())),
        Verdict::Masquerade => list.nested_elem().push_name(c"masq").end_nested(),
        Verdict::Snat(address) => nat(list, SNAT, (*address).into(), None),
        Verdict::SnatBy(address, ports) => nat(list, SNAT, (*address).into(), Some(*ports)),
        Verdict::Dnat { address, port } => nat(list, DNAT, *address, port.map(|one| (one, one))),
        Verdict::DnatPort(port) => {
            let list = constant(list, REGISTER, &port.to_be_bytes());
            let e = list.nested_elem().nested_data_nat().push_type(DNAT);
            // As nft has it: of IPv4 it would be listed in words that nft does not read.
            let e = e.push_family(libc::NFPROTO_INET as u32).push_reg_proto_min(REGISTER);
            e.end_nested().end_nested()
        }
        Verdict::MasqueradeBy((first, last)) => {
            let list = constant(list, REGISTER, &first.to_be_bytes());
            let list = constant(list, OTHER, &last.to_be_bytes());
            raw(list, c"masq", |ports| {
                ports.number(1, 2); // NF_NAT_RANGE_PROTO_SPECIFIED
                ports.number(2, REGISTER);
                ports.number(3, OTHER);
            })
        }
    }
}

/// Counts a packet for the guest that it is from or for.
pub(super) fn count(list: List<'_>, counted: Counted) -> List<'_> {
    let key = match counted {
        Counted::FromGuest => MetaKeys::Iifname,
        Counted::ToGuest => MetaKeys::Oifname,
    };
    dynamic(meta(list, key), &Set::DROPPED, 0, "counter", |_| {})
}

/// Drops a packet.
pub(super) fn drop_it(list: List<'_>) -> List<'_> {
    verdict(list, VerdictCode::Drop)
}

fn l4(protocol: Protocol) -> i32 {
    match protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
    }
}

/// A comparison of fewer than 16 bytes is one of a prefix: that is how `vm_wlan*` is said.
fn name(interface: &Interface) -> Vec<u8> {
    match interface {
        Interface::Guests | Interface::NotGuests => HOST_PREFIX.as_bytes().to_vec(),
        // By the set, which is no name.
        Interface::Exceptions => Vec::new(),
        Interface::NotLoopback => whole("lo"),
        Interface::Like(pattern) => match pattern.as_str().strip_suffix('*') {
            Some(beginning) => beginning.as_bytes().to_vec(),
            None => whole(pattern.as_str()),
        },
    }
}

/// Enough bytes for a constant that is below 256.
pub(super) fn number(family: Family) -> u8 {
    match family {
        Family::V4 => libc::NFPROTO_IPV4 as u8,
        Family::V6 => libc::NFPROTO_IPV6 as u8,
    }
}

/// Where the addresses are in the headers of IPv4 and of IPv6.
const SOURCE: [u32; 2] = [12, 8];
const DESTINATION: [u32; 2] = [16, 24];

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address<'a>(list: List<'a>, [v4, v6]: [u32; 2], network: &Network) -> List<'a> {
    let (bytes, prefix) = (octets(network.address), usize::from(network.prefix));
    let offset = if bytes.len() == 4 { v4 } else { v6 };
    let whole = prefix.div_ceil(8).min(bytes.len());
    // Whole bytes, of a number that the kernel loads at once, need no mask. (nft reads a masked IPv6
    // network as an expression, and not as a network.)
    if prefix == whole * 8 && (bytes.len() == 16 || matches!(whole, 1 | 2 | 4)) {
        let list = payload(list, REGISTER, PayloadBase::NetworkHeader, [offset, whole as u32]);
        return equal(list, &bytes[..whole]);
    }
    let list = payload(list, REGISTER, PayloadBase::NetworkHeader, [offset, bytes.len() as u32]);
    let bits = |at: usize| prefix.saturating_sub(at * 8).min(8);
    let bitmask: Vec<u8> = (0..bytes.len()).map(|at| !(0xff_u16 >> bits(at)) as u8).collect();
    equal(mask(list, &bitmask), &bytes)
}

fn lookup<'a>(list: List<'a>, set: &Set) -> List<'a> {
    if set.kind == Kind::Addresses {
        let list = payload(list, REGISTER, PayloadBase::NetworkHeader, [DESTINATION[0], 4]);
        return is_in(list, set, true);
    }
    let list = payload(list, REGISTER, PayloadBase::NetworkHeader, [SOURCE[0], 4]);
    let mut list = mask(list, &set.mask());
    if set.len() > 4 {
        list = payload(list, SECOND, PayloadBase::NetworkHeader, [DESTINATION[0], 4]);
    }
    is_in(list, set, true)
}

/// Whether a set has what is in the register, or has not. (The library counts the attributes of this
/// instruction wrongly, and does not know those below.)
fn is_in<'a>(list: List<'a>, set: &Set, is: bool) -> List<'a> {
    raw(list, c"lookup", |data| {
        data.text(1, &set.name());
        data.number(2, REGISTER);
        if !is {
            data.number(5, 1); // NFT_LOOKUP_F_INV
        }
    })
}

/// Whether the host end in the register is there with the address in the other one.
fn is_guest(list: List<'_>, is: bool) -> List<'_> {
    is_in(list, &Set::GUESTS, is)
}

/// The source address beside a host end.
fn source(list: List<'_>) -> List<'_> {
    payload(list, OTHER, PayloadBase::NetworkHeader, [SOURCE[0], 4])
}

/// The address of who opened the connection, beside a host end.
fn opener(list: List<'_>) -> List<'_> {
    let e = list.nested_elem().nested_data_ct().push_key(CT_SOURCE);
    e.push_direction(ORIGINAL).push_dreg(OTHER).end_nested().end_nested()
}

/// One of the ports of a connection, as one direction of it has them.
fn port_of(list: List<'_>, key: u32, direction: u8) -> List<'_> {
    let e = list.nested_elem().nested_data_ct().push_key(key);
    e.push_direction(direction).push_dreg(REGISTER).end_nested().end_nested()
}

/// Whether the address in the register is beyond what a set has for it. The address is added to the set
/// where it is not in it (`operation` 0, `add`), and its time begins again (1, `update`).
fn dynamic<'a>(
    list: List<'a>,
    set: &Set,
    operation: u32,
    name: &str,
    limit: impl FnOnce(&mut Data<'_>),
) -> List<'a> {
    raw(list, c"dynset", |data| {
        data.text(1, &set.name());
        data.number(3, operation);
        data.number(4, REGISTER);
        data.nested(7, |expression| {
            expression.text(1, name);
            expression.nested(2, limit);
        });
    })
}

/// Whether the source has sent more of these than so many in a second and at once.
fn over<'a>(list: List<'a>, set: &Set, rate: u32, burst: u32) -> List<'a> {
    let list = payload(list, REGISTER, PayloadBase::NetworkHeader, [SOURCE[0], 4]);
    dynamic(list, set, 1, "limit", |limit| {
        limit.long(1, rate.into());
        limit.long(2, 1); // a second
        limit.number(3, burst);
        limit.number(4, 0); // packets
        limit.number(5, 1); // NFT_LIMIT_F_INV
    })
}

/// An instruction that is written attribute by attribute.
pub(super) fn raw<'a>(list: List<'a>, name: &CStr, data: impl FnOnce(&mut Data<'_>)) -> List<'a> {
    let mut e = list.nested_elem().push_name(name);
    Data(e.as_vec_mut()).nested(2, data);
    e.end_nested()
}

/// The object [`CLOSED`], behind its name and its type.
pub(super) fn closed(object: &mut Vec<u8>) {
    let mut object = Data(object);
    object.number(3, CT_TIMEOUT);
    object.nested(4, |data| {
        data.bytes(1, &(libc::NFPROTO_IPV4 as u16).to_be_bytes());
        data.bytes(2, &[libc::IPPROTO_TCP as u8]);
        data.nested(3, |seconds| {
            seconds.number(7, FORGOTTEN); // CTA_TIMEOUT_TCP_TIME_WAIT
            seconds.number(8, FORGOTTEN); // CTA_TIMEOUT_TCP_CLOSE
        });
    });
}

/// Attributes as nf_tables has them: numbers with the high byte first.
pub(super) struct Data<'a>(&'a mut Vec<u8>);

impl Data<'_> {
    fn bytes(&mut self, kind: u16, value: &[u8]) {
        // None of them is longer than a name.
        push_header(self.0, kind, value.len() as u16);
        self.0.extend(value);
    }

    fn text(&mut self, kind: u16, value: &str) {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat());
    }

    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    fn long(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_be_bytes());
    }

    fn nested(&mut self, kind: u16, inner: impl FnOnce(&mut Data<'_>)) {
        let at = push_nested_header(self.0, kind);
        inner(&mut Data(self.0));
        finalize_nested_header(self.0, at);
    }
}

fn state(list: List<'_>, bits: u32) -> List<'_> {
    let e = list.nested_elem().nested_data_ct().push_key(CtKeys::State as u32);
    let list = e.push_dreg(REGISTER).end_nested().end_nested();
    compare(mask(list, &bits.to_ne_bytes()), CmpOps::Neq, &[0; 4])
}

/// Whether a connection does not have this bit.
fn status(list: List<'_>, bit: u32) -> List<'_> {
    equal(load_status(list, bit), &[0; 4])
}

/// Loads this bit of a connection.
fn load_status(list: List<'_>, bit: u32) -> List<'_> {
    let e = list.nested_elem().nested_data_ct().push_key(CtKeys::Status as u32);
    mask(e.push_dreg(REGISTER).end_nested().end_nested(), &bit.to_ne_bytes())
}

/// Loads so many bytes of a header of this protocol.
pub(super) fn transport(list: List<'_>, protocol: i32, offset: u32, len: u32) -> List<'_> {
    let list = equal(meta(list, MetaKeys::L4Proto), &[protocol as u8]);
    payload(list, REGISTER, PayloadBase::TransportHeader, [offset, len])
}

fn nat(list: List<'_>, kind: u32, address: IpAddr, ports: Option<(u16, u16)>) -> List<'_> {
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    let mut list = constant(list, REGISTER, &octets(address));
    let several = ports.filter(|(first, last)| first != last);
    if let Some((first, _)) = ports {
        list = constant(list, OTHER, &first.to_be_bytes());
    }
    if let Some((_, last)) = several {
        list = constant(list, THIRD, &last.to_be_bytes());
    }
    let e = list.nested_elem().nested_data_nat().push_type(kind);
    let mut e = e.push_family(number(family).into()).push_reg_addr_min(REGISTER);
    if ports.is_some() {
        e = e.push_reg_proto_min(OTHER);
    }
    if several.is_some() {
        e = e.push_reg_proto_max(THIRD);
    }
    e.end_nested().end_nested()
}

pub(super) fn meta(list: List<'_>, key: MetaKeys) -> List<'_> {
    let e = list.nested_elem().nested_data_meta().push_key(key as u32);
    e.push_dreg(REGISTER).end_nested().end_nested()
}

pub(super) fn payload(
    list: List<'_>,
    register: u32,
    base: PayloadBase,
    [offset, len]: [u32; 2],
) -> List<'_> {
    let e = list.nested_elem().nested_data_payload().push_dreg(register).push_base(base as u32);
    e.push_offset(offset).push_len(len).end_nested().end_nested()
}

fn mask<'a>(list: List<'a>, mask: &[u8]) -> List<'a> {
    let e = list.nested_elem().nested_data_bitwise().push_sreg(REGISTER).push_dreg(REGISTER);
    let e = e.push_len(mask.len() as u32).nested_mask().push_value(mask).end_nested();
    let e = e.nested_xor().push_value(&vec![0; mask.len()]).end_nested();
    e.end_nested().end_nested()
}

pub(super) fn equal<'a>(list: List<'a>, value: &[u8]) -> List<'a> {
    compare(list, CmpOps::Eq, value)
}

fn compare<'a>(list: List<'a>, op: CmpOps, value: &[u8]) -> List<'a> {
    let e = list.nested_elem().nested_data_cmp().push_sreg(REGISTER).push_op(op as u32);
    e.nested_data().push_value(value).end_nested().end_nested().end_nested()
}

pub(super) fn constant<'a>(list: List<'a>, register: u32, value: &[u8]) -> List<'a> {
    let data = list.nested_elem().nested_data_immediate().push_dreg(register).nested_data();
    data.push_value(value).end_nested().end_nested().end_nested()
}

fn verdict(list: List<'_>, code: VerdictCode) -> List<'_> {
    let data = list.nested_elem().nested_data_immediate().push_dreg(0).nested_data();
    let verdict = data.nested_verdict().push_code(code as u32);
    verdict.end_nested().end_nested().end_nested().end_nested()
}

/// On to the rules of this chain, and not back.
fn go_to<'a>(list: List<'a>, chain: &str) -> List<'a> {
    let data = list.nested_elem().nested_data_immediate().push_dreg(0).nested_data();
    let verdict = data.nested_verdict().push_code(VerdictCode::Goto as u32);
    let verdict = verdict.push_chain_bytes(chain.as_bytes());
    verdict.end_nested().end_nested().end_nested().end_nested()
}
