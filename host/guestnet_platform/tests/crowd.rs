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

//! Clients that mean harm or know no better: the others are served all the same, and nothing of
//! them stays in the server.

mod common;

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::{
    GuestConfig::GuestConfig, GuestTarget::GuestTarget,
};
use common::{client, eventually, is_root, Dir, Peer};
use guestnet_platform::Limits;
use nix::sys::socket::{sendmsg, ControlMessage, MsgFlags};

const PLACES: usize = 64;
const HANDSHAKE: Duration = Duration::from_secs(3);
const REPLY: Duration = Duration::from_secs(2);

/// What a server may keep after a crowd: no thread, no descriptor, and memory its allocator holds.
const MEMORY_SLACK_KB: usize = 8192;

/// Runs against a server and checks that the server is then as it was before.
fn leaves_nothing(harm: impl FnOnce(&Dir, &Peer)) {
    let dir = Dir::new();
    let server = Peer::server_with(&dir, PLACES, HANDSHAKE, REPLY);
    client(&dir).expect("a connection").info().expect("info");
    let (threads, fds, kb) = settled(&server);
    harm(&dir, &server);
    eventually("threads and descriptors are back", || {
        let (t, f, _) = server.usage();
        t == threads && f == fds
    });
    let now = server.usage().2;
    assert!(now <= kb + MEMORY_SLACK_KB, "{kb} kB before, {now} kB after");
    client(&dir).expect("a connection").info().expect("info");
}

/// The usage once the first client's connections are gone.
fn settled(server: &Peer) -> (usize, usize, usize) {
    // The main thread and the accepting one.
    eventually("the server is idle", || server.usage().0 == 2);
    server.usage()
}

/// An honest client, and how long it took to be answered.
fn honest(dir: &Dir) -> Duration {
    let start = Instant::now();
    client(dir).expect("a connection").info().expect("info");
    start.elapsed()
}

#[test]
fn five_hundred_silent_connections_keep_nobody_waiting() {
    leaves_nothing(|dir, server| {
        let mut held = Vec::new();
        for _ in 0..500 {
            held.push(UnixStream::connect(dir.socket()).expect("the kernel takes it"));
        }
        let took = honest(dir);
        assert!(took < HANDSHAKE, "an honest client was answered after {took:?}");
        let (threads, fds, _) = server.usage();
        // For each place the connection's thread and its deadline's; two for accept and main.
        assert!(threads <= 2 * PLACES + 2 + 16, "{threads} threads");
        assert!(fds <= 4 * PLACES + 32, "{fds} descriptors");
        // Nobody is cut before its time without need: the newest are still there.
        let newest = held.last_mut().expect("500 of them");
        newest.set_nonblocking(true).expect("non-blocking");
        let still_open = newest.read(&mut [0]).expect_err("neither closed nor spoken to");
        assert_eq!(still_open.kind(), std::io::ErrorKind::WouldBlock);
        // All of them are cut when the time for the handshake is over.
        let deadline = Instant::now() + HANDSHAKE * 3;
        for mut one in held {
            one.set_nonblocking(false).expect("blocking");
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(is_cut(&mut one, left.max(Duration::from_millis(1))), "it was not cut");
        }
    });
}

#[test]
fn silent_connections_that_come_again_and_again_keep_nobody_waiting() {
    leaves_nothing(|dir, _server| {
        let crowd = Crowd::of(dir, 2);
        let slowest = (0..50).map(|_| honest(dir)).max().expect("50 of them");
        assert!(crowd.stop() > 500, "the crowd was no crowd");
        assert!(slowest < HANDSHAKE, "the slowest honest client took {slowest:?}");
    });
}

#[test]
fn garbage_half_frames_and_absurd_lengths_leave_nothing() {
    leaves_nothing(|dir, _server| {
        let mut random = Random(1);
        for length in [1, 4, 15, 16, 17, 64, 1000, 70_000].iter().cycle().take(300) {
            let blob: Vec<u8> = (0..*length).map(|_| random.next()).collect();
            send(dir, &blob);
        }
        for length in [0u32, 1, 15, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 64 << 20] {
            let field = length.to_le_bytes();
            send(dir, &field);
            send(dir, &[&1u32.to_le_bytes()[..], &field, &[0; 8]].concat());
            send(dir, &[&[0; 4][..], &field, &[0; 8]].concat());
            send(dir, &[&[0; 20][..], &field, &[0; 8], &[b'x'; 100]].concat());
        }
    });
}

/// A connection after the handshake: a new session, wire 2, with descriptors.
fn shaken(dir: &Dir) -> UnixStream {
    let mut stream = UnixStream::connect(dir.socket()).expect("connected");
    let header = [&2u32.to_le_bytes()[..], &[0, 1], &[0; 10]].concat();
    stream.write_all(&header).expect("the header");
    stream.read_exact(&mut [0; 8]).expect("the server answers the handshake");
    stream.write_all(b"cci\0\0\0\0\0").expect("the handshake's end");
    stream
}

fn head(length: u32) -> Vec<u8> {
    [&[0; 4][..], &length.to_le_bytes(), &[0; 8]].concat()
}

/// Whether the server closes it within that time.
fn is_cut(stream: &mut UnixStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).expect("a timeout");
    loop {
        match stream.read(&mut [0]) {
            Ok(0) => return true,
            Ok(_) => panic!("the server spoke"),
            // A read with a time limit is, when the kernel freezes the machine: sock_intr_errno().
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return e.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn messages_that_are_too_long_are_cut_before_their_memory_is_taken() {
    leaves_nothing(|dir, server| {
        let before = server.usage().2;
        let mut long: Vec<_> = (0..20).map(|_| shaken(dir)).collect();
        for stream in &mut long {
            // It may be cut in the middle of it.
            let _ = stream.write_all(&[head(60 << 20), vec![b'x'; 1 << 20]].concat());
            assert!(is_cut(stream, REPLY));
        }
        honest(dir);
        let after = server.usage().2;
        assert!(after < before + 8 * 1024, "{before} kB before, {after} kB with them");
    });
}

#[test]
fn messages_without_an_end_are_cut_when_their_time_is_over() {
    leaves_nothing(|dir, _server| {
        let transfer = Limits::default().transfer;
        // Nothing was begun: such a one may stay for good.
        let mut idle = shaken(dir);
        let mut held = Vec::new();
        for begun in [vec![0; 3], head(64), [head(64), vec![b'x'; 63]].concat()] {
            let mut stream = shaken(dir);
            stream.write_all(&begun).expect("a message's beginning");
            held.push(stream);
        }
        // A byte now and then does not prolong it.
        let mut slow = shaken(dir);
        slow.write_all(&head(1000)).expect("a message's head");
        let start = Instant::now();
        while start.elapsed() < transfer * 2 && slow.write_all(b"x").is_ok() {
            std::thread::sleep(transfer / 10);
        }
        assert!(start.elapsed() < transfer * 3 / 2, "cut after {:?}", start.elapsed());
        for stream in &mut held {
            assert!(is_cut(stream, REPLY));
        }
        assert!(!is_cut(&mut idle, Duration::from_millis(50)));
        honest(dir);
    });
}

#[test]
fn messages_with_many_descriptors_are_cut() {
    leaves_nothing(|dir, _server| {
        let null = File::open("/dev/null").expect("/dev/null");
        let fds = [null.as_raw_fd(); 60];
        let mut held: Vec<_> = (0..20).map(|_| shaken(dir)).collect();
        for stream in &mut held {
            let rights = [ControlMessage::ScmRights(&fds)];
            let text = [IoSlice::new(&[0; 16])];
            sendmsg::<()>(stream.as_raw_fd(), &text, &rights, MsgFlags::empty(), None)
                .expect("sent");
        }
        for stream in &mut held {
            assert!(is_cut(stream, REPLY));
        }
        honest(dir);
    });
}

#[test]
fn descriptors_on_garbage_are_closed() {
    leaves_nothing(|dir, _server| {
        let null = File::open("/dev/null").expect("/dev/null");
        let fds = [null.as_raw_fd(); 100];
        for _ in 0..50 {
            let stream = UnixStream::connect(dir.socket()).expect("connected");
            let rights = [ControlMessage::ScmRights(&fds)];
            let text = [IoSlice::new(b"this is no handshake at all")];
            sendmsg::<()>(stream.as_raw_fd(), &text, &rights, MsgFlags::empty(), None)
                .expect("sent");
        }
    });
}

#[test]
fn a_server_out_of_descriptors_rests_and_recovers() {
    let dir = Dir::new();
    let mut command = common::peer_command(&[
        "serve",
        &dir.endpoint().to_string(),
        &PLACES.to_string(),
        &HANDSHAKE.as_millis().to_string(),
        &REPLY.as_millis().to_string(),
    ]);
    // SAFETY: setrlimit(2) may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let few = libc::rlimit { rlim_cur: 20, rlim_max: 20 };
            match libc::setrlimit(libc::RLIMIT_NOFILE, &few) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        })
    };
    let server = Peer::spawn(command);
    server.expect_line("serving");
    let before = server.cpu_ticks();
    let held: Vec<_> = (0..40).map(|_| UnixStream::connect(dir.socket())).collect();
    eventually("hardly a descriptor is left", || server.usage().1 >= 18);
    let start = Instant::now();
    while start.elapsed() < HANDSHAKE / 2 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let used = server.cpu_ticks() - before;
    assert!(used < 30, "it used {used} ticks of CPU time while it could do nothing");
    drop(held);
    honest(&dir);
}

#[test]
fn one_user_cannot_take_all_places() {
    if !is_root("one_user_cannot_take_all_places") {
        return;
    }
    leaves_nothing(|dir, _server| {
        let socket = dir.socket().display().to_string();
        let silent = Peer::start_as(Some(12345), &["crowd", &socket, "200", "silent"]);
        silent.expect_line("holding 200");
        // Each of these takes two of the 32 places that a user may have.
        let greeted = Peer::start_as(Some(12345), &["crowd", &socket, "20", "greeted"]);
        greeted.expect_line("holding 16");
        let another = Peer::start_as(Some(54321), &["listen", &dir.endpoint().to_string()]);
        another.expect_line("listening as uid 54321");
        assert!(honest(dir) < HANDSHAKE);
    });
}

#[test]
fn a_stopped_listener_delays_a_caller_no_longer_than_the_reply_timeout() {
    leaves_nothing(|dir, _server| {
        let stopped = Peer::start(&["listen", &dir.endpoint().to_string()]);
        stopped.line();
        let service = client(dir).expect("a connection");
        stopped.freeze();
        // Until the listener's socket is full and the server has given it up.
        let config = GuestConfig { name: "g".repeat(1000), ..GuestConfig::default() };
        let mut worst = Duration::ZERO;
        eventually("the stopped listener is dropped", || {
            let start = Instant::now();
            service.attach(&config, &GuestTarget::default(), None).expect("attach");
            worst = worst.max(start.elapsed());
            service.info().expect("info").guests == 0
        });
        assert!(worst > REPLY / 2, "it never waited: {worst:?}");
        assert!(worst < REPLY + REPLY / 2, "a caller waited {worst:?}");
    });
}

#[test]
fn places_are_refused_only_while_they_are_taken() {
    let dir = Dir::new();
    let server = Peer::server_with(&dir, 4, HANDSHAKE, REPLY);
    let held = [client(&dir).expect("two places"), client(&dir).expect("and two")];
    for one in &held {
        one.info().expect("info");
    }
    match client(&dir).map(drop) {
        Err(guestnet_platform::PlatformError::Closed { .. }) => {}
        other => panic!("a fifth place: {other:?}"),
    }
    // Those that are in are not cut for it.
    for one in &held {
        one.info().expect("info");
    }
    // A client that comes while they are taken gets in when they are not any more.
    let taken_for = Duration::from_millis(500);
    let leaving = std::thread::spawn(move || {
        std::thread::sleep(taken_for);
        drop(held);
    });
    let took = honest(&dir);
    assert!(took > taken_for / 2, "it got in beside those that hold all places: {took:?}");
    leaving.join().expect("they have left");
    assert!(server.end().success());
}

fn send(dir: &Dir, bytes: &[u8]) {
    let mut stream = UnixStream::connect(dir.socket()).expect("connected");
    // The server may have closed it before all of it is sent.
    let _ = stream.write_all(bytes);
}

/// Bytes that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 56) as u8
    }
}

/// Threads that connect without end and say nothing; each holds its last 200 connections.
struct Crowd {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    threads: Vec<std::thread::JoinHandle<usize>>,
}

impl Crowd {
    fn of(dir: &Dir, threads: usize) -> Self {
        use std::sync::atomic::Ordering;
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let one = || {
            let (stop, socket) = (stop.clone(), dir.socket());
            std::thread::spawn(move || {
                let mut held = std::collections::VecDeque::new();
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    held.extend(UnixStream::connect(&socket).ok());
                    count += 1;
                    if held.len() > 200 {
                        held.pop_front();
                    }
                }
                count
            })
        };
        Self { threads: (0..threads).map(|_| one()).collect(), stop }
    }

    /// How many connections it made.
    fn stop(self) -> usize {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().expect("the crowd")).sum()
    }
}
