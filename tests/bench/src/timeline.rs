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

//! Attach step by step: as pictures and as a list. Pure.

use std::fmt::Write;

use crate::cycle::Measured;
use crate::report::cells::digits;
use crate::report::table::{Bar, Bars, Part};

/// What steps are for, by words of theirs: the first line that fits counts.
const KINDS: [(&str, &[&str]); 7] = [
    ("packet filter", &["iptables", "firewall", "filter"]),
    (
        "into the guest: move, rename, enter, leave",
        &["netns", " name wlan0", "left", "leave", "socket"],
    ),
    ("forwarding, IPv6 off", &["forward", "IPv6"]),
    ("look, read back, store", &["slot", "observed", "read back", "stored", "running"]),
    ("addresses, up, routes", &["address", "ifconfig", " up", "route"]),
    ("the pair, its marks", &["link", "pair", "alias", " is "]),
    ("call, queue", &["call"]),
];
const REST: &str = "processes, transport, the rest";

/// Everybody, in milliseconds.
pub fn everybody(subjects: &[Measured]) -> Bars {
    let skip = ["one null call", "one RTM_DELLINK"];
    let subjects = subjects.iter().filter(|s| s.skipped.is_none());
    let subjects = subjects.filter(|s| !skip.iter().any(|name| s.name.starts_with(name)));
    Bars {
        id: "attach".to_owned(),
        title: "Attach, step by step".to_owned(),
        unit: "milliseconds".to_owned(),
        bars: subjects.map(|s| bar(s, 1000.0)).collect(),
    }
}

/// Few of them, in microseconds.
pub fn close_up(subjects: &[&Measured]) -> Bars {
    Bars {
        id: "attach-steps".to_owned(),
        title: "Attach, step by step, from near".to_owned(),
        unit: "microseconds".to_owned(),
        bars: subjects.iter().map(|s| bar(s, 1.0)).collect(),
    }
}

/// The steps of a subject as a Markdown table.
pub fn listed(subject: &Measured) -> String {
    let mut out = format!("| {} | median us | p99 us |\n|---|---:|---:|\n", subject.name);
    for (step, samples) in &subject.attach.steps {
        let [median, p99] = [samples.median(), samples.percentile(99.0)];
        let [median, p99] = [median, p99].map(|us| us.map_or_else(String::new, digits));
        // Writing to a String does not fail.
        let _ = writeln!(out, "| {step} | {median} | {p99} |");
    }
    out.trim_end().to_owned()
}

/// A subject's attach: its steps, and what is left until the answer.
fn bar(subject: &Measured, divisor: f64) -> Bar {
    let action = &subject.attach;
    let part = |(step, samples): &(String, crate::measure::Samples)| {
        Part::new(kind(step), samples.median().unwrap_or_default() / divisor)
    };
    let mut parts: Vec<Part> = action.steps.iter().map(part).collect();
    let known: f64 = parts.iter().map(|part| part.value).sum();
    let rest = action.wall.median().unwrap_or_default() / divisor - known;
    if rest > 0.0 {
        parts.push(Part::new(if parts.is_empty() { "" } else { REST }, rest));
    }
    Bar { label: subject.name.clone(), parts }
}

fn kind(step: &str) -> &'static str {
    let fits = |words: &[&str]| words.iter().any(|word| step.contains(word));
    KINDS.iter().find(|(_, words)| fits(words)).map_or(REST, |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Samples;

    #[test]
    fn steps_are_known_by_their_words() {
        for (step, wanted) in [
            ("iptables -t nat -A POSTROUTING -o wlan0 -j MASQUERADE", 0),
            ("ip link set vm_wlan0 netns PID", 1),
            ("ip link set vm_wlan0 name wlan0", 1),
            ("a socket in the guest", 1),
            ("echo 1 > /proc/sys/net/ipv4/ip_forward", 2),
            ("no IPv6 on vm_wlan", 2),
            ("both ends are running", 3),
            ("ifconfig vm_wlan 172.17.3.2 netmask 255.255.0.0 up", 4),
            ("the device's end: address, up, alias", 4),
            ("route add default gw 172.17.3.2", 4),
            ("ip link add name vm_wlan type veth peer name vm_wlan0", 5),
            ("create the pair", 5),
            ("call reached the owner", 6),
        ] {
            assert_eq!(kind(step), KINDS[wanted].0, "{step}");
        }
        assert_eq!(kind("something else"), REST);
    }

    #[test]
    fn a_bar_is_as_long_as_the_attach() {
        let one = |us: f64| [us].into_iter().collect::<Samples>();
        let mut subject = Measured { name: "x".into(), ..Measured::default() };
        subject.attach.wall = one(1000.0);
        assert_eq!(bar(&subject, 1000.0).parts, [Part::new("", 1.0)]);
        subject.attach.steps = vec![("create the pair".into(), one(400.0))];
        let parts = bar(&subject, 1000.0).parts;
        assert_eq!(parts[1], Part::new(REST, 0.6));
        assert_eq!(parts[0].name, "the pair, its marks");
        assert!(listed(&subject).ends_with("| create the pair | 400 | 400 |"));
    }
}
