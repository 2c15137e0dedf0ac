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

//! TUN and TAP devices: made by a descriptor of /dev/net/tun, gone with the last (drivers/net/tun.c,
//! Documentation/networking/tuntap.rst). None is persistent.

use crate::announce::Cause;
use crate::kernel::Kernel;
use crate::link::Kind;
use crate::space::Netns;
use crate::wire::Writer;
use libc::*;

const TUN: u16 = 0x0001;
const TAP: u16 = 0x0002;
const MULTI_QUEUE: u16 = 0x0100;
const NO_PI: u16 = 0x1000;
const VNET_HDR: u16 = 0x4000;
const EXCL: u16 = 0x8000;
/// The most queues of one (`MAX_TAP_QUEUES`).
const MOST: u32 = 256;
/// `struct virtio_net_hdr`.
const HEADER: i32 = 10;

/// An open file of /dev/net/tun, however many descriptors there are of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue(pub u32);

/// What it is of.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The namespace of who opened it, which it holds.
    netns: Netns,
    /// The device that it is a queue of.
    pub(crate) link: Option<(Netns, u32)>,
}

/// What is particular to such a device.
#[derive(Clone, Copy, Debug)]
pub struct Tun {
    pub flags: u16,
    pub owner: Option<u32>,
    pub queues: u32,
}

impl Tun {
    /// IFLA_INFO_DATA (`tun_fill_info()`).
    pub(crate) fn info(&self) -> Writer {
        let mut out = Writer::default();
        let has = |flag: u16| [u8::from(self.flags & flag != 0)];
        out.put(3, &[(self.flags & (TUN | TAP)) as u8]);
        if let Some(owner) = self.owner {
            out.u32(1, owner);
        }
        out.put(4, &[1 - has(NO_PI)[0]]);
        out.put(5, &has(VNET_HDR));
        out.put(6, &[0]);
        out.put(7, &has(MULTI_QUEUE));
        if self.flags & MULTI_QUEUE != 0 {
            out.u32(8, self.queues);
            out.u32(9, 0);
        }
        out
    }

    pub(crate) fn is_several(&self) -> bool {
        self.flags & MULTI_QUEUE != 0
    }
}

impl Kernel {
    /// /dev/net/tun is opened by somebody in a namespace.
    pub fn tun_open(&mut self, netns: Netns) -> Queue {
        let queue = Queue(self.next_queue);
        self.next_queue += 1;
        self.hold(netns);
        self.queues.insert(queue, Opened { netns, link: None });
        queue
    }

    /// TUNSETIFF (`tun_set_iff()`). TAP alone.
    pub fn tun_set(&mut self, queue: Queue, name: &str, flags: u16) -> Result<(), i32> {
        let opened = self.queues.get(&queue).ok_or(EBADF)?;
        if opened.link.is_some() {
            return Err(EEXIST);
        }
        let netns = opened.netns;
        if !self.is_alive(netns) {
            return Err(EINVAL);
        }
        if let Some(index) = self.space(netns).by_name(name) {
            return self.attach_queue(queue, (netns, index), flags);
        }
        if flags & (TUN | TAP) != TAP {
            crate::rtnetlink::unknown("TUN device", 0);
            return Err(EINVAL);
        }
        let name = if name.is_empty() { "tap%d" } else { name };
        let name = self.free_name(netns, name)?;
        let mut link = self.blank(netns, Kind::Tun, name);
        let flags = flags & (TAP | MULTI_QUEUE | NO_PI | VNET_HDR);
        link.tun = Some(Tun { flags, owner: None, queues: 1 });
        link.carrier = true;
        let index = self.insert(netns, link, 0)?;
        self.queues.get_mut(&queue).ok_or(EBADF)?.link = Some((netns, index));
        self.link_mut(netns, index).born = true;
        self.announce_link(netns, index, u32::MAX, Cause::default());
        Ok(())
    }

    /// One more queue of a device that is there.
    fn attach_queue(
        &mut self,
        queue: Queue,
        (netns, index): (Netns, u32),
        flags: u16,
    ) -> Result<(), i32> {
        if flags & EXCL != 0 {
            return Err(EBUSY);
        }
        let link = self.link_mut(netns, index);
        let Some(tun) = link.tun.as_mut().filter(|_| flags & TAP != 0) else { return Err(EINVAL) };
        if (flags ^ tun.flags) & MULTI_QUEUE != 0 {
            return Err(EINVAL);
        }
        if !tun.is_several() {
            return Err(EBUSY);
        }
        if tun.queues == MOST {
            return Err(E2BIG);
        }
        tun.queues += 1;
        let up = link.is_up();
        self.queues.get_mut(&queue).ok_or(EBADF)?.link = Some((netns, index));
        if up {
            self.announce_link(netns, index, 0, Cause::default());
        }
        Ok(())
    }

    /// TUNSETOWNER.
    pub fn tun_own(&mut self, queue: Queue, uid: u32) -> Result<(), i32> {
        let (netns, index) = self.device_of(queue)?;
        if uid == u32::MAX {
            return Err(EINVAL);
        }
        let link = self.link_mut(netns, index);
        if let Some(tun) = &mut link.tun {
            tun.owner = Some(uid);
        }
        if link.is_up() {
            self.announce_link(netns, index, 0, Cause::default());
        }
        Ok(())
    }

    /// TUNSETVNETHDRSZ.
    pub fn tun_set_header(&mut self, queue: Queue, size: i32) -> Result<(), i32> {
        self.device_of(queue)?;
        if size < HEADER {
            return Err(EINVAL);
        }
        Ok(())
    }

    fn device_of(&self, queue: Queue) -> Result<(Netns, u32), i32> {
        self.queues.get(&queue).and_then(|opened| opened.link).ok_or(EBADFD)
    }

    /// The device that an open file is a queue of, while it is there.
    pub fn tun_link(&self, queue: Queue) -> Option<(Netns, u32)> {
        self.device_of(queue).ok()
    }

    /// Its last descriptor is closed (`tun_chr_close()`).
    pub fn tun_close(&mut self, queue: Queue) {
        let Some(opened) = self.queues.remove(&queue) else { return };
        if let Some((netns, index)) = opened.link {
            let link = self.link_mut(netns, index);
            let left = link.tun.as_mut().map_or(0, |tun| {
                tun.queues -= 1;
                tun.queues
            });
            if left == 0 {
                self.delete_link(netns, index, Cause::default());
                self.run_link_watch();
            }
        }
        self.release(opened.netns);
    }

    /// A link is gone, and files that were queues of it are of nothing.
    pub(crate) fn queues_lose(&mut self, netns: Netns, index: u32) {
        for opened in self.queues.values_mut() {
            opened.link = opened.link.filter(|link| *link != (netns, index));
        }
    }

    /// It is in another namespace.
    pub(crate) fn queues_follow(&mut self, from: (Netns, u32), to: (Netns, u32)) {
        for opened in self.queues.values_mut().filter(|opened| opened.link == Some(from)) {
            opened.link = Some(to);
        }
    }
}
