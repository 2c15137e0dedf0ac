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

//! What is on a device and not guestnetd's: the same before and after it has done its work.

use super::NetdDevice;
use crate::{InNetns, Snapshot};

/// What each section is listed with.
const SECTIONS: [&str; 7] = [
    "iptables-legacy-save",
    "ip6tables-legacy-save",
    "ip -4 rule show",
    "ip -6 rule show",
    "ip -4 route show table all",
    "ip -6 route show table all",
    "ip -o -d link show",
];

impl NetdDevice {
    /// All chains and rules of both families, routing rules, routes of all tables, and links,
    /// without what bears guestnetd's marks: chains `oem_guestnet_*` and the jumps to them, rules
    /// and routes of its protocol, links `vm_wlan*` and what the kernel adds for them.
    #[track_caller]
    pub fn everything_else(&self) -> Snapshot {
        let mut text = String::new();
        for line in SECTIONS {
            text += &format!("\n== {line}\n");
            let out = self.run(line);
            out.lines().filter(|line| !is_ours(line)).for_each(|line| {
                // Without the packets counted: [12:720].
                let line = line.split(" [").next().unwrap_or_default();
                text += &format!("{}\n", line.trim_end());
            });
        }
        Snapshot::from_text(text)
    }
}

/// Or nobody's: a comment of iptables-save has the time in it, and the kernel adds routes for a
/// router's anycast addresses when the forwarding switch is on.
fn is_ours(line: &str) -> bool {
    let words: Vec<&str> = line.split([' ', ':', '@']).collect();
    let pair = |a: &str, b: &str| words.windows(2).any(|pair| pair == [a, b]);
    let of_guest_link = || words.iter().any(|word| word.starts_with("vm_wlan"));
    line.starts_with('#')
        || line.starts_with("anycast ") && pair("proto", "kernel")
        || words.iter().any(|word| word.starts_with("oem_guestnet_"))
        || pair("proto", "103")
        // A link, a route to one; not a rule of somebody else's that names one.
        || !line.starts_with('-') && !words.contains(&"lookup") && of_guest_link()
}
