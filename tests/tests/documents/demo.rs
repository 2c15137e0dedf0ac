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

//! The demo, as one stops to look at it.

use crate::root;
use guestnet_tests::program::binary;
use guestnet_tests::said;
use std::path::Path;
use std::process::Command;

/// It ends, and cleans up without a reader, too: also while it sets up, and when nobody reads what it complains of.
#[test]
fn a_demo_whose_reader_goes_away_leaves_nothing() {
    for lines in ["8", "25", "45"] {
        let dir = tempfile::tempdir().expect("a directory");
        let pid = dir.path().join("pid");
        let text = r#"(echo $BASHPID >"$1"; exec tests/demo 2>&1) | head -n "$2""#;
        let mut shell = Command::new("timeout");
        shell.args(["120", "bash", "-c", text, "bash"]).arg(&pid).arg(lines).current_dir(root());
        shell.env("GUESTNETD", binary("guestnetd")).env("GUESTNETCTL", binary("guestnetctl"));
        let out = shell.output().expect("bash");
        let shown = String::from_utf8_lossy(&out.stdout).lines().count().to_string();
        assert_eq!(shown, lines, "{}", said(&out));
        let pid = std::fs::read_to_string(&pid).expect("its pid");
        for of in ["device", "internet"] {
            let namespace = format!("/run/netns/gnt-{}-{of}", pid.trim());
            assert!(!Path::new(&namespace).exists(), "{namespace} is left: {}", said(&out));
        }
        assert!(!Path::new(&format!("/proc/{}", pid.trim())).exists(), "it runs on");
    }
}
