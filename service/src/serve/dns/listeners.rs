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

//! Where guests ask: the sockets of each gateway, of which there is one for nearly all guests.

use super::socket::Listener;
use super::PORT;
use crate::model::if_index::IfIndex;
use crate::serve::{Poll, Want};
use nix::sys::epoll::EpollFlags;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

/// The listeners, each known by its place.
#[derive(Default)]
pub struct Listeners {
    all: Vec<Listener>,
    mark: Option<u32>,
    /// What the kernel has thrown away, as it was looked at last.
    thrown_away: u32,
}

impl Listeners {
    /// The one at this place.
    pub fn get(&self, at: usize) -> Option<&Listener> {
        self.all.get(at)
    }

    /// The one of this gateway.
    pub fn of(&self, gateway: Ipv4Addr) -> Option<&Listener> {
        self.all.iter().find(|one| one.gateway == gateway)
    }

    /// Opens and closes some, watched by a token of the place and these bits. Tells whether it did.
    pub fn bring(&mut self, want: &Want, bits: [u32; 2], poll: &Poll<'_>) -> io::Result<bool> {
        let gateways = &want.dns.gateways;
        if want.mark != self.mark {
            self.all.clear();
            self.mark = want.mark;
        }
        let before = self.all.len();
        self.all.retain(|one| gateways.contains(&one.gateway));
        let new: Vec<_> = gateways.iter().filter(|at| self.of(**at).is_none()).copied().collect();
        if self.all.len() == before && new.is_empty() {
            return Ok(false);
        }
        for gateway in new {
            let listener = Listener::open(gateway, self.mark)
                .map_err(|e| io::Error::new(e.kind(), format!("port {PORT} of {gateway}: {e}")));
            self.all.push(listener?);
        }
        for (place, one) in (0..).zip(&self.all) {
            for (fd, bits) in [one.udp.as_fd(), one.tcp.as_fd()].into_iter().zip(bits) {
                let known = poll.change(fd, bits | place, EpollFlags::EPOLLIN);
                known.or_else(|_| poll.watch(fd, bits | place, EpollFlags::EPOLLIN))?;
            }
        }
        Ok(true)
    }

    /// Has the kernel throw away what comes in by these interfaces.
    pub fn shut_out(&mut self, indexes: &[IfIndex]) {
        for one in &self.all {
            if let Err(e) = one.shut_out(indexes) {
                log::debug!("a guest's storm is not kept away: {e}");
            }
        }
        self.thrown_away();
    }

    /// How many datagrams the kernel has thrown away since this was asked last.
    pub fn thrown_away(&mut self) -> u32 {
        let now = self.all.iter().map(Listener::thrown_away).fold(0, u32::wrapping_add);
        now.wrapping_sub(std::mem::replace(&mut self.thrown_away, now))
    }
}
