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

//! Those who do not speak Binder on the real guestnetd's socket: garbage, half frames, absurd
//! lengths, descriptors nobody asked for, and crowds that say nothing. An honest client is served
//! all the same, guests keep their traffic, and nothing of it stays in guestnetd.

use std::fs::File;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::{
    IGuestNet, ERROR_NO_DESCRIPTORS,
};
use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::client::config;
use guestnet_tests::snapshot::open_fds;
use guestnet_tests::{poll, uninterrupted};
use nix::sys::socket::{sendmsg, ControlMessage, MsgFlags};

/// How long a connection may take to say that it speaks Binder.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// What a call may take longer on a busy machine.
const MARGIN: Duration = Duration::from_secs(2);
/// Memory that an allocator may keep of a crowd.
const MEMORY_SLACK_KB: u64 = 8192;

/// What guestnetd uses.
#[derive(Clone, Copy, Debug)]
struct Usage {
    threads: u64,
    fds: usize,
    kb: u64,
}

impl Usage {
    fn of(pid: i32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
        };
        Self { threads: field("Threads:"), fds: open_fds(pid).len(), kb: field("VmRSS:") }
    }
}

/// Runs against a guestnetd, and checks that it serves during and after, and is then as before.
fn leaves_nothing(harm: impl FnOnce(&Bed)) {
    let bed = Bed::with_neighbour();
    let pid = bed.daemon.pid();
    // The first client makes what is there for good: sockets that are kept. Threads wait a second for the next.
    honest(&bed);
    std::thread::sleep(Duration::from_millis(1500));
    let idle = Usage::of(pid);
    honest(&bed);
    // A thread that asks the resolvers may have been there at that moment.
    let same = |now: Usage| now.threads <= idle.threads && now.fds <= idle.fds;
    poll(BOUND, || same(Usage::of(pid)).then_some(())).expect("one client leaves nothing");
    let before = (Usage::of(pid), bed.before());
    harm(&bed);
    honest(&bed);
    poll(BOUND, || same(Usage::of(pid)).then_some(()))
        .unwrap_or_else(|| panic!("{:?} before, {:?} now", before.0, Usage::of(pid)));
    let now = Usage::of(pid);
    assert!(now.kb <= before.0.kb + MEMORY_SLACK_KB, "{:?} before, {now:?} now", before.0);
    before.1.assert_same_device(&bed);
    let log = bed.daemon.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// A new client that has guestnetd do real work; it is served within the time that strangers get.
#[track_caller]
fn honest(bed: &Bed) {
    let start = Instant::now();
    let service = bed.daemon.connect();
    service.attach(&config("honest"), &bed.target(), None).expect("attach");
    service.detach("honest").expect("detach");
    let took = start.elapsed();
    assert!(took < HANDSHAKE + MARGIN, "an honest client was served after {took:?}");
    bed.assert_neighbour_talks("harm on the socket");
}

fn dial(bed: &Bed) -> UnixStream {
    UnixStream::connect(bed.daemon.socket()).expect("the kernel takes the connection")
}

/// Sends what guestnetd takes of it: it may have closed the connection before the end.
fn send(bed: &Bed, bytes: &[u8]) -> UnixStream {
    let mut stream = dial(bed);
    let _ = stream.write_all(bytes);
    stream
}

/// As a client of the newest wire, without callbacks and descriptors; up to where calls begin.
fn shake_hands(bed: &Bed) -> UnixStream {
    let mut stream = dial(bed);
    let header = [&2u32.to_le_bytes()[..], &[0; 12]].concat();
    stream.write_all(&header).expect("the header");
    stream.read_exact(&mut [0; 8]).expect("guestnetd answers the handshake");
    stream.write_all(b"cci\0\0\0\0\0").expect("the handshake's end");
    stream
}

/// Panics unless the other end closes all of these within the time that a handshake has.
fn all_are_cut(held: Vec<UnixStream>) {
    let deadline = Instant::now() + HANDSHAKE + MARGIN * 2;
    for mut one in held {
        let left = deadline.saturating_duration_since(Instant::now());
        one.set_read_timeout(Some(left.max(Duration::from_millis(1)))).expect("a timeout");
        match uninterrupted(|| one.read(&mut [0; 64])) {
            Ok(0) => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("it was not cut: {other:?}"),
        }
    }
}

/// Bytes that are the same in every run.
struct Random(u64);

impl Random {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 56) as u8
        };
        (0..count).map(|_| next()).collect()
    }
}

#[test]
fn five_hundred_silent_connections() {
    leaves_nothing(|bed| {
        let held: Vec<UnixStream> = (0..500).map(|_| dial(bed)).collect();
        honest(bed);
        let crowded = Usage::of(bed.daemon.pid());
        assert!(crowded.threads < 200 && crowded.fds < 400, "{crowded:?}");
        all_are_cut(held);
    });
}

#[test]
fn a_crowd_that_comes_again_while_it_is_cut() {
    leaves_nothing(|bed| {
        let mut held = Vec::new();
        for _ in 0..10 {
            held = (0..100).map(|_| dial(bed)).collect();
            honest(bed);
        }
        all_are_cut(held);
    });
}

#[test]
fn garbage_of_all_sizes() {
    leaves_nothing(|bed| {
        let mut random = Random(1);
        for size in [1, 4, 8, 15, 16, 17, 64, 1000, 70_000] {
            for _ in 0..30 {
                drop(send(bed, &random.bytes(size)));
            }
        }
        honest(bed);
        // After a good handshake, too.
        for size in [1, 15, 16, 17, 64, 1000, 70_000] {
            for _ in 0..5 {
                let _ = shake_hands(bed).write_all(&random.bytes(size));
            }
        }
    });
}

#[test]
fn halves_that_are_held() {
    leaves_nothing(|bed| {
        // Half a header, half a handshake: strangers, whose time is limited.
        let halves: [&[u8]; 4] = [&[2], &[2, 0, 0, 0], &[2, 0, 0, 0, 0, 0, 0, 0], &[0; 15]];
        let held: Vec<UnixStream> =
            halves.iter().cycle().take(80).map(|half| send(bed, half)).collect();
        honest(bed);
        all_are_cut(held);
        // Half a command, after a good handshake: no stranger any more, but in nobody's way.
        let held: Vec<UnixStream> = (0..10)
            .map(|cut| {
                let frame = [&[0; 4][..], &64u32.to_le_bytes(), &[0; 8], &[b'x'; 32]].concat();
                let mut stream = shake_hands(bed);
                stream.write_all(&frame[..=4 * cut]).expect("a part of a frame");
                stream
            })
            .collect();
        honest(bed);
        drop(held);
    });
}

#[test]
fn absurd_lengths() {
    leaves_nothing(|bed| {
        for length in [0, 1, 15, 64 << 20, i32::MAX as u32, 1 << 31, u32::MAX] {
            let word = length.to_le_bytes();
            drop(send(bed, &word));
            drop(send(bed, &[&1u32.to_le_bytes()[..], &word, &[0; 8]].concat()));
            drop(send(bed, &[&[0; 16][..], &word, &[0; 8], &[b'x'; 100]].concat()));
        }
        let before = Usage::of(bed.daemon.pid());
        // Commands of 60 MiB, each with one byte of it: cut when the length is read.
        let size = (60u32 << 20).to_le_bytes();
        let frame = [&[0; 4][..], &size, &[0; 8], b"x"].concat();
        let held: Vec<UnixStream> = (0..20)
            .map(|_| {
                let mut stream = shake_hands(bed);
                stream.write_all(&frame).expect("a frame's beginning");
                stream
            })
            .collect();
        honest(bed);
        let now = Usage::of(bed.daemon.pid());
        assert!(now.kb < before.kb + 20 * 1024, "{before:?} before, {now:?} with them");
        drop(held);
    });
}

#[test]
fn descriptors_that_nobody_asked_for() {
    leaves_nothing(|bed| {
        let null = File::open("/dev/null").expect("/dev/null");
        let fds = [null.as_raw_fd(); 100];
        let rights = [ControlMessage::ScmRights(&fds)];
        for text in [&b"this is no handshake at all"[..], &[2, 0, 0, 0], &[0; 16]] {
            for _ in 0..20 {
                let stream = dial(bed);
                let text = [IoSlice::new(text)];
                // It may have been cut already; then they were closed with it.
                let _ =
                    sendmsg::<()>(stream.as_raw_fd(), &text, &rights, MsgFlags::MSG_NOSIGNAL, None);
            }
        }
        let held: Vec<UnixStream> = (0..20)
            .map(|_| {
                let stream = shake_hands(bed);
                let text = [IoSlice::new(&[0; 16])];
                let _ =
                    sendmsg::<()>(stream.as_raw_fd(), &text, &rights, MsgFlags::MSG_NOSIGNAL, None);
                stream
            })
            .collect();
        honest(bed);
        drop(held);
    });
}

/// Every descriptor that a call needs is missing once: nothing but that is said, and nothing stays.
#[test]
fn descriptors_that_run_out_are_said_to_be_that() {
    let bed = Bed::with_neighbour();
    let pid = bed.daemon.pid();
    honest(&bed);
    let mut own = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let limited = |new: *const libc::rlimit, old: *mut libc::rlimit| {
        // SAFETY: both are null or a `struct rlimit`, of which the kernel reads or writes one.
        let done = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, new, old) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    };
    limited(std::ptr::null(), &mut own);
    assert!(own.rlim_cur >= own.rlim_max.min(4096), "it raised its limit: {}", own.rlim_cur);
    let limit = |descriptors: u64| {
        let new = libc::rlimit { rlim_cur: descriptors.min(own.rlim_max), ..own };
        limited(&new, std::ptr::null_mut());
    };
    let most = open_fds(pid).len() as u64;
    let (mut refused, mut done) = (0, 0);
    for descriptors in most.saturating_sub(4)..most + 16 {
        // By pid: a descriptor that cannot be taken with its call ends the connection.
        limit(descriptors);
        let attached = bed.service.attach(&config("honest"), &bed.target(), None);
        limit(own.rlim_cur);
        match attached {
            Ok(_) => {
                done += 1;
                bed.detach("honest");
            }
            Err(e) => {
                refused += 1;
                let code = e.service_specific_error();
                assert_eq!(code, ERROR_NO_DESCRIPTORS, "{descriptors} of {most}: {e}");
            }
        }
        assert_eq!(bed.names(), ["neighbour"]);
    }
    assert!(refused > 3 && done > 3, "{refused} refused, {done} done");
    honest(&bed);
}
