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

//! What a rule in the kernel means in our own words, if it is one that we would write. Pure.
//! Strict: a condition, flag or option that we never use makes it somebody else's rule.

use super::entries::{Entry, Extension, Target};
use crate::firewall::{Family, Hook, Interface, Match, Rule, Verdict};
use crate::spec::{IfPattern, Subnet};
use std::net::Ipv4Addr;

/// `xt_conntrack_mtinfo3.match_flags`, `.invert_flags`, `.state_mask`; the first two revisions have
/// a byte for the last.
const MATCH_FLAGS: usize = 146;
const INVERT_FLAGS: usize = 148;
const STATE_MASK: usize = 150;
const XT_CONNTRACK_STATE: u8 = 1;
const ESTABLISHED: u8 = 1 << 1;
const RELATED: u8 = 1 << 2;
const NEW: u8 = 1 << 3;

/// The rule, if it is one of ours in a chain for this hook.
pub(super) fn rule(entry: &Entry, hook: Hook, family: Family) -> Option<Rule> {
    if entry.flags != 0 || entry.inverted != 0 {
        return None;
    }
    Some(Rule {
        hook,
        family,
        input: interface(&entry.input)?,
        output: interface(&entry.output)?,
        source: subnet(&entry.source)?,
        destination: match subnet(&entry.destination)? {
            Some(subnet) if subnet.prefix() != 32 => return None,
            subnet => subnet.map(|subnet| subnet.network()),
        },
        matching: matching(entry.protocol, &entry.matches)?,
        verdict: match &entry.target {
            Target::Accept => Verdict::Accept,
            Target::Drop => Verdict::Drop,
            Target::Module(module) if is_plain_masquerade(module) => Verdict::Masquerade,
            Target::Module(module) => Verdict::Dnat(plain_dnat(module)?),
            _ => return None,
        },
    })
}

fn interface(pattern: &str) -> Option<Option<Interface>> {
    if pattern.is_empty() {
        return Some(None);
    }
    if pattern == Interface::Guests.pattern() {
        return Some(Some(Interface::Guests));
    }
    IfPattern::new(&pattern.replace('+', "*")).map(|pattern| Some(Interface::Like(pattern)))
}

/// None: not an IPv4 subnet. Some(None): any address.
pub(super) fn subnet((address, mask): &(Vec<u8>, Vec<u8>)) -> Option<Option<Subnet>> {
    if mask.iter().chain(address).all(|byte| *byte == 0) {
        return Some(None);
    }
    let address: [u8; 4] = address.as_slice().try_into().ok()?;
    let mask: [u8; 4] = mask.as_slice().try_into().ok()?;
    let prefix = u32::from_be_bytes(mask).leading_ones() as u8;
    let subnet = Subnet::containing(Ipv4Addr::from(address), prefix)?;
    (subnet.mask().octets() == mask && subnet.network().octets() == address).then_some(Some(subnet))
}

/// None: not one of ours. Some(None): nothing more is asked of the packet.
fn matching(protocol: u16, matches: &[Extension]) -> Option<Option<Match>> {
    let [only] = matches else {
        return (matches.is_empty() && protocol == 0).then_some(None);
    };
    let byte = |at: usize| only.data.get(at).copied();
    let port = |at: usize| Some(u16::from_ne_bytes([byte(at)?, byte(at + 1)?]));
    let any_port_to_dns =
        || Some((port(0)?, port(2)?, port(4)?, port(6)?) == (0, u16::MAX, 53, 53));
    let no_more = |bytes: std::ops::Range<usize>| {
        only.data.get(bytes).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    };
    let found = match (only.name.as_str(), i32::from(protocol)) {
        ("conntrack", 0) => match states(only)? {
            states if states == ESTABLISHED | RELATED => Match::Established,
            states if states == NEW | ESTABLISHED | RELATED => Match::Tracked,
            _ => return None,
        },
        // Type 8, any code, not negated.
        ("icmp", libc::IPPROTO_ICMP) if only.data.get(..4)? == [8, 0, u8::MAX, 0] => {
            Match::EchoRequest
        }
        ("udp", libc::IPPROTO_UDP) if any_port_to_dns()? && no_more(8..9) => Match::UdpDns,
        ("tcp", libc::IPPROTO_TCP) if any_port_to_dns()? && no_more(8..12) => Match::TcpDns,
        _ => return None,
    };
    Some(Some(found))
}

/// The states that a `conntrack` asks for, if it asks for nothing else.
pub(super) fn states(module: &Extension) -> Option<u8> {
    let byte = |at: usize| module.data.get(at).copied();
    let flags = [MATCH_FLAGS + 1, INVERT_FLAGS, INVERT_FLAGS + 1];
    let by_state =
        byte(MATCH_FLAGS)? == XT_CONNTRACK_STATE && flags.into_iter().all(|at| byte(at) == Some(0));
    let high = module.revision >= 2 && byte(STATE_MASK + 1)? != 0;
    byte(STATE_MASK).filter(|_| by_state && !high)
}

/// The state of a reply, or of the first packet of a connection.
pub(super) fn state(reply: bool) -> u8 {
    if reply {
        ESTABLISHED
    } else {
        NEW
    }
}

/// `nf_nat_ipv4_multi_range_compat`: one range without flags, addresses or ports.
fn is_plain_masquerade(module: &Extension) -> bool {
    module.name == "MASQUERADE" && module.data.iter().skip(4).all(|byte| *byte == 0)
}

/// `NF_NAT_RANGE_MAP_IPS`.
const MAP_ADDRESSES: u32 = 1;

/// The one address that a `DNAT` goes to, if it does nothing more than that: no range, no ports, no
/// way of choosing among some. The first revision has `nf_nat_ipv4_multi_range_compat`, with a count
/// of ranges and bare IPv4 addresses; later ones `nf_nat_range`, with room for IPv6 ones.
fn plain_dnat(module: &Extension) -> Option<Ipv4Addr> {
    let word = |at: usize| <[u8; 4]>::try_from(module.data.get(at..at + 4)?).ok();
    let (flags, first, last) = match module.revision {
        0 if word(0)? == 1_u32.to_ne_bytes() => (4, 8, 12),
        1 | 2 => (0, 4, 20),
        _ => return None,
    };
    let used = [flags..flags + 4, first..first + 4, last..last + 4, 0..flags];
    let no_more = module
        .data
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte == 0 || used.iter().any(|range| range.contains(&at)));
    let plain = module.name == "DNAT"
        && word(flags)? == MAP_ADDRESSES.to_ne_bytes()
        && word(first)? == word(last)?
        && no_more;
    plain.then_some(Ipv4Addr::from(word(first)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As older iptables write it: the first revision, which the kernel still takes.
    #[test]
    fn a_dnat_of_the_first_revision_is_read() {
        let address = [192, 0, 2, 53];
        let module = |range: [[u8; 4]; 5]| Extension {
            name: "DNAT".to_owned(),
            revision: 0,
            data: [range.concat(), vec![0; 4]].concat(),
        };
        let (one, none) = (1_u32.to_ne_bytes(), [0; 4]);
        let read = |range| plain_dnat(&module(range));
        assert_eq!(read([one, one, address, address, none]), Some(Ipv4Addr::from(address)));
        for other in [
            [2_u32.to_ne_bytes(), one, address, address, none],
            [one, 3_u32.to_ne_bytes(), address, address, none],
            [one, one, address, [192, 0, 2, 54], none],
            [one, one, address, address, [0, 53, 0, 53]],
        ] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }
}
