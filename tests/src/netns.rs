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

//! Network namespaces of the tests' own: made and removed.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Once;

use crate::{must, InNetns};

/// A named network namespace, `gnt-PID-COUNT-ROLE`; removed when dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes one. The role is there for people who look at `ip netns`.
    pub fn new(role: &str) -> Self {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(remove_stale);
        let name = format!("{}-{role}", unique());
        must(Command::new("ip").args(["netns", "add", &name]));
        Self { name }
    }

    /// Gives a name to the one that this process is in: for a machine that is a device itself.
    pub fn of_this_machine(role: &str) -> Self {
        let name = format!("{}-{role}", unique());
        let pid = std::process::id().to_string();
        must(Command::new("ip").args(["netns", "attach", &name, &pid]));
        Self { name }
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that holds it.
    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }
}

impl InNetns for Netns {
    fn open_netns(&self) -> OwnedFd {
        let path = self.path();
        File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into()
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // A failed delete is seen by whoever looks for what is left; a panic here would abort.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// A name that nothing else on the machine has: `gnt-PID-COUNT`.
pub fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("gnt-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Removes the namespaces of test processes that were killed before they could.
fn remove_stale() {
    let Ok(dir) = std::fs::read_dir("/run/netns") else { return };
    for name in dir.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let pid = name.strip_prefix("gnt-").and_then(|rest| rest.split('-').next());
        let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new(&format!("/proc/{pid}")).exists() {
            let _ = Command::new("ip").args(["netns", "del", &name]).status();
        }
    }
}
