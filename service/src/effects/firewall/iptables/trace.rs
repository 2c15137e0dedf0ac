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

//! The rules that have x_tables trace the packets of one probe, where there is no nf_tables to mark them, as on
//! Android: a chain of its own in `raw`, which is where `TRACE` may stand. It is there for less than a
//! second, decides nothing, and goes with its call, or with the next start of guestnetd.

use super::programs::{Call, Programs};
use super::read;
use super::runner::Turn;
use crate::effects::firewall::{Family, FirewallError};
use crate::model::trace::Flow;

/// Netd's helper that runs iptables for others takes such names only.
pub(in crate::effects::firewall) const CHAIN: &str = "oem_guestnet_trace";
const TABLE: &str = "raw";
/// Where packets come from, and what the device itself answers.
const PARENTS: [&str; 2] = ["PREROUTING", "OUTPUT"];
/// More jumps than a guestnetd can have left.
const LEFT: u8 = 8;

/// The chain, until this is dropped.
pub(in crate::effects::firewall) struct TraceChain {
    programs: Programs,
}

impl TraceChain {
    /// Makes it, for the packets of this flow, there and back.
    pub(in crate::effects::firewall) fn open(
        programs: &Programs,
        flow: &Flow,
    ) -> Result<Self, FirewallError> {
        // From here on it is removed, as much of it as there is.
        let this = Self { programs: programs.clone() };
        Turn::brief(programs).run_all(&made(flow))?;
        Ok(this)
    }
}

impl Drop for TraceChain {
    fn drop(&mut self) {
        remove(&self.programs);
    }
}

/// Removes what a guestnetd has left that was killed.
pub(in crate::effects::firewall) fn clear_trace(programs: &Programs) {
    // Asking for a table that is not in use would make the kernel make it.
    let is_there = read::is_in_use(Family::V4, TABLE)
        && match read::table(Family::V4, TABLE) {
            Ok(chains) => chains.iter().any(|chain| chain.name == CHAIN),
            Err(_) => true,
        };
    if is_there {
        remove(programs);
    }
}

fn remove(programs: &Programs) {
    let turn = Turn::brief(programs);
    for call in removed() {
        if let Err(e) = turn.run(&call) {
            log::debug!("{e}; the next start removes {CHAIN}");
        }
    }
}

fn call(words: &str) -> Call {
    let all = ["-w", "-t", TABLE].into_iter().chain(words.split(' ')).map(str::to_owned);
    Call { family: Family::V4, arguments: all.collect(), at_most: 0 }
}

/// The chain is whole before a packet comes by. An answer may come from the resolver behind the gateway, to
/// an address and a port that NAT has chosen: what is not the probe's among those is told too, and not
/// heard ([`Flow`]).
fn made(flow: &Flow) -> Vec<Call> {
    let Flow { guest, to, id, port, .. } = flow;
    let (sent, answered) = match i32::from(flow.protocol) {
        libc::IPPROTO_ICMP => (
            format!("-s {guest} -d {to} -p icmp --icmp-type echo-request"),
            format!("-s {to} -p icmp --icmp-type echo-reply"),
        ),
        protocol => {
            let name = if protocol == libc::IPPROTO_TCP { "tcp" } else { "udp" };
            let from = if *port == DNS { String::new() } else { format!("-s {to} ") };
            (
                format!("-s {guest} -d {to} -p {name} --sport {id} --dport {port}"),
                format!("{from}-p {name} --sport {port}"),
            )
        }
    };
    let rules = [sent, answered].map(|rule| call(&format!("-A {CHAIN} {rule} -j TRACE")));
    let jumps = PARENTS.map(|parent| call(&format!("-I {parent} -j {CHAIN}")));
    [call(&format!("-N {CHAIN}"))].into_iter().chain(rules).chain(jumps).collect()
}

/// What is asked of the gateway is answered by whom it was led to.
const DNS: u16 = 53;

/// Each as often as it is there.
fn removed() -> Vec<Call> {
    let jumps = PARENTS.map(|parent| call(&format!("-D {parent} -j {CHAIN}")).at_most(LEFT));
    let chain = ["-F", "-X"].map(|verb| call(&format!("{verb} {CHAIN}")).at_most(1));
    jumps.into_iter().chain(chain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn typed(protocol: i32, port: u16) -> Vec<String> {
        let flow = Flow {
            guest: Ipv4Addr::new(172, 17, 3, 3),
            to: Ipv4Addr::new(192, 0, 2, 1),
            protocol: protocol as u8,
            id: 7000,
            port,
        };
        made(&flow).iter().map(Call::to_string).collect()
    }

    #[test]
    fn only_the_probe_is_traced_and_its_answers() {
        let jumps = ["PREROUTING", "OUTPUT"]
            .map(|parent| format!("iptables -w -t raw -I {parent} -j oem_guestnet_trace"));
        let rule = |rule: &str| format!("iptables -w -t raw -A oem_guestnet_trace {rule} -j TRACE");
        let expected = |sent: &str, answered: &str| {
            let new = "iptables -w -t raw -N oem_guestnet_trace".to_owned();
            [vec![new, rule(sent), rule(answered)], jumps.to_vec()].concat()
        };
        let from = "-s 172.17.3.3 -d 192.0.2.1";
        assert_eq!(
            typed(libc::IPPROTO_TCP, 443),
            expected(
                &format!("{from} -p tcp --sport 7000 --dport 443"),
                "-s 192.0.2.1 -p tcp --sport 443"
            )
        );
        assert_eq!(
            typed(libc::IPPROTO_UDP, 53),
            expected(&format!("{from} -p udp --sport 7000 --dport 53"), "-p udp --sport 53")
        );
        assert_eq!(
            typed(libc::IPPROTO_ICMP, 0),
            expected(
                &format!("{from} -p icmp --icmp-type echo-request"),
                "-s 192.0.2.1 -p icmp --icmp-type echo-reply"
            )
        );
    }
}
