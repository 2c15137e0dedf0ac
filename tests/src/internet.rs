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

//! The internet of a device: a network namespace with a server that tells every client the
//! address it is seen under. It has no route to any guest: an answer proves address translation.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use crate::resolver::{Resolver, Says};
use crate::{InNetns, Netns};
use guestnet_on_device::netns::no_address_probing;

/// The namespace and its server; both end when it is dropped.
#[derive(Debug)]
pub struct Internet {
    // In this order: the servers' sockets would keep the namespace alive.
    _server: Server,
    _resolver: Resolver,
    /// The namespace.
    pub netns: Netns,
}

impl Internet {
    /// The server's IPv4 address.
    pub const ADDRESS: &'static str = "192.0.2.1";
    /// The server's IPv6 address, where it was asked for.
    pub const ADDRESS6: &'static str = "2001:db8:0:1::1";
    /// The server's TCP port. A request `GET` is answered with a page that holds the client's
    /// address; every other line with the client's address, a space and the line.
    pub const TCP: &'static str = "192.0.2.1:80";
    /// The server's UDP port: a datagram is answered as a line is.
    pub const UDP: &'static str = "192.0.2.1:7";

    /// Makes the namespace and starts the server, over IPv6 too if asked.
    pub fn new(ipv6: bool) -> Self {
        let any: IpAddr =
            if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let netns = Self::netns();
        let server = netns.enter(|| Server::start(any)).expect("the internet's server");
        let resolver = Resolver::start(&netns, any, Says::All);
        Self { _server: server, _resolver: resolver, netns }
    }

    /// A resolver at another address of the internet's, `192.0.2.53`.
    pub fn resolver(&self, address: &str, says: Says) -> Resolver {
        self.netns.run(&format!("ip addr add {address}/32 dev lo"));
        Resolver::start(&self.netns, address.parse().expect("an address"), says)
    }

    /// The same with the server at one address, which no link has: it answers from there, by
    /// whatever link it is asked.
    pub fn at(address: &str) -> Self {
        let netns = Self::netns();
        netns.run(&format!("ip addr add {address}/32 dev lo"));
        let address = address.parse().expect("an address");
        let server = netns.enter(|| Server::start(address)).expect("the internet's server");
        let resolver = Resolver::start(&netns, address, Says::All);
        Self { _server: server, _resolver: resolver, netns }
    }

    fn netns() -> Netns {
        let netns = Netns::new("internet");
        netns.run("ip link set lo up");
        netns.set_sysctl("net/ipv4/ip_forward", "0");
        no_address_probing(&netns);
        netns
    }
}

impl InNetns for Internet {
    fn open_netns(&self) -> OwnedFd {
        self.netns.open_netns()
    }
}

#[derive(Debug)]
struct Server {
    // Closed to end the thread. Both are Some until then.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(at: IpAddr) -> io::Result<Self> {
        let (tcp, udp) = (TcpListener::bind((at, 80))?, UdpSocket::bind((at, 7))?);
        let (stopped, stop) = UnixStream::pair()?;
        let thread = thread::spawn(move || serve(&tcp, &udp, &stopped));
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(tcp: &TcpListener, udp: &UdpSocket, stopped: &impl AsFd) {
    let mut clients = Vec::new();
    loop {
        let mut fds = [tcp.as_fd(), udp.as_fd(), stopped.as_fd()]
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            continue;
        }
        let [on_tcp, on_udp, on_stop] = fds.map(|fd| fd.any().unwrap_or(true));
        if on_stop {
            break;
        }
        if on_tcp {
            if let Ok((stream, _)) = tcp.accept() {
                let handle = stream.try_clone().expect("dup");
                clients.push((handle, thread::spawn(move || talk(stream))));
            }
        }
        if on_udp {
            // Errors are those of one client: an ICMP error for an earlier answer.
            let _ = answer_datagram(udp);
        }
    }
    for (stream, thread) in clients {
        let _ = stream.shutdown(Shutdown::Both);
        let _ = thread.join();
    }
}

fn answer_datagram(udp: &UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 2048];
    let (length, client) = udp.recv_from(&mut buffer)?;
    let mut answer = format!("{} ", client.ip().to_canonical()).into_bytes();
    answer.extend_from_slice(&buffer[..length]);
    udp.send_to(&answer, client).map(drop)
}

fn talk(stream: TcpStream) {
    // An error is the end of this client's connection, and of interest to the client only.
    let _ = converse(&stream);
    let _ = stream.shutdown(Shutdown::Both);
}

fn converse(mut stream: &TcpStream) -> io::Result<()> {
    let client = stream.peer_addr()?.ip().to_canonical();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if line.starts_with("GET ") {
            let body = format!("{client}\n");
            return write!(
                stream,
                "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        writeln!(stream, "{client} {line}")?;
    }
    Ok(())
}
