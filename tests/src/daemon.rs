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

//! The real guestnetd as a process: started in a device's namespace, stopped, killed, restarted.

use std::env;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::program::binary;
use crate::{poll, InNetns, Internet};

/// What guestnetd says on stderr when it can be called.
const READY: &str = "guestnetd: ready";
/// How long it may take to say so, and to end after SIGTERM.
const LIMIT: Duration = Duration::from_secs(30);

/// guestnetd in a device, with a socket and a state directory of its own that outlive its
/// restarts; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    netns: OwnedFd,
    dir: TempDir,
    words: Vec<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    process: Option<Child>,
    log: Arc<Log>,
}

/// The lock of each one's iptables, in its directory.
const LOCK: &str = "xtables.lock";

/// What came on stderr so far, of all starts.
#[derive(Debug, Default)]
struct Log {
    now: Mutex<LogText>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct LogText {
    text: String,
    /// Which start it is.
    start: u32,
    ended: bool,
}

impl Daemon {
    /// One that is not started yet.
    pub fn new(device: &impl InNetns) -> Self {
        let dir = tempfile::Builder::new().prefix("gnt-daemon-").tempdir().expect("a directory");
        // Others may come as far as the socket's directory, which is guestnetd's to guard.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).expect("chmod");
        let resolver = format!("nameserver {}\n", Internet::ADDRESS);
        std::fs::write(dir.path().join("resolv.conf"), resolver).expect("resolv.conf");
        // Everybody's, who runs iptables on this machine, would have it look at its rules at any time.
        let lock = dir.path().join(LOCK).display().to_string();
        Self {
            netns: device.open_netns(),
            dir,
            words: Vec::new(),
            args: Vec::new(),
            env: vec![("XTABLES_LOCKFILE".to_owned(), lock)],
            process: None,
            log: Arc::default(),
        }
    }

    /// Adds arguments to its command line: `"--uplink eth0"`.
    pub fn args(mut self, words: &str) -> Self {
        self.args.extend(words.split_whitespace().map(str::to_owned));
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has another program start it, which must exec it: `"setpriv --bounding-set -net_admin"`.
    pub fn by(mut self, words: &str) -> Self {
        self.words.extend(words.split_whitespace().map(str::to_owned));
        self
    }

    /// Whether it was started, and not ended from here.
    pub fn is_started(&self) -> bool {
        self.process.is_some()
    }

    /// Starts it, waits until it is ready, and gives it back.
    #[track_caller]
    pub fn started(mut self) -> Self {
        self.start();
        self
    }

    /// Starts it, also after [`stop`](Self::stop) or [`kill`](Self::kill), with the same socket
    /// and state, and waits until it is ready; panics with its log when that fails.
    #[track_caller]
    pub fn start(&mut self) {
        self.try_start().unwrap_or_else(|log| panic!("guestnetd did not start:\n{log}"));
    }

    /// Starts it and waits until it is ready. An error is what it said instead.
    pub fn try_start(&mut self) -> Result<(), String> {
        assert!(self.process.is_none(), "guestnetd is running already");
        let guestnetd = binary("guestnetd");
        let mut words = self.words.iter().map(PathBuf::from).chain([guestnetd]);
        let mut command = self.netns.command(words.next().expect("a program"));
        command.args(words).arg("--listen").arg(self.endpoint());
        command.arg("--state-dir").arg(self.state_dir()).args(&self.args);
        if !self.args.iter().any(|arg| arg == "--resolv-conf") {
            command.arg("--resolv-conf").arg(self.resolv_conf());
        }
        command.env_remove("NOTIFY_SOCKET").envs(self.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let stderr = process.stderr.take().expect("a pipe");
        self.process = Some(process);
        let before = self.log().len();
        self.log.follow(stderr);
        if self.log.wait(before, READY, LIMIT) {
            return Ok(());
        }
        self.kill();
        Err(self.log().split_off(before))
    }

    /// Ends it with SIGTERM and gives its exit status; panics when it takes too long.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("a running guestnetd");
        kill(Pid::from_raw(process.id() as i32), Signal::SIGTERM).expect("SIGTERM");
        let status = poll(LIMIT, || process.try_wait().expect("wait"));
        status.unwrap_or_else(|| {
            let _ = process.kill();
            let _ = process.wait();
            panic!("guestnetd did not end after SIGTERM:\n{}", self.log())
        })
    }

    /// Kills it with SIGKILL, as a crash would, and waits for its end.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Its process id.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        self.process.as_ref().expect("a running guestnetd").id() as i32
    }

    /// Where it listens: `unix://PATH`, or what the variable `GUESTNET_LISTEN` says: with `binder://`
    /// the whole suite runs over kernel Binder, one test at a time, since the name is one.
    pub fn endpoint(&self) -> String {
        let unix = || format!("unix://{}", self.socket().display());
        env::var("GUESTNET_LISTEN").unwrap_or_else(|_| unix())
    }

    /// Its socket, in a directory that guestnetd makes.
    pub fn socket(&self) -> PathBuf {
        self.state_dir().join("guestnet.sock")
    }

    /// The directory of its state.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// The lock that it is told iptables takes.
    pub fn xtables_lock(&self) -> PathBuf {
        self.dir.path().join(LOCK)
    }

    /// The file that it takes its resolvers from, unless `--resolv-conf` names another; not that of the
    /// machine that runs the tests.
    pub fn resolv_conf(&self) -> PathBuf {
        self.dir.path().join("resolv.conf")
    }

    /// Everything it has said on stderr, since the first start.
    pub fn log(&self) -> String {
        self.log.now.lock().expect("the log").text.clone()
    }

    /// Waits until its log holds a text; false when that takes longer than `limit`.
    pub fn wait_log(&self, text: &str, limit: Duration) -> bool {
        self.log.wait(0, text, limit)
    }

    /// guestnetctl, to be run beside it and with its address.
    pub fn ctl(&self, words: &[&str]) -> Command {
        let mut command = self.netns.command(binary("guestnetctl"));
        command.args(words).env("GUESTNET_URI", self.endpoint()).stdin(Stdio::null());
        command
    }

    /// Runs guestnetctl and gives its output, however it ends.
    pub fn run_ctl(&self, words: &[&str]) -> Output {
        self.ctl(words).output().expect("guestnetctl")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Log {
    /// Reads on a thread until the other end is closed.
    fn follow(self: &Arc<Self>, mut stderr: impl Read + Send + 'static) {
        let start = {
            let mut now = self.now.lock().expect("the log");
            now.ended = false;
            now.start += 1;
            now.start
        };
        let log = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let length = stderr.read(&mut buffer).unwrap_or(0);
                let mut now = log.now.lock().expect("the log");
                now.text += &String::from_utf8_lossy(&buffer[..length]);
                // The end of an earlier start is not this one's.
                now.ended |= length == 0 && now.start == start;
                log.grown.notify_all();
                if length == 0 {
                    return;
                }
            }
        });
    }

    /// Waits for a text behind the first `from` bytes; false at the log's end or after `limit`.
    fn wait(&self, from: usize, text: &str, limit: Duration) -> bool {
        let now = self.now.lock().expect("the log");
        let there = |now: &LogText| now.text[from..].contains(text);
        let wait = |now: &mut LogText| !there(now) && !now.ended;
        there(&self.grown.wait_timeout_while(now, limit, wait).expect("the log").0)
    }
}
