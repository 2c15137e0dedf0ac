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

//! IPsec's policies: XFRM_MSG_GETPOLICY, a protocol of netlink's own. Changes nothing.

use super::netlink::attr::{Request, Writer};
use super::netlink::message::{ipv4, u16_at, u32_at, Message};
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::model::ipsec::{Direction, Policies, Policy};

// linux/xfrm.h
const XFRM_MSG_NEWPOLICY: u16 = 0x13;
const XFRM_MSG_GETPOLICY: u16 = 0x15;
const XFRM_MSG_GETDEFAULT: u16 = 0x28;
const XFRMA_MARK: u16 = 21;
/// Length of `struct xfrm_userpolicy_info`.
const POLICY: usize = 168;
/// `struct xfrm_userpolicy_id`: what is asked for of all is nothing.
const ANY: [u8; 64] = [0; 64];
/// More than a VPN has, and what a status can wait for.
const MOST: usize = 4096;

/// All of this network namespace; none where the kernel has no IPsec.
pub fn policies() -> Result<Policies, KernelError> {
    let open = || match Netlink::open_ipsec() {
        Ok(netlink) => Ok(Some(netlink)),
        Err(e) if e.raw_os_error() == Some(libc::EPROTONOSUPPORT) => Ok(None),
        Err(e) => Err(KernelError::from(e)),
    };
    let Some(netlink) = open()? else { return Ok(Policies::default()) };
    // Before Linux 5.15 there was no such setting.
    let others = match netlink.get(&ask(XFRM_MSG_GETDEFAULT, &[0; 4]), others) {
        Ok(others) => others,
        Err(e) if e.errno == libc::EPERM || e.errno == libc::EACCES => return Err(e),
        Err(_) => [false; 3],
    };
    let (all, _) = netlink.dump_at_most(&ask(XFRM_MSG_GETPOLICY, &ANY), MOST, read)?;
    Ok(Policies { all, others })
}

fn ask(kind: u16, body: &[u8]) -> Request {
    Request { kind, body: Writer::after(body) }
}

/// `struct xfrm_userpolicy_default`: in, forwarded, out.
fn others(message: &Message<'_>) -> Option<[bool; 3]> {
    const XFRM_USERPOLICY_BLOCK: u8 = 1;
    let is = |at: usize| Some(*message.body.get(at)? == XFRM_USERPOLICY_BLOCK);
    let (within, forward, out) = (is(0)?, is(1)?, is(2)?);
    Some([within, out, forward])
}

/// A selector (56 bytes: addresses of 16 each, ports and masks, family, lengths of prefixes, protocol,
/// link), lifetimes, priority, number, direction, action.
fn read(message: &Message<'_>) -> Option<Policy> {
    if message.kind != XFRM_MSG_NEWPOLICY {
        return None;
    }
    let body = message.body;
    let byte = |at: usize| body.get(at).copied();
    let port = |at: usize| Some((u16_at(body, at)?.to_be(), u16_at(body, at + 2)?.to_be()));
    let address = |at: usize| ipv4(body.get(at..)?);
    if u16_at(body, 40)? != libc::AF_INET as u16 {
        return None;
    }
    // Those of single sockets come behind, and are nobody else's.
    let direction = match u32_at(body, 156)? & 7 {
        0 => Direction::In,
        1 => Direction::Out,
        2 => Direction::Forward,
        _ => return None,
    };
    let mark = message.attributes(POLICY).find(XFRMA_MARK);
    Some(Policy {
        direction,
        blocks: byte(161)? == 1,
        priority: u32_at(body, 152)?,
        to: (address(0)?, byte(42)?),
        from: (address(16)?, byte(43)?),
        protocol: byte(44)?,
        ports: [port(36)?, port(32)?],
        link: u32_at(body, 48)?,
        mark: mark.and_then(|mark| Some((u32_at(mark, 0)?, u32_at(mark, 4)?))).unwrap_or((0, 0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::testing::in_a_netns;
    use crate::model::ipsec::Flow;
    use std::process::{Command, Stdio};

    fn xfrm(line: &str) -> bool {
        let words = ["xfrm", "policy"].into_iter().chain(line.split(' '));
        let status = Command::new("ip").args(words).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    #[test]
    fn policies_are_read() {
        in_a_netns(|_| {
            assert_eq!(policies().unwrap(), Policies::default());
            if !xfrm("add dir fwd src 10.0.0.0/8 dst 172.17.0.0/16 proto tcp dport 80 action block priority 7") {
                return; // a kernel without IPsec
            }
            assert!(xfrm("add dir out src 10.0.0.0/8 dst 172.17.0.0/16 dev lo mark 1 mask 3"));
            assert!(xfrm("add dir in src fd00::/8 dst fd00::/8 action block"));
            let found = policies().unwrap();
            let [out, forward] = found.all.as_slice() else { panic!("{found:?}") };
            assert_eq!((forward.blocks, forward.priority), (true, 7));
            assert_eq!((forward.from, forward.to.1), (([10, 0, 0, 0].into(), 8), 16));
            assert_eq!((forward.protocol, forward.ports), (6, [(0, 0), (80, 0xffff)]));
            assert_eq!((out.direction, out.blocks), (Direction::Out, false));
            assert_eq!((out.link, out.mark), (1, (1, 3)));
            let flow = Flow {
                from: [10, 0, 0, 1].into(),
                to: [172, 17, 3, 3].into(),
                protocol: 6,
                ports: [None, Some(80)],
                link: None,
            };
            assert!(found.block(Direction::Forward, &flow).is_some());
            if xfrm("setdefault out block") {
                assert_eq!(policies().unwrap().others, [false, true, false]);
            }
        });
    }

    #[test]
    fn no_message_makes_it_panic() {
        let body = [2; POLICY + 12];
        for end in 0..body.len() {
            let kind = XFRM_MSG_NEWPOLICY;
            let message = Message { kind, flags: 0, sequence: 0, body: &body[..end] };
            let _ = (read(&message), others(&message));
        }
    }
}
