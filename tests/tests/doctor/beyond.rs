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

//! The internet's servers: two hosts, a resolver and the page that tells a sign-in, each with its moods.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use guestnet_tests::{resolver, InNetns};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

/// Hosts on the internet; each answers TCP 80 and pings.
pub const HOSTS: [&str; 2] = ["203.0.113.80", "203.0.113.81"];
/// The page; its host is a name, as the default's is.
pub const PAGE: &str = "http://beyond.test:8080/generate_204";
/// What resolvers are asked for.
pub const NAME: &str = "beyond.test";

const RESOLVER: &str = "203.0.113.53";
const OCTETS: [u8; 4] = [203, 0, 113, 80];

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mood {
    /// The page is a redirect to a sign-in.
    Portal = 1,
    /// The page is a sign-in itself.
    Page,
    /// A resolver refuses.
    Refuses,
    /// Nobody answers a question.
    Silent,
    /// Nobody answers a question for an IPv6 address.
    NoAaaa,
    /// The page has no content, and another status.
    Empty,
}

/// The servers, until it is dropped.
pub struct Beyond {
    mood: Arc<AtomicU8>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    _hosts: Vec<TcpListener>,
}

impl Beyond {
    /// In the internet of a device, beside the resolver that answers everywhere.
    pub fn behind(internet: &impl InNetns) -> Self {
        for host in HOSTS {
            internet.run(&format!("ip addr add {host}/32 dev lo"));
        }
        internet.run(&format!("ip addr add {RESOLVER}/32 dev lo"));
        Self::resolver_in(internet, RESOLVER)
    }

    /// A resolver and a page in a namespace.
    pub fn resolver_in(netns: &impl InNetns, address: &str) -> Self {
        let (udp, tcp) = resolver::listen(netns, address.parse().expect("an address"));
        let (page, hosts) = netns.enter(|| {
            let page = TcpListener::bind(("0.0.0.0", 8080)).expect("TCP 8080");
            // Where nobody answers on all addresses. To listen is enough.
            let hosts = HOSTS.map(|host| TcpListener::bind((host, 80)));
            (page, hosts)
        });
        let (mood, stop) = (Arc::<AtomicU8>::default(), Arc::<AtomicBool>::default());
        let (theirs, ends) = (Arc::clone(&mood), Arc::clone(&stop));
        let thread = thread::spawn(move || serve(&udp, &tcp, &page, &theirs, &ends));
        Self { mood, stop, threads: vec![thread], _hosts: hosts.into_iter().flatten().collect() }
    }

    pub fn is_now(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::Relaxed);
    }
}

impl Drop for Beyond {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve(
    udp: &UdpSocket,
    tcp: &TcpListener,
    page: &TcpListener,
    mood: &AtomicU8,
    stop: &AtomicBool,
) {
    while !stop.load(Ordering::Relaxed) {
        let mut fds =
            [udp.as_fd(), tcp.as_fd(), page.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        if poll(&mut fds, PollTimeout::from(20u16)).is_err() {
            continue;
        }
        let [on_udp, on_tcp, on_page] = fds.map(|fd| fd.any().unwrap_or(true));
        let now = mood.load(Ordering::Relaxed);
        let is = |mood: Mood| now == mood as u8;
        let mut buffer = [0; 2048];
        // Errors are those of one client.
        if on_udp {
            if let Ok((length, client)) = udp.recv_from(&mut buffer) {
                if let Some(answer) =
                    answer(&buffer[..length], is(Mood::Refuses)).filter(|_| !is(Mood::Silent))
                {
                    let _ = udp.send_to(&answer, client);
                }
            }
        }
        if on_tcp {
            if let Ok((stream, _)) = tcp.accept() {
                let _ = talk(stream, is(Mood::Refuses), is(Mood::Silent));
            }
        }
        if on_page {
            if let Ok((mut stream, _)) = page.accept() {
                let _ = stream.set_read_timeout(Some(Duration::from_millis(300)));
                let _ = stream.read(&mut buffer);
                let text = if is(Mood::Portal) {
                    "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/sign-in\r\nContent-Length: 0\r\n\r\n"
                } else if is(Mood::Page) {
                    "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsign in!"
                } else if is(Mood::Empty) {
                    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                } else {
                    "HTTP/1.1 204 No Content\r\n\r\n"
                };
                let _ = stream.write_all(text.as_bytes());
            }
        }
    }
}

fn talk(mut stream: TcpStream, refuses: bool, silent: bool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question)?;
    match answer(&question, refuses).filter(|_| !silent) {
        Some(answer) => {
            stream.write_all(&[&(answer.len() as u16).to_be_bytes(), &answer[..]].concat())
        }
        None => Ok(()),
    }
}

/// The answer to a query with one question: an address for A, nothing for others.
fn answer(query: &[u8], refuses: bool) -> Option<Vec<u8>> {
    let question = query.get(12..)?;
    let end = question.iter().position(|byte| *byte == 0)? + 5;
    let kind = question.get(end - 4..end - 2)?;
    let mut text = query.get(..12 + end)?.to_vec();
    let found = u8::from(kind == [0, 1] && !refuses);
    let code = if refuses { 5 } else { 0 };
    text[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, found, 0, 0, 0, 0]);
    if found == 1 {
        text.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        text.extend_from_slice(&OCTETS);
    }
    Some(text)
}
