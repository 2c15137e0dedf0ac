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

//! The events as a table. Pure.

use std::time::Duration;

use guestnet_tests::netd::Found;

use super::bed::EVERY;
use super::bed::{Outcome, LIMIT};
use super::kind::{Kind, Wanted};
use super::{Measured, CHECK_EVERY, UPLINKS};
use crate::measure::Samples;
use crate::report::cells::{digits, micros, text};
use crate::report::table::{Cell, Table};
use guestnet_tests::traffic::Flow;

/// Beyond the timer's period, what a comparison and the repair themselves may take.
const REPAIR: Duration = Duration::from_millis(100);

/// The table of these rounds and of what the watches saw.
pub fn of(rounds: usize, measured: &[Measured], watched: &[Found]) -> Table {
    let columns = [
        "event",
        "median",
        "worst",
        "for good",
        "floor",
        "floor, worst",
        "no traffic for",
        "floor, no traffic for",
        "changes",
        "wrapper calls",
        "connections kept",
        "TCP streams alive",
    ];
    let mut table = Table::new("events", "From an event to traffic", &columns);
    for one in measured {
        table.row(one.kind.name(), one.cells());
        let (wanted, measured) = one.verdict();
        table.target(&one.kind.name(), &wanted, measured);
    }
    let seen: u64 = watched.iter().map(|found| found.from_guests).sum();
    let forwarded: u64 = watched.iter().map(|found| found.forwarded).sum();
    let leaks: usize = watched.iter().map(|found| found.leaks.len()).sum();
    let untranslated: usize = watched.iter().map(|found| found.untranslated.len()).sum();
    let missed: u64 = watched.iter().map(|found| found.missed).sum();
    let text = format!(
        "{seen} packets of guests seen, {forwarded} let out; leaks {leaks}, untranslated {untranslated}\
         {}",
        if missed > 0 { format!("; {missed} not looked at") } else { String::new() }
    );
    table.target(
        "packets that left by another way or with the guest's own address, in all events",
        "leaks 0, untranslated 0",
        Some((text, leaks == 0 && untranslated == 0 && missed == 0)),
    );
    table.method = method(rounds);
    table.notes = notes(measured, watched);
    table
}

impl Measured {
    fn cells(&self) -> Vec<Cell> {
        let again = self.times(|flow| flow.again);
        let middle = |of: fn(&Outcome) -> usize| -> Cell {
            let counts: Samples = self.outcomes.iter().map(|o| of(o) as f64).collect();
            counts.median().map_or(Cell::Empty, |count| Cell::Text(format!("{count}")))
        };
        vec![
            micros(again.median()),
            micros(again.percentile(100.0)),
            micros(self.times(|flow| flow.for_good).median()),
            micros(self.floor.median()),
            micros(self.floor.percentile(100.0)),
            micros(self.times(|flow| flow.stopped).median()),
            micros(self.floor_stopped.median()),
            middle(|outcome| outcome.changes),
            middle(|outcome| outcome.calls.len()),
            Cell::Text(self.kept()),
            Cell::Text(self.lived()),
        ]
    }

    /// Of every round; traffic that never came back took all the time there was.
    fn times(&self, of: fn(&Flow) -> Duration) -> Samples {
        let mut samples = Samples::default();
        self.outcomes.iter().for_each(|o| samples.push(o.flow.as_ref().map_or(LIMIT, of)));
        samples
    }

    fn kept(&self) -> String {
        let sum = |at: usize| self.outcomes.iter().map(|o| o.tracked[at]).sum::<usize>();
        format!("{} of {}", sum(1), sum(0))
    }

    fn lived(&self) -> String {
        let lived = self.outcomes.iter().filter(|o| o.lived).count();
        format!("{lived} of {}", self.outcomes.len())
    }

    /// What is wanted, what was measured, and whether that is reached.
    fn verdict(&self) -> (String, Option<(String, bool)>) {
        let again = self.times(|flow| flow.again);
        let (Some(median), Some(worst)) = (again.median(), again.percentile(100.0)) else {
            return (String::new(), None);
        };
        let times = format!("{}, worst {}", time(median), time(worst));
        match self.kind.wanted() {
            Wanted::Nothing => {
                let most = |of: fn(&Outcome) -> usize| self.outcomes.iter().map(of).max();
                let actions = most(|o| o.changes + o.calls.len()).unwrap_or_default();
                let whole = |o: &Outcome| o.lived && o.tracked[0] == o.tracked[1];
                let met = actions == 0 && self.outcomes.iter().all(whole);
                let (kept, lived) = (self.kept(), self.lived());
                let text =
                    format!("{actions} actions at most, {kept} connections, {lived} streams");
                let wanted = "0 actions, connections kept, the TCP stream lives";
                (wanted.to_owned(), Some((text, met)))
            }
            Wanted::Under(limit) => {
                let mut text = times;
                if median == 0.0 {
                    // It was back before the last change: that alone tells little.
                    let stopped = |samples: Samples| samples.median().map(time);
                    let ours = stopped(self.times(|flow| flow.stopped)).unwrap_or_default();
                    text += &format!("; no traffic for {ours}");
                    if let Some(floor) = stopped(self.floor_stopped.clone()) {
                        text += &format!(" (floor {floor})");
                    }
                }
                if let Kind::Restart(_) = self.kind {
                    let calls: Samples =
                        self.outcomes.iter().map(|o| o.calls.len() as f64).collect();
                    let calls = calls.median().unwrap_or_default();
                    text += &format!(", {calls} wrapper calls");
                }
                (format!("under {limit} ms"), Some((text, median < limit as f64 * 1000.0)))
            }
            Wanted::Timer => {
                let most = Duration::from_secs(CHECK_EVERY) + REPAIR;
                let wanted = format!("the timer's period, {CHECK_EVERY} s here");
                (wanted, Some((times, worst <= most.as_micros() as f64)))
            }
        }
    }
}

fn time(us: f64) -> String {
    if us == 0.0 {
        return "0".to_owned();
    }
    text(&Cell::Micros(us))
}

fn method(rounds: usize) -> Vec<String> {
    vec![
        format!(
            "{rounds} rounds, the events in changing order, on devices as netd of Android 13 shapes them; \
             guestnetd uses the wrapper (`--iptables`, `--ndc`). A guest sends a small datagram to a \
             server beyond every {} us, from one core. A time is from the last change that the kernel \
             announces in an event (links, IPv4 addresses, routes, rules, the forwarding switch; received \
             by a monitor on the device) and that is not guestnetd's (netlink port) to the first datagram \
             sent after it that is answered; 0 if traffic flowed at that moment, because it never stopped \
             or because it was back before. \"For good\": until the last unanswered one. \"No traffic \
             for\": the longest time without, which includes Wi-Fi's absence of 100 ms and what netd and \
             `ip` take. Medians, but where it says worst; a number is reached by its median.",
            EVERY.as_micros()
        ),
        format!(
            "The floor has a device of its own on which guestnetd has ended after it had attached the \
             guest. The bench does the one thing that is missing, by netlink, when it is announced: it \
             adds again what was deleted, or leads the rule to the other interface (and nothing where \
             nothing is needed). For netd's start it is as many calls of the wrapper as guestnetd made, \
             one after the other, that change nothing (`iptables -w -C ...`). Changes: netlink's that \
             guestnetd asked for, and connections that it made conntrack forget. Wrapper calls: counted \
             in a file to which the stand-in adds a line when it starts. Connections: the probes' and the \
             TCP stream's; kept are those that conntrack did not announce to have destroyed. `{UPLINKS}` is the uplink where rmnet0 is connected, \
             else wlan0. x_tables announces nothing: there guestnetd compares everything every \
             {CHECK_EVERY} s here (`--check-every`), every 60 s by default."
        ),
    ]
}

/// Which calls netd's start took, and packets that should not have left.
fn notes(measured: &[Measured], watched: &[Found]) -> Vec<String> {
    let mut notes = vec![
        "Where Wi-Fi comes back with its address, the kernel has begun to ask for the router's link \
         address when the carrier was gone already; it asks again after a second, whoever waits."
            .to_owned(),
    ];
    for one in measured.iter().filter(|one| matches!(one.kind, Kind::Restart(_))) {
        let Some(last) = one.outcomes.last() else { continue };
        let each = one.floor.median().map(|us| us / last.calls.len().max(1) as f64);
        let each = each.map(|us| format!(" A bare one takes {} ms.", digits(us / 1000.0)));
        notes.push(format!(
            "{}: the wrapper's calls by what they do, in the last round: {}.{}",
            one.kind.name(),
            verbs(&last.calls),
            each.unwrap_or_default()
        ));
    }
    for line in watched.iter().flat_map(|w| w.leaks.iter().chain(&w.untranslated)).take(10) {
        notes.push(format!("Left as it may not: {line}"));
    }
    notes
}

/// How often each verb of iptables was used, and ndc.
fn verbs(calls: &[String]) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for call in calls {
        let verb = match call.starts_with("ndc") {
            true => "ndc",
            false => call
                .split(' ')
                .find(|word| word.len() == 2 && *word != "-w" && *word != "-t")
                .unwrap_or("?"),
        };
        *counts.entry(verb).or_insert(0) += 1;
    }
    let list: Vec<_> = counts.iter().map(|(verb, count)| format!("{count} `{verb}`")).collect();
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(again: Option<u64>, changes: usize) -> Outcome {
        let flow = again.map(|us| {
            let again = Duration::from_micros(us);
            Flow { again, for_good: again, stopped: again }
        });
        Outcome {
            flow,
            changes,
            calls: vec!["ndc ipfwd enable x".into()],
            tracked: [2, 2],
            lived: true,
        }
    }

    fn measured(kind: Kind, outcomes: Vec<Outcome>) -> Measured {
        Measured { kind, outcomes, ..Measured::default() }
    }

    #[test]
    fn a_number_is_reached_by_the_median() {
        let list = [4000, 5000, 30_000].map(|us| outcome(Some(us), 1)).to_vec();
        let (wanted, found) = measured(Kind::Rule, list).verdict();
        assert_eq!(wanted, "under 20 ms");
        assert_eq!(found, Some(("5.00 ms, worst 30.0 ms".into(), true)));
        let never = measured(Kind::Rule, vec![outcome(None, 1)]).verdict().1;
        assert_eq!(never, Some(("5.00 s, worst 5.00 s".into(), false)));
        let flow = Flow { stopped: Duration::from_millis(4), ..Flow::default() };
        let early = Outcome { flow: Some(flow), ..outcome(None, 1) };
        let floor_stopped = [500.0].into_iter().collect();
        let early = Measured { floor_stopped, ..measured(Kind::Cellular, vec![early]) };
        let text = "0, worst 0; no traffic for 4.00 ms (floor 500 us)";
        assert_eq!(early.verdict().1, Some((text.into(), true)));
    }

    #[test]
    fn nothing_is_nothing() {
        let mut calm = outcome(Some(0), 0);
        calm.calls.clear();
        let met = |outcomes| measured(Kind::SameAddress, outcomes).verdict().1.map(|(_, met)| met);
        assert_eq!(met(vec![calm.clone()]), Some(true));
        assert_eq!(met(vec![calm.clone(), outcome(Some(0), 0)]), Some(false), "a wrapper's call");
        let dead = Outcome { lived: false, ..calm.clone() };
        assert_eq!(met(vec![calm.clone(), dead]), Some(false));
        assert_eq!(met(vec![Outcome { tracked: [2, 1], ..calm }]), Some(false));
    }

    #[test]
    fn calls_are_counted_by_what_they_do() {
        let calls = ["iptables -w -t nat -N oem_a", "iptables -w -C INPUT -j oem_a", "ndc ipfwd"];
        let calls = calls.map(str::to_owned);
        assert_eq!(verbs(&calls), "1 `-C`, 1 `-N`, 1 `ndc`");
    }
}
