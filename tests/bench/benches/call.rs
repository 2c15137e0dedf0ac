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

//! What Binder alone costs: a call that does nothing, and a guest written into a parcel.
//! `cargo bench -p guestnet_bench`, as root; GUESTNETD names the guestnetd to call.

#![allow(missing_docs)] // The macros make functions without.

use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest;
use android_system_guestnet::aidl::android::system::guestnet::Operation::Operation;
use android_system_guestnet::aidl::android::system::guestnet::TimelineStep::TimelineStep;
use binder::__rsbinder::Parcel;
use criterion::{black_box, criterion_group, criterion_main, Criterion};
use guestnet_tests::{Daemon, Device};

fn call(c: &mut Criterion) {
    let device = Device::new();
    let daemon = Daemon::new(&device).started();
    let service = daemon.connect();
    c.bench_function("get() of nobody over the Unix socket", |b| {
        b.iter(|| service.get(black_box("nobody")).expect("an answer"));
    });
}

fn parcel(c: &mut Criterion) {
    let step = |at| TimelineStep {
        operation: Operation::ADD_ADDRESS,
        what: format!("step {at} of an attach, in words"),
        startMicros: at,
        durationMicros: 1,
    };
    let guest = Guest {
        name: "guest".into(),
        hostInterface: "vm_wlan".into(),
        interfaceName: "wlan0".into(),
        addresses: vec!["172.17.3.3/16".into()],
        gateway: "172.17.3.2".into(),
        mac: "06:67:ae:fd:35:36".into(),
        timeline: (0..12).map(step).collect(),
        ..Guest::default()
    };
    c.bench_function("a guest into a parcel", |b| {
        b.iter(|| {
            let mut parcel = Parcel::new();
            parcel.write(black_box(&guest)).expect("a parcel");
            parcel.data_size()
        });
    });
}

criterion_group!(benches, call, parcel);
criterion_main!(benches);
