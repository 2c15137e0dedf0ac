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

//! The floor, in this process and on the calling thread.

use std::io::Write;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::Instant;

use guestnet_tests::{Device, Guest, InNetns};

use super::{Cost, Subject};
use crate::cpu;
use crate::error::{Doing, Error, Result};
use crate::floor::Floor;
use crate::measure::Steps;

/// The floor in a device of its own.
pub struct FloorSubject {
    floor: Floor,
    /// Whether a detach waits for the kernel's answer, and not only until the link is gone.
    to_answer: bool,
    device: Device,
}

impl FloorSubject {
    /// Puts the floor into a device that forwards, with a packet filter as another one's.
    pub fn new(to_answer: bool, device: Device, filter: &str) -> Result<Self> {
        load(&device, filter)?;
        let floor = device.enter(Floor::new)?;
        Ok(Self { floor, to_answer, device })
    }
}

/// Loads guestnetd's nftables ruleset, for the floor's first guest.
pub fn load(device: &Device, ruleset: &str) -> Result<()> {
    let mut nft = device.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
    nft.stdin.take().ok_or_else(|| Error::new("nft"))?.write_all(ruleset.as_bytes())?;
    let status = nft.wait()?;
    status.success().then_some(()).ok_or(status).doing("nft")?;
    // What comes in by a link that is not in it is dropped.
    device.run("nft add element inet guestnet guests { vm_wlan . 172.17.3.3 }");
    Ok(())
}

impl Subject for FloorSubject {
    fn name(&self) -> String {
        if self.to_answer { "one RTM_DELLINK, to its answer" } else { "the floor" }.to_owned()
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn attach(&mut self, guest: &Guest) -> Result<Cost> {
        let netns = guest.open_netns();
        let (before, began, mut steps) = (cpu::own()?, Instant::now(), Steps::begin());
        let done = self.floor.attach(0, netns.as_fd(), &mut steps);
        let (wall, after) = (began.elapsed(), cpu::own()?);
        done.doing("the floor")?;
        Ok(Cost { wall, cpu: after - before, steps: steps.entries() })
    }

    fn detach(&mut self, _: &Guest) -> Result<Cost> {
        let (before, began) = (cpu::own()?, Instant::now());
        let done =
            if self.to_answer { self.floor.delete(0).map(drop) } else { self.floor.detach(0) };
        let (wall, after) = (began.elapsed(), cpu::own()?);
        done.doing("the floor")?;
        if !self.to_answer {
            self.floor.deleted()?;
        }
        Ok(Cost { wall, cpu: after - before, steps: Vec::new() })
    }

    fn needed(&self) -> bool {
        true
    }
}
