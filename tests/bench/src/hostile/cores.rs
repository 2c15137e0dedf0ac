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

//! Which cores a hostile guest has, and which all others.

use guestnet_tests::traffic::cpu::keep_to;
use nix::unistd::{sysconf, SysconfVar};

use crate::error::{Error, Result};

/// Who runs where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// All on any of them, as the kernel's scheduler has it.
    Shared,
    /// The guest on the first one and all else on the others: a product gives its guest a cpuset.
    Apart,
}

impl Cores {
    /// What a packet filter's rows are called.
    pub fn name(self, filter: &str) -> String {
        match self {
            Self::Shared => filter.to_owned(),
            Self::Apart => format!("{filter}, cores apart"),
        }
    }

    /// Takes the calling thread to the guest's.
    pub fn guest(self) -> Result<()> {
        match self {
            Self::Shared => Ok(()),
            Self::Apart => Ok(keep_to([0])?),
        }
    }

    /// Does something on the others', with all threads and processes that it starts.
    pub fn others<T>(self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        if self == Self::Shared {
            return act();
        }
        let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or(1) as usize;
        if online < 2 {
            return Err(Error::new("cores apart are two at least"));
        }
        keep_to(1..online)?;
        let done = act();
        keep_to(0..online)?;
        done
    }
}
