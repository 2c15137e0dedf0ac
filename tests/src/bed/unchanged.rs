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

//! What a refused call may not change: the device, the guest, the other guests, what is stored; and
//! a neighbour's connection lives on.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use binder::{ExceptionCode, Status};
use guestnet_platform::status_message;

use super::{Announcements, Bed, BOUND};
use crate::client::by_pid;
use crate::probe::exchange;
use crate::snapshot::open_fds;
use crate::{poll, Daemon, Device, Guest, InNetns, Internet, Probe, Snapshot};

/// A guest that is attached and has a connection to the internet.
pub(super) struct Neighbour {
    // Closed before the guest ends.
    stream: TcpStream,
    _guest: Guest,
}

impl Neighbour {
    #[track_caller]
    pub(super) fn attach(service: &dyn IGuestNet, daemon: &Daemon, config: &GuestConfig) -> Self {
        let guest = Guest::new();
        service
            .attach(config, &by_pid(guest.pid()), None)
            .unwrap_or_else(|e| panic!("the neighbour: {e}\n{}", daemon.log()));
        let stream = guest.connect_tcp(Internet::TCP).expect("the neighbour's connection");
        Self { stream, _guest: guest }
    }
}

/// All that a refused call may not change, as it was.
pub struct Before {
    device: Snapshot,
    guest: Snapshot,
    attached: Vec<String>,
    stored: BTreeMap<PathBuf, String>,
    announced: [(&'static str, Announcements); 2],
}

/// Of a bed with a neighbour ([`Builder::neighbour`](super::Builder::neighbour)).
impl Bed {
    /// Writes down what is there now, and listens to the kernel from then on.
    #[track_caller]
    pub fn before(&self) -> Before {
        // The first look at a guest's end from the device gives the device's namespace a number in itself
        // (rtnl_fill_link_netnsid(), peernet2id_alloc()).
        self.service.status(None).expect("status");
        self.wait_for_addresses();
        Before {
            announced: [
                ("device", Announcements::of(&self.device)),
                ("guest", Announcements::of(&self.guest)),
            ],
            device: Snapshot::of(&self.device),
            guest: Snapshot::of(&self.guest),
            attached: self.names(),
            stored: files(&self.daemon.state_dir()),
        }
    }

    /// Waits until the guest's IPv6 addresses have been probed, and have their routes: that is announced.
    #[track_caller]
    fn wait_for_addresses(&self) {
        let count = |line: &str| self.guest.run(line).matches("fe80:").count();
        let settled = || {
            self.guest.run("ip -6 -o addr show tentative").is_empty()
                && count("ip -6 -o addr show scope link")
                    == count("ip -6 route show table local type local")
        };
        poll(BOUND, || settled().then_some(())).expect("the guest's addresses settle");
    }

    /// Panics unless all is as it was, and the neighbour still talks over its old connection.
    #[track_caller]
    pub fn assert_unchanged(&self, before: &Before, what: &str) {
        let same = |which: &str, before: &Snapshot, now: &Snapshot| {
            if let Some(diff) = before.diff(now) {
                panic!("{what} changed the {which}:\n{diff}");
            }
        };
        same("device", &before.device, &Snapshot::of(&self.device));
        same("guest", &before.guest, &Snapshot::of(&self.guest));
        self.assert_quiet(before, what);
    }

    /// What can be asked in no time: the kernel had nothing to announce, nobody came or went,
    /// nothing was stored, and the neighbour talks.
    #[track_caller]
    fn assert_quiet(&self, before: &Before, what: &str) {
        for (which, announced) in &before.announced {
            let types = announced.take();
            assert!(types.is_empty(), "{what}: something changed in the {which}: RTM {types:?}");
        }
        assert_eq!(self.names(), before.attached, "{what}: the guests that are attached");
        let stored = files(&self.daemon.state_dir());
        assert_eq!(stored, before.stored, "{what}: the stored state");
        self.assert_neighbour_talks(what);
    }

    /// Panics unless the neighbour's connection lives.
    #[track_caller]
    pub fn assert_neighbour_talks(&self, what: &str) {
        let neighbour = self.neighbour.as_ref().expect("a bed with a neighbour");
        let answer = exchange(&neighbour.stream, "still there?");
        assert_eq!(
            answer.unwrap_or_else(|e| panic!("{what}: the neighbour's connection: {e}")),
            format!("{} still there?", Device::ADDRESS)
        );
    }

    /// A call that is to be refused with this code and these words, and to change nothing.
    #[track_caller]
    pub fn refused<T: Debug>(
        &self,
        before: &Before,
        what: &str,
        refusal: (i32, &[&str]),
        call: impl FnOnce(&dyn IGuestNet) -> binder::Result<T>,
    ) {
        self.refused_quietly(before, what, refusal, call);
        self.assert_unchanged(before, what);
    }

    /// The same without the snapshots, which take their time: for the first ones of several calls
    /// whose last one is [`refused`](Self::refused).
    #[track_caller]
    pub fn refused_quietly<T: Debug>(
        &self,
        before: &Before,
        what: &str,
        (code, words): (i32, &[&str]),
        call: impl FnOnce(&dyn IGuestNet) -> binder::Result<T>,
    ) {
        let status = call(&**self.service).expect_err(what);
        assert_eq!(status.exception_code(), ExceptionCode::SERVICE_SPECIFIC, "{what}: {status}");
        assert_eq!(status.service_specific_error(), code, "{what}: {status}");
        assert_words(what, &status, words);
        self.assert_quiet(before, what);
    }

    /// A configuration and a target that attach() and both of its dry runs refuse alike. The dry
    /// runs come first: what they let pass is not tried on the machine.
    #[track_caller]
    pub fn all_refuse(
        &self,
        before: &Before,
        what: &str,
        config: &GuestConfig,
        target: &GuestTarget,
        refusal: (i32, &[&str]),
    ) {
        let call = |name| format!("{name} with {what}");
        self.refused_quietly(before, &call("plan()"), refusal, |s| s.plan(config, target));
        self.refused_quietly(before, &call("check()"), refusal, |s| s.check(config, target));
        self.refused(before, &call("attach()"), refusal, |s| s.attach(config, target, None));
    }

    /// How many descriptors guestnetd has open, without what it opens to look at something: the fewest of
    /// a while.
    pub fn settled_fds(&self) -> usize {
        let look = |_| {
            sleep(Duration::from_millis(20));
            open_fds(self.daemon.pid()).len()
        };
        (0..20).map(look).min().unwrap_or(0)
    }

    /// Panics unless guestnetd comes back to these open descriptors.
    #[track_caller]
    pub fn assert_fds_settle(&self, before: usize) {
        let count = || open_fds(self.daemon.pid()).len();
        poll(BOUND, || (count() == before).then_some(())).unwrap_or_else(|| {
            let mut list = open_fds(self.daemon.pid());
            list.sort_unstable();
            panic!("{before} descriptors were open, now {}: {list:#?}", list.len())
        });
    }
}

impl Before {
    /// Panics unless the device is as it was, whatever has happened in between.
    #[track_caller]
    pub fn assert_same_device(&self, bed: &Bed) {
        self.device.assert_same(&Snapshot::of(&bed.device));
    }
}

/// Panics unless the message is one line of text that holds all these words.
#[track_caller]
pub fn assert_words(what: &str, status: &Status, words: &[&str]) {
    let message = status_message(status);
    for word in words {
        assert!(message.contains(word), "{what}: {word:?} is not in {message:?}");
    }
    let odd = |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{202e}' | '\u{feff}');
    assert!(!message.contains(odd), "{what}: not fit for a log: {message:?}");
}

/// The files below a directory, with their content. A socket has none.
fn files(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("the state directory").flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&path)),
            Ok(kind) if kind.is_file() => {
                let content = std::fs::read_to_string(&path).unwrap_or_default();
                found.insert(path, content);
            }
            _ => {}
        }
    }
    found
}
