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

//! How much slower this machine is than the one that the limits are for.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use guestnet_tests::traffic::netlink::Socket;
use guestnet_tests::InNetns;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::SockProtocol;

/// A null operation on the machine of BENCHMARKS.md.
const THERE: Duration = Duration::from_micros(140);
const TIMES: usize = 201;
const DUMP: i32 = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;

/// How many times as long as there everything takes here, and never less than once. It is taken from a null
/// operation: what guestnetd cannot do without after an event, and nothing that guestnetd could be slow
/// at. A socket, dumps of links, addresses and routes by rtnetlink; the fastest of many, so that only the
/// machine counts and not what else runs on it.
pub fn factor(netns: &impl InNetns) -> f64 {
    (null_operation(netns).as_secs_f64() / THERE.as_secs_f64()).max(1.0)
}

/// The fastest.
fn null_operation(netns: &impl InNetns) -> Duration {
    netns.enter(|| {
        let inside = File::open("/proc/thread-self/ns/net").expect("a namespace").into();
        let times = (0..TIMES).map(|_| once(&inside).expect("rtnetlink"));
        times.min().unwrap_or_default()
    })
}

fn once(netns: &OwnedFd) -> io::Result<Duration> {
    let begin = Instant::now();
    let mut socket = Socket::open(netns, SockProtocol::NetlinkRoute)?;
    for kind in [libc::RTM_GETLINK, libc::RTM_GETADDR, libc::RTM_GETROUTE] {
        // More than each of their fixed headers.
        socket.send(kind, DUMP, &[0; 16])?;
        while !ended(&mut socket)? {}
    }
    Ok(begin.elapsed())
}

/// Reads a datagram of a dump.
fn ended(socket: &mut Socket) -> io::Result<bool> {
    poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
    let mut messages = socket.next()?.into_iter().flatten();
    Ok(messages.any(|message| i32::from(message.kind) == libc::NLMSG_DONE))
}
