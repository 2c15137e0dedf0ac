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

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::sockopt::{ReuseAddr, ReusePort};
use nix::sys::socket::{
    bind, setsockopt, socket, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage,
};

use crate::{uninterrupted, InNetns};

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
    /// By UDP that it is to be asked by TCP, and there as `All`.
    Short,
    /// By UDP the query itself, which is no answer.
    Echo,
    /// The same: an answer to another question, by its id.
    OtherId,
    /// The same: the first twenty bytes of an answer.
    Half,
    /// Nothing.
    Nothing,
}

/// One resolver, over UDP and TCP, until it is dropped.
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
        let (socket, tcp) = listen(netns, address);
        // A thread in accept() keeps its namespace: this one waits for nobody.
        tcp.set_nonblocking(true).expect("not blocking");
        let (stopped, stop) = UnixStream::pair().expect("a socket pair");
        let (says, asked) = (Arc::new(Mutex::new(says)), Arc::default());
        let (now, count) = (Arc::clone(&says), Arc::clone(&asked));
        let thread = thread::spawn(move || serve(&socket, &tcp, &now, &count, &stopped));
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

/// Port 53 of an address, over UDP and TCP. One at a single address may be beside one at all of them, and
/// gets what is for that address: so a test puts a resolver of its own before the one of the internet.
pub fn listen(netns: &impl InNetns, address: IpAddr) -> (UdpSocket, TcpListener) {
    let at = SocketAddr::new(address, 53);
    let open = |kind| -> io::Result<OwnedFd> {
        let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
        // To listen twice at a port takes the first from both over TCP, over UDP the other.
        match kind {
            SockType::Stream => setsockopt(&socket, ReusePort, &true)?,
            _ => setsockopt(&socket, ReuseAddr, &true)?,
        }
        bind(socket.as_raw_fd(), &SockaddrStorage::from(at))?;
        if kind == SockType::Stream {
            nix::sys::socket::listen(&socket, Backlog::MAXALLOWABLE)?;
        }
        Ok(socket)
    };
    let both =
        netns.enter(|| Ok((open(SockType::Datagram)?.into(), open(SockType::Stream)?.into())));
    both.unwrap_or_else(|e: io::Error| panic!("{at}: {e}"))
}

fn serve(
    socket: &UdpSocket,
    tcp: &TcpListener,
    says: &Mutex<Says>,
    asked: &Mutex<usize>,
    stopped: &UnixStream,
) {
    loop {
        let fds = [socket.as_fd(), stopped.as_fd(), tcp.as_fd()];
        let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            continue;
        }
        let [on_socket, on_stop, _] = fds.map(|fd| fd.any().unwrap_or(true));
        if on_stop {
            return;
        }
        if let Ok((stream, _)) = tcp.accept() {
            *asked.lock().expect("not poisoned") += 1;
            // Errors are those of one client.
            let _ = answer_stream(stream, *says.lock().expect("not poisoned"));
        }
        if on_socket {
            let mut buffer = [0; 512];
            // Errors are those of one client.
            let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
            *asked.lock().expect("not poisoned") += 1;
            let says = *says.lock().expect("not poisoned");
            if let Some(mut answer) = answer(&buffer[..length], says) {
                match says {
                    Says::Short => {
                        answer.truncate(answer.len() - 16);
                        (answer[2], answer[7]) = (0x83, 0);
                    }
                    Says::Echo => answer = buffer[..length].to_vec(),
                    Says::OtherId => answer[1] ^= 1,
                    Says::Half => answer.truncate(20),
                    _ => {}
                }
                let _ = socket.send_to(&answer, client);
            }
        }
    }
}

/// One question over TCP.
fn answer_stream(mut stream: TcpStream, says: Says) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let query = read_framed(&mut stream)?;
    match answer(&query, says) {
        Some(answer) => write_framed(&mut stream, &answer),
        None => Ok(()),
    }
}

/// A message over TCP: behind its length.
pub fn read_framed(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// See [`read_framed`].
pub fn write_framed(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).expect("a message").to_be_bytes();
    stream.write_all(&[&length, message].concat())
}

/// What a question is answered with.
pub fn answer(query: &[u8], says: Says) -> Option<Vec<u8>> {
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
        Says::All | Says::AllButRoot | Says::RefusedButItself | Says::Short => 0,
        Says::Echo | Says::OtherId | Says::Half => 0,
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
    socket.send(&question())?;
    let mut buffer = [0; 512];
    let length = uninterrupted(|| socket.recv(&mut buffer))?;
    read(&buffer[..length])
}

/// The code of the answer to any message, 0 of one that resolves; none if there is no answer in this time.
pub fn code(from: &impl InNetns, at: &str, message: &[u8], wait: Duration) -> Option<u8> {
    let socket = from.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    socket.set_read_timeout(Some(wait)).expect("a timeout");
    socket.send_to(message, (at, 53)).expect("sent");
    let mut buffer = [0; 4096];
    let length = uninterrupted(|| socket.recv(&mut buffer)).ok()?;
    buffer.get(..length)?.get(3).map(|flags| flags & 0x0f)
}

/// [`resolve`] over TCP.
pub fn resolve_by_tcp(from: &impl InNetns, at: &str) -> io::Result<[u8; 4]> {
    let at = SocketAddr::new(at.parse().expect("an address"), 53);
    let wait = Duration::from_secs(5);
    let mut stream = from.enter(|| TcpStream::connect_timeout(&at, wait))?;
    stream.set_read_timeout(Some(wait))?;
    write_framed(&mut stream, &question())?;
    read(&read_framed(&mut stream)?)
}

/// For `beyond.test`.
pub fn question() -> Vec<u8> {
    let mut query = vec![0x47, 0x4e, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(b"\x06beyond\x04test\0\0\x01\0\x01");
    query
}

/// The address in an answer, or its code.
fn read(answer: &[u8]) -> io::Result<[u8; 4]> {
    match answer.get(2..4) {
        Some([flags, _]) if flags & 2 != 0 => return Err(io::Error::other("cut short")),
        Some([_, code]) if code & 0x0f == 0 => {}
        code => return Err(io::Error::other(format!("code {:?}", code.map(|c| c[1] & 0x0f)))),
    }
    answer.last_chunk().copied().ok_or_else(|| io::ErrorKind::InvalidData.into())
}
