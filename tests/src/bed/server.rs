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

//! Servers that write down what reaches them, and the question which of them are reached.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::probe::WAIT;
use crate::{poll, InNetns, Probe};
use nix::poll::{poll as poll_fds, PollFd, PollFlags, PollTimeout};

/// A server over TCP and UDP, at any number of addresses; every line and datagram is written
/// down and sent back.
pub struct Server {
    heard: Arc<Mutex<Vec<String>>>,
    // Closed to end the thread. Both are Some until then.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one in a namespace, over both protocols at each address: `0.0.0.0:53`.
    pub fn start(netns: &impl InNetns, addresses: &[&str]) -> Self {
        let open = || -> io::Result<(Vec<TcpListener>, Vec<UdpSocket>)> {
            let tcp = addresses.iter().map(TcpListener::bind).collect::<io::Result<_>>()?;
            let udp = addresses.iter().map(UdpSocket::bind).collect::<io::Result<_>>()?;
            Ok((tcp, udp))
        };
        let (tcp, udp) = netns.enter(open).unwrap_or_else(|e| panic!("{addresses:?}: {e}"));
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let (stopped, stop) = UnixStream::pair().expect("a pair of sockets");
        let words = Arc::clone(&heard);
        let thread = thread::spawn(move || serve(&tcp, &udp, &stopped, &words));
        Self { heard, stop: Some(stop), thread: Some(thread) }
    }

    /// Whether this text has arrived.
    pub fn has_heard(&self, text: &str) -> bool {
        self.heard.lock().expect("what was heard").iter().any(|heard| heard == text)
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

fn serve(tcp: &[TcpListener], udp: &[UdpSocket], stop: &UnixStream, heard: &Mutex<Vec<String>>) {
    let hear = |text: &str| heard.lock().expect("what was heard").push(text.to_owned());
    loop {
        let all = tcp.iter().map(AsFd::as_fd).chain(udp.iter().map(AsFd::as_fd));
        let mut fds: Vec<_> =
            all.chain([stop.as_fd()]).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        if poll_fds(&mut fds, PollTimeout::NONE).is_err() {
            continue;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        let (on_tcp, rest) = ready.split_at(tcp.len());
        let (on_udp, on_stop) = rest.split_at(udp.len());
        if on_stop[0] {
            return;
        }
        // Errors are those of one client, and of interest to that client only.
        for (socket, _) in tcp.iter().zip(on_tcp).filter(|(_, ready)| **ready) {
            let _ = socket.accept().and_then(|(stream, _)| answer_line(&stream, hear));
        }
        for (socket, _) in udp.iter().zip(on_udp).filter(|(_, ready)| **ready) {
            let mut buffer = [0; 2048];
            let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
            hear(&String::from_utf8_lossy(&buffer[..length]));
            let _ = socket.send_to(&buffer[..length], client);
        }
    }
}

fn answer_line(mut stream: &TcpStream, hear: impl Fn(&str)) -> io::Result<()> {
    stream.set_read_timeout(Some(WAIT))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    hear(line.trim_end());
    stream.write_all(line.as_bytes())
}

/// Asks every question at the same time and gives those that came through, in their order. A
/// question is `tcp ADDRESS:PORT`, `udp ADDRESS:PORT`, `udp ADDRESS:PORT from ADDRESS`, or
/// `ping ADDRESS`. A datagram has come through when the server has it, answer or not.
#[track_caller]
pub fn reached<'a>(
    from: &(impl InNetns + Sync),
    server: &Server,
    questions: &'a [String],
) -> Vec<&'a str> {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let ask = |question: &str| {
        let unique = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let text = format!("{unique} {question}");
        let (how, to) = question.split_once(' ').expect("protocol and address");
        match how {
            "ping" => from.ping(to),
            // The connection alone does not count: it could be somebody else's.
            "tcp" => from.tcp(to, &text).is_ok() && server.has_heard(&text),
            _ => {
                let (to, source) = to.split_once(" from ").unwrap_or((to, ""));
                send(from, to, source, &text);
                poll(WAIT, || server.has_heard(&text).then_some(())).is_some()
            }
        }
    };
    let answers: Vec<bool> = thread::scope(|scope| {
        let asked: Vec<_> = questions.iter().map(|q| scope.spawn(move || ask(q))).collect();
        asked
            .into_iter()
            .map(|thread| thread.join().expect("the question could be asked"))
            .collect()
    });
    questions.iter().zip(answers).filter_map(|(q, came)| came.then_some(q.as_str())).collect()
}

/// Sends a datagram. What the sender itself cannot send is no answer to any question: a panic.
fn send(from: &impl InNetns, to: &str, source: &str, text: &str) {
    let to: SocketAddr = to.parse().unwrap_or_else(|e| panic!("{to}: {e}"));
    let source = match (source, to.is_ipv4()) {
        ("", true) => "0.0.0.0:0".to_owned(),
        ("", false) => "[::]:0".to_owned(),
        (source, _) => format!("{source}:0"),
    };
    let socket =
        from.enter(|| UdpSocket::bind(&source)).unwrap_or_else(|e| panic!("{source}: {e}"));
    socket.send_to(text.as_bytes(), to).unwrap_or_else(|e| panic!("{to} from {source}: {e}"));
}
