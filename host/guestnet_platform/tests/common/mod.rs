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

//! Processes, directories and waiting for the tests of this crate.
#![allow(dead_code)] // Each test binary uses its own part.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::{connect, Connection, Endpoint, PlatformError};

pub const NAME: &str = "android.system.guestnet.IGuestNet/default";

/// Longer than anything here may take on a busy machine.
pub const BOUND: Duration = Duration::from_secs(20);

/// A directory of its own, removed at the end.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gnp-{}-{n}", std::process::id()));
        fs::create_dir(&path).expect("a new directory");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where a server of this test listens; its directory is the server's to make.
    pub fn socket(&self) -> PathBuf {
        self.0.join("run/guestnet.sock")
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.socket())
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process of the example `peer`; killed at the end.
pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Peer {
    pub fn start(args: &[&str]) -> Self {
        Self::start_as(None, args)
    }

    /// As another user, of our group.
    pub fn start_as(uid: Option<u32>, args: &[&str]) -> Self {
        let mut command = peer_command(args);
        if let Some(uid) = uid {
            command.uid(uid);
        }
        Self::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example `peer` (peer_command)");
        let input = child.stdin.take();
        let lines = lines_of(child.stdout.take().expect("its output"));
        Self { child, input, lines }
    }

    /// A server with the default limits.
    pub fn server(dir: &Dir) -> Self {
        Self::server_with(dir, 64, Duration::from_secs(3), Duration::from_secs(2))
    }

    pub fn server_with(
        dir: &Dir,
        connections: usize,
        handshake: Duration,
        reply: Duration,
    ) -> Self {
        let server = Self::start(&[
            "serve",
            &dir.endpoint().to_string(),
            &connections.to_string(),
            &handshake.as_millis().to_string(),
            &reply.as_millis().to_string(),
        ]);
        server.expect_line("serving");
        server
    }

    pub fn expect_line(&self, wanted: &str) {
        assert_eq!(self.line(), wanted);
    }

    pub fn line(&self) -> String {
        self.line_or_end().expect("a line from the peer")
    }

    /// Its next line, or none if it has ended.
    pub fn line_or_end(&self) -> Option<String> {
        match self.lines.recv_timeout(BOUND) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing from the peer within {BOUND:?}"),
        }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).expect("a signal");
    }

    /// Stops all its threads; a signal alone does so only some time later.
    pub fn freeze(&self) {
        self.signal(nix::sys::signal::Signal::SIGSTOP);
        let tasks = format!("/proc/{}/task", self.pid());
        eventually("every thread is stopped", || {
            fs::read_dir(&tasks).expect("its threads").flatten().all(|task| {
                let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
            })
        });
    }

    pub fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input");
        writeln!(input, "{line}").expect("said");
    }

    /// Ends its input, at which it ends.
    pub fn end(mut self) -> ExitStatus {
        self.input = None;
        self.child.wait().expect("its end")
    }

    /// CPU time it has used, in clock ticks: 1/100 s.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("its stat");
        let fields: Vec<&str> =
            stat.rsplit_once(") ").expect("a name").1.split_whitespace().collect();
        let number = |i: usize| fields[i].parse::<u64>().expect("a number");
        number(11) + number(12)
    }

    /// Threads, descriptors and resident kilobytes.
    pub fn usage(&self) -> (usize, usize, usize) {
        let proc = PathBuf::from(format!("/proc/{}", self.pid()));
        let status = fs::read_to_string(proc.join("status")).expect("its status");
        let field = |name: &str| -> usize {
            let line = status.lines().find(|line| line.starts_with(name)).expect("a field");
            line.split_whitespace().nth(1).and_then(|v| v.parse().ok()).expect("a number")
        };
        let fds = fs::read_dir(proc.join("fd")).expect("its descriptors").count();
        (field("Threads:"), fds, field("VmRSS:"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example `peer`, which `cargo test` builds and `cargo test --test NAME` does not.
pub fn peer_command(args: &[&str]) -> Command {
    let test = std::env::current_exe().expect("our own path");
    let target = test.parent().and_then(Path::parent).expect("the target directory");
    let mut command = Command::new(target.join("examples/peer"));
    command.args(args);
    command
}

/// What a peer says that is to fail.
pub fn failure_of(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the peer ran");
    assert!(!output.status.success(), "it did not fail");
    String::from_utf8(output.stderr).expect("text")
}

fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

pub fn client(dir: &Dir) -> Result<Connection<dyn IGuestNet>, PlatformError> {
    connect(&dir.endpoint(), NAME)
}

/// Waits for what is to become true; what it is called is said if it does not.
pub fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !is_true() {
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Some things are seen only by, or from, more than one user.
pub fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("{test}: not run, it needs root");
    }
    root
}
