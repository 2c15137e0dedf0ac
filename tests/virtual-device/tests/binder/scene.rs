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

//! A device with a guestnetd behind kernel Binder, and a guest.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::Connection;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::probe::exchange;
use guestnet_tests::snapshot::open_fds;
use guestnet_tests::{poll, Daemon, Device, Guest, Internet, Probe};

/// Longer than anything may take in a machine that is emulated.
pub const BOUND: Duration = Duration::from_secs(20);

/// Dropped in this order.
pub struct Scene {
    pub guest: Guest,
    pub daemon: Daemon,
    pub device: Device,
}

impl Scene {
    /// guestnetd with these arguments.
    pub fn new(args: &str) -> Self {
        assert_eq!(std::env::var("GUESTNET_LISTEN").as_deref(), Ok("binder://"));
        let device = Device::new();
        let daemon = Daemon::new(&device).args(args).started();
        Self { guest: Guest::new(), daemon, device }
    }

    /// Attaches the guest as `box`.
    #[track_caller]
    pub fn attach(&self) {
        let target = by_pid(self.guest.pid());
        let attach = || self.service().attach(&config("box"), &target, None).expect("attach");
        attach();
        // What guestnetd opens once and keeps is there after that.
        self.service().detach("box").expect("detach");
        attach();
    }

    /// A connection to the service that is registered now.
    #[track_caller]
    pub fn service(&self) -> Connection<dyn IGuestNet> {
        self.daemon.connect()
    }

    /// The names of those attached.
    #[track_caller]
    pub fn attached(&self) -> Vec<String> {
        self.service().list().expect("list").into_iter().map(|guest| guest.name).collect()
    }

    /// Panics unless the guest reaches the internet by the device's address.
    #[track_caller]
    pub fn assert_guest_talks(&self) {
        let stream = self.guest.connect_tcp(Internet::TCP).expect("the guest's connection");
        let answer = exchange(&stream, "hello").expect("an answer");
        assert_eq!(answer, format!("{} hello", Device::ADDRESS));
    }

    /// How many of each kind guestnetd has open: `socket`, `pipe`, `/dev/binder`.
    pub fn fds(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for fd in open_fds(self.daemon.pid()) {
            let kind = fd.split(":[").next().unwrap_or(&fd).to_owned();
            *kinds.entry(kind).or_default() += 1;
        }
        kinds
    }

    /// Panics unless guestnetd comes back to these descriptors, or to fewer.
    #[track_caller]
    pub fn assert_fds(&self, before: &BTreeMap<String, usize>) {
        let few = |(kind, count): (&String, &usize)| before.get(kind).is_some_and(|b| count <= b);
        let same = || self.fds().iter().all(few).then_some(());
        if poll(BOUND, same).is_none() {
            panic!("open before: {before:#?}\nopen now: {:#?}", self.fds());
        }
    }

    /// guestnetd's resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.daemon.pid()));
        let status = status.expect("its status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
    }
}
