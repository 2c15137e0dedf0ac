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

//! Ids that namespaces have in one another (net/core/net_namespace.c).

use crate::announce::{Cause, GROUP_NSID};
use crate::kernel::Kernel;
use crate::rtnetlink::Objects;
use crate::space::Netns;
use crate::wire::{Attributes, Message, Writer};

const NSID: u16 = 1;
const PID: u16 = 2;
const FD: u16 = 3;
/// `struct rtgenmsg`, padded.
const RTGENMSG: usize = 4;

impl Kernel {
    /// The id of another namespace here; it gets one, and that is announced, if it has none.
    pub(crate) fn id(&mut self, here: Netns, other: Netns, cause: Cause) -> i32 {
        // A namespace that ends has none (`peernet2id_alloc()`).
        if self.spaces.get(&other).is_none_or(|space| space.holders == 0) {
            return -1;
        }
        if let Some(id) = self.space(here).id_of(other) {
            return id;
        }
        let ids = &self.space(here).ids;
        let id = (0..).find(|id| !ids.contains_key(id)).expect("there is a free one");
        self.give_id(here, other, id, cause);
        id
    }

    fn give_id(&mut self, here: Netns, other: Netns, id: i32, cause: Cause) {
        self.space_mut(here).ids.insert(id, other);
        self.announce(here, GROUP_NSID, libc::RTM_NEWNSID, cause, |_| body(id));
    }

    /// It ends: nobody calls it by a number any more.
    pub(crate) fn forget_ids(&mut self, gone: Netns) {
        let others: Vec<Netns> = self.spaces.keys().copied().filter(|n| *n != gone).collect();
        for other in others {
            if let Some(id) = self.space(other).id_of(gone) {
                self.space_mut(other).ids.remove(&id);
                self.announce(other, GROUP_NSID, libc::RTM_DELNSID, Cause::default(), |_| body(id));
            }
        }
    }

    /// The namespace that attributes name by pid, descriptor or id.
    fn named(&self, here: Netns, all: Attributes<'_>, by_id: bool) -> Result<Netns, i32> {
        if let Some(pid) = all.u32(PID)? {
            return self.netns_of(pid as i32).ok_or(libc::ESRCH);
        }
        if let Some(fd) = all.u32(FD)? {
            return self.netns_of_fd(fd as i32).ok_or(libc::EBADF);
        }
        match all.u32(NSID)? {
            Some(id) if by_id => {
                self.space(here).ids.get(&(id as i32)).copied().ok_or(libc::ENOENT)
            }
            _ => Err(libc::EINVAL),
        }
    }

    pub(crate) fn new_id(
        &mut self,
        here: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        let all = message.attributes(RTGENMSG)?;
        let wanted = all.u32(NSID)?.ok_or(libc::EINVAL)? as i32;
        let other = self.named(here, all, false)?;
        if self.space(here).id_of(other).is_some() {
            return Err(libc::EEXIST);
        }
        if wanted >= 0 && self.space(here).ids.contains_key(&wanted) {
            return Err(libc::EEXIST);
        }
        match wanted {
            0.. => self.give_id(here, other, wanted, cause),
            _ => drop(self.id(here, other, cause)),
        }
        Ok(())
    }

    pub(crate) fn get_id(&mut self, here: Netns, message: &Message<'_>) -> Result<Objects, i32> {
        let other = self.named(here, message.attributes(RTGENMSG)?, true)?;
        let id = self.space(here).id_of(other).unwrap_or(-1);
        Ok(vec![(libc::RTM_NEWNSID, body(id))])
    }

    pub(crate) fn dump_ids(&self, here: Netns) -> Objects {
        self.space(here).ids.keys().map(|id| (libc::RTM_NEWNSID, body(*id))).collect()
    }
}

fn body(id: i32) -> Writer {
    let mut writer = Writer::after(&[0; RTGENMSG]);
    writer.u32(NSID, id as u32);
    writer
}
