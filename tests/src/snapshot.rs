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

//! What is there, as text: taken before and after, two snapshots show what was left behind.

use std::fmt::Write;

use crate::{must, InNetns};

/// Everything that could be left behind in a network namespace, and, where asked for, in a
/// process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot(String);

impl Snapshot {
    /// Of a network namespace: links, addresses, routes, rules, packet filters, sysctls.
    #[track_caller]
    pub fn of(netns: &impl InNetns) -> Self {
        let script = include_str!("../lib/snapshot.sh");
        Self(must(netns.command("bash").args(["-c", script])))
    }

    /// Of sections made elsewhere, each under a line `== TITLE`.
    pub(crate) fn from_text(text: String) -> Self {
        Self(text)
    }

    /// And of a process: its open descriptors.
    #[track_caller]
    pub fn and_fds(mut self, pid: i32) -> Self {
        self.0.push_str("\n== open descriptors\n");
        let open = open_fds(pid);
        let mut list: Vec<_> = open.iter().map(|target| kind(target)).collect();
        list.sort_unstable();
        for target in list {
            let _ = writeln!(self.0, "{target}");
        }
        self
    }

    /// What is different later: one line each, `-` gone, `+` new, under its section. None: nothing.
    pub fn diff(&self, later: &Self) -> Option<String> {
        if self == later {
            return None;
        }
        let (before, after) = (sections(&self.0), sections(&later.0));
        let mut text = String::new();
        for (title, old) in &before {
            let empty = Vec::new();
            let new = after.iter().find(|(t, _)| t == title).map_or(&empty, |(_, lines)| lines);
            if old == new {
                continue;
            }
            let _ = writeln!(text, "== {title}");
            let (gone, added) = (missing(old, new), missing(new, old));
            if gone.is_empty() && added.is_empty() {
                let _ = writeln!(text, "the same lines in another order");
            }
            gone.iter().for_each(|line| text += &format!("- {line}\n"));
            added.iter().for_each(|line| text += &format!("+ {line}\n"));
        }
        for (title, lines) in after.iter().filter(|(t, _)| before.iter().all(|(b, _)| b != t)) {
            let _ = writeln!(text, "== {title} (new)\n{}", lines.join("\n"));
        }
        Some(text)
    }

    /// Panics with the difference unless the later snapshot is the same.
    #[track_caller]
    pub fn assert_same(&self, later: &Self) {
        if let Some(diff) = self.diff(later) {
            panic!("something was left behind or is lost:\n{diff}");
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// What the open descriptors of a process lead to, in no order: `/dev/null`, `socket:[17]`,
/// `net:[4026531840]`.
pub fn open_fds(pid: i32) -> Vec<String> {
    let dir = format!("/proc/{pid}/fd");
    let list = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{dir}: {e}"));
    // One that is closed while we look is not open.
    let links = list.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.map(|target| target.to_string_lossy().into_owned()).collect()
}

/// A descriptor's target without the number that differs from one socket or pipe to the next. A
/// namespace keeps it: another namespace is another thing.
fn kind(target: &str) -> &str {
    match target.split_once(":[") {
        Some((kind @ ("socket" | "pipe" | "pidfd"), _)) => kind,
        _ => target,
    }
}

fn sections(text: &str) -> Vec<(&str, Vec<&str>)> {
    let parts = text.split("\n== ").filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let mut lines = part.lines();
            (lines.next().unwrap_or_default(), lines.collect())
        })
        .collect()
}

/// The lines of `a` that are not in `b`, each as often as it is missing.
fn missing<'a>(a: &[&'a str], b: &[&str]) -> Vec<&'a str> {
    let mut rest = b.to_vec();
    let mut found = |line: &&str| match rest.iter().position(|other| other == line) {
        Some(at) => {
            rest.swap_remove(at);
            true
        }
        None => false,
    };
    a.iter().filter(|line| !found(line)).copied().collect()
}
