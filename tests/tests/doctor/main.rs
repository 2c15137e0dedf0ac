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

//! doctor: devices that are broken by a script, one for each cause that can be made here, and healthy ones
//! of all shapes. Real packets; all addresses are in the tests' own namespaces.

mod beyond;
mod broken;
mod cases;
mod full;
mod healthy;
mod netd;
mod odd;
mod trace;

use std::sync::{PoisonError, RwLock};

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::DiagnoseOptions::DiagnoseOptions;
use android_system_guestnet::aidl::android::system::guestnet::Diagnosis::Diagnosis;
use beyond::{Beyond, HOSTS, NAME, PAGE};
use guestnet_tests::bed::Bed;
use guestnet_tests::{Device, Guest, InNetns, NetdDevice};

/// Held while the whole machine is slower than it should be: nobody else counts time then.
static SLOW: RwLock<()> = RwLock::new(());

/// Probes go to the tests' own internet.
fn options() -> DiagnoseOptions {
    DiagnoseOptions {
        targets: HOSTS.map(str::to_owned).into(),
        url: PAGE.to_owned(),
        name: NAME.to_owned(),
        trace: false,
    }
}

/// The bed of all cases: a device, an internet with servers, one guest `demo`.
struct Ward<D: InNetns = Device> {
    // Before the bed: its sockets would keep the internet's namespace alive.
    beyond: Beyond,
    bed: Bed<D>,
    guest: Guest,
}

impl Ward {
    /// With this packet filter.
    fn new(firewall: &str) -> Self {
        Self::on(Device::new(), &format!("--firewall {firewall}"))
    }

    /// On a device of its own, with these arguments.
    fn on(device: Device, args: &str) -> Self {
        let ward = Self::empty(device, args);
        ward.bed.attach("demo", &ward.guest);
        ward
    }

    /// The same with a guest that is not attached.
    fn empty(device: Device, args: &str) -> Self {
        let beyond = Beyond::behind(&device.internet);
        let bed = Bed::on(device).args(args).args(resolver_of(args)).build();
        Self { beyond, bed, guest: Guest::new() }
    }

    /// A command in the internet.
    fn out_there(&self, line: &str) {
        self.bed.device.internet.run(line);
    }
}

impl Ward<NetdDevice> {
    /// On a device that netd shapes.
    fn on_netd(device: NetdDevice, args: &str) -> Self {
        let beyond = Beyond::behind(&device.internet);
        let bed = Bed::on_netd(device).args(args).args(resolver_of(args)).build();
        let guest = Guest::new();
        bed.attach("demo", &guest);
        Self { beyond, bed, guest }
    }
}

impl<D: InNetns> Ward<D> {
    /// What doctor says, in time.
    #[track_caller]
    fn diagnose(&self) -> Diagnosis {
        let _others = SLOW.read().unwrap_or_else(PoisonError::into_inner);
        self.diagnose_alone()
    }

    #[track_caller]
    fn diagnose_alone(&self) -> Diagnosis {
        let found = self.bed.service.diagnose(Some("demo"), &options());
        let found = found.unwrap_or_else(|e| panic!("{e}\n{}", self.bed.daemon.log()));
        assert!(found.durationMillis < 3000, "{} ms", found.durationMillis);
        found
    }

    /// doctor says this, and names in its words what `words` says.
    #[track_caller]
    fn is(&self, cause: Cause, words: &str) {
        let found = self.diagnose();
        assert_eq!(found.cause, cause, "{}", shown(&found));
        assert!(found.text.contains(words), "{words}: {}", shown(&found));
        assert!(
            found.nextStep.is_some() || cause == Cause::HEALTHY || words.is_empty(),
            "{found:?}"
        );
    }

    #[track_caller]
    fn is_healthy(&self) {
        self.is(Cause::HEALTHY, "");
    }
}

/// The internet's resolver, unless another one is named.
fn resolver_of(args: &str) -> &'static str {
    if args.contains("--resolv-conf") {
        ""
    } else {
        "--resolv-conf /nonexistent --dns 203.0.113.53"
    }
}

/// For people.
fn shown(found: &Diagnosis) -> String {
    let probes = found
        .probes
        .iter()
        .map(|p| format!("\n  {:<34} {:<13?} {:<13?} {}", p.name, p.guest, p.device, p.detail));
    let head =
        format!("{:?} {:?}: {} / {:?}", found.verdict, found.cause, found.text, found.nextStep);
    head + &probes.collect::<String>()
}
