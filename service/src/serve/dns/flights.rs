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

//! How each question is on its way: by which socket.

use super::forward::{Target, Token};
use super::pool::Pool;
use super::socket::open_stream;
use super::stream::Exchange;
use crate::serve::Poll;
use nix::sys::epoll::EpollFlags;
use std::collections::HashMap;
use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Of what a descriptor of ours is watched by: it is one that several questions use, and its number is its
/// place. Without it the number is the question's.
const SHARED: u32 = 1 << 29;

enum Flying {
    /// By UDP: the place of its socket.
    Datagram(usize),
    /// By TCP, or to netd.
    Stream(Exchange),
}

/// See the module.
pub struct Flights {
    flying: HashMap<Token, Flying>,
    pool: Pool,
    /// netd's socket.
    netd: Arc<Path>,
    /// What their descriptors are watched by, beside their number.
    bits: u32,
}

impl Flights {
    /// None yet.
    pub fn new(bits: u32) -> Self {
        let (flying, pool) = Default::default();
        Self { flying, pool, netd: Path::new("").into(), bits }
    }

    /// Whom questions are asked, or how, may be another one.
    pub fn bring(&mut self, netd: &Arc<Path>) {
        self.netd = Arc::clone(netd);
        self.pool.close_all_kept();
    }

    /// Asks.
    pub fn begin(
        &mut self,
        token: Token,
        (target, message): (Target<'_>, &[u8]),
        poll: &Poll<'_>,
    ) -> io::Result<()> {
        let bits = self.bits;
        let flying = if let Target::Server { tcp: false, .. } = target {
            let watch = |socket: &UdpSocket, place: usize| {
                let place = u32::try_from(place).unwrap_or(SHARED - 1);
                poll.watch(socket, bits | SHARED | place, EpollFlags::EPOLLIN)
            };
            Flying::Datagram(self.pool.ask(token, &target, message, Instant::now(), watch)?)
        } else {
            let exchange = open_stream(&target, message, &self.netd)?;
            poll.watch(&exchange, bits | token, exchange.waits_for())?;
            Flying::Stream(exchange)
        };
        self.flying.insert(token, flying);
        Ok(())
    }

    /// Sends a question again, if it is a datagram.
    pub fn again(&self, token: Token, message: &[u8]) {
        if let Some(Flying::Datagram(place)) = self.flying.get(&token) {
            self.pool.again(*place, message);
        }
    }

    /// A question is on its way no more: it has been answered, or not.
    pub fn land(&mut self, token: Token, answered: bool) {
        if let Some(Flying::Datagram(place)) = self.flying.remove(&token) {
            self.pool.over(place, answered, Instant::now());
        }
    }

    /// What has come by the descriptor of this number, and for which question; none: not all of it yet, or
    /// nothing that anybody waits for.
    pub fn receive(
        &mut self,
        number: u32,
        buffer: &mut [u8],
        poll: &Poll<'_>,
    ) -> Option<(Token, io::Result<Vec<u8>>)> {
        if number & SHARED == 0 {
            let Some(Flying::Stream(exchange)) = self.flying.get_mut(&number) else { return None };
            let received = exchange.go_on().transpose().or_else(|| {
                poll.change(&*exchange, self.bits | number, exchange.waits_for()).err().map(Err)
            })?;
            return Some((number, received));
        }
        let (token, received) = self.pool.receive((number & !SHARED) as usize, buffer)?;
        let received = match received {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
            other => other.map(|length| buffer.get(..length).unwrap_or_default().to_vec()),
        };
        Some((token, received))
    }

    /// When [`Self::tick`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.pool.due()
    }

    /// It is that time.
    pub fn tick(&mut self, now: Instant) {
        self.pool.expire(now);
    }
}
