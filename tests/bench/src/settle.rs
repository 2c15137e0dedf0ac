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

//! Waiting until the kernel has done with what was deleted.

use std::os::fd::AsFd;

use guestnet_tests::{InNetns, Netns};
use nix::sched::{setns, CloneFlags};

use crate::error::{Doing, Result};
use crate::floor::Floor;
use crate::measure::Steps;

/// A link's delete goes on for 15 ms after the link has gone, asleep in rcu_barrier(). The kernel
/// lets one such sleeper in after the other, so a delete of our own that is begun later and is
/// answered tells that the earlier ones are over.
#[derive(Debug)]
pub struct Settle {
    floor: Floor,
    here: Netns,
    there: Netns,
}

impl Settle {
    /// Makes two network namespaces for it.
    pub fn new() -> Result<Self> {
        let (here, there) = (Netns::new("settle"), Netns::new("settle"));
        Ok(Self { floor: here.enter(Floor::new)?, here, there })
    }

    /// Waits. The calling thread is in another network namespace afterwards.
    pub fn settle(&mut self) -> Result<()> {
        go(&self.here)?;
        self.floor.attach(0, self.there.open_netns().as_fd(), &mut Steps::begin())?;
        self.floor.delete(0).doing("settling").map(drop)
    }
}

/// Puts the calling thread into a network namespace, where it stays: never the main thread.
pub fn go(to: &impl InNetns) -> Result<()> {
    setns(to.open_netns(), CloneFlags::CLONE_NEWNET).doing("setns")
}
