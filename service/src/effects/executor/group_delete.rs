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

//! Many links deleted by one message, which costs each a third of a millisecond instead of 15 ms
//! asleep: RTM_DELLINK by IFLA_GROUP deletes every link of a group. So first they get a group that
//! nobody has, and it must then name them and nothing else.

use crate::effects::kernel::link::{self, Link};
use crate::effects::kernel::netlink::Netlink;
use crate::error::KernelError;
use crate::model::if_index::IfIndex;
use crate::model::ownership;
use crate::ordered::IntoOrdered;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Deletes these links. On failure none or some are deleted, and nothing else is.
pub(in crate::effects) fn delete(
    netlink: &Netlink,
    indexes: &[IfIndex],
) -> Result<(), KernelError> {
    let found = link::all(netlink)?;
    let group = unused(&found);
    let mut ours = found.iter().filter(|link| has_our_kind(link)).map(|link| link.index).into_set();
    ours.retain(|index| indexes.contains(index));
    for index in ours.clone() {
        match link::set_group(netlink, index, group) {
            // Gone by itself.
            Err(e) if e.errno == libc::ENODEV => {}
            Ok(()) => {}
            Err(e) => return Err(e),
        }
    }
    let found = link::all(netlink)?;
    let there = found.iter().map(|link| link.index).into_set();
    ours.retain(|index| there.contains(index));
    let named = found.iter().filter(|link| link.group == group).map(|link| link.index).into_set();
    if named != ours {
        let text = Some(format!("another program uses group {group} now"));
        return Err(KernelError { errno: libc::EBUSY, text });
    }
    if ours.is_empty() {
        return Ok(());
    }
    link::delete_group(netlink, group)
}

/// An index is given to another link only after its own is gone, which is announced.
fn has_our_kind(link: &Link) -> bool {
    matches!(link.kind.as_str(), "veth" | "tun")
}

/// A leaving group that no link has.
fn unused(links: &[Link]) -> u32 {
    let taken = links.iter().map(|link| link.group).into_set();
    loop {
        // std's own random keys: no other source of randomness is at hand, and none is needed.
        let random = RandomState::new().build_hasher().finish();
        let group = ownership::leaving_group((random >> 48) as u16);
        if !taken.contains(&group) {
            return group;
        }
    }
}
