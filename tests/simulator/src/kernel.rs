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

//! All namespaces, and what holds them: mounts, processes, descriptors. The last that lets go ends one, and
//! with it the links in it and the other ends of those.

use crate::announce::{Listener, Listeners};
use crate::space::{Netns, Space};
use crate::tun::{Opened, Queue};
use crate::{wire, NETFILTER, ROUTE, XFRM};
use std::collections::{BTreeMap, VecDeque};

/// The kernel of one machine.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    pub(crate) spaces: BTreeMap<Netns, Space>,
    processes: BTreeMap<i32, Netns>,
    descriptors: BTreeMap<i32, Netns>,
    next: u32,
    pub(crate) queues: BTreeMap<Queue, Opened>,
    pub(crate) next_queue: u32,
    /// How often links' filters have changed.
    pub(crate) filtered: u64,
    pub(crate) listeners: Listeners,
    /// Links that the link watch has to look at.
    pub(crate) watched: VecDeque<(Netns, u32)>,
}

impl Kernel {
    /// Without a namespace.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new namespace with its lo, held once.
    pub fn netns_add(&mut self) -> Netns {
        let netns = Netns(self.next);
        self.next += 1;
        self.spaces.insert(netns, Space::new());
        self.hold(netns);
        self.add_loopback(netns);
        netns
    }

    /// The hold of [`Kernel::netns_add`] goes.
    pub fn netns_del(&mut self, netns: Netns) {
        self.release(netns);
    }

    /// Whether it has not ended.
    pub fn is_alive(&self, netns: Netns) -> bool {
        self.spaces.contains_key(&netns)
    }

    /// A process that lives in a namespace and holds it.
    pub fn process_add(&mut self, pid: i32, netns: Netns) {
        self.hold(netns);
        if let Some(before) = self.processes.insert(pid, netns) {
            self.release(before);
        }
    }

    /// It ends.
    pub fn process_end(&mut self, pid: i32) {
        if let Some(netns) = self.processes.remove(&pid) {
            self.release(netns);
        }
    }

    /// The namespace of a process.
    pub fn netns_of(&self, pid: i32) -> Option<Netns> {
        self.processes.get(&pid).copied()
    }

    /// The inode that its file has.
    pub fn inode(&self, netns: Netns) -> u64 {
        0xf000_0000 + u64::from(netns.0)
    }

    /// The namespace of an inode, while it lives.
    pub fn by_inode(&self, inode: u64) -> Option<Netns> {
        let netns = Netns(u32::try_from(inode.checked_sub(0xf000_0000)?).ok()?);
        self.is_alive(netns).then_some(netns)
    }

    /// This descriptor is one of the namespace, and holds it.
    pub fn fd_open(&mut self, fd: i32, netns: Netns) {
        self.hold(netns);
        if let Some(before) = self.descriptors.insert(fd, netns) {
            self.release(before);
        }
    }

    /// It is closed.
    pub fn fd_close(&mut self, fd: i32) {
        if let Some(netns) = self.descriptors.remove(&fd) {
            self.release(netns);
        }
    }

    /// The namespace of a descriptor.
    pub fn netns_of_fd(&self, fd: i32) -> Option<Netns> {
        self.descriptors.get(&fd).copied()
    }

    /// The interfaces of a namespace, without a message: index, name, flags, group.
    pub fn links(&self, netns: Netns) -> impl Iterator<Item = (u32, &str, u32, u32)> {
        let links = self.spaces.get(&netns).into_iter().flat_map(|space| space.links.values());
        links.map(|link| (link.index, link.name.as_str(), link.told_flags(), link.group))
    }

    /// The MAC of an interface.
    pub fn mac(&self, netns: Netns, index: u32) -> Option<[u8; 6]> {
        Some(self.spaces.get(&netns)?.links.get(&index)?.mac)
    }

    /// A number that is another one once some link's filters are others.
    pub fn filtered(&self) -> u64 {
        self.filtered
    }

    /// A datagram that a netlink socket with this port sends, and those that it gets as the answer.
    pub fn send(
        &mut self,
        netns: Netns,
        protocol: u32,
        port: u32,
        datagram: &[u8],
    ) -> Vec<Vec<u8>> {
        if !self.is_alive(netns) {
            return Vec::new();
        }
        let mut answers = Vec::new();
        match protocol {
            ROUTE => {
                for message in wire::messages(datagram) {
                    self.route_request(netns, port, &message, &mut answers);
                    self.run_link_watch();
                }
            }
            NETFILTER | XFRM => {
                for message in wire::messages(datagram) {
                    // There are no policies.
                    if protocol == XFRM && message.is(wire::NLM_F_DUMP) {
                        answers.extend(wire::dump(Vec::new(), &message, port));
                        continue;
                    }
                    crate::rtnetlink::unknown("netfilter or xfrm", message.kind);
                    answers.push(wire::acknowledge(&message, port, Err(libc::EOPNOTSUPP)));
                }
            }
            _ => {}
        }
        answers
    }

    pub(crate) fn space(&self, netns: Netns) -> &Space {
        &self.spaces[&netns]
    }

    pub(crate) fn space_mut(&mut self, netns: Netns) -> &mut Space {
        self.spaces.get_mut(&netns).expect("a namespace that lives")
    }

    pub(crate) fn hold(&mut self, netns: Netns) {
        if let Some(space) = self.spaces.get_mut(&netns) {
            space.holders += 1;
        }
    }

    pub(crate) fn release(&mut self, netns: Netns) {
        let Some(space) = self.spaces.get_mut(&netns) else { return };
        space.holders = space.holders.saturating_sub(1);
        if space.holders == 0 {
            self.end(netns);
        }
    }

    /// As cleanup_net(): its number in others goes first, then its links with their other ends.
    fn end(&mut self, netns: Netns) {
        self.forget_ids(netns);
        let links: Vec<u32> = self.space(netns).links.keys().rev().copied().collect();
        self.delete_links(netns, &links, crate::announce::Cause::default());
        self.spaces.remove(&netns);
        self.run_link_watch();
        let gone: Vec<Listener> = self.listeners.of(netns);
        gone.into_iter().for_each(|listener| self.unlisten(listener));
    }
}
