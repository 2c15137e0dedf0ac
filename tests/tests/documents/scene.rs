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

//! Where a page's commands are run: as root on a device with an internet behind its `wlan0`, beside an
//! LXC container `box` that has no network. The device has mounts and processes of its own: what is installed
//! and written is written into memory, and everything ends with the scene.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::blocks::is_shown;
use crate::root;
use guestnet_tests::program::binary;
use guestnet_tests::{said, Device, InNetns};
use tempfile::TempDir;

/// Hosts that doctor asks when nobody has named others, and that people ping.
const HOSTS: [&str; 2] = ["1.1.1.1", "8.8.8.8"];

/// What a page takes for granted. `$1` is the repository's container.conf.
const STAGE: &str = r#"
set -eu
memory=$(mktemp -d)
mount -t tmpfs tmpfs "$memory"
for dir in usr/bin usr/share etc var/lib; do
    mkdir -p "$memory/$dir.upper" "$memory/$dir.work"
    mount -t overlay overlay -o "lowerdir=/$dir,upperdir=$memory/$dir.upper,workdir=$memory/$dir.work" "/$dir"
done
mount -t tmpfs tmpfs /run
mkdir /run/lock
rm -f /etc/resolv.conf
echo 'nameserver 192.0.2.1' >/etc/resolv.conf
lxc-create -q -n box -t busybox -f "$1"
end() { lxc-stop -k -n box 2>/dev/null || true; }
trap end EXIT

start() { lxc-start -n box; inside true; }
configure() { echo "$1" >>/var/lib/lxc/box/config; install_programs; }
inside() {
    for _ in $(seq 100); do lxc-attach -n box -- "$@" && return; sleep 0.05; done
    return 1
}
install_programs() { install -m 755 target/release/guestnetd target/release/guestnetctl /usr/bin/; }
# Who types sees the prompt before the next command.
is_ready() { for _ in $(seq 200); do [ -S /run/guestnet/guestnet.sock ] && return; sleep 0.05; done; return 1; }
guestnetd_runs() { install_programs; guestnetd --uplink default & is_ready; }
attach() { guestnetctl attach --name box --pid "$(lxc-info -n box -pH)"; }
# podman, which keeps all of its own in memory and knows one image.
podman_is_there() {
    cat >/etc/containers/containers.conf <<CONF
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
CONF
    printf '%s\n' '[storage]' 'driver = "vfs"' 'graphroot = "/run/storage"' 'runroot = "/run/containers"' \
        >/etc/containers/storage.conf
    mkdir -p /run/image/bin
    cp /bin/busybox /run/image/bin/
    /run/image/bin/busybox --install /run/image/bin
    tar -c -C /run/image . | podman import -q - busybox
}
"#;

/// A page's commands, to be run in this order.
pub struct Scene {
    script: String,
    sessions: Vec<Session>,
}

/// An output that a page shows.
struct Session {
    place: String,
    command: String,
    shown: Vec<String>,
}

impl Scene {
    /// `before`: what the page takes for granted, in words of the stage.
    pub fn new(before: &str) -> Self {
        Self {
            script: format!(
                "{STAGE}\n{before}\ncommand -v guestnetd >/dev/null || install_programs\n"
            ),
            sessions: Vec::new(),
        }
    }

    /// A command that has to succeed.
    pub fn run(&mut self, place: &str, command: &str) {
        let wait = if command.ends_with('&') { "\nis_ready" } else { "" };
        let _ = writeln!(self.script, "echo '== {place}' >&2\n{command}{wait}");
    }

    /// Commands behind `$ `, and what each prints.
    pub fn session(&mut self, place: &str, lines: &[String]) {
        for line in lines {
            if let Some(command) = line.strip_prefix("$ ") {
                let (place, command) = (place.to_owned(), command.to_owned());
                self.sessions.push(Session { place, command, shown: Vec::new() });
                let out = self.sessions.len();
                let last = self.sessions.last().map_or("", |session| &session.command);
                // A verdict is an exit code.
                let _ = writeln!(self.script, "{{ {last}; }} >out-{out} 2>&1 || true");
            } else if let Some(session) = self.sessions.last_mut() {
                session.shown.push(line.clone());
            }
        }
    }

    /// Runs it; panics where a command fails or an output is another.
    pub fn play(self) {
        let device = Device::new();
        for host in HOSTS {
            device.internet.run(&format!("ip addr add {host}/32 dev lo"));
        }
        let _https = device.internet.enter(|| TcpListener::bind("0.0.0.0:443")).expect("port 443");
        let dir = clone_of_the_repository();
        let script = dir.path().join("script");
        fs::write(&script, &self.script).expect("the script");
        let mut shell = device.command("unshare");
        shell.args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--", "bash"]);
        let container = Path::new(env!("CARGO_MANIFEST_DIR")).join("lib/container.conf");
        shell.arg(&script).arg(container).current_dir(dir.path());
        shell.env_remove("GUESTNET_URI").env_remove("NOTIFY_SOCKET");
        let out = shell.output().expect("a shell");
        assert!(out.status.success(), "{}\n{}", self.script.replace(STAGE, ""), said(&out));
        for (i, session) in self.sessions.iter().enumerate() {
            let text =
                fs::read_to_string(dir.path().join(format!("out-{}", i + 1))).expect("an output");
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let Session { place, command, shown } = session;
            let same = is_shown(shown, &lines);
            assert!(
                same,
                "{place}: $ {command}\nsays\n{text}\nand is shown as\n{}",
                shown.join("\n")
            );
        }
    }
}

/// A directory with what is built, and what is installed as it is, where it is in a clone.
pub fn clone_of_the_repository() -> TempDir {
    let dir = tempfile::Builder::new().prefix("gnt-page-").tempdir().expect("a directory");
    for (place, program) in [
        ("target/release/guestnetd", "guestnetd"),
        ("target/release/guestnetctl", "guestnetctl"),
        ("target/debug/examples/attach", "attach"),
    ] {
        let link = dir.path().join(place);
        fs::create_dir_all(link.parent().expect("a folder")).expect("a folder");
        symlink(binary(program), link).expect("a link");
    }
    for folder in ["init", "packaging"] {
        symlink(root().join(folder), dir.path().join(folder)).expect("a link");
    }
    dir
}
