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

//! A guest, or a device, that sends a small datagram to a server beyond all the time and notes which
//! ones were answered.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{ppoll, PollFd, PollFlags};
use nix::sys::prctl::set_timerslack;
use nix::sys::time::TimeSpec;

use super::cpu::{first as run_first, pin};
use super::flow::Sent;
use crate::InNetns;

/// The core that it keeps to.
const CORE: usize = 0;
/// An answer that has not come by then, with the last probe sent, never comes.
const LAST: Duration = Duration::from_secs(1);
/// Behind by no more than so many, traffic flows.
const BEHIND: u32 = 8;
/// For so long, it flows for good.
const FLOWING: Duration = Duration::from_millis(100);

/// A prober that sends; it ends with [`Prober::end`].
#[derive(Debug)]
pub struct Prober {
    shared: Arc<Shared>,
    /// The port that it sends from.
    pub port: u16,
    thread: JoinHandle<io::Result<Vec<Sent>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// How many were sent, and how many up to the newest that was answered.
    sent: AtomicU32,
    answered: AtomicU32,
}

impl Prober {
    /// Begins with this number, no two probes of a device have the same; to a server's UDP port, so often.
    pub fn start(
        guest: &impl InNetns,
        first: u32,
        server: &str,
        every: Duration,
    ) -> io::Result<Self> {
        let server = server.parse().expect("an address and a port");
        // Not connected: what ICMP says of one probe is no error of the next one.
        let socket = guest.enter(|| UdpSocket::bind("0.0.0.0:0"))?;
        socket.set_nonblocking(true)?;
        let port = socket.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || run(&socket, first, server, every, &theirs));
        Ok(Self { shared, port, thread })
    }

    /// Waits until traffic flows and goes on to; false when that takes longer than `limit`.
    pub fn flows(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut since = None;
        loop {
            let sent = self.shared.sent.load(Ordering::Relaxed);
            let behind = sent.saturating_sub(self.shared.answered.load(Ordering::Relaxed));
            let now = Instant::now();
            if sent == 0 || behind > BEHIND {
                since = None;
            } else if now - *since.get_or_insert(now) >= FLOWING {
                return true;
            }
            if now > end {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends it: all probes.
    pub fn end(self) -> io::Result<Vec<Sent>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn run(
    socket: &UdpSocket,
    first: u32,
    server: SocketAddr,
    every: Duration,
    shared: &Shared,
) -> io::Result<Vec<Sent>> {
    pin(CORE)?;
    run_first()?;
    // The kernel wakes others 50 us late.
    set_timerslack(1)?;
    let mut sent: Vec<Sent> = Vec::new();
    let mut next = Instant::now();
    while !shared.stop.load(Ordering::Relaxed) {
        let number = first.wrapping_add(sent.len() as u32);
        sent.push(Sent { at: Instant::now(), answered: false });
        // What cannot be sent is not answered.
        let _ = socket.send_to(format!("{number:08x}").as_bytes(), server);
        shared.sent.store(sent.len() as u32, Ordering::Relaxed);
        // Who is late does not send two at once.
        next = (next + every).max(Instant::now());
        collect(socket, first, &mut sent, shared, next)?;
    }
    let end = Instant::now() + LAST;
    collect(socket, first, &mut sent, shared, end)?;
    Ok(sent)
}

/// Takes answers until then.
fn collect(
    socket: &UdpSocket,
    first: u32,
    sent: &mut [Sent],
    shared: &Shared,
    end: Instant,
) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        while let Ok(length) = socket.recv(&mut buffer) {
            let number = number(&buffer[..length]).map(|number| number.wrapping_sub(first));
            let Some(number) = number else { continue };
            if let Some(probe) = sent.get_mut(number as usize) {
                probe.answered = true;
                shared.answered.fetch_max(number + 1, Ordering::Relaxed);
            }
        }
        let left = end.saturating_duration_since(Instant::now());
        let last = shared.stop.load(Ordering::Relaxed)
            && shared.answered.load(Ordering::Relaxed) == sent.len() as u32;
        if left.is_zero() || last {
            return Ok(());
        }
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None)?;
    }
}

/// The probe that is answered: `192.0.2.2 0000002a`.
fn number(answer: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(answer).ok()?.rsplit(' ').next()?;
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn an_answer_names_its_probe() {
        assert_eq!(number(b"192.0.2.2 0000002a"), Some(42));
        assert_eq!(number(b"192.0.2.2 x"), None);
        assert_eq!(number(&[0xff, b' ', b'1']), None);
    }
}
