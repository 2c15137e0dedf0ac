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

//! The machine as a device that netd shapes, with guestnetd as init starts it, reached by kernel
//! Binder; and the checks that any start of it has to pass.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::{connect, Connection, Endpoint};
use guestnet_tests::bed::GATEWAY;
use guestnet_tests::client::{by_netns, by_pid, by_pidfd, config, NAME};
use guestnet_tests::netd::{ask, Dnsproxyd};
use guestnet_tests::resolver::{resolve, resolve_by_tcp, Resolver};
use guestnet_tests::{poll, Guest, InNetns, NetdDevice, Probe};

use super::{dnsproxyd, pinned};

/// Longer than anything here takes in a machine without KVM.
pub const BOUND: Duration = Duration::from_secs(120);
/// Where guestnetd's state is, as the .rc says.
pub const STATE: &str = "/data/misc/guestnet";

/// The device.
pub struct Bed {
    /// The machine.
    pub device: NetdDevice,
    /// Its netd's resolver.
    pub resolver: Dnsproxyd,
    /// The command that is put before android-init: `runcon u:r:init:s0`.
    pub by: Vec<String>,
    /// Where guestnetd's log goes.
    pub log: PathBuf,
    /// How long it may take until it can be called.
    pub patience: Duration,
}

/// guestnetd, started from an .rc. Killed when dropped.
pub struct Started {
    init: Child,
    /// Its process.
    pub pid: i32,
    log: PathBuf,
}

/// A way to name a guest.
type Way = (&'static str, fn(&Guest) -> GuestTarget);

/// All of them.
pub const WAYS: [Way; 3] = [
    ("netns", |guest| by_netns(guest.open_netns())),
    ("pidfd", |guest| by_pidfd(guest.pidfd())),
    ("pid", |guest| by_pid(guest.pid())),
];

impl Bed {
    /// Shapes the machine. Once.
    #[allow(clippy::new_without_default)] // It changes the machine.
    pub fn new() -> Self {
        let device = NetdDevice::this_machine();
        pinned::add_to(&device);
        // What is the user's own on Linux is anybody's on the device: the programs in /system/bin,
        // xtables' lock, and netd, which is asked over Binder there.
        let programs = device.iptables();
        let dir = programs.parent().expect("a folder");
        fs::set_permissions(dir, Permissions::from_mode(0o755)).expect("chmod");
        for name in ["netd", "xtables.lock"] {
            let _ = File::options().append(true).create(true).open(dir.join(name));
            fs::set_permissions(dir.join(name), Permissions::from_mode(0o666)).expect("chmod");
        }
        let resolver = dnsproxyd::start();
        Self { device, resolver, by: Vec::new(), log: "/tmp/guestnetd.log".into(), patience: BOUND }
    }

    /// Has init start guestnetd, and waits until it can be called. An error is what it said.
    pub fn start(&self, rc: &Path) -> Result<(Started, Connection<dyn IGuestNet>), String> {
        let log = &self.log;
        let _ = fs::write(log, "");
        let words = self.by.iter().map(String::as_str).chain(["/system/bin/android-init"]);
        let words: Vec<&str> = words.collect();
        let mut init = Command::new(words[0]);
        init.args(&words[1..]).arg(rc).arg(log).args(["--listen", "binder://"]);
        init.args(["--allow-uid", "1000"]);
        init.arg("--iptables").arg(self.device.iptables()).arg("--ndc").arg(self.device.ndc());
        init.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut init = init.spawn().map_err(|e| format!("android-init: {e}"))?;
        let mut pid = String::new();
        let said = BufReader::new(init.stdout.take().ok_or("no pipe")?).read_line(&mut pid);
        let pid = said.ok().and_then(|_| pid.trim().parse().ok()).ok_or("it was not started")?;
        let mut started = Started { init, pid, log: log.to_owned() };
        let answer = || match connect::<dyn IGuestNet>(&Endpoint::Kernel, NAME) {
            Ok(service) => Some(Ok(service)),
            Err(_) if started.ended() => Some(Err("it ended".to_owned())),
            Err(_) => None,
        };
        let answer =
            poll(self.patience, answer).unwrap_or_else(|| Err("it cannot be found".into()));
        match answer {
            Ok(service) => Ok((started, service)),
            Err(why) => Err(format!("{why}: {}", started.said())),
        }
    }

    /// A guest of each kind gets its network, uses it, and leaves nothing.
    pub fn serves(&self, service: &Connection<dyn IGuestNet>, way: usize) -> Result<(), String> {
        let (name, target) = WAYS[way];
        let guest = Guest::new();
        let before = self.device.everything_else();
        let attached = service.attach(&config(name), &target(&guest), None);
        attached.map_err(|e| format!("attach by {name}: {e}"))?;
        let seen = poll(Duration::from_secs(5), || guest.udp(NetdDevice::UDP, name).ok());
        if seen.as_deref() != Some(&format!("192.0.2.2 {name}")) {
            return Err(format!("a guest by {name} is answered {seen:?}"));
        }
        if guest.links() != ["lo", "wlan0"] {
            return Err(format!("a guest by {name} has {:?}", guest.links()));
        }
        self.resolves(&guest)?;
        service.detach(name).map_err(|e| format!("detach: {e}"))?;
        let gone = || (guest.links() == ["lo"] && self.traces().is_empty()).then_some(());
        poll(BOUND, gone).ok_or_else(|| format!("left behind: {:?}", self.traces()))?;
        before.diff(&self.device.everything_else()).map_or(Ok(()), Err)
    }

    /// A guest is answered at its gateway, by UDP and TCP, as netd's resolver says.
    pub fn resolves(&self, guest: &Guest) -> Result<(), String> {
        self.resolver.asked();
        // Who serves is there a moment later; after that, none is lost.
        let by_udp = poll(Duration::from_secs(5), || resolve(guest, GATEWAY).ok());
        let by_tcp = resolve_by_tcp(guest, GATEWAY);
        match (by_udp, by_tcp, self.resolver.asked().len()) {
            (Some(Resolver::ANSWER), Ok(Resolver::ANSWER), 2..) => Ok(()),
            other => Err(format!("names, by UDP and TCP, and how often netd was asked: {other:?}")),
        }
    }

    /// A server that is named for guests is asked while the lockdown of a VPN keeps all users off it.
    pub fn asks_past_a_lockdown(&self, service: &Connection<dyn IGuestNet>) -> Result<(), String> {
        let guest = Guest::new();
        let named = |servers: &[String]| {
            service.setDns("wlan0", servers).map_err(|e| format!("setDns: {e}"))
        };
        let attached = service.attach(&config("locked"), &by_pid(guest.pid()), None);
        attached.map_err(|e| format!("attach: {e}"))?;
        self.device.vpn_up("tun0");
        self.device.lockdown(true);
        let [server, _] = self.device.resolvers("wlan0");
        named(&[server])?;
        let by_wifi = || ask(&guest, GATEWAY, false).ok().filter(|name| name.contains("wlan0"));
        let answer = poll(Duration::from_secs(20), by_wifi);
        named(&[])?;
        self.device.lockdown(false);
        self.device.vpn_down("tun0");
        service.detach("locked").map_err(|e| format!("detach: {e}"))?;
        answer.map(drop).ok_or_else(|| "a server is not asked under a lockdown".to_owned())
    }

    /// What of a guest's is on the device.
    pub fn traces(&self) -> Vec<String> {
        let mut traces = self.device.links();
        traces.retain(|link| link.starts_with("vm_wlan") || link.starts_with("gn"));
        traces.extend(self.device.forwarding_requesters());
        traces
    }

    /// After a start that went wrong half-way: what is left of guests and of the packet filter is
    /// removed. A guestnetd that finds its rules there would not write them.
    pub fn sweep(&self) {
        for program in ["iptables-legacy", "ip6tables-legacy"] {
            let without = format!("{program}-save | grep -v oem_guestnet_ | {program}-restore");
            let done = self.device.command("sh").args(["-c", &without]).status();
            assert!(done.expect("sh").success(), "{without}");
        }
        for link in self.device.links().iter().filter(|link| link.starts_with("vm_wlan")) {
            // Or it goes right now, with its guest.
            self.device.try_run(&format!("ip link del {link}"));
        }
        let _ = fs::remove_dir_all(STATE);
    }
}

impl Started {
    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        !matches!(self.init.try_wait(), Ok(None))
    }

    /// What it has said.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// One line of its `/proc/PID/status`: `Uid`.
    pub fn status(&self, line: &str) -> Vec<String> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
        found.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    /// Ends it as init does first (`gentle_kill`), or as a crash does.
    pub fn end(&mut self, signal: i32) {
        // SAFETY: it takes two integers.
        unsafe { libc::kill(self.pid, signal) };
        if poll(BOUND, || self.ended().then_some(())).is_none() {
            panic!("guestnetd does not end: {}", self.said());
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.ended() {
            self.end(libc::SIGKILL);
        }
    }
}

/// Whose a file is: its user and group.
pub fn owner(path: &Path) -> Option<(u32, u32)> {
    fs::metadata(path).ok().map(|meta| (meta.uid(), meta.gid()))
}
