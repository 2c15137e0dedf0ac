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

//! A filter of a link's own that lets IPv4 in from one address alone: cls_bpf at its ingress, by classic BPF whose
//! result is the verdict (`direct-action`). It needs no action of its own, of which not every kernel has one that
//! drops, no bpf(), and costs others' packets nothing.

use super::mirred;
use super::netlink::attr::{Request, Writer};
use super::netlink::message::{attributes, Message};
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::model::if_index::IfIndex;
use crate::model::segment::Place;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
// linux/pkt_cls.h
const TCA_BPF_OPS_LEN: u16 = 4;
const TCA_BPF_OPS: u16 = 5;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;
const TC_ACT_UNSPEC: u32 = u32::MAX;
const TC_ACT_SHOT: u32 = 2;
const HANDLE: u32 = 1;

/// Whether the kernel has no cls_bpf, as far as it was asked.
static UNKNOWN: AtomicBool = AtomicBool::new(false);

/// Whether such a filter could not be added because the kernel has none of the kind.
pub fn is_unknown() -> bool {
    UNKNOWN.load(Ordering::Relaxed)
}

/// `struct sock_filter` for each step. A frame that is too short for a source passes: IP refuses it.
fn program(source: Ipv4Addr) -> Vec<u8> {
    // linux/filter.h: ld [k], of a half-word; jeq #k; ret #k. SKF_AD_OFF + SKF_AD_PROTOCOL.
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const PROTOCOL: u32 = 0xffff_f000;
    // Behind Ethernet's header. (A negative place, from the network's on, would not be found in a frame that is
    // in pieces.)
    const SOURCE: u32 = 14 + 12;
    let steps: [(u16, u8, u8, u32); 9] = [
        (LOAD, 0, 0, PROTOCOL),
        (EQUAL, 2, 0, 0x0800),
        // A tag is gone by now. What has another one, the kernel takes that off after this
        // (__netif_receive_skb_core()).
        (EQUAL, 4, 0, 0x8100),
        (EQUAL, 3, 4, 0x88a8),
        (LOAD, 0, 0, SOURCE),
        (EQUAL, 2, 0, source.into()),
        // Who asks for a lease has none; IP takes it for a broadcast alone.
        (EQUAL, 1, 0, 0),
        (RETURN, 0, 0, TC_ACT_SHOT),
        (RETURN, 0, 0, TC_ACT_UNSPEC),
    ];
    let bytes = |(code, yes, no, k): (u16, u8, u8, u32)| {
        [&code.to_ne_bytes()[..], &[yes, no], &k.to_ne_bytes()].concat()
    };
    steps.into_iter().flat_map(bytes).collect()
}

/// The steps of the filter of this kind at a link; none: there is none.
fn steps(netlink: &Netlink, at: IfIndex) -> Result<Option<Vec<u8>>, KernelError> {
    let all = mirred::listed(netlink, at, Place::FromGuest, |message: &Message<'_>| {
        let options = message.attributes(mirred::TCMSG).find(TCA_OPTIONS)?;
        mirred::is_pin(message)
            .then(|| attributes(options, 0).find(TCA_BPF_OPS).map(<[u8]>::to_vec))?
    })?;
    Ok(all.into_iter().next())
}

/// Whether a link lets IPv4 in from this address alone.
pub fn is_there(netlink: &Netlink, at: IfIndex, source: Ipv4Addr) -> Result<bool, KernelError> {
    Ok(steps(netlink, at)? == Some(program(source)))
}

/// Lets IPv4 in from this address alone, whatever was there before. A kernel that has no cls_bpf is left as it is:
/// [`is_unknown`].
pub(in crate::effects) fn set(
    netlink: &Netlink,
    at: IfIndex,
    source: Ipv4Addr,
) -> Result<(), KernelError> {
    match mirred::add_clsact(netlink, at) {
        Err(e) if e.errno == libc::EEXIST => {}
        other => other.or_else(unknown)?,
    }
    if is_unknown() {
        return Ok(());
    }
    let program = program(source);
    let count = u16::try_from(program.len() / 8).unwrap_or(u16::MAX);
    let options = Writer::default()
        .with(TCA_BPF_OPS_LEN, &count.to_ne_bytes())
        .with(TCA_BPF_OPS, &program)
        .with(TCA_BPF_FLAGS, &TCA_BPF_FLAG_ACT_DIRECT.to_ne_bytes());
    let header = mirred::header(at, HANDLE, mirred::parent(Place::FromGuest), mirred::PIN);
    let body = Writer::after(&header).with(TCA_KIND, b"bpf\0").with_nested(TCA_OPTIONS, &options);
    let add = |flags| {
        let request = Request { kind: libc::RTM_NEWTFILTER, body: body.clone() };
        netlink.change(&request, NLM_F_CREATE | flags)
    };
    match add(NLM_F_EXCL) {
        // It is replaced in one: there is no moment without.
        Err(e) if e.errno == libc::EEXIST => add(0),
        other => other.or_else(unknown),
    }
}

/// What has no module says ENOENT, and has run modprobe for that.
fn unknown(e: KernelError) -> Result<(), KernelError> {
    if ![libc::ENOENT, libc::EOPNOTSUPP].contains(&e.errno) {
        return Err(e);
    }
    if !UNKNOWN.swap(true, Ordering::Relaxed) {
        log::warn!("guests may send with other addresses than their own: no cls_bpf here ({e})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::link;
    use crate::effects::kernel::testing::{in_a_netns, ip};

    #[test]
    fn a_filter_is_found_as_it_was_set() {
        in_a_netns(|netlink| {
            ip("link add name w0 type veth peer name w1");
            let at = link::by_name(netlink, "w0").unwrap().unwrap().index;
            let [one, other] = [[172, 17, 3, 3], [172, 17, 3, 4]].map(Ipv4Addr::from);
            assert!(!is_there(netlink, at, one).unwrap(), "there is no clsact");
            for source in [one, other, other] {
                set(netlink, at, source).unwrap();
                assert!(is_there(netlink, at, source).unwrap(), "{source}");
            }
            assert!(!is_there(netlink, at, one).unwrap());
            assert_eq!(
                mirred::of(netlink, at, Place::FromGuest).unwrap(),
                [],
                "none of a segment's"
            );
        });
    }
}
