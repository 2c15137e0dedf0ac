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

//! A resolver, as far as one has to be there: it answers every question with the same address, or with a
//! refusal, or not at all; and a client that asks one.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::sockopt::ReuseAddr;
use nix::sys::socket::{
    bind, setsockopt, socket, AddressFamily, SockFlag, SockType, SockaddrStorage,
};

use crate::InNetns;

/// What a resolver says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Every name is [`Resolver::ANSWER`].
    All,
    /// REFUSED, to everything.
    Refused,
    /// REFUSED, but to what is asked of itself (class CHAOS).
    RefusedButItself,
    /// SERVFAIL, to everything.
    Failed,
    /// The same for names; nothing to who asks for the root, as guestnetd does.
    AllButRoot,
    /// Nothing.
    Nothing,
}

/// One resolver, over UDP, until it is dropped.
#[derive(Debug)]
pub struct Resolver {
    says: Arc<Mutex<Says>>,
    /// How many questions it has received.
    asked: Arc<Mutex<usize>>,
    // Closed to end the thread. Both are Some until then.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Resolver {
    /// What names are resolved to.
    pub const ANSWER: [u8; 4] = [203, 0, 113, 80];

    /// Starts it at an address of a namespace.
    pub fn start(netns: &impl InNetns, address: IpAddr, says: Says) -> Self {
        let socket = netns.enter(|| listen(SocketAddr::new(address, 53)));
        let socket = socket.unwrap_or_else(|e| panic!("{address}:53: {e}"));
        let (stopped, stop) = UnixStream::pair().expect("a socket pair");
        let (says, asked) = (Arc::new(Mutex::new(says)), Arc::default());
        let (now, count) = (Arc::clone(&says), Arc::clone(&asked));
        let thread = thread::spawn(move || serve(&socket, &now, &count, &stopped));
        Self { says, asked, stop: Some(stop), thread: Some(thread) }
    }

    /// It says something else from now on.
    pub fn says(&self, says: Says) {
        *self.says.lock().expect("not poisoned") = says;
    }

    /// How many questions it has received.
    pub fn asked(&self) -> usize {
        *self.asked.lock().expect("not poisoned")
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One at a single address may be beside one at all of them, and gets what is for that.
fn listen(at: SocketAddr) -> io::Result<UdpSocket> {
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(at))?;
    Ok(socket.into())
}

fn serve(socket: &UdpSocket, says: &Mutex<Says>, asked: &Mutex<usize>, stopped: &UnixStream) {
    loop {
        let mut fds =
            [socket.as_fd(), stopped.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            continue;
        }
        let [on_socket, on_stop] = fds.map(|fd| fd.any().unwrap_or(true));
        if on_stop {
            return;
        }
        if on_socket {
            let mut buffer = [0; 512];
            // Errors are those of one client.
            let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
            *asked.lock().expect("not poisoned") += 1;
            let says = *says.lock().expect("not poisoned");
            if let Some(answer) = answer(&buffer[..length], says) {
                let _ = socket.send_to(&answer, client);
            }
        }
    }
}

/// What a question is answered with.
fn answer(query: &[u8], says: Says) -> Option<Vec<u8>> {
    let name = query.get(12..)?.iter().position(|length| *length == 0)?;
    let end = 12 + name + 5;
    let mut message = query.get(..end)?.to_vec();
    let chaos = message[end - 2..] == [0, 3];
    let code = match says {
        Says::Nothing => return None,
        Says::AllButRoot if name == 0 => return None,
        Says::Refused => 5,
        Says::RefusedButItself if !chaos => 5,
        Says::Failed => 2,
        Says::All | Says::AllButRoot | Says::RefusedButItself => 0,
    };
    message[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, u8::from(code == 0), 0, 0, 0, 0]);
    if code == 0 {
        // The name again, A, IN, for no time, four bytes.
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        message.extend(Resolver::ANSWER);
    }
    Some(message)
}

/// Asks whoever answers at an address for `beyond.test`; gives the address.
pub fn resolve(from: &impl InNetns, at: &str) -> io::Result<[u8; 4]> {
    let socket = from.enter(|| UdpSocket::bind("0.0.0.0:0"))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.connect((at, 53))?;
    let mut query = vec![0x47, 0x4e, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(b"\x06beyond\x04test\0\0\x01\0\x01");
    socket.send(&query)?;
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer)?;
    match buffer.get(3).map(|code| code & 0x0f) {
        Some(0) => {}
        code => return Err(io::Error::other(format!("code {code:?}"))),
    }
    let address = buffer.get(length.saturating_sub(4)..length).and_then(|all| all.try_into().ok());
    address.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
