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

//! RTM_*RULE messages, IPv4 only.

use super::netlink::attr::Request;
use super::netlink::message::{attributes, ipv4, text, u32_at};
use super::netlink::Netlink;
use super::route;
use crate::error::KernelError;
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::policy_rules::{own_table, Lead, Rule, To, Whose, PROHIBIT, TO_TABLE};
use crate::spec::Subnet;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};

// linux/rtnetlink.h, linux/fib_rules.h
const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
const RTM_GETRULE: u16 = 34;
/// Length of `struct fib_rule_hdr`.
const HEADER: usize = 12;
const FIB_RULE_INVERT: u32 = 2;
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TUN_ID: u16 = 12;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_PAD: u16 = 18;
const FRA_UID_RANGE: u16 = 20;
const FRA_PROTOCOL: u16 = 21;

/// A rule out of the body of a rule message; none if it is not IPv4's.
pub fn read(body: &[u8]) -> Option<Rule> {
    let byte = |at: usize| body.get(at).copied();
    if i32::from(byte(0)?) != libc::AF_INET {
        return None;
    }
    let (to, prefix, tos) = (byte(1)?, byte(2)?, byte(3)?);
    let mut rule = Rule {
        table: byte(4)?.into(),
        action: byte(7)?,
        more: to != 0 || tos != 0 || u32_at(body, 8)? & FIB_RULE_INVERT != 0,
        ..Rule::default()
    };
    // FRA_SUPPRESS_PREFIXLEN of -1 says that nothing is suppressed.
    let some = |value: &[u8]| u32_at(value, 0).is_some_and(|value| value != u32::MAX);
    let mut mask = None;
    for (kind, value) in attributes(body, HEADER) {
        match kind {
            FRA_SRC => rule.from = Some(Subnet::containing(ipv4(value)?, prefix)?),
            FRA_IIFNAME => rule.input = Some(text(value)),
            FRA_PRIORITY => rule.priority = u32_at(value, 0)?,
            FRA_FWMARK => rule.mark.0 = u32_at(value, 0)?,
            FRA_FWMASK => mask = Some(u32_at(value, 0)?),
            FRA_TABLE => rule.table = u32_at(value, 0)?,
            FRA_UID_RANGE => rule.users = true,
            FRA_PROTOCOL => rule.protocol = *value.first()?,
            FRA_SUPPRESS_IFGROUP | FRA_SUPPRESS_PREFIXLEN => rule.more |= some(value),
            FRA_DST | FRA_OIFNAME | FRA_TUN_ID => rule.more = true,
            FRA_PAD => {}
            // Ports, flows, realms and what is to come.
            _ => rule.more = true,
        }
    }
    // The kernel says no mask where it is all of a mark (fib_nl2rule()).
    rule.mark.1 = mask.unwrap_or(if rule.mark.0 == 0 { 0 } else { u32::MAX });
    Some(rule)
}

/// All rules, in the order in which they are asked.
pub fn all(netlink: &Netlink) -> Result<Vec<Rule>, KernelError> {
    netlink.dump(RTM_GETRULE, &Request::new(&header(0, 0)), read)
}

/// Makes a rule of ours, and the route that it leads to where that is ours, too. The route may be
/// another guest's as well.
pub fn add(netlink: &Netlink, lead: &Lead) -> Result<(), KernelError> {
    if let Some(index) = lead.own() {
        route::add_default(netlink, index, own_table(index))?;
    }
    netlink.change(RTM_NEWRULE, &request(lead), NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes a rule of ours, and leaves its route. That it is not there is no failure.
pub fn delete(netlink: &Netlink, lead: &Lead) -> Result<(), KernelError> {
    match netlink.change(RTM_DELRULE, &request(lead), 0) {
        Err(e) if e.errno != libc::ENOENT => Err(e),
        _ => Ok(()),
    }
}

fn request(lead: &Lead) -> Request {
    let action = if lead.to == To::Nowhere { PROHIBIT } else { TO_TABLE };
    let request = match &lead.whose {
        Whose::Subnet(subnet) => {
            Request::new(&header(subnet.prefix(), action)).with(FRA_SRC, &subnet.network().octets())
        }
        Whose::Guest(host) => {
            Request::new(&header(0, action)).with_text(FRA_IIFNAME, host.as_str())
        }
    };
    let request =
        request.with_u32(FRA_PRIORITY, lead.priority).with(FRA_PROTOCOL, &[ROUTE_PROTOCOL]);
    match lead.to.table() {
        Some(table) => request.with_u32(FRA_TABLE, table),
        None => request,
    }
}

/// `struct fib_rule_hdr`; the table is in its attribute.
fn header(from: u8, action: u8) -> [u8; HEADER] {
    [libc::AF_INET as u8, 0, from, 0, 0, 0, 0, action, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::IfName;

    fn leads() -> [Lead; 3] {
        let subnet = Subnet::containing([172, 17, 0, 0].into(), 16).unwrap();
        let whose = Whose::Guest(IfName::host_end(4));
        [
            Lead { priority: 21500, whose: Whose::Subnet(subnet), to: To::Table(1007) },
            Lead { priority: 21400, whose: whose.clone(), to: To::Own(0x1_0009) },
            Lead { priority: 21400, whose, to: To::Nowhere },
        ]
    }

    #[test]
    fn what_is_sent_is_read_back() {
        for lead in leads() {
            let rule = read(request(&lead).bytes()).unwrap();
            assert_eq!(Lead::read(&rule, ROUTE_PROTOCOL), Some(lead));
        }
    }

    #[test]
    fn no_length_and_no_byte_makes_it_panic() {
        let whole = request(&leads()[0]).bytes().to_vec();
        for end in 0..whole.len() {
            let _ = read(&whole[..end]);
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 4, 0x7f, 0xff] {
                let mut bent = whole.clone();
                bent[at] = byte;
                let _ = read(&bent);
            }
        }
    }
}
