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

//! guestnetd under strace, in a device, with a client of it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_platform::Connection;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::program::binary;
use guestnet_tests::{poll, Daemon, Guest, InNetns};
use tempfile::TempDir;

use crate::changes::{self, Names, Seen};
use crate::files::Places;
use crate::strace;

/// Longer than anything here may take on a busy machine.
pub const BOUND: Duration = Duration::from_secs(30);

/// A device, guestnetd, and what strace writes of it.
pub struct Traced<D> {
    // In this order: a client goes before the service, and that before its device.
    client: Option<Connection<dyn IGuestNet>>,
    pub daemon: Daemon,
    dir: TempDir,
    pids: Vec<i32>,
    pub device: D,
}

impl<D: InNetns> Traced<D> {
    /// Not started yet. `daemon` has its arguments; `strace` has more for strace, `by` is what is to
    /// start guestnetd beneath it.
    pub fn new(device: D, daemon: Daemon, strace: &str, by: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("gnt-trace-").tempdir().expect("a directory");
        let (all, to) = (strace::command(), dir.path().join("trace"));
        let words = format!("{all} {strace} -A -o {} {by}", to.display());
        Self { client: None, daemon: daemon.by(&words), dir, pids: Vec::new(), device }
    }

    /// A started one, with these arguments.
    pub fn started(device: D, args: &str) -> Self {
        let daemon = Daemon::new(&device).args(args);
        let mut traced = Self::new(device, daemon, "", "");
        traced.start();
        traced
    }

    pub fn start(&mut self) {
        self.daemon.start();
        self.pids.push(self.daemon.pid());
        self.client = Some(self.daemon.connect());
    }

    /// Ends guestnetd in order, and waits until strace has written all.
    pub fn stop(&mut self) {
        self.client = None;
        self.wait_deleted();
        assert!(self.daemon.stop().success(), "{}", self.daemon.log());
        self.wait_written();
    }

    /// The same by SIGKILL.
    pub fn kill(&mut self) {
        self.client = None;
        self.daemon.kill();
        self.wait_written();
    }

    pub fn service(&self) -> &Connection<dyn IGuestNet> {
        self.client.as_ref().expect("guestnetd has been started")
    }

    pub fn attach(&self, name: &str, guest: &Guest) {
        self.attach_as(&config(name), &by_pid(guest.pid()));
    }

    pub fn attach_as(&self, config: &GuestConfig, target: &GuestTarget) {
        let done = self.service().attach(config, target, None);
        done.unwrap_or_else(|e| panic!("attach {}: {e}\n{}", config.name, self.daemon.log()));
    }

    pub fn detach(&self, name: &str) {
        let done = self.service().detach(name);
        done.unwrap_or_else(|e| panic!("detach {name}: {e}\n{}", self.daemon.log()));
    }

    /// Waits until something is so.
    #[track_caller]
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let so = poll(BOUND, || is_so().then_some(()));
        so.unwrap_or_else(|| panic!("it is not so: {what}\n{}", self.daemon.log()));
    }

    /// Takes something away, and waits until what lists it has it again.
    #[track_caller]
    pub fn is_put_back(&self, away: &str, list: &str, text: &str) {
        let there = || self.device.run(list).contains(text);
        // What was put back just before may have taken it along for a moment.
        self.until(&format!("before `{away}`: {text}"), there);
        self.device.run(away);
        self.until(text, there);
    }

    /// Waits until that is the uplink, with this address; an empty text: none.
    #[track_caller]
    pub fn until_uplink(&self, name: &str, address: &str) {
        self.until(&format!("the uplink is {name} {address}"), || {
            let uplink = self.service().status(None).expect("status").uplink;
            (uplink.interfaceName.as_str(), uplink.address.as_str()) == (name, address)
        });
    }

    /// Everything that was seen. The trace stays where GUESTNET_TRACES says, for people.
    /// `whole_order`: see there.
    pub fn seen(&self, scenario: &str, whole_order: bool) -> Seen {
        let trace = self.trace();
        if let Some(dir) = std::env::var_os("GUESTNET_TRACES") {
            fs::write(PathBuf::from(dir).join(scenario), &trace).expect("the trace");
        }
        Seen { whole_order, ..changes::of(&trace, &self.names()) }
    }

    fn trace(&self) -> String {
        let path = self.dir.path().join("trace");
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn names(&self) -> Names {
        let netns = fs::File::from(self.device.open_netns());
        let device = format!("net:[{}]", netns.metadata().expect("the device's netns").ino());
        let places = Places { state: self.daemon.state_dir(), socket: self.daemon.socket() };
        Names { device, places, guestnetd: binary("guestnetd") }
    }

    /// Waits until no thread is asleep in the end of a delete: of such a call strace sees no end.
    fn wait_deleted(&self) {
        let tasks = format!("/proc/{}/task", self.daemon.pid());
        let names = || {
            let tasks = fs::read_dir(&tasks).expect("its threads").flatten();
            tasks.map(|task| fs::read_to_string(task.path().join("comm")).unwrap_or_default())
        };
        let none = || names().all(|name| name.trim() != "delete").then_some(());
        poll(BOUND, none).expect("threads that delete end");
    }

    fn wait_written(&self) {
        let pid = self.pids.last().expect("it has been started");
        let ended = |line: &str| {
            let rest = line.strip_prefix(&pid.to_string()).map(str::trim_start);
            rest.is_some_and(|rest| rest.starts_with("+++ "))
        };
        let written = || self.trace().lines().any(ended).then_some(());
        poll(BOUND, written).expect("strace ends with guestnetd");
    }
}

/// A guest of a subnet of its own.
pub fn in_subnet(name: &str, gateway: &str) -> GuestConfig {
    GuestConfig { gateway: gateway.to_owned(), prefixLength: 24, ..config(name) }
}

/// A guest that leaves by an interface of its own.
pub fn by_tun(name: &str, tun: &str) -> GuestConfig {
    let uplink = Some(tun.to_owned());
    GuestConfig { vpnPolicy: VpnPolicy::NAMED_TUN, uplink, ..config(name) }
}
