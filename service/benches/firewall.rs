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

//! What writing the packet filter down costs, for both backends.
//! `cargo bench -p guestnetd --bench firewall`

#![allow(missing_docs)] // The macros make functions without.

use criterion::{black_box, criterion_group, criterion_main, BenchmarkId, Criterion};
use guestnetd::effects::firewall::iptables::{commands, Parents};
use guestnetd::effects::firewall::{nftables, GuestSubnet, Ruleset};
use guestnetd::spec::{IfPattern, Subnet};
use std::net::Ipv4Addr;

/// With the original's subnet and so many others.
fn ruleset(others: u8) -> Ruleset {
    let other = |at: u8| {
        let gateway = Ipv4Addr::new(10, at, 0, 1);
        Some(GuestSubnet { subnet: Subnet::containing(gateway, 24)?, gateway })
    };
    let subnets = GuestSubnet::original().into_iter().chain((0..others).filter_map(other));
    let uplinks = IfPattern::new("wlan0").into_iter().collect();
    Ruleset { uplinks, subnets: subnets.collect(), ..Ruleset::default() }
}

fn texts(c: &mut Criterion) {
    let mut group = c.benchmark_group("packet filter");
    for others in [0, 100] {
        let ruleset = ruleset(others);
        group.bench_function(BenchmarkId::new("nftables, subnets", others + 1), |b| {
            b.iter(|| nftables::text(black_box(&ruleset)));
        });
        group.bench_function(BenchmarkId::new("iptables, subnets", others + 1), |b| {
            b.iter(|| commands(black_box(&ruleset), &Parents::LINUX));
        });
    }
    group.finish();
}

criterion_group!(benches, texts);
criterion_main!(benches);
