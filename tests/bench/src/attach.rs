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

//! Attach and detach, from the call to the answer, beside everybody else.

use guestnet_tests::Device;

use crate::cycle::{self, Action, Measured};
use crate::error::{Error, Result};
use crate::measure::Samples;
use crate::options::Options;
use crate::progress;
use crate::report::cells::{micros, ratio};
use crate::report::table::{Picture, Table};
use crate::service::{filter, scratch};
use crate::subject::{rivals, Call, FloorSubject, Guestnetd, How, NullCall, Subject};
use crate::timeline;

const GUESTNETD: &str = "guestnetd, by netns fd";
const FLOOR: &str = "the floor";
const SUM: &str = "the floor + one null call";
const ORIGINAL: &str = "the original, iptables-legacy";
const REGRESSION: f64 = 3.0;

/// What one run gave.
pub struct Run {
    subjects: Vec<Measured>,
    rounds: usize,
}

/// Which of the two actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Attach.
    Attach,
    /// Detach.
    Detach,
}

/// Measures everybody.
pub fn run(options: &Options) -> Result<Run> {
    let scratch = scratch()?;
    let mut subjects = ours(options)?;
    let mut missing = Vec::new();
    for rival in rivals(&options.home, &scratch)? {
        match rival {
            Ok(rival) => subjects.push(rival),
            Err(why) => missing.push(why),
        }
    }
    let rounds = options.rounds(30);
    Ok(Run { subjects: cycle::run("attach and detach", rounds, subjects, missing)?, rounds })
}

/// Attach and detach beside the floor alone; an error when one takes too long.
pub fn check(options: &Options) -> Result<()> {
    let rounds = options.rounds(30);
    let run = Run { subjects: cycle::run("check", rounds, ours(options)?, Vec::new())?, rounds };
    let mut slow = Vec::new();
    for what in [What::Attach, What::Detach] {
        let ratio = run.of(GUESTNETD, what).zip(run.sum(what));
        let ratio = ratio.and_then(|(action, sum)| action.wall.ratio(&sum));
        let ratio = ratio.ok_or_else(|| Error::new("there is nothing to compare"))?;
        let text = format!("{what:?}: {ratio:.2}x ({SUM}), at most {REGRESSION}x");
        progress::say(&text);
        if ratio > REGRESSION {
            slow.push(text);
        }
    }
    slow.is_empty().then_some(()).ok_or_else(|| Error::new(slow.join("; ")))
}

/// guestnetd, its null calls and the floor.
fn ours(options: &Options) -> Result<Vec<Box<dyn Subject + Send>>> {
    let bin = options.bin.as_path();
    let forwarding = || Device::options().forwarding().build();
    let filter = filter(bin)?;
    let first = "guestnetd, by netns fd, forwarding was off";
    Ok(vec![
        Box::new(Guestnetd::start(GUESTNETD, bin, How::Netns, forwarding())?),
        Box::new(Guestnetd::start("guestnetd, by pid", bin, How::Pid, forwarding())?),
        Box::new(Guestnetd::start(first, bin, How::Netns, Device::new())?),
        Box::new(FloorSubject::new(false, forwarding(), &filter)?),
        Box::new(FloorSubject::new(true, forwarding(), &filter)?),
        Box::new(NullCall::start(bin, Call::Get, Device::new())?),
        Box::new(NullCall::start(bin, Call::Info, Device::new())?),
    ])
}

impl Run {
    fn of(&self, name: &str, what: What) -> Option<&Action> {
        self.subjects.iter().find(|s| s.name == name && s.skipped.is_none()).map(|s| s.action(what))
    }

    /// The null call that costs less.
    fn null(&self, what: What) -> Option<&Action> {
        let nulls = self.subjects.iter().filter(|s| s.name.starts_with("one null call"));
        let median = |action: &&Action| action.wall.median().unwrap_or(f64::INFINITY);
        nulls.map(|s| s.action(what)).min_by(|a, b| median(a).total_cmp(&median(b)))
    }

    /// The floor + one null call, round by round.
    fn sum(&self, what: What) -> Option<Samples> {
        Some(self.of(FLOOR, what)?.wall.plus(&self.null(what)?.wall))
    }

    /// The table of attaches.
    pub fn attach(&self) -> Table {
        let mut table = self.table("attach", "Attach: from the call to the answer", What::Attach);
        let ours = self.of(GUESTNETD, What::Attach).map(|a| &a.wall);
        let original = self.of(ORIGINAL, What::Attach).map(|a| &a.wall);
        let faster = original.zip(ours).and_then(|(original, ours)| original.ratio(ours));
        table.target(
            "attach against the original's system() calls",
            "at least 80x faster",
            faster.map(|times| (format!("{times:.1}x faster"), times >= 80.0)),
        );
        let sum = self.sum(What::Attach);
        let slower = ours.zip(sum.as_ref()).and_then(|(ours, sum)| ours.ratio(sum));
        table.target(
            "attach against the floor + one null call",
            "at most 1.5x",
            slower.map(|times| (format!("{times:.2}x"), times <= 1.5)),
        );
        table.method.push(
            "guestnetd is the release build, with its state and its log in a tmpfs; its client calls \
             it through the contract over its Unix socket. A rival is its process, from fork to end. \
             The floor runs in the bench's own process and keeps its sockets. Each subject has a \
             device of its own and gets a fresh guest each time; after each detach a further delete \
             of the bench's own is waited for, so that nothing of one subject is left to the next. \
             In the first round a ping from each guest through NAT has to be answered. Each device has a \
             connection of its own, as in all tables that detach guests: where conntrack knows none, the kernel \
             leaves out two walks over its table at each delete of a link."
                .to_owned(),
        );
        table.notes.push(
            "CPU is processor time of all processes that took part until the answer: of the bench's \
             client and guestnetd, or of the rival and its children."
                .to_owned(),
        );
        let near = |s: &&Measured| [GUESTNETD, FLOOR].contains(&s.name.as_str());
        let near: Vec<&Measured> = self.subjects.iter().filter(near).collect();
        table.notes.extend(near.iter().map(|subject| timeline::listed(subject)));
        table.pictures.push(Picture::Bars(timeline::everybody(&self.subjects)));
        table.pictures.push(Picture::Bars(timeline::close_up(&near)));
        table
    }

    /// The table of detaches.
    pub fn detach(&self) -> Table {
        let mut table = self.table("detach", "Detach: from the call to the answer", What::Detach);
        let ours = self.of(GUESTNETD, What::Detach).and_then(|a| a.wall.median());
        table.target(
            "detach",
            "under 1.5 ms",
            ours.map(|us| (format!("{:.2} ms", us / 1000.0), us < 1500.0)),
        );
        table.method.push(
            "The same run as the attaches. guestnetd and the floor answer when the link cannot be \
             seen any more; the kernel's own answer to RTM_DELLINK comes much later and has a row."
                .to_owned(),
        );
        table
    }

    fn table(&self, id: &str, title: &str, what: What) -> Table {
        let columns = [
            "",
            "median",
            "p90",
            "p99",
            "least",
            "CPU",
            "against the original",
            "against the floor + call",
        ];
        let mut table = Table::new(id, title, &columns);
        let rounds = self.rounds;
        table.method.push(format!("{rounds} rounds, all subjects in each, in changing order."));
        let sum = self.sum(what);
        let original = self.of(ORIGINAL, what);
        let mut add = |name: &str, wall: &Samples, cpu: Option<&Samples>| {
            table.row(
                name,
                vec![
                    micros(wall.median()),
                    micros(wall.percentile(90.0)),
                    micros(wall.percentile(99.0)),
                    micros(wall.min()),
                    micros(cpu.and_then(Samples::median)),
                    ratio(original.and_then(|original| wall.ratio(&original.wall))),
                    ratio(sum.as_ref().and_then(|sum| wall.ratio(sum))),
                ],
            );
        };
        for subject in self.subjects.iter().filter(|s| s.skipped.is_none()) {
            let action = subject.action(what);
            add(&subject.name, &action.wall, Some(&action.cpu));
            if subject.name == FLOOR {
                if let Some(sum) = &sum {
                    add(SUM, sum, None);
                }
            }
        }
        for subject in &self.subjects {
            if let Some(why) = &subject.skipped {
                table.skipped(&subject.name, why);
            }
        }
        table
    }
}

impl Measured {
    fn action(&self, what: What) -> &Action {
        match what {
            What::Attach => &self.attach,
            What::Detach => &self.detach,
        }
    }
}
