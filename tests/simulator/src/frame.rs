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

//! What becomes of a frame: the filters of the links that it comes to, and who gets it in the end
//! (`sch_handle_ingress()`, `sch_handle_egress()`, `u32_classify()`, `tcf_mirred_act()`, `br_flood()`).

use crate::kernel::Kernel;
use crate::link::{Kind, Link};
use crate::space::Netns;
use crate::tc::{Filter, Ingress, Mirred};

const ETH_P_ALL: u16 = 0x0003;
/// Length of Ethernet's header, behind which a filter's places are counted.
const ETHERNET: i32 = 14;
// linux/pkt_cls.h
const UNSPEC: i32 = -1;
const SHOT: i32 = 2;
const STOLEN: [i32; 3] = [4, 5, 8];
// linux/tc_act/tc_mirred.h
const EGRESS_REDIR: i32 = 1;
const EGRESS_MIRROR: i32 = 2;
const INGRESS_REDIR: i32 = 3;
/// So often a frame is handed on (`MIRRED_NEST_LIMIT`).
const MOST: usize = 4;

/// Who gets a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heard {
    /// The namespace itself, as come in by this link.
    Here(u32),
    /// Who is on the other side of this link.
    Sent(u32),
    /// This bridge, as come in by a port of its.
    Bridge(u32),
}

impl Kernel {
    /// What a namespace does with a frame that comes in by a link, Ethernet's header included. What IP then does with
    /// it is `packet()`'s.
    pub fn frame(&self, netns: Netns, input: u32, frame: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        if let Ok(link) = self.link(netns, input) {
            self.comes(netns, link, frame, (0, &mut heard));
        }
        heard
    }

    /// It comes in.
    fn comes(
        &self,
        netns: Netns,
        link: &Link,
        frame: &[u8],
        (depth, heard): (usize, &mut Vec<Heard>),
    ) {
        if link.is_up() && self.passes(netns, (link, 0), frame, (depth, heard)) {
            heard.push(match link.master {
                Some(bridge) => Heard::Bridge(bridge),
                None => Heard::Here(link.index),
            });
        }
    }

    /// It is to leave.
    fn leaves(
        &self,
        netns: Netns,
        link: &Link,
        frame: &[u8],
        (depth, heard): (usize, &mut Vec<Heard>),
    ) {
        if !self.passes(netns, (link, 1), frame, (depth, heard)) {
            return;
        }
        if link.kind != Kind::Bridge {
            heard.push(Heard::Sent(link.index));
            return;
        }
        // It knows no MAC behind any port. Of its own, a port cannot keep back what is for several (br_flood()).
        let to_several = frame.first().is_some_and(|first| first & 1 != 0);
        let ports = self.ports(netns, link.index).into_iter();
        for port in ports.filter_map(|port| self.link(netns, port).ok()) {
            if port.is_up() && port.carrier && (to_several || port.port[1]) {
                self.leaves(netns, port, frame, (depth, heard));
            }
        }
    }

    /// Whether a link's filters let it pass, and whom they hand it to.
    fn passes(
        &self,
        netns: Netns,
        (link, way): (&Link, usize),
        frame: &[u8],
        (depth, heard): (usize, &mut Vec<Heard>),
    ) -> bool {
        let Ingress::Clsact(clsact) = &link.ingress else { return true };
        let protocol = frame.get(12..14).map_or(0, |two| u16::from_ne_bytes([two[0], two[1]]));
        for proto in &clsact.ways[way] {
            if ![ETH_P_ALL.to_be(), protocol].contains(&proto.protocol) {
                continue;
            }
            let Some(table) = clsact.tables.iter().find(|table| table.handle == proto.table) else {
                continue;
            };
            for filter in table.filters.values() {
                match matches(filter, frame) {
                    // A frame that is too short ends the search in this table.
                    None => break,
                    Some(false) => continue,
                    Some(true) => {}
                }
                let verdict = match filter.mirred {
                    None => 0,
                    Some(mirred) => self.hand_on(netns, mirred, frame, (depth, &mut *heard)),
                };
                match verdict {
                    UNSPEC => {}
                    verdict => return verdict != SHOT && !STOLEN.contains(&verdict),
                }
            }
        }
        true
    }

    fn hand_on(
        &self,
        netns: Netns,
        mirred: Mirred,
        frame: &[u8],
        (depth, heard): (usize, &mut Vec<Heard>),
    ) -> i32 {
        let to = mirred.to.and_then(|to| self.link(netns, to).ok());
        let redirects = [EGRESS_REDIR, INGRESS_REDIR].contains(&mirred.way);
        let Some(to) = to.filter(|to| to.is_up() && to.carrier && depth < MOST) else {
            return if redirects { SHOT } else { mirred.then };
        };
        match mirred.way {
            EGRESS_REDIR | EGRESS_MIRROR => self.leaves(netns, to, frame, (depth + 1, heard)),
            _ => self.comes(netns, to, frame, (depth + 1, heard)),
        }
        // One that is redirected is here no more, if what is then to be done says so (tcf_mirred_can_reinsert()).
        mirred.then
    }
}

/// Whether a frame has what a filter asks for; none: it is too short for that.
fn matches(filter: &Filter, frame: &[u8]) -> Option<bool> {
    for key in filter.keys() {
        // What is before the frame is nobody's business.
        let byte = |n: usize| {
            let at = ETHERNET + key.at + n as i32;
            if at < 0 {
                Some(0)
            } else {
                frame.get(at as usize).copied()
            }
        };
        for n in 0..4 {
            if byte(n)? & key.mask[n] != key.value[n] & key.mask[n] {
                return Some(false);
            }
        }
    }
    Some(true)
}
