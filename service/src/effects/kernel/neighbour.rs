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

//! RTM_*NEIGH messages: what a link knows of its neighbours, by ARP and neighbour discovery.

use super::netlink::message::{u32_at, Message};
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::model::if_index::IfIndex;
use crate::spec::Family;
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use rtnetlink::packet_route::RouteNetlinkMessage::{GetNeighbour, NewNeighbour};
use std::net::IpAddr;
use std::time::Duration;

/// A neighbour as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Index of the interface that it is behind.
    pub index: IfIndex,
    /// Its address.
    pub address: IpAddr,
    /// Its link-layer address; empty while that is not known.
    pub mac: Vec<u8>,
    /// `NUD_*` (linux/neighbour.h).
    pub state: u16,
    /// How long it has been in it, where the kernel tells.
    pub since: Option<Duration>,
}

/// The neighbours behind one link, or behind all.
pub fn of(
    netlink: &Netlink,
    family: Family,
    index: Option<IfIndex>,
) -> Result<Vec<Neighbour>, KernelError> {
    let mut message = about(family);
    // In its header a dump may not have an index (neigh_valid_dump_req()).
    message.attributes.extend(index.map(|index| NeighbourAttribute::IfIndex(index.get())));
    let found = match netlink.dump(&GetNeighbour(message), Neighbour::read) {
        // The link went.
        Err(e) if e.errno == libc::ENODEV => Vec::new(),
        other => other?,
    };
    let wanted = |n: &Neighbour| {
        Family::of(n.address) == family && (index.is_none() || index == Some(n.index))
    };
    Ok(found.into_iter().filter(wanted).collect())
}

fn about(family: Family) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family.into();
    message
}

impl Neighbour {
    fn read(message: &Message<'_>) -> Option<Self> {
        const NDMSG: usize = 12;
        const NDA_DST: u16 = 1;
        const NDA_LLADDR: u16 = 2;
        const NDA_CACHEINFO: u16 = 3;
        // `ndm_updated` of struct nda_cacheinfo, in ticks of USER_HZ.
        const UPDATED: usize = 8;
        const TICK: Duration = Duration::from_millis(10);
        // netlink-packet-route has another name for NDA_LLADDR from one release to the next.
        let mac = message.attributes(NDMSG).find(NDA_LLADDR).unwrap_or_default().to_vec();
        let times = message.attributes(NDMSG).find(NDA_CACHEINFO);
        let since = times.and_then(|times| u32_at(times, UPDATED)).map(|ticks| TICK * ticks);
        let NewNeighbour(message) = message.typed(libc::RTM_NEWNEIGH, NDMSG, &[NDA_DST])? else {
            return None;
        };
        let address = match message.attributes.first()? {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => (*address).into(),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => (*address).into(),
            _ => return None,
        };
        Some(Self {
            index: IfIndex::new(message.header.ifindex)?,
            address,
            mac,
            state: message.header.state.into(),
            since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::link;
    use crate::effects::kernel::testing::{in_a_netns, ip};

    #[test]
    fn neighbours_of_both_families_are_read() {
        in_a_netns(|netlink| {
            ip("link add one type veth peer name other");
            ip("link set one up");
            ip("neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev one nud permanent");
            ip("neigh add fd00::2 lladdr 02:00:00:00:00:03 dev one nud permanent");
            ip("neigh add 10.0.0.3 lladdr 02:00:00:00:00:04 dev other nud permanent");
            let index = link::by_name(netlink, "one").unwrap().unwrap().index;
            let four: IpAddr = [10, 0, 0, 2].into();
            let six: IpAddr = "fd00::2".parse().unwrap();
            for (family, address, last) in [(Family::V4, four, 2), (Family::V6, six, 3)] {
                let of = |index| of(netlink, family, index).unwrap();
                let mac = vec![2, 0, 0, 0, 0, last];
                let all = of(Some(index));
                assert!(all[0].since.unwrap() < Duration::from_secs(5), "{all:?}");
                // NUD_PERMANENT
                let one = Neighbour { index, address, mac, state: 0x80, since: all[0].since };
                assert_eq!(all, std::slice::from_ref(&one));
                assert!(of(None).iter().any(|other| other.address == address));
            }
            assert_eq!(of(netlink, Family::V4, None).unwrap().len(), 2, "with the other link's");
            assert_eq!(of(netlink, Family::V4, Some(IfIndex::of(999))).unwrap(), []);
        });
    }
}
