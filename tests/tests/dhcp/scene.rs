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

//! What the tests of this folder share: a device whose guests ask by DHCP, and clients in them.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::DhcpCounters::DhcpCounters;
use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::{Guest, InNetns};

/// Offers, acks, naks to a guest, and what of it was refused.
pub fn counters(bed: &Bed, name: &str) -> [i64; 4] {
    let guest = bed.service.get(name).expect("get").expect("it is attached");
    let DhcpCounters { offers, acks, naks, refused } = guest.dhcpCounters;
    [offers, acks, naks, refused]
}

/// What attach has set at a guest's end is gone: what is there afterwards is its client's.
pub fn forget(guest: &Guest) {
    guest.run("ip addr flush dev wlan0");
    assert_eq!(guest.run("ip route"), "");
}

/// A client that runs in a guest, and what its script is told: a line for each, with its words.
pub struct Client {
    process: Child,
    told: Receiver<String>,
    _folder: tempfile::TempDir,
}

/// What busybox's client calls. It does what every such script does, and says so at the end.
const UDHCPC: &str = r#"#!/bin/sh
[ "$1" = deconfig ] && exit
if [ "$1" = nak ]; then echo "nak"; exit; fi
ip addr flush dev $interface
ip addr add $ip/$mask dev $interface
ip link set $interface mtu $mtu
ip route add default via $router dev $interface
echo "$1 ip=$ip/$mask router=$router dns=$dns mtu=$mtu lease=$lease renew=$opt58 rebind=$opt59 serverid=$serverid" \
    "broadcast=$broadcast hostname=$hostname staticroutes=$staticroutes opt43=$opt43 opt114=$opt114 domain=$domain"
"#;

impl Client {
    /// busybox's; it stays. It asks for what a script can use.
    pub fn udhcpc(guest: &Guest, options: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let script = script(&folder, "told", UDHCPC);
        let line = format!(
            "busybox udhcpc -f -i wlan0 -t 5 -T 1 -O mtu -O broadcast -O staticroutes -O 43 -O 58 -O 59 -O 114 \
             -s {} {options}",
            script.display()
        );
        Self::run(guest, &line, folder)
    }

    /// Any program whose standard output is what it is told.
    pub fn run(guest: &Guest, line: &str, folder: tempfile::TempDir) -> Self {
        let mut command = guest.words(line);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap_or_else(|e| panic!("{line}: {e}"));
        let out = BufReader::new(process.stdout.take().expect("its output"));
        let (tell, told) = channel();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Self { process, told, _folder: folder }
    }

    /// The next that it is told.
    #[track_caller]
    pub fn told(&self) -> String {
        self.told.recv_timeout(BOUND).expect("it is told something")
    }

    /// Whether it is told nothing for a while.
    pub fn is_told_nothing(&self, wait: Duration) -> bool {
        self.told.recv_timeout(wait).is_err()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.process.id() as i32);
        nix::sys::signal::kill(pid, signal).expect("it is there");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program of a test's.
pub fn script(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    path
}
