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

//! What traffic control (tc) makes of packets: a link's queue, and the filters before and behind it. A
//! queue that passes something on is taken to pass all on. Pure.

use super::if_index::IfIndex;

/// Which packets of a link's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Those that come in.
    In,
    /// Those that leave.
    Out,
}

/// A queueing discipline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its link's index.
    pub index: IfIndex,
    /// Its own number.
    pub handle: u32,
    /// Where it hangs: `ROOT`, `FILTERS`, or in another one.
    pub parent: u32,
    /// `netem`, `fq_codel`.
    pub kind: String,
    /// Why nothing leaves it, in words.
    pub stuck: Option<&'static str>,
}

/// Where a link's own queue hangs (TC_H_ROOT).
pub const ROOT: u32 = 0xffff_ffff;
/// Where filters hang that see what comes in, or all (TC_H_INGRESS, TC_H_CLSACT).
pub const FILTERS: u32 = 0xffff_fff1;

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// `u32`, `flower`.
    pub kind: String,
    /// Its chain; packets begin in 0.
    pub chain: u32,
    /// Its place in there: the lowest first.
    pub priority: u16,
    /// Ethernet's protocol, or ETH_P_ALL.
    pub protocol: u16,
    /// Which packets it is for.
    pub asks: Asks,
    /// What becomes of those.
    pub does: Does,
}

/// What a filter asks for: all of the bytes, as they stand in the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// All of these.
    Bytes(Vec<Bytes>),
    /// What nobody here can tell.
    Something,
}

/// Some bytes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// From the IP header on, or ARP's; below 0 is Ethernet's.
    pub at: i32,
    /// As long as the value.
    pub mask: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// What a filter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// The packet passes.
    Passes,
    /// The next filter is asked.
    Continues,
    /// It is dropped.
    Drops,
    /// It goes out by another link instead.
    Sends(IfIndex),
    /// It goes on in another chain.
    Chain(u32),
    /// Nobody here can tell.
    Something,
}

/// What is known of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// From Ethernet's header on.
    bytes: Vec<Option<u8>>,
}

/// Length of Ethernet's header.
const ETHERNET: usize = 14;
/// Any protocol (linux/if_ether.h).
const ETH_P_ALL: u16 = 3;
const ETH_P_IP: u16 = 0x800;
const ETH_P_ARP: u16 = 0x806;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// TCP from a port to one.
    Tcp(u16, u16),
    /// UDP.
    Udp(u16, u16),
    /// An ICMP message of this type.
    Icmp(u8),
}

impl Frame {
    fn new(protocol: u16, from: Option<[u8; 6]>, to: Option<[u8; 6]>) -> Self {
        let mac = |mac: Option<[u8; 6]>| match mac {
            Some(mac) => mac.map(Some),
            None => [None; 6],
        };
        let mut bytes = mac(to).to_vec();
        bytes.extend(mac(from));
        bytes.extend(protocol.to_be_bytes().map(Some));
        Self { bytes }
    }

    /// A question of ARP's, from one address about another.
    pub fn arp(mac: Option<[u8; 6]>, from: [u8; 4], about: [u8; 4]) -> Self {
        let mut frame = Self::new(ETH_P_ARP, mac, Some([0xff; 6]));
        frame.bytes.extend([0, 1, 8, 0, 6, 4, 0, 1].map(Some));
        frame.bytes.extend(mac.map_or([None; 6], |mac| mac.map(Some)));
        frame.bytes.extend(from.map(Some));
        frame.bytes.extend([Some(0); 6]);
        frame.bytes.extend(about.map(Some));
        frame
    }

    /// IPv4 of so many hops left.
    pub fn ip(
        (from, to): (Option<[u8; 6]>, Option<[u8; 6]>),
        (source, destination): ([u8; 4], [u8; 4]),
        carries: Carries,
    ) -> Self {
        let mut frame = Self::new(ETH_P_IP, from, to);
        let known = |bytes: &[u8]| bytes.iter().copied().map(Some).collect::<Vec<_>>();
        let protocol = match carries {
            Carries::Tcp(..) => libc::IPPROTO_TCP,
            Carries::Udp(..) => libc::IPPROTO_UDP,
            Carries::Icmp(_) => libc::IPPROTO_ICMP,
        } as u8;
        frame.bytes.extend(known(&[0x45, 0]));
        frame.bytes.extend([None; 4]); // length, identification
        frame.bytes.extend([None; 3]); // flags and offset, hops left
        frame.bytes.extend([Some(protocol), None, None]);
        frame.bytes.extend(known(&source));
        frame.bytes.extend(known(&destination));
        match carries {
            Carries::Tcp(from, to) | Carries::Udp(from, to) => {
                // A client's port is any.
                for port in [from, to] {
                    match port {
                        0 => frame.bytes.extend([None; 2]),
                        port => frame.bytes.extend(port.to_be_bytes().map(Some)),
                    }
                }
            }
            Carries::Icmp(kind) => frame.bytes.extend([Some(kind), Some(0)]),
        }
        frame
    }

    fn protocol(&self) -> Option<u16> {
        let at = |place: usize| self.bytes.get(place).copied().flatten();
        Some(u16::from_be_bytes([at(12)?, at(13)?]))
    }

    /// Whether it has such bytes; none: that cannot be told.
    fn has(&self, such: &Bytes) -> Option<bool> {
        let mut holds = Some(true);
        for (number, (mask, value)) in such.mask.iter().zip(&such.value).enumerate() {
            if *mask == 0 {
                continue;
            }
            let at = i64::from(such.at) + ETHERNET as i64 + number as i64;
            let byte =
                usize::try_from(at).ok().and_then(|at| self.bytes.get(at)).copied().flatten();
            match byte {
                Some(byte) if byte & mask != value & mask => return Some(false),
                Some(_) => {}
                None => holds = None,
            }
        }
        holds
    }
}

impl Filter {
    /// Whether it is for such a frame; none: that cannot be told.
    fn is_for(&self, frame: &Frame) -> Option<bool> {
        if self.protocol != ETH_P_ALL && Some(self.protocol) != frame.protocol() {
            return Some(false);
        }
        let Asks::Bytes(all) = &self.asks else { return None };
        let mut holds = Some(true);
        for such in all {
            match frame.has(such) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => holds = None,
            }
        }
        holds
    }
}

/// The filter that keeps a frame from its way, and whether it surely does. Filters come in their order.
pub fn stopped<'a>(filters: &'a [Filter], frame: &Frame) -> Option<(&'a Filter, bool)> {
    let (mut chain, mut sure, mut perhaps) = (0, true, None);
    // A chain may lead to itself; the kernel gives up, too (tcf_classify()).
    'chains: for _ in 0..8 {
        for filter in filters.iter().filter(|filter| filter.chain == chain) {
            let holds = match filter.is_for(frame) {
                Some(false) => continue,
                holds => holds == Some(true),
            };
            match filter.does {
                Does::Drops | Does::Sends(_) if holds && sure => return Some((filter, true)),
                Does::Drops | Does::Sends(_) => {
                    perhaps = perhaps.or(Some(filter));
                    if holds {
                        return perhaps.map(|filter| (filter, false));
                    }
                }
                Does::Passes if holds => return perhaps.map(|filter| (filter, false)),
                Does::Chain(to) if holds => {
                    chain = to;
                    continue 'chains;
                }
                Does::Passes | Does::Chain(_) | Does::Something => sure = false,
                Does::Continues => {}
            }
        }
        break;
    }
    perhaps.map(|filter| (filter, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(asks: Vec<Bytes>, does: Does) -> Filter {
        let kind = "u32".to_owned();
        Filter { kind, chain: 0, priority: 1, protocol: ETH_P_ALL, asks: Asks::Bytes(asks), does }
    }

    fn source(address: [u8; 4], mask: [u8; 4]) -> Bytes {
        Bytes { at: 12, mask: mask.into(), value: address.into() }
    }

    fn frame(port: u16) -> Frame {
        Frame::ip((None, None), ([172, 17, 3, 3], [203, 0, 113, 80]), Carries::Tcp(0, port))
    }

    #[test]
    fn what_is_dropped_is_told_by_its_bytes() {
        let subnet = source([172, 17, 0, 0], [255, 255, 0, 0]);
        let web = Bytes { at: 22, mask: vec![255, 255], value: vec![0, 80] };
        let drops = |asks| [filter(asks, Does::Drops)];
        let sure = |filters: &[Filter], port| stopped(filters, &frame(port)).map(|(_, sure)| sure);
        assert_eq!(sure(&drops(vec![]), 80), Some(true));
        assert_eq!(sure(&drops(vec![subnet.clone(), web.clone()]), 80), Some(true));
        assert_eq!(sure(&drops(vec![subnet.clone(), web]), 443), None);
        assert_eq!(sure(&drops(vec![source([10, 0, 0, 0], [255, 0, 0, 0])]), 80), None);
        let hops = Bytes { at: 8, mask: vec![255], value: vec![64] };
        assert_eq!(sure(&drops(vec![hops]), 80), Some(false), "nobody knows how many it has left");
        let arp = Filter { protocol: ETH_P_ARP, ..filter(vec![], Does::Drops) };
        assert_eq!(sure(std::slice::from_ref(&arp), 80), None);
        let question = Frame::arp(None, [172, 17, 3, 3], [172, 17, 3, 2]);
        assert!(stopped(&[arp], &question).is_some_and(|(_, sure)| sure));
    }

    #[test]
    fn what_comes_first_decides() {
        let (drops, passes) = (filter(vec![], Does::Drops), filter(vec![], Does::Passes));
        let something = Filter { asks: Asks::Something, ..passes.clone() };
        let unknown = filter(vec![], Does::Something);
        let sure = |filters: &[Filter]| stopped(filters, &frame(80)).map(|(_, sure)| sure);
        assert_eq!(sure(&[passes.clone(), drops.clone()]), None);
        assert_eq!(sure(&[something, drops.clone()]), Some(false));
        assert_eq!(sure(&[unknown, drops.clone()]), Some(false));
        assert_eq!(sure(&[filter(vec![], Does::Continues), drops.clone()]), Some(true));
        let jump = filter(vec![], Does::Chain(7));
        let there = Filter { chain: 7, ..drops.clone() };
        assert_eq!(sure(std::slice::from_ref(&there)), None);
        assert_eq!(sure(&[jump.clone(), passes, there]), Some(true));
        assert_eq!(sure(&[filter(vec![], Does::Chain(0))]), None, "it leads to itself");
        let perhaps = Filter { asks: Asks::Something, ..drops };
        assert_eq!(sure(&[perhaps]), Some(false));
    }
}
