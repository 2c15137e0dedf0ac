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

//! The file once more: what can change while guestnetd runs does, and what cannot is named.

use super::{flags, load, source, ConfigError, Settings};
use crate::api::sections::Sections;
use crate::api::{Reload, Reloaded};
use crate::daemon::{Handle, Whose};
use crate::error::Error;
use std::ffi::OsString;
use std::sync::{Mutex, PoisonError};

/// The keys whose values change at once. Of the others guestnetd has made what it cannot make again: sockets,
/// a state, a confinement.
pub(super) const LIVE: [&str; 5] =
    ["uplink", "dns", "guest-connections", "keep-forwarding", "check-every"];

/// Who reads the file again.
pub struct Reloader {
    words: Vec<OsString>,
    daemon: Handle,
    sections: Sections,
    /// One after another.
    in_force: Mutex<InForce>,
}

/// What is in force.
struct InForce {
    /// Of the options: what guestnetd was started with, but for what has changed since.
    values: flags::Values,
    /// Whether there was a file.
    found: bool,
}

impl Reloader {
    /// guestnetd was started with these words, which came to these settings; `sections` are those in force.
    pub fn new(
        words: Vec<OsString>,
        settings: &Settings,
        sections: Sections,
        daemon: Handle,
    ) -> Self {
        // At the start it was read with more than guestnetd has now.
        if let Some(e) = settings.found.then(|| source::read(&settings.path).err()).flatten() {
            log::warn!("{}: a reload will fail", source::refused(&settings.path, &e));
        }
        let in_force = InForce { values: settings.values.clone(), found: settings.found };
        Self { words, daemon, sections, in_force: Mutex::new(in_force) }
    }
}

impl Reload for Reloader {
    fn reload(&self) -> Result<Reloaded, Error> {
        let mut now = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let next = load(&self.words).map_err(|e| Error::BadFile(e.to_string()))?;
        if now.found && !next.found {
            let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
            let gone = ConfigError::from(source::refused(&next.path, &gone));
            return Err(Error::BadFile(gone.to_string()));
        }
        let differs = |key: &&String| now.values.get(*key) != next.values.get(*key);
        let keys = next.values.keys().filter(differs).cloned();
        let (mut changed, need_restart): (Vec<_>, Vec<_>) =
            keys.partition(|key| LIVE.contains(&key.as_str()));
        self.daemon.reconfigure(next.args.config())?;
        let others = self.sections.replace(next.sections);
        let attached = self.daemon.list(Whose::Everyones)?;
        let attached = attached.iter().map(|guest| guest.name());
        let unchanged_guests = attached.filter(|name| others.contains(name)).cloned().collect();
        for key in &changed {
            if let Some(value) = next.values.get(key) {
                now.values.insert(key.clone(), value.clone());
            }
        }
        changed.extend(others.iter().map(|name| format!("guest.{name}")));
        now.found = next.found;
        Ok(Reloaded { path: next.path, changed, need_restart, unchanged_guests })
    }
}
