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

//! iptables that hangs as it is looked for: it is looked for again whenever it is needed. A start must not
//! end because somebody holds the tables' lock: guests are there, and calls are to be answered.

use super::iptables::{Iptables, Programs};
use super::{Backend, Engine, FirewallError, Ruleset};
use std::path::{Path, PathBuf};

/// What is known of it.
pub(super) struct Unopened {
    program: Option<PathBuf>,
    /// Why it is not open, until somebody has been told: to try again at once would hang again.
    untold: Option<FirewallError>,
    opened: Option<Iptables>,
}

impl Unopened {
    /// Iptables with this program, which hangs for now.
    pub(super) fn new(program: Option<&Path>, why: FirewallError) -> Self {
        Self { program: program.map(Path::to_owned), untold: Some(why), opened: None }
    }

    fn open(&mut self) -> Result<&mut Iptables, FirewallError> {
        if let Some(why) = self.untold.take() {
            return Err(why);
        }
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => Iptables::open(self.program.as_deref())?,
        };
        Ok(self.opened.insert(opened))
    }
}

impl Engine for Unopened {
    fn backend(&self) -> Backend {
        Backend::Iptables
    }

    fn apply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        self.open()?.apply(wanted)
    }

    fn start(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        self.open()?.start(wanted)
    }

    fn drift(&mut self, wanted: &Ruleset) -> Result<Option<String>, FirewallError> {
        self.open()?.drift(wanted)
    }

    fn clear(&mut self) -> Result<(), FirewallError> {
        self.open()?.clear()
    }

    fn dropped(&mut self) -> Result<u64, FirewallError> {
        match &mut self.opened {
            Some(opened) => opened.dropped(),
            None => Err(FirewallError::Unavailable("iptables hangs".to_owned())),
        }
    }

    fn text(&self, ruleset: &Ruleset) -> String {
        self.opened.as_ref().map_or_else(String::new, |opened| opened.text(ruleset))
    }

    fn unseen(&self) -> Option<&str> {
        self.opened.as_ref().and_then(Iptables::unseen)
    }

    fn programs(&self) -> Option<&Programs> {
        self.opened.as_ref().and_then(|opened| opened.programs())
    }

    fn lacks(&self) -> Vec<String> {
        self.opened.as_ref().map_or_else(Vec::new, Iptables::lacks)
    }
}
