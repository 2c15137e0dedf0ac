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

//! What a guest's packets cost on their way through the device: CPU for a small one, time there and
//! back, throughput. All ways are measured in turn, a fifth of a second each.

pub mod probes;
mod scene;

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::build::Build;
use crate::crowd::on_a_thread;
use crate::error::{Doing, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells::{digits, micros, ratio};
use crate::report::table::{Bar, Bars, Cell, Part, Picture, Table};
use scene::{Scene, Way, WAYS};

/// How long each measurement takes.
const TIME: Duration = Duration::from_millis(200);
/// The internet's address, on netd's devices too.
const REMOTE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

/// A way and what was measured on it.
struct Subject {
    way: Way,
    scene: Scene,
    /// CPU nanoseconds for a packet, by round.
    cpu: Vec<f64>,
    median: Samples,
    worst: Samples,
    gigabits: Vec<f64>,
}

fn measure(options: &Options) -> Result<Table> {
    let rounds = options.rounds(30);
    let mut table = Table::new(
        "datapath",
        "A guest's packets on their way",
        &["way", "CPU per small packet", "ratio", "there and back", "p99", "TCP"],
    );
    let mut subjects = Vec::new();
    let builds = Build::all(options)?;
    let before = (1..builds.len())
        .flat_map(|at| ["nftables", "iptables"].map(|filter| Way::Before(at, filter)));
    for way in WAYS.into_iter().chain(before) {
        match way.lay(&builds) {
            Ok(scene) => subjects.push(Subject {
                way,
                scene,
                cpu: Vec::new(),
                median: Samples::default(),
                worst: Samples::default(),
                gigabits: Vec::new(),
            }),
            Err(e) => {
                progress::warn(&format!("{}: {e}", way.subject(&builds)));
                table.skipped(way.subject(&builds), e.to_string());
            }
        }
    }
    // The first round warms up: neighbours, connections, caches.
    for round in 0..rounds + 1 {
        for at in order(round, subjects.len()) {
            let who = subjects[at].way.subject(&builds);
            subjects[at].take(round > 0).doing(who)?;
        }
        progress::show("datapath", round, rounds);
    }
    fill(&mut table, &subjects, &builds, rounds);
    Ok(table)
}

impl Subject {
    /// One round.
    fn take(&mut self, keep: bool) -> Result<()> {
        let (guest, internet) = (self.scene.guest(), self.scene.internet());
        let flood = probes::flood(guest, internet, REMOTE, TIME)?;
        let times = probes::round_trips(guest, internet, REMOTE, TIME)?;
        let gigabits = probes::stream(guest, internet, REMOTE, TIME)?;
        let times: Samples = times.into_iter().collect();
        if let (true, Some(median), Some(worst)) = (keep, times.median(), times.percentile(99.0)) {
            self.cpu.push(flood);
            self.median.push_micros(median);
            self.worst.push_micros(worst);
            self.gigabits.push(gigabits);
        }
        Ok(())
    }

    /// How many times as much CPU as another takes, in the middle one of all rounds: what disturbs
    /// a round disturbs both.
    fn against(&self, base: &Self) -> Option<f64> {
        self.cpu.iter().zip(&base.cpu).map(|(a, b)| a / b).collect::<Samples>().median()
    }
}

fn middle(values: &[f64]) -> Option<f64> {
    values.iter().copied().collect::<Samples>().median()
}

fn fill(table: &mut Table, subjects: &[Subject], builds: &[Build], rounds: usize) {
    let of = |way: Way| subjects.iter().find(|subject| subject.way == way);
    let original = of(WAYS[1]);
    for subject in subjects {
        let number = |value: Option<f64>, unit: &str| {
            value.map_or(Cell::Empty, |value| Cell::Number(value, unit.to_owned()))
        };
        let cells = vec![
            number(middle(&subject.cpu), "ns"),
            ratio(original.and_then(|original| subject.against(original))),
            micros(subject.median.median()),
            micros(subject.worst.median()),
            number(middle(&subject.gigabits), "Gb/s"),
        ];
        table.row(subject.way.subject(builds), cells);
    }
    table.method = vec![format!(
        "Each way has a device, an internet and a guest of its own, behind veth links. In turn, {rounds} \
         rounds, each measurement {} ms: a flood of UDP datagrams of 18 bytes from one core (CPU time of \
         the thread that sends, which runs the whole path, and of the core's ksoftirqd), datagrams there \
         and back with both ends on one core, one TCP connection. Medians of the rounds; ratios against \
         the original's rules by iptables-legacy, each round with itself. One guest sends, however many \
         are attached. netd's device has the chains and routing rules of Android 13's netd.",
        TIME.as_millis()
    )];
    let mut target = |a: Way, b: Way, most: f64| {
        let value = of(a).zip(of(b)).and_then(|(a, b)| a.against(b));
        let measured = value.map(|value| (format!("{}x", digits(value)), value <= most));
        let what = format!("CPU: {} against {}", a.subject(builds), b.subject(builds));
        table.target(&what, &format!("at most {}x", digits(most)), measured);
    };
    let [_, legacy, nft, nft_one, nft_many, legacy_one, legacy_many, hotspot, wrapped, many] = WAYS;
    target(nft_many, nft_one, 1.05);
    target(legacy_many, legacy_one, 1.05);
    target(many, wrapped, 1.05);
    target(nft_one, nft, 1.0);
    target(nft_one, legacy, 1.0);
    target(legacy_one, legacy, 1.0);
    for at in 1..builds.len() {
        target(nft_one, Way::Before(at, "nftables"), 1.03);
        target(legacy_one, Way::Before(at, "iptables"), 1.03);
    }
    let beside = of(wrapped).zip(of(hotspot)).and_then(|(ours, theirs)| ours.against(theirs));
    table.notes.extend(beside.map(|times| {
        let (a, b) = (wrapped.subject(builds), hotspot.subject(builds));
        format!(
            "CPU: {a} against {b} (its `iif` rule, tetherctrl's chains, masquerade): {}x.",
            digits(times)
        )
    }));
    let bar = |subject: &Subject| Bar {
        label: subject.way.subject(builds),
        parts: vec![Part::new("", middle(&subject.cpu).unwrap_or_default())],
    };
    table.pictures = vec![Picture::Bars(Bars {
        id: "datapath".to_owned(),
        title: "CPU per small packet".to_owned(),
        unit: "nanoseconds".to_owned(),
        bars: subjects.iter().map(bar).collect(),
    })];
}
