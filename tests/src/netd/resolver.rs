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

//! A resolver that answers with its name, over UDP and TCP; and a client that asks who answers.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::{self, JoinHandle};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use crate::probe::WAIT;
use crate::{uninterrupted, InNetns, Probe};

const TXT: u16 = 16;

/// One resolver at one address, until it is dropped.
#[derive(Debug)]
pub(super) struct Resolver {
    pub name: String,
    pub address: Ipv4Addr,
    // Closed to end the thread. Both are Some until then.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Resolver {
    pub fn start(netns: &impl InNetns, name: &str, address: Ipv4Addr) -> Self {
        let bind = || Ok((UdpSocket::bind((address, 53))?, TcpListener::bind((address, 53))?));
        let sockets: io::Result<_> = netns.enter(bind);
        let (udp, tcp) = sockets.unwrap_or_else(|e| panic!("{address}:53: {e}"));
        let (stopped, stop) = UnixStream::pair().expect("a socket pair");
        let own = name.to_owned();
        let thread = thread::spawn(move || serve(&own, &udp, &tcp, &stopped));
        Self { name: name.to_owned(), address, stop: Some(stop), thread: Some(thread) }
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

/// Asks whoever listens at an address, `192.0.2.1`, for its name; its answer is the name and the
/// address it was asked by: `wlan0 192.0.2.2`.
pub fn ask(from: &impl InNetns, resolver: &str, tcp: bool) -> io::Result<String> {
    static ID: AtomicU16 = AtomicU16::new(0x6e65);
    let id = ID.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    // One question, recursion desired: who.example, TXT, IN.
    let mut query = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(b"\x03who\x07example\x00\x00\x10\x00\x01");
    let address = format!("{resolver}:53");
    let answer = if tcp {
        let mut stream = from.connect_tcp(&address)?;
        write_message(&mut stream, &query)?;
        read_message(&mut stream)?
    } else {
        let address: SocketAddr = address.parse().expect("an address");
        let socket = from.enter(|| UdpSocket::bind("0.0.0.0:0"))?;
        socket.set_read_timeout(Some(WAIT))?;
        socket.connect(address)?;
        socket.send(&query)?;
        let mut buffer = [0; 512];
        let length = uninterrupted(|| socket.recv(&mut buffer))?;
        buffer[..length].to_vec()
    };
    // A TXT record's data: its length, then the text.
    let data = answer.get(query.len() + 12..).filter(|_| answer.starts_with(&id));
    let text = data.and_then(|data| data.get(1..1 + usize::from(*data.first()?)));
    let text = text.ok_or(io::ErrorKind::InvalidData)?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn serve(name: &str, udp: &UdpSocket, tcp: &TcpListener, stopped: &UnixStream) {
    let own = match udp.local_addr().map(|address| address.ip()) {
        Ok(IpAddr::V4(address)) => address,
        _ => Ipv4Addr::UNSPECIFIED,
    };
    let answer = |query: &[u8], client: SocketAddr| answer(query, name, own, client.ip());
    loop {
        let mut fds = [udp.as_fd(), tcp.as_fd(), stopped.as_fd()]
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            continue;
        }
        let [on_udp, on_tcp, on_stop] = fds.map(|fd| fd.any().unwrap_or(true));
        if on_stop {
            return;
        }
        let mut buffer = [0; 2048];
        if on_udp {
            // Errors are those of one client.
            if let Ok((length, client)) = udp.recv_from(&mut buffer) {
                let _ = answer(&buffer[..length], client).map(|text| udp.send_to(&text, client));
            }
        }
        if on_tcp {
            if let Ok((mut stream, client)) = tcp.accept() {
                let _ = stream.set_read_timeout(Some(WAIT));
                let query = read_message(&mut stream).unwrap_or_default();
                let _ = answer(&query, client).map(|text| write_message(&mut stream, &text));
            }
        }
    }
}

/// The answer to a query with one question: for TXT the name and who asked, else the address.
fn answer(query: &[u8], name: &str, own: Ipv4Addr, client: IpAddr) -> Option<Vec<u8>> {
    let question = query.get(12..)?;
    let end = question.iter().position(|byte| *byte == 0)? + 5;
    let kind = question.get(end - 4..end - 2)?;
    let mut text = query[..12 + end].to_vec();
    // A response, recursion available; one question, one answer, nothing else.
    text[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    let data = if kind == TXT.to_be_bytes() {
        let words = format!("{name} {client}");
        [&[words.len() as u8], words.as_bytes()].concat()
    } else {
        own.octets().to_vec()
    };
    let kind = if kind == TXT.to_be_bytes() { TXT } else { 1 };
    // The question's name, the type, IN, no time to live.
    text.extend_from_slice(&[0xc0, 12]);
    text.extend_from_slice(&kind.to_be_bytes());
    text.extend_from_slice(&[0, 1, 0, 0, 0, 0]);
    text.extend_from_slice(&(data.len() as u16).to_be_bytes());
    text.extend_from_slice(&data);
    Some(text)
}

fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut text = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut text)?;
    Ok(text)
}

fn write_message(stream: &mut TcpStream, text: &[u8]) -> io::Result<()> {
    stream.write_all(&[&(text.len() as u16).to_be_bytes(), text].concat())
}
