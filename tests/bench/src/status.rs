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

//! What it takes to ask: status of one guest and of all, the list, doctor.

use std::time::Instant;

use android_system_guestnet::aidl::android::system::guestnet::DiagnoseOptions::DiagnoseOptions;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_tests::Internet;

use crate::build::Build;
use crate::cpu;
use crate::crowd::{name, namespaces, Crowd};
use crate::error::Result;
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells::{micros, ratio, text};
use crate::report::table::{Cell, Table};

/// Guests that are asked for.
const GUESTS: usize = 100;

/// What is asked, and how long the answer may take, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Nobody,
    List,
    One,
    All,
    /// Whether the targets of its probes answer.
    Doctor(bool),
}

const QUESTIONS: [(Question, Option<f64>); 6] = [
    (Question::Nobody, None),
    (Question::List, None),
    (Question::One, Some(20e3)),
    (Question::All, Some(150e3)),
    (Question::Doctor(true), Some(3e6)),
    (Question::Doctor(false), Some(3e6)),
];

impl Question {
    fn name(self) -> String {
        match self {
            Self::Nobody => "one null call: get() of nobody".to_owned(),
            Self::List => format!("list() of {GUESTS}"),
            Self::One => "status() of one guest".to_owned(),
            Self::All => format!("status() of {GUESTS} guests"),
            Self::Doctor(true) => "doctor of a healthy guest".to_owned(),
            Self::Doctor(false) => "doctor, none of its targets answers".to_owned(),
        }
    }

    /// Whether earlier builds are asked, too.
    fn known_before(self) -> bool {
        matches!(self, Self::One | Self::All)
    }

    fn ask(self, crowd: &Crowd) -> Result<()> {
        let client = crowd.client();
        match self {
            Self::Nobody => client.net().get("nobody").map(drop)?,
            Self::List => client.net().list().map(drop)?,
            Self::One => client.status(Some(&name(GUESTS / 2)))?,
            Self::All => client.status(None)?,
            Self::Doctor(answers) => {
                let target = if answers { Internet::ADDRESS } else { "192.0.2.99" };
                let options = DiagnoseOptions {
                    targets: vec![target.to_owned()],
                    url: format!("http://{target}/generate_204"),
                    ..Default::default()
                };
                client.net().diagnose(Some(&name(GUESTS / 2)), &options).map(drop)?;
            }
        }
        Ok(())
    }
}

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    let builds = Build::all(options)?;
    let columns = ["", "median", "p99", "worst", "CPU of guestnetd", "against the build before"];
    let title = format!("Questions, with {GUESTS} guests");
    let mut table = Table::new("status", &title, &columns);
    let args = ["--dns", Internet::ADDRESS];
    let start = |build: &Build| Crowd::start_with(build, 1, &args);
    let crowds: Vec<Crowd> = builds.iter().map(start).collect::<Result<_>>()?;
    let netns: Vec<_> = builds.iter().map(|_| namespaces(GUESTS)).collect::<Result<_>>()?;
    for (crowd, netns) in crowds.iter().zip(&netns) {
        crowd.up(netns, 1)?;
    }
    let rounds = options.rounds(60);
    let mut walls = vec![vec![Samples::default(); builds.len()]; QUESTIONS.len()];
    let mut cpus = walls.clone();
    for round in 0..rounds + 1 {
        for (at, (question, _)) in QUESTIONS.iter().enumerate() {
            // It takes seconds where nobody answers.
            if matches!(question, Question::Doctor(_)) && round % 6 != 1 {
                continue;
            }
            for who in order(round, builds.len()) {
                if who > 0 && !question.known_before() {
                    continue;
                }
                let pid = crowds[who].service.pid();
                let (cpu, began) = (cpu::of_process(pid)?, Instant::now());
                question.ask(&crowds[who])?;
                let took = began.elapsed();
                if round > 0 {
                    walls[at][who].push(took);
                    cpus[at][who].push(cpu::of_process(pid)? - cpu);
                }
            }
        }
        progress::show("status", round, rounds);
    }
    for (at, (question, most)) in QUESTIONS.into_iter().enumerate() {
        for (who, build) in builds.iter().enumerate() {
            let wall = &walls[at][who];
            if wall.len() == 0 {
                continue;
            }
            let before = walls[at].get(1).filter(|before| who == 0 && before.len() > 0);
            let cells = vec![
                micros(wall.median()),
                micros(wall.percentile(99.0)),
                micros(wall.max()),
                micros(cpus[at][who].median()),
                ratio(before.and_then(|before| wall.against(before))),
            ];
            let suffix = if who == 0 { String::new() } else { format!(": {}", build.name) };
            table.row(format!("{}{suffix}", question.name()), cells);
        }
        let Some(most) = most else { continue };
        let wall = &walls[at][0];
        // A person waits for doctor: its worst counts.
        let doctor = matches!(question, Question::Doctor(_));
        let value = if doctor { wall.max() } else { wall.median() };
        let measured = value.map(|us| (text(&Cell::Micros(us)), us < most));
        let wanted = format!("under {}", text(&Cell::Micros(most)));
        table.target(&question.name(), &wanted, measured);
    }
    table.method.push(format!(
        "{rounds} rounds, of doctor every sixth; {GUESTS} guests are attached, each a network namespace, \
         and their resolver answers. status() looks into the guests asked for. doctor sends its probes \
         to a server beyond the uplink, and in the other row to an address where nobody is."
    ));
    Ok(table)
}
