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

//! x_tables' targets as steps. Pure. The layouts are those of `linux/netfilter/xt_*.h`. What a target
//! does that is not known here, nobody can tell.

use super::super::chains::{Action, Field, Step, Verdict};
use crate::effects::kernel::netlink::message::{u16_at, u32_at};

/// What a target does.
pub(in super::super) fn steps(name: &str, revision: u8, data: &[u8]) -> Vec<Step> {
    let known = match name {
        "REJECT" => Some(vec![Step::Verdict(Verdict::Reject)]),
        "MASQUERADE" => Some(vec![Step::Act(Action::Masquerade)]),
        "REDIRECT" => Some(vec![Step::Act(Action::Redirect)]),
        "SNAT" => address(revision, data, Action::Source),
        "DNAT" => address(revision, data, Action::Destination),
        "NOTRACK" => Some(vec![Step::Act(Action::NotTracked)]),
        "CT" => conntrack(data),
        "MARK" => mark(data),
        "CONNMARK" => connection_mark(revision, data),
        "TTL" => hops(data),
        "TPROXY" => proxy(revision, data),
        "NFQUEUE" => queue(revision, data),
        "SYNPROXY" => somebody("a SYN proxy"),
        "HMARK" => {
            let field = Field::Unknown("a mark out of a hash".to_owned());
            Some(vec![Step::Load { to: 0, len: 4, field }, Step::Act(Action::Mark(0))])
        }
        // What goes on with the next rule, and changes nothing that decides.
        "" | "ERROR" | "LOG" | "NFLOG" | "ULOG" | "TRACE" | "AUDIT" | "TEE" | "LED" | "SET"
        | "TCPMSS" | "TCPOPTSTRIP" | "CHECKSUM" | "CLASSIFY" | "DSCP" | "TOS" | "ECN"
        | "SECMARK" | "CONNSECMARK" | "IDLETIMER" | "RATEEST" | "ACCOUNT" => Some(Vec::new()),
        _ => None,
    };
    known.or_else(|| somebody(&format!("the target `{name}`"))).unwrap_or_default()
}

fn queue(revision: u8, data: &[u8]) -> Option<Vec<Step>> {
    const BYPASS: u16 = 1;
    let count = if revision == 0 { 1 } else { u16_at(data, 2)? };
    let bypass = revision >= 2 && u16_at(data, 4)? & BYPASS != 0;
    Some(vec![Step::Queue { first: u16_at(data, 0)?, count, bypass }])
}

fn somebody(who: &str) -> Option<Vec<Step>> {
    Some(vec![Step::Verdict(Verdict::Somebody(format!("what {who} decides")))])
}

/// The lowest address of a range, where it has one: else only ports change.
fn address(revision: u8, data: &[u8], action: fn(usize) -> Action) -> Option<Vec<Step>> {
    // NF_NAT_RANGE_MAP_IPS, _PROTO_SPECIFIED
    const MAP_IPS: u32 = 1;
    const PROTO_SPECIFIED: u32 = 2;
    // `nf_nat_ipv4_multi_range_compat`, or `nf_nat_range`
    let (flags, at) = match revision {
        0 => (u32_at(data, 4)?, 8),
        _ => (u32_at(data, 0)?, 4),
    };
    if flags & MAP_IPS == 0 {
        // Of source NAT nothing that decides.
        if flags & PROTO_SPECIFIED == 0 || action(0) != Action::Destination(0) {
            return Some(vec![Step::Verdict(Verdict::Accept)]);
        }
        let at = if revision == 0 { 16 } else { 36 };
        let bytes = data.get(at..at + 2)?.to_vec();
        return Some(vec![Step::Set { to: 0, bytes }, Step::Act(Action::Port(0))]);
    }
    let bytes = data.get(at..at + 4)?.to_vec();
    Some(vec![Step::Set { to: 0, bytes }, Step::Act(action(0))])
}

fn conntrack(data: &[u8]) -> Option<Vec<Step>> {
    const NOTRACK: u16 = 1;
    let (flags, zone) = (u16_at(data, 0)?, u16_at(data, 2)?);
    // XT_CT_ZONE_DIR_ORIG, _DIR_REPL, _MARK: of one direction, or out of a mark
    const OTHER_ZONES: u16 = 0x1c;
    Some(match (flags & NOTRACK != 0, flags & OTHER_ZONES != 0) {
        (true, _) => vec![Step::Act(Action::NotTracked)],
        (false, true) => vec![Step::Doubt("a zone of conntrack's".to_owned())],
        // Answers are looked for in the same zone.
        (false, false) => {
            let bytes = zone.to_ne_bytes().to_vec();
            vec![Step::Set { to: 0, bytes }, Step::Act(Action::Zone(0))]
        }
    })
}

/// `new = old & !mask ^ value`
fn changed(field: Field, value: u32, mask: u32) -> [Step; 2] {
    let (mask, xor) = ((!mask).to_ne_bytes().to_vec(), value.to_ne_bytes().to_vec());
    [Step::Load { to: 0, len: 4, field }, Step::Bits { from: 0, to: 0, mask, xor }]
}

fn mark(data: &[u8]) -> Option<Vec<Step>> {
    let [load, bits] = changed(Field::Mark, u32_at(data, 0)?, u32_at(data, 4)?);
    Some(vec![load, bits, Step::Act(Action::Mark(0))])
}

fn connection_mark(revision: u8, data: &[u8]) -> Option<Vec<Step>> {
    let (value, mask, packets) = (u32_at(data, 0)?, u32_at(data, 4)?, u32_at(data, 8)?);
    let mode = *data.get(if revision < 2 { 12 } else { 14 })?;
    let shifts = revision >= 2 && *data.get(13)? != 0;
    // One mark becomes some bits of the other.
    let joined = |from: Field, from_mask: u32, to: Field, to_mask: u32| {
        let [load, bits] = changed(to, 0, to_mask);
        let mask = from_mask.to_ne_bytes().to_vec();
        let other = Step::Load { to: 4, len: 4, field: from };
        let some = Step::Bits { from: 4, to: 4, mask, xor: vec![0; 4] };
        vec![other, some, load, bits, Step::Xor { from: 4, to: 0, len: 4 }]
    };
    let (mut steps, action) = match mode {
        0 => (changed(Field::ConnectionMark, value, mask).into(), Action::ConnectionMark(0)),
        1 => (joined(Field::Mark, packets, Field::ConnectionMark, mask), Action::ConnectionMark(0)),
        2 => (joined(Field::ConnectionMark, mask, Field::Mark, packets), Action::Mark(0)),
        _ => return None,
    };
    if shifts {
        let field = Field::Unknown("a mark that is shifted".to_owned());
        steps = vec![Step::Load { to: 0, len: 4, field }];
    }
    steps.push(Step::Act(action));
    Some(steps)
}

/// `ipt_TTL_info`: set, more or less; how much.
fn hops(data: &[u8]) -> Option<Vec<Step>> {
    let ttl = *data.get(1)?;
    Some(match data.first()? {
        0 => vec![Step::Set { to: 0, bytes: vec![ttl] }, Step::Act(Action::Hops(0))],
        1 => vec![Step::Act(Action::HopsBy(ttl.into()))],
        2 => vec![Step::Act(Action::HopsBy(-i16::from(ttl)))],
        _ => return None,
    })
}

fn proxy(revision: u8, data: &[u8]) -> Option<Vec<Step>> {
    let port = data.get(if revision == 0 { 12..14 } else { 24..26 })?.to_vec();
    let port = Step::Set { to: 0, bytes: port };
    Some(vec![port, Step::Act(Action::Proxy { port: Some(0), or_drop: true })])
}
