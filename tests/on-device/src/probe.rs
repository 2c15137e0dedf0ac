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

//! Questions put to a network namespace: does a packet come through, and what is configured?

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::Value;

use crate::{poll, uninterrupted, InNetns};

/// How long a probe waits for an answer. Everything is on one machine: who has not answered by
/// then never will.
pub const WAIT: Duration = Duration::from_secs(1);

/// Probes, for everything that has a network namespace. Addresses are texts: `192.0.2.1:80`.
pub trait Probe: InNetns {
    /// Whether one ICMP echo is answered.
    fn ping(&self, address: &str) -> bool {
        self.try_run(&format!("ping -n -c1 -W1 {address}")).status.success()
    }

    /// An open TCP connection. It keeps the namespace alive, as every socket does.
    fn connect_tcp(&self, address: &str) -> io::Result<TcpStream> {
        let address: SocketAddr = address.parse().expect("an address and a port");
        let stream = self.enter(|| TcpStream::connect_timeout(&address, WAIT))?;
        stream.set_read_timeout(Some(WAIT))?;
        Ok(stream)
    }

    /// Sends one line over a new TCP connection and gives the line that comes back.
    fn tcp(&self, address: &str, line: &str) -> io::Result<String> {
        exchange(&self.connect_tcp(address)?, line)
    }

    /// Fetches a page over HTTP/1.0 and gives its body.
    fn fetch(&self, address: &str) -> io::Result<String> {
        let mut stream = self.connect_tcp(address)?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        let (_, body) = page.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
        Ok(body.trim_end().to_owned())
    }

    /// Sends one datagram and gives the one that comes back.
    fn udp(&self, address: &str, text: &str) -> io::Result<String> {
        let address: SocketAddr = address.parse().expect("an address and a port");
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = self.enter(|| UdpSocket::bind(any))?;
        socket.set_read_timeout(Some(WAIT))?;
        socket.connect(address)?;
        socket.send(text.as_bytes())?;
        let mut buffer = [0; 2048];
        let length = uninterrupted(|| socket.recv(&mut buffer))?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// What `ip -j -d WHAT` lists: `link`, `addr`, `route show table all`.
    #[track_caller]
    fn ip(&self, what: &str) -> Vec<Value> {
        let text = self.run(&format!("ip -j -d {what}"));
        // Of an empty list some versions print nothing at all.
        if text.trim().is_empty() {
            return Vec::new();
        }
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("ip -j -d {what}: {e}: {text}"))
    }

    /// The names of the interfaces, in the kernel's order.
    #[track_caller]
    fn links(&self) -> Vec<String> {
        self.ip("link").iter().map(|link| text(&link["ifname"])).collect()
    }

    /// One interface as `ip -j -d link` shows it. Asked for a single link, the kernel first
    /// works off a change of its carrier; in a list of all, that can be a second late.
    #[track_caller]
    fn link(&self, name: &str) -> Option<Value> {
        let out = self.try_run(&format!("ip -j -d link show dev {name}"));
        let list: Vec<Value> = serde_json::from_slice(&out.stdout).ok()?;
        list.into_iter().next()
    }

    /// Waits until an interface has found its carrier. Until then the kernel drops what it is
    /// to send, and a busy machine can take a while.
    #[track_caller]
    fn wait_until_up(&self, name: &str) {
        let up = || self.link(name).is_some_and(|link| link["operstate"] == "UP").then_some(());
        poll(Duration::from_secs(5), up).unwrap_or_else(|| panic!("{name} has no carrier"));
    }

    /// The addresses of one family (4 or 6) on one interface: `172.17.3.2/16`. None when there
    /// is no such interface.
    #[track_caller]
    fn addresses(&self, family: u8, name: &str) -> Vec<String> {
        let all = self.ip(&format!("-{family} addr"));
        let link = all.iter().find(|link| link["ifname"] == name);
        let list = link.and_then(|link| link["addr_info"].as_array()).into_iter().flatten();
        list.map(|a| format!("{}/{}", text(&a["local"]), a["prefixlen"])).collect()
    }

    /// The routes of one family (4 or 6) in one table, as `ip route` writes them.
    #[track_caller]
    fn routes(&self, family: u8, table: &str) -> Vec<String> {
        // A table without a route may not exist, which is a failure to `ip`.
        let out = self.try_run(&format!("ip -{family} route show table {table}"));
        let text = String::from_utf8_lossy(&out.stdout);
        text.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

impl<T: InNetns> Probe for T {}

/// Sends one line over an open connection and gives the line that comes back.
pub fn exchange(mut stream: &TcpStream, line: &str) -> io::Result<String> {
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer.trim_end().to_owned())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
