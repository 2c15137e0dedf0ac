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

//! The three measurements: CPU per small packet, time there and back, throughput. Each opens its
//! own sockets in the two namespaces and closes them again; nothing is left running.
//!
//! The flood's cost is the CPU time of the thread that sends: over veth the whole path, up to the
//! receiver's queue, is run by it. What the kernel hands on to `ksoftirqd` is added.

use std::fs;
use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use guestnet_tests::traffic::cpu::pin;
use guestnet_tests::InNetns;
use nix::time::{clock_gettime, ClockId};

/// Packets that one call sends.
const BATCH: usize = 64;
/// Of UDP; with the headers this is the smallest frame that Ethernet has.
const PAYLOAD: usize = 18;
/// Bytes that one call writes to a TCP connection.
const BLOCK: usize = 128 << 10;
/// An answer that has not come by then never comes.
const LOST: Duration = Duration::from_secs(1);

/// Sends small packets for a while, as many as go: CPU nanoseconds for one. An error if they did
/// not arrive: then the path measured was not the whole one.
pub fn flood(
    from: &impl InNetns,
    to: &impl InNetns,
    address: Ipv4Addr,
    time: Duration,
) -> io::Result<f64> {
    let (source, sink) = sockets(from, to, address)?;
    to.enter(|| {
        pin(0)?;
        let helper = Helper::of(0)?;
        let (arrived, idle, cpu) = (arrived()?, helper.nanoseconds()?, thread_time()?);
        let sent = send_for(&source, Instant::now() + time)?;
        let cpu = thread_time()? - cpu + (helper.nanoseconds()? - idle);
        let arrived = self::arrived()? - arrived + queued(&sink);
        // A few may still be on their way, or in a queue that others hold.
        if (arrived as f64) < sent as f64 * 0.95 {
            return Err(io::Error::other(format!("{arrived} of {sent} packets arrived")));
        }
        Ok(cpu / sent as f64)
    })
}

/// A datagram there and back, again and again: the times in microseconds. Both ends are on one
/// core: it is the path that is measured, not how long an idle core sleeps.
pub fn round_trips(
    from: &impl InNetns,
    to: &impl InNetns,
    address: Ipv4Addr,
    time: Duration,
) -> io::Result<Vec<f64>> {
    let (source, sink) = sockets(from, to, address)?;
    source.set_read_timeout(Some(LOST))?;
    // Longer than the other end: it ends by itself where nothing comes through.
    sink.set_read_timeout(Some(LOST * 2))?;
    let echo = thread::spawn(move || -> io::Result<()> {
        pin(0)?;
        let mut buffer = [0; PAYLOAD];
        loop {
            let (length, back) = sink.recv_from(&mut buffer)?;
            if length == 1 {
                return Ok(());
            }
            sink.send_to(&buffer[..length], back)?;
        }
    });
    let times = thread::scope(|scope| {
        let ask = scope.spawn(|| -> io::Result<Vec<f64>> {
            pin(0)?;
            let mut times = Vec::new();
            let mut buffer = [0; PAYLOAD];
            let end = Instant::now() + time;
            while Instant::now() < end {
                let begun = Instant::now();
                source.send(&buffer)?;
                if source.recv(&mut buffer).is_ok() {
                    times.push(begun.elapsed().as_secs_f64() * 1e6);
                }
            }
            Ok(times)
        });
        ask.join().unwrap_or_else(|_| Err(io::Error::other("the thread that asks")))
    });
    source.send(&[0])?;
    echo.join().unwrap_or_else(|_| Err(io::Error::other("the thread that answers")))?;
    times
}

/// Writes to one TCP connection for a while: gigabits in a second, as the receiver counts them.
pub fn stream(
    from: &impl InNetns,
    to: &impl InNetns,
    address: Ipv4Addr,
    time: Duration,
) -> io::Result<f64> {
    let listener = to.enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))?;
    let to = SocketAddr::from((address, listener.local_addr()?.port()));
    let mut source = from.enter(|| TcpStream::connect_timeout(&to, LOST))?;
    let (mut sink, _) = listener.accept()?;
    let receive = thread::spawn(move || -> io::Result<(u64, Duration)> {
        pin(1)?;
        let mut buffer = vec![0; BLOCK];
        let (mut count, begun) = (0, Instant::now());
        loop {
            match sink.read(&mut buffer)? {
                0 => return Ok((count, begun.elapsed())),
                length => count += length as u64,
            }
        }
    });
    let send = thread::spawn(move || -> io::Result<()> {
        pin(0)?;
        let block = vec![0; BLOCK];
        let end = Instant::now() + time;
        while Instant::now() < end {
            source.write_all(&block)?;
        }
        Ok(())
    });
    send.join().unwrap_or_else(|_| Err(io::Error::other("the thread that writes")))?;
    let received = receive.join().unwrap_or_else(|_| Err(io::Error::other("the reader")));
    let (count, took) = received?;
    Ok(count as f64 * 8.0 / 1e9 / took.as_secs_f64())
}

/// Two UDP sockets, the first connected to the second.
fn sockets(
    from: &impl InNetns,
    to: &impl InNetns,
    address: Ipv4Addr,
) -> io::Result<(UdpSocket, UdpSocket)> {
    let any = (Ipv4Addr::UNSPECIFIED, 0);
    let sink = to.enter(|| UdpSocket::bind(any))?;
    let source = from.enter(|| UdpSocket::bind(any))?;
    source.connect((address, sink.local_addr()?.port()))?;
    Ok((source, sink))
}

fn send_for(source: &UdpSocket, end: Instant) -> io::Result<u64> {
    let mut payload = [0u8; PAYLOAD];
    let mut part = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: PAYLOAD };
    // SAFETY: a message header of zeros is one without address, parts and control data.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    for message in &mut messages {
        message.msg_hdr.msg_iov = &mut part;
        message.msg_hdr.msg_iovlen = 1;
    }
    let mut sent = 0;
    while Instant::now() < end {
        // SAFETY: the headers, their one part and its bytes live until the call returns.
        let done = unsafe {
            libc::sendmmsg(source.as_raw_fd(), messages.as_mut_ptr(), BATCH as libc::c_uint, 0)
        };
        match u64::try_from(done) {
            Ok(count) => sent += count,
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(sent)
}

/// Datagrams that UDP has seen in this namespace and that nobody has read yet or will read.
fn arrived() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/net/snmp")?;
    let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
    let (names, values) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let pairs = names.split(' ').zip(values.split(' '));
    let counted = pairs.filter(|(name, _)| ["InDatagrams", "RcvbufErrors"].contains(name));
    Ok(counted.filter_map(|(_, value)| value.parse::<u64>().ok()).sum())
}

/// Reads what is in the socket's queue, and counts it.
fn queued(sink: &UdpSocket) -> u64 {
    let mut buffer = [0; PAYLOAD];
    // What is read is counted by the kernel as well, but later than `arrived` looked.
    let _ = sink.set_nonblocking(true);
    std::iter::from_fn(|| sink.recv(&mut buffer).ok()).count() as u64
}

/// Nanoseconds of CPU that this thread has used.
fn thread_time() -> io::Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(time.tv_sec() as f64 * 1e9 + time.tv_nsec() as f64)
}

/// The kernel's thread that runs a core's network work when there is much of it.
struct Helper(String);

impl Helper {
    fn of(core: usize) -> io::Result<Self> {
        let name = format!("ksoftirqd/{core}\n");
        for entry in fs::read_dir("/proc")?.flatten() {
            let is = |comm: String| comm == name;
            if fs::read_to_string(entry.path().join("comm")).is_ok_and(is) {
                return Ok(Self(format!("{}/schedstat", entry.path().display())));
            }
        }
        Err(io::Error::other(format!("no thread {}", name.trim_end())))
    }

    fn nanoseconds(&self) -> io::Result<f64> {
        let text = fs::read_to_string(&self.0)?;
        let first = text.split(' ').next().and_then(|number| number.parse().ok());
        first.ok_or_else(|| io::Error::other(format!("{}: {text:?}", self.0)))
    }
}
