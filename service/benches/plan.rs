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

//! What the pure middle of an attach costs: a slot and an address, the steps, their words.
//! `cargo bench -p guestnetd --bench plan`

#![allow(missing_docs)] // The macros make functions without.

use criterion::{black_box, criterion_group, criterion_main, BenchmarkId, Criterion};
use guestnetd::model::alloc::leases::Leases;
use guestnetd::model::desired::{desired_guest, may_remove};
use guestnetd::model::diff::diff;
use guestnetd::model::object::Loopback;
use guestnetd::model::{GuestNet, Object, Reversible, Scope, Step};
use guestnetd::spec::{GuestName, GuestSpec, IfName, Mtu};
use std::net::Ipv4Addr;

fn spec(name: &str) -> GuestSpec {
    let (name, wlan0) = (GuestName::new(name).unwrap(), IfName::new("wlan0").unwrap());
    GuestSpec::new(name, wlan0, None, Ipv4Addr::new(172, 17, 3, 2), 16, -1).unwrap()
}

fn net(leases: &Leases, spec: &GuestSpec) -> GuestNet {
    let (slot, address) = leases.choose(spec).unwrap();
    GuestNet::new(spec, slot, address, Mtu::ETHERNET)
}

fn plan(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    let next = spec("next");
    for guests in [0, 999] {
        let mut leases = Leases::default();
        for at in 0..guests {
            let net = net(&leases, &spec(&format!("guest{at}")));
            leases.take(&net);
        }
        group.bench_function(BenchmarkId::new("slot and address", guests), |b| {
            b.iter(|| net(&leases, black_box(&next)));
        });
    }
    group.finish();
}

fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("diff");
    let net = net(&Leases::default(), &spec("guest"));
    let found = [(Scope::Guest, Object::Loopback(Loopback::Up))];
    let steps = |net: &GuestNet| diff(desired_guest(net), &found, may_remove(net, None));
    group.bench_function("steps of an attach", |b| b.iter(|| steps(black_box(&net))));
    let steps = steps(&net);
    group.bench_function("their words", |b| {
        b.iter(|| black_box(&steps).iter().map(|step: &Step| step.describe().len()).sum::<usize>());
    });
    group.finish();
}

criterion_group!(benches, plan, steps);
criterion_main!(benches);
