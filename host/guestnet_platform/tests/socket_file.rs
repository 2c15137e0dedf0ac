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

//! The socket file and its directory: who may reach it, and what is removed.

mod common;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{symlink, DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{client, eventually, failure_of, peer_command, Dir, Peer};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;

/// What the server says when it does not start.
fn refusal(dir: &Dir) -> String {
    failure_of(&mut serve_command(dir))
}

fn serve_command(dir: &Dir) -> Command {
    peer_command(&["serve", &dir.endpoint().to_string(), "64", "3000", "2000"])
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o7777
}

fn make_directory(dir: &Dir) {
    let run = dir.path().join("run");
    fs::DirBuilder::new().mode(0o755).create(run).expect("the directory");
}

#[test]
fn modes_are_the_same_under_every_umask() {
    for umask in [0o000, 0o022, 0o077] {
        let dir = Dir::new();
        let mut command = serve_command(&dir);
        // SAFETY: umask(2) may be called between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::umask(umask);
                Ok(())
            })
        };
        let server = Peer::spawn(command);
        server.expect_line("serving");
        assert_eq!(mode(&dir.socket()), 0o660, "the socket, umask {umask:03o}");
        assert_eq!(mode(&dir.path().join("run")), 0o750, "the directory, umask {umask:03o}");
        let files: Vec<_> = fs::read_dir(dir.path().join("run")).expect("listed").collect();
        assert_eq!(files.len(), 1, "nothing else is left there: {files:?}");
    }
}

#[test]
fn stopping_ends_the_connections_and_removes_the_socket() {
    let dir = Dir::new();
    let mut server = Peer::server(&dir);
    let before = server.usage().1;
    let service = client(&dir).expect("a connection");
    service.info().expect("info");
    let _silent = UnixStream::connect(dir.socket()).expect("connected");
    let start = Instant::now();
    server.say("stop");
    server.expect_line("stopped");
    assert!(start.elapsed() < Duration::from_secs(1), "it took {:?}", start.elapsed());
    assert!(!dir.socket().exists());
    assert!(service.info().is_err(), "the connection has ended, though the process lives");
    // The listeners' are gone too.
    eventually("no descriptor is left", || server.usage().1 < before);
    assert!(server.end().success());
}

#[test]
fn a_socket_that_is_not_ours_any_more_stays() {
    let dir = Dir::new();
    let server = Peer::server(&dir);
    fs::remove_file(dir.socket()).expect("removed");
    let _another = UnixListener::bind(dir.socket()).expect("bound");
    assert!(server.end().success());
    UnixStream::connect(dir.socket()).expect("the other one is still there");
}

#[test]
fn a_stale_socket_is_replaced() {
    let dir = Dir::new();
    let killed = Peer::server(&dir);
    killed.signal(Signal::SIGKILL);
    drop(killed);
    assert!(dir.socket().exists(), "it was killed: its socket stays");
    let server = Peer::server(&dir);
    client(&dir).expect("a connection").info().expect("info");
    assert!(server.end().success());
}

#[test]
fn a_live_socket_is_refused_and_lives_on() {
    let dir = Dir::new();
    let _server = Peer::server(&dir);
    let said = refusal(&dir);
    assert!(said.contains("AlreadyListening"), "{said}");
    client(&dir).expect("a connection").info().expect("info");
}

#[test]
fn a_live_socket_with_a_full_queue_is_refused_too() {
    let dir = Dir::new();
    make_directory(&dir);
    let _full = UnixListener::bind(dir.socket()).expect("bound");
    let mut waiting = Vec::new();
    loop {
        use nix::sys::socket::{connect, socket, AddressFamily, SockFlag, SockType, UnixAddr};
        let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None)
            .expect("a socket");
        let address = UnixAddr::new(&dir.socket()).expect("an address");
        if connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &address).is_err() {
            break;
        }
        waiting.push(fd);
        assert!(waiting.len() < 100_000, "the queue has no end");
    }
    let said = refusal(&dir);
    assert!(said.contains("AlreadyListening"), "{said}");
    assert!(dir.socket().exists());
}

#[test]
fn what_is_not_a_socket_is_never_removed() {
    let dir = Dir::new();
    make_directory(&dir);
    fs::write(dir.socket(), "somebody's").expect("written");
    let said = refusal(&dir);
    assert!(said.contains("NotASocket"), "{said}");
    assert_eq!(fs::read_to_string(dir.socket()).expect("it is there"), "somebody's");

    fs::remove_file(dir.socket()).expect("removed");
    let elsewhere = dir.path().join("elsewhere");
    drop(UnixListener::bind(&elsewhere).expect("a stale socket"));
    symlink(&elsewhere, dir.socket()).expect("a link to it");
    let said = refusal(&dir);
    assert!(said.contains("NotASocket"), "{said}");
    assert!(fs::symlink_metadata(dir.socket()).expect("there").file_type().is_symlink());
    assert!(fs::symlink_metadata(&elsewhere).expect("there").file_type().is_socket());
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    let dir = Dir::new();
    make_directory(&dir);
    let run = dir.path().join("run");
    fs::set_permissions(&run, Permissions::from_mode(0o1777)).expect("as /tmp");
    let said = refusal(&dir);
    assert!(said.contains("every user may write to it (mode 1777)"), "{said}");
    assert!(!dir.socket().exists());
}

#[test]
fn a_file_in_place_of_the_directory_is_refused() {
    let dir = Dir::new();
    File::create(dir.path().join("run")).expect("a file");
    let said = refusal(&dir);
    assert!(said.contains("not a directory"), "{said}");
}

#[test]
fn a_lock_that_somebody_keeps_is_waited_for_and_named() {
    let dir = Dir::new();
    make_directory(&dir);
    let run = File::open(dir.path().join("run")).expect("opened");
    let lock = Flock::lock(run, FlockArg::LockExclusive).map_err(|(_, e)| e).expect("locked");
    let start = Instant::now();
    let said = refusal(&dir);
    assert!(said.contains("another process holds its lock"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
    drop(lock);
    Peer::server(&dir);
}

#[test]
fn many_servers_that_start_at_once_on_a_stale_socket_leave_one() {
    let dir = Dir::new();
    make_directory(&dir);
    drop(UnixListener::bind(dir.socket()).expect("a stale socket"));
    let outcomes: Vec<bool> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let mut command = serve_command(&dir);
                    command.stderr(Stdio::null());
                    let server = Peer::spawn(command);
                    let serving = server.line_or_end().as_deref() == Some("serving");
                    (serving, server)
                })
            })
            .collect();
        let servers: Vec<_> = starting.into_iter().map(|t| t.join().expect("started")).collect();
        client(&dir).expect("the one that serves is reached").info().expect("info");
        servers.iter().map(|(serving, _)| *serving).collect()
    });
    assert_eq!(outcomes.iter().filter(|serving| **serving).count(), 1);
}
