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

//! What guestnetd's process may do, as SECURITY.md has it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use guestnet_tests::bed::Bed;
use guestnet_tests::{Guest, Internet, Probe};

/// The table of SECURITY.md: `| CapEff | 0000000000283000 | ... |`.
fn promised() -> BTreeMap<String, String> {
    let text = include_str!("../../SECURITY.md");
    let section = text.split("## What it runs with").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("its end");
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
    });
    let kept = |field: &str| field.starts_with("Cap") || ["NoNewPrivs", "Seccomp"].contains(&field);
    rows.filter(|(field, _)| kept(field)).collect()
}

#[track_caller]
fn assert_promised(status: &Path) {
    let text = fs::read_to_string(status).expect("a status");
    let promised = promised();
    assert_eq!(promised.len(), 7, "{promised:?}");
    for (field, value) in promised {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
        assert_eq!(line.map(str::trim), Some(value.as_str()), "{field} of {}", status.display());
    }
}

fn all_threads_have_what_is_promised(firewall: &str) {
    let bed = Bed::new(firewall);
    let guests = [(); 3].map(|()| Guest::new());
    for (i, guest) in guests.iter().enumerate() {
        bed.attach(&format!("g{i}"), guest);
    }
    assert!(guests[2].ping(Internet::ADDRESS));
    bed.service.status(None).expect("status");
    let tasks = format!("/proc/{}/task", bed.daemon.pid());
    let tasks: Vec<_> = fs::read_dir(tasks).expect("its threads").flatten().collect();
    assert!(tasks.len() > 1);
    for task in tasks {
        // A thread may end meanwhile.
        let status = task.path().join("status");
        if status.exists() {
            assert_promised(&status);
        }
    }
}

guestnet_tests::with_both_backends!(all_threads_have_what_is_promised);

/// A program that guestnetd runs says what it has; whole, as several may run.
#[test]
fn what_it_runs_has_no_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let (said, program) = (dir.path().join("said"), dir.path().join("iptables"));
    let script = format!(
        "#!/bin/sh\ncat /proc/self/status >{0}.$$\nmv {0}.$$ {0}\nexec iptables-legacy \"$@\"\n",
        said.display()
    );
    fs::write(&program, &script).expect("a script");
    fs::write(dir.path().join("ip6tables"), script.replace("iptables-legacy", "ip6tables-legacy"))
        .expect("a script");
    for name in ["iptables", "ip6tables"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path().join(name), mode).expect("chmod");
    }
    let args = format!("--firewall iptables --iptables {}", program.display());
    let bed = Bed::on(guestnet_tests::Device::new()).args(&args).build();
    bed.attach("demo", &bed.guest);
    assert_promised(&said);
}
