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

//! NETLINK_ROUTE: which message goes where, and what is answered.

use crate::announce::Cause;
use crate::kernel::Kernel;
use crate::space::Netns;
use crate::wire::{self, Message, NLM_F_ACK, NLM_F_DUMP, NLM_F_MULTI};
use libc::{
    EOPNOTSUPP, RTM_DELADDR, RTM_DELLINK, RTM_DELNEIGH, RTM_DELQDISC, RTM_DELROUTE, RTM_DELRULE,
    RTM_DELTFILTER, RTM_GETADDR, RTM_GETLINK, RTM_GETNEIGH, RTM_GETNSID, RTM_GETQDISC,
    RTM_GETROUTE, RTM_GETRULE, RTM_GETTFILTER, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWNSID,
    RTM_NEWQDISC, RTM_NEWROUTE, RTM_NEWRULE, RTM_NEWTFILTER, RTM_SETLINK,
};

/// What a request is answered with, beside an acknowledgement.
pub type Objects = Vec<(u16, wire::Writer)>;

/// Says on standard error what nobody has taught it, if SIM_DEBUG is set.
pub fn unknown(what: &str, kind: u16) {
    if std::env::var_os("SIM_DEBUG").is_some() {
        eprintln!("simulator: {what}: type {kind:#x} is not simulated");
    }
}

impl Kernel {
    pub(crate) fn route_request(
        &mut self,
        netns: Netns,
        port: u32,
        message: &Message<'_>,
        answers: &mut Vec<Vec<u8>>,
    ) {
        // Control messages and what is no request (netlink_rcv_skb()).
        if message.flags & 1 == 0 || message.kind < 16 {
            return;
        }
        let cause = Cause { sequence: message.sequence, port };
        // The third of each four is a question, RTM_GET*.
        let dump = message.kind & 3 == 2 && message.flags & NLM_F_DUMP != 0;
        if dump {
            match self.dump(netns, message) {
                Ok(objects) => {
                    let one = |(kind, body): (u16, wire::Writer)| {
                        body.message(kind, NLM_F_MULTI, message.sequence, port)
                    };
                    let all = objects.into_iter().map(one).collect();
                    answers.extend(wire::dump(all, message, port));
                }
                Err(EOPNOTSUPP) => answers.push(wire::acknowledge(message, port, Err(EOPNOTSUPP))),
                // Its end says that it failed (`netlink_dump_done()`).
                Err(errno) => answers.push(wire::done(message, port, errno)),
            }
            return;
        }
        match self.change_or_get(netns, message, cause) {
            Ok(objects) => {
                for (kind, body) in objects {
                    answers.push(body.message(kind, 0, message.sequence, port));
                }
                if message.is(NLM_F_ACK) {
                    answers.push(wire::acknowledge(message, port, Ok(())));
                }
            }
            Err(errno) => answers.push(wire::acknowledge(message, port, Err(errno))),
        }
    }

    fn dump(&mut self, netns: Netns, message: &Message<'_>) -> Result<Objects, i32> {
        match message.kind {
            RTM_GETLINK => self.dump_links(netns, message),
            RTM_GETADDR => self.dump_addresses(netns, message),
            RTM_GETROUTE => self.dump_routes(netns, message),
            RTM_GETRULE => self.dump_rules(netns, message),
            RTM_GETNEIGH => self.dump_neighbours(netns, message),
            RTM_GETNSID => Ok(self.dump_ids(netns)),
            RTM_GETQDISC => self.dump_qdiscs(netns, message),
            RTM_GETTFILTER => self.dump_tfilters(netns, message),
            kind => {
                unknown("dump", kind);
                Err(libc::EOPNOTSUPP)
            }
        }
    }

    fn change_or_get(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<Objects, i32> {
        let nothing = |()| Objects::new();
        if [RTM_NEWQDISC, RTM_DELQDISC, RTM_NEWTFILTER, RTM_DELTFILTER].contains(&message.kind) {
            self.filtered += 1;
        }
        match message.kind {
            RTM_NEWLINK => self.new_link(netns, message, cause).map(nothing),
            RTM_SETLINK => self.set_link(netns, message, cause).map(nothing),
            RTM_DELLINK => self.del_link(netns, message, cause).map(nothing),
            RTM_GETLINK => self.get_link(netns, message),
            RTM_NEWADDR => self.new_address(netns, message, cause).map(nothing),
            RTM_DELADDR => self.del_address(netns, message, cause).map(nothing),
            RTM_NEWROUTE => self.new_route(netns, message, cause).map(nothing),
            RTM_DELROUTE => self.del_route(netns, message, cause).map(nothing),
            RTM_GETROUTE => self.get_route(netns, message),
            RTM_NEWRULE => self.new_rule(netns, message, cause).map(nothing),
            RTM_DELRULE => self.del_rule(netns, message, cause).map(nothing),
            RTM_NEWNEIGH => self.new_neighbour(netns, message, cause).map(nothing),
            RTM_DELNEIGH => self.del_neighbour(netns, message, cause).map(nothing),
            RTM_NEWNSID => self.new_id(netns, message, cause).map(nothing),
            RTM_GETNSID => self.get_id(netns, message),
            RTM_NEWQDISC => self.new_qdisc(netns, message).map(nothing),
            RTM_DELQDISC => self.del_qdisc(netns, message).map(nothing),
            RTM_NEWTFILTER => self.new_tfilter(netns, message).map(nothing),
            RTM_DELTFILTER => self.del_tfilter(netns, message).map(nothing),
            RTM_GETTFILTER => self.get_tfilter(netns, message),
            kind => {
                unknown("request", kind);
                Err(libc::EOPNOTSUPP)
            }
        }
    }
}
