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

//! The one kernel module that the kernel does not load by itself: iptables of the old kind (legacy) runs
//! modprobe for it, which needs a capability that guestnetd gives up.

use crate::effects::firewall::Choice;
use std::path::Path;
use std::process::{Command, Stdio};

/// Loads it where it will be needed and is not there. What goes wrong iptables says when it is run.
pub fn load(choice: Choice) {
    if choice != Choice::Iptables || Path::new("/proc/net/ip_tables_names").exists() {
        return;
    }
    let mut modprobe = Command::new("modprobe");
    modprobe.args(["--quiet", "--all", "ip_tables", "ip6_tables"]);
    let _ = modprobe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}
