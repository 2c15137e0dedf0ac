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

//! watch: events, the count, and the end of guestnetd.

use crate::stub::{Said, Stub};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn events_in_order_until_the_count() {
    let stub = Stub::start();
    let said = stub.run("watch --count 3");
    assert_eq!(
        (said.code, said.err.as_str()),
        (Some(0), "guestnetctl: watching; Ctrl-C ends it\n")
    );
    // A date and a time of day in front of each.
    let dated = |line: &str| line.get(..25).is_some_and(|date| date.ends_with(" UTC  "));
    assert!(said.out.lines().all(dated), "{}", said.out);
    let events: String = said.out.lines().map(|line| format!("{}\n", &line[25..])).collect();
    assert_eq!(
        events,
        "\
attached  a: wlan0 172.17.3.3/16 behind vm_wlan, default via 172.17.3.2
uplink    no interface wlan0 -> no interface wlan0, rules in place after 1.5 ms
lost      a: its link disappeared
"
    );
    assert_eq!(stub.calls(), ["registerListener", "unregisterListener"]);
    assert_eq!(stub.run("watch --count 1").out.lines().count(), 1);
}

#[test]
fn a_document_in_each_line() {
    let said = Stub::start().run("watch --json --count 3");
    let lines: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    let times: Vec<_> = lines.iter().map(|line| line["at_millis"].as_i64().unwrap()).collect();
    assert!(times[0] > 1_700_000_000_000 && times.windows(2).all(|t| t[0] <= t[1]), "{times:?}");
    assert_eq!(lines[0]["event"], "attached");
    assert_eq!(lines[2]["guest"]["end_cause"], "none");
    assert_eq!(lines[0]["guest"]["name"], "a");
    assert_eq!(lines[1]["event"], "uplink");
    assert_eq!(lines[1]["gap_micros"], 1500);
    assert_eq!(lines[1]["current"]["cause"], "uplink_missing");
    assert_eq!(lines[2]["event"], "lost");
}

#[test]
fn the_end_of_guestnetd_ends_it() {
    let stub = Stub::start();
    let mut watch = stub.command("watch");
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert!(lines.by_ref().take(3).all(|line| line.is_ok()));
    stub.server.stop();
    let said: Said = watch.wait_with_output().unwrap().into();
    assert_eq!(said.code, Some(7), "{said:?}");
    assert!(said.err.ends_with("guestnetctl: guestnetd went away; see its log\n"), "{said:?}");
}
