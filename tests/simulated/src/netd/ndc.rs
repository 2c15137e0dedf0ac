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

//! netd's forwarding switch, and `ndc`, which asks for it: it is on while somebody asks. While netd is away `ndc`
//! waits for it, as the real one does.

use super::netd;
use crate::world::{world, World};
use libc::pid_t;
use std::collections::BTreeSet;

/// Who has asked.
#[derive(Debug, Default)]
pub struct Asked {
    requesters: BTreeSet<String>,
    away: bool,
    /// Programs that wait for netd: whether each wants it, and for whom.
    waiting: Vec<(pid_t, Vec<String>)>,
}

impl Asked {
    /// netd ends, and what it knew is forgotten.
    pub fn dies(&mut self) {
        (self.requesters, self.away) = (BTreeSet::new(), true);
    }

    /// Who has asked and not taken it back.
    pub fn requesters(&self) -> &BTreeSet<String> {
        &self.requesters
    }
}

/// `ndc ipfwd ...`: exit status and what it says; none: it waits for netd.
pub fn run(words: &[&str]) -> Option<(i32, String)> {
    let asked = &netd()?.ndc;
    if asked.away {
        return None;
    }
    let text = match words {
        ["ipfwd", "enable", name] => {
            enable(name);
            "200 0 ipfwd operation succeeded\n"
        }
        ["ipfwd", "disable", name] => {
            disable(name);
            "200 0 ipfwd operation succeeded\n"
        }
        _ => "500 0 Unknown ipfwd cmd\n",
    };
    Some((0, text.to_owned()))
}

/// What it says where netd fails.
pub fn refusal() -> (i32, String) {
    (0, "400 0 ipfwd operation failed\n".to_owned())
}

/// A program waits for netd from now on.
pub fn waits(pid: pid_t, words: &[&str]) {
    if let Some(netd) = netd().filter(|netd| netd.ndc.away) {
        netd.ndc.waiting.push((pid, words.iter().map(|word| (*word).to_owned()).collect()));
    }
}

impl World {
    /// netd can be called again: those that wait for it and were not killed meanwhile are answered.
    pub fn netd_answers(&mut self) {
        let Some(netd) = &mut self.netd else { return };
        netd.ndc.away = false;
        for (pid, words) in std::mem::take(&mut netd.ndc.waiting) {
            if self.hangs(pid) {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let ended = run(&words).unwrap_or_default();
                self.ends(pid, &ended);
            }
        }
    }
}

/// Somebody needs forwarding.
pub fn enable(name: &str) {
    if let Some(netd) = netd() {
        netd.ndc.requesters.insert(name.to_owned());
    }
    switch();
}

/// Needs it no more.
pub fn disable(name: &str) {
    if let Some(netd) = netd() {
        netd.ndc.requesters.remove(name);
    }
    switch();
}

/// The switch is written each time, changed or not; off, redirects are switched on by that, and off again
/// (`TetherController::setIpFwdEnabled()`).
fn switch() {
    let on = netd().is_some_and(|netd| !netd.ndc.requesters.is_empty());
    write("/proc/sys/net/ipv4/ip_forward", if on { b"1" } else { b"0" });
    if !on {
        write("/proc/sys/net/ipv4/conf/all/accept_redirects", b"0");
        write("/proc/sys/net/ipv4/conf/default/accept_redirects", b"0");
    }
}

/// netd's first act when it starts.
pub fn forwarding_off() {
    switch();
}

fn write(path: &str, value: &[u8]) {
    let device = world().device;
    let _ = world().kernel.write(device, path, value);
    world().pump();
}
