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

//! A rule as nf_tables runs it: a list of small instructions around one register. Pure.
//! The same list is what we send and what we compare with what the kernel gives back: an
//! instruction that is not known here is kept as `Other` and equals nothing of ours.

use super::layout::{Addresses, Line, Set};
use crate::firewall::{Family, Interface, Match, Verdict};
use crate::spec::{Subnet, HOST_PREFIX};
use netlink_bindings::nftables::{
    CmpOps, CtKeys, ExprOps, IterableDataAttrs, IterableExprAttrs, IterableExprListAttrs, MetaKeys,
    PayloadBase, PushExprAttrs, PushExprListAttrs, PushRuleAttrs, VerdictCode,
};
use netlink_bindings::utils::{find_attr, RequestBuf};

/// The expression list of a rule that is being written.
pub(super) type Encoder<'a> = PushExprListAttrs<PushRuleAttrs<RequestBuf<'a>>>;

/// The register that is used: 16 bytes, enough for an interface name.
const REGISTER: u32 = 1;
/// Its second 4 bytes, as a register of their own: for the second part of a set's key.
const SECOND: u32 = 9;
/// Where an expression's own attributes are (the library does not know those of `masq`).
const NFTA_EXPR_DATA: u16 = 2;
/// Conntrack state bits, as nf_tables has them.
const ESTABLISHED: u32 = 1 << 1;
const RELATED: u32 = 1 << 2;
const NEW: u32 = 1 << 3;
/// `NFT_NAT_DNAT` and `NF_NAT_RANGE_MAP_IPS`.
const DNAT: u32 = 1;
const MAP_ADDRESSES: u32 = 1;

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr {
    /// Load something about the packet.
    Meta(u32),
    /// Load something about its connection.
    Ct(u32),
    /// Load bytes of it.
    Payload { base: u32, offset: u32, len: u32 },
    /// Load bytes of it behind the first four.
    Second { base: u32, offset: u32, len: u32 },
    /// Keep only these bits.
    Mask(Vec<u8>),
    /// Go on if equal to.
    Equal(Vec<u8>),
    /// Go on if not equal to.
    NotEqual(Vec<u8>),
    /// Go on if it is in this set.
    In(String),
    /// Count it.
    Counter,
    /// Give it the address of the interface that it leaves by.
    Masquerade,
    /// Load a constant.
    Load(Vec<u8>),
    /// Send it to the IPv4 address that was loaded.
    Dnat,
    /// Let it pass.
    Accept,
    /// Drop it.
    Drop,
    /// Something that we never write.
    Other(String),
}

/// The rule as instructions.
pub(super) fn compile(line: &Line) -> Vec<Expr> {
    let mut list = Vec::new();
    for (key, interface) in [(MetaKeys::Iifname, &line.input), (MetaKeys::Oifname, &line.output)] {
        if let Some(interface) = interface {
            list.extend([Expr::Meta(key as u32), Expr::Equal(name(interface))]);
        }
    }
    let family = line.family.map(|family| match family {
        Family::V4 => libc::NFPROTO_IPV4,
        Family::V6 => libc::NFPROTO_IPV6,
    });
    if let Some(family) = family {
        // Enough bytes for a constant that is below 256.
        list.extend([Expr::Meta(MetaKeys::Nfproto as u32), Expr::Equal(vec![family as u8])]);
    }
    match &line.addresses {
        Addresses::Any => {}
        Addresses::From(subnet) => list.extend(address(SOURCE, *subnet)),
        Addresses::FromTo(subnet, to) => {
            list.extend(address(SOURCE, *subnet));
            list.extend([network(DESTINATION), Expr::Equal(to.octets().to_vec())]);
        }
        Addresses::In(set) => list.extend(lookup(set)),
    }
    match line.matching {
        Some(Match::Established) => list.extend(state(ESTABLISHED | RELATED)),
        Some(Match::Tracked) => list.extend(state(ESTABLISHED | RELATED | NEW)),
        Some(Match::EchoRequest) => list.extend(transport(libc::IPPROTO_ICMP, 0, vec![8])),
        Some(Match::UdpDns) => list.extend(transport(libc::IPPROTO_UDP, 2, vec![0, 53])),
        Some(Match::TcpDns) => list.extend(transport(libc::IPPROTO_TCP, 2, vec![0, 53])),
        None => {}
    }
    match line.verdict {
        Verdict::Accept => list.push(Expr::Accept),
        Verdict::Drop => list.extend([Expr::Counter, Expr::Drop]),
        Verdict::Masquerade => list.push(Expr::Masquerade),
        Verdict::Dnat(to) => list.extend([Expr::Load(to.octets().to_vec()), Expr::Dnat]),
    }
    list
}

/// A comparison of fewer than 16 bytes is one of a prefix: that is how `vm_wlan*` is said.
fn name(interface: &Interface) -> Vec<u8> {
    match interface {
        Interface::Guests => HOST_PREFIX.as_bytes().to_vec(),
        Interface::Like(pattern) => match pattern.as_str().strip_suffix('*') {
            Some(beginning) => beginning.as_bytes().to_vec(),
            None => {
                let mut bytes = pattern.as_str().as_bytes().to_vec();
                bytes.resize(libc::IFNAMSIZ, 0);
                bytes
            }
        },
    }
}

/// Where the addresses are in an IPv4 header.
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

fn network(offset: u32) -> Expr {
    Expr::Payload { base: PayloadBase::NetworkHeader as u32, offset, len: 4 }
}

fn address(offset: u32, subnet: Subnet) -> Vec<Expr> {
    let base = PayloadBase::NetworkHeader as u32;
    let network_address = subnet.network().octets();
    match subnet.prefix() {
        // Whole bytes, of a number that the kernel loads at once, need no mask.
        prefix @ (8 | 16 | 32) => {
            let len = prefix / 8;
            let bytes = network_address.iter().copied().take(len.into()).collect();
            vec![Expr::Payload { base, offset, len: len.into() }, Expr::Equal(bytes)]
        }
        _ => {
            let mask = Expr::Mask(subnet.mask().octets().to_vec());
            vec![network(offset), mask, Expr::Equal(network_address.to_vec())]
        }
    }
}

fn lookup(set: &Set) -> Vec<Expr> {
    let mut list = vec![network(SOURCE), Expr::Mask(set.mask().to_vec())];
    if set.len() > 4 {
        let base = PayloadBase::NetworkHeader as u32;
        list.push(Expr::Second { base, offset: DESTINATION, len: 4 });
    }
    list.push(Expr::In(set.name()));
    list
}

fn state(bits: u32) -> [Expr; 3] {
    let mask = Expr::Mask(bits.to_ne_bytes().to_vec());
    [Expr::Ct(CtKeys::State as u32), mask, Expr::NotEqual(vec![0; 4])]
}

fn transport(protocol: i32, offset: u32, value: Vec<u8>) -> [Expr; 4] {
    [
        Expr::Meta(MetaKeys::L4Proto as u32),
        Expr::Equal(vec![protocol as u8]),
        Expr::Payload {
            base: PayloadBase::TransportHeader as u32,
            offset,
            len: value.len() as u32,
        },
        Expr::Equal(value),
    ]
}

impl Expr {
    /// Writes the instruction behind those that are there.
    pub(super) fn encode<'a>(&self, list: Encoder<'a>) -> Encoder<'a> {
        let e = list.nested_elem();
        match self {
            Self::Meta(key) => {
                e.nested_data_meta().push_key(*key).push_dreg(REGISTER).end_nested().end_nested()
            }
            Self::Ct(key) => {
                e.nested_data_ct().push_key(*key).push_dreg(REGISTER).end_nested().end_nested()
            }
            Self::Payload { base, offset, len } => load(e, REGISTER, [*base, *offset, *len]),
            Self::Second { base, offset, len } => load(e, SECOND, [*base, *offset, *len]),
            Self::Mask(mask) => e
                .nested_data_bitwise()
                .push_sreg(REGISTER)
                .push_dreg(REGISTER)
                .push_len(mask.len() as u32)
                .nested_mask()
                .push_value(mask)
                .end_nested()
                .nested_xor()
                .push_value(&vec![0; mask.len()])
                .end_nested()
                .end_nested()
                .end_nested(),
            Self::Equal(value) => compare(e, CmpOps::Eq, value),
            Self::NotEqual(value) => compare(e, CmpOps::Neq, value),
            // The library counts these attributes wrongly: by its numbers the register that is
            // looked up is the set's id.
            Self::In(set) => e
                .nested_data_lookup()
                .push_set_bytes(set.as_bytes())
                .push_set_id(REGISTER)
                .end_nested()
                .end_nested(),
            Self::Counter => e.nested_data_counter().end_nested().end_nested(),
            Self::Masquerade => e.push_name(c"masq").end_nested(),
            Self::Load(value) => {
                let data = e.nested_data_immediate().push_dreg(REGISTER).nested_data();
                data.push_value(value).end_nested().end_nested().end_nested()
            }
            Self::Dnat => e
                .nested_data_nat()
                .push_type(DNAT)
                .push_family(libc::NFPROTO_IPV4 as u32)
                .push_reg_addr_min(REGISTER)
                .end_nested()
                .end_nested(),
            Self::Accept => verdict(e, VerdictCode::Accept),
            Self::Drop => verdict(e, VerdictCode::Drop),
            Self::Other(name) => e.push_name_bytes(name.as_bytes()).end_nested(),
        }
    }

    fn decode(expr: &IterableExprAttrs<'_>) -> Self {
        let Some(name) = expr.get_name().ok().and_then(|n| n.to_str().ok()) else {
            return Self::Other("?".to_owned());
        };
        Self::known(name, expr).unwrap_or_else(|| Self::Other(name.to_owned()))
    }

    /// The instruction, if it is one that we write: everything that changes its meaning is looked at.
    fn known(name: &str, expr: &IterableExprAttrs<'_>) -> Option<Self> {
        if name == "masq" {
            // No flags, no ports: an empty list of attributes, or none.
            let bare = find_attr(expr.get_buf(), NFTA_EXPR_DATA).unwrap_or_default().is_empty();
            return bare.then_some(Self::Masquerade);
        }
        Some(match expr.get_data().ok()? {
            ExprOps::Meta(meta) => {
                (meta.get_dreg().ok()? == REGISTER).then_some(())?;
                Self::Meta(meta.get_key().ok()?)
            }
            ExprOps::Ct(ct) => {
                (ct.get_dreg().ok()? == REGISTER && ct.get_direction().is_err()).then_some(())?;
                Self::Ct(ct.get_key().ok()?)
            }
            ExprOps::Payload(p) => {
                let (base, offset, len) =
                    (p.get_base().ok()?, p.get_offset().ok()?, p.get_len().ok()?);
                match p.get_dreg().ok()? {
                    REGISTER => Self::Payload { base, offset, len },
                    SECOND => Self::Second { base, offset, len },
                    _ => return None,
                }
            }
            ExprOps::Lookup(lookup) => {
                // By the library's numbers, as above: the register, that of a map, the flags.
                let plain = lookup.get_set_id().ok()? == REGISTER
                    && lookup.get_sreg().is_err()
                    && lookup.get_flags().unwrap_or(0) == 0;
                plain.then_some(())?;
                Self::In(lookup.get_set().ok()?.to_str().ok()?.to_owned())
            }
            ExprOps::Bitwise(b) => {
                let same = b.get_sreg().ok()? == REGISTER && b.get_dreg().ok()? == REGISTER;
                let mask_xor = b.get_op().unwrap_or(0) == 0;
                let plain = value(b.get_xor().ok()?)?.iter().all(|byte| *byte == 0);
                (same && mask_xor && plain).then_some(())?;
                Self::Mask(value(b.get_mask().ok()?)?)
            }
            ExprOps::Cmp(cmp) => {
                (cmp.get_sreg().ok()? == REGISTER).then_some(())?;
                let value = value(cmp.get_data().ok()?)?;
                match CmpOps::from_value(cmp.get_op().ok()?.into())? {
                    CmpOps::Eq => Self::Equal(value),
                    CmpOps::Neq => Self::NotEqual(value),
                    _ => return None,
                }
            }
            ExprOps::Counter(_) => Self::Counter,
            ExprOps::Nat(nat) => {
                // The kernel says of itself that there is an address, since 5.8, and that the last
                // of the range is the first.
                let plain = nat.get_type().ok()? == DNAT
                    && nat.get_family().ok()? == libc::NFPROTO_IPV4 as u32
                    && nat.get_reg_addr_min().ok()? == REGISTER
                    && nat.get_reg_addr_max().map_or(true, |last| last == REGISTER)
                    && nat.get_reg_proto_min().is_err()
                    && nat.get_reg_proto_max().is_err()
                    && nat.get_flags().unwrap_or(0) & !MAP_ADDRESSES == 0;
                plain.then_some(Self::Dnat)?
            }
            ExprOps::Immediate(immediate) => {
                let data = immediate.get_data().ok()?;
                if immediate.get_dreg().ok()? == REGISTER {
                    return value(data).map(Self::Load);
                }
                match data.get_verdict().ok()?.get_code().ok()? {
                    code if code == VerdictCode::Accept as u32 => Self::Accept,
                    code if code == VerdictCode::Drop as u32 => Self::Drop,
                    _ => return None,
                }
            }
            _ => return None,
        })
    }
}

/// The instructions of a rule as the kernel lists it.
pub(super) fn decode(list: IterableExprListAttrs<'_>) -> Vec<Expr> {
    list.get_elem().map(|expr| Expr::decode(&expr)).collect()
}

/// Packets that the rule's counters have seen.
pub(super) fn packets(list: IterableExprListAttrs<'_>) -> u64 {
    let counted = |expr: IterableExprAttrs<'_>| match expr.get_data() {
        Ok(ExprOps::Counter(counter)) => counter.get_packets().unwrap_or(0),
        _ => 0,
    };
    list.get_elem().map(counted).sum()
}

fn load<'a>(
    e: PushExprAttrs<Encoder<'a>>,
    register: u32,
    [base, offset, len]: [u32; 3],
) -> Encoder<'a> {
    let e = e.nested_data_payload().push_dreg(register).push_base(base);
    e.push_offset(offset).push_len(len).end_nested().end_nested()
}

fn compare<'a>(e: PushExprAttrs<Encoder<'a>>, op: CmpOps, value: &[u8]) -> Encoder<'a> {
    let e = e.nested_data_cmp().push_sreg(REGISTER).push_op(op as u32);
    e.nested_data().push_value(value).end_nested().end_nested().end_nested()
}

fn verdict<'a>(e: PushExprAttrs<Encoder<'a>>, code: VerdictCode) -> Encoder<'a> {
    let data = e.nested_data_immediate().push_dreg(0).nested_data();
    let verdict = data.nested_verdict().push_code(code as u32);
    verdict.end_nested().end_nested().end_nested().end_nested()
}

fn value(data: IterableDataAttrs<'_>) -> Option<Vec<u8>> {
    data.get_value().ok().map(<[u8]>::to_vec)
}
