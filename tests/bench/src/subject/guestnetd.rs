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

//! guestnetd, called through the contract over its Unix socket.

use std::path::Path;
use std::time::Instant;

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::Connection;
use guestnet_tests::client::{by_netns, by_pid, config};
use guestnet_tests::{Device, Guest, InNetns};

use super::{Cost, Subject};
use crate::cpu;
use crate::error::{Doing, Result};
use crate::service::Service;

const NAME: &str = "guest";

/// How the guest is named to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By its network namespace.
    Netns,
    /// By the pid of a process in it.
    Pid,
}

/// A guestnetd, its device and a client.
pub struct Guestnetd {
    name: String,
    how: How,
    // In this order: the client leaves before the service, and both before the device.
    client: Connection<dyn IGuestNet>,
    service: Service,
    device: Device,
}

impl Guestnetd {
    /// Starts one in a device of its own.
    pub fn start(name: &str, bin: &Path, how: How, device: Device) -> Result<Self> {
        let service = Service::start(bin, &device, &[])?;
        let client = service.connect()?;
        Ok(Self { name: name.to_owned(), how, client, service, device })
    }

    fn cpu(&self) -> Result<std::time::Duration> {
        Ok(cpu::own()? + cpu::of_process(self.service.pid())?)
    }
}

impl Subject for Guestnetd {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn attach(&mut self, guest: &Guest) -> Result<Cost> {
        let (config, target) = match self.how {
            How::Netns => (config(NAME), by_netns(guest.open_netns())),
            How::Pid => (config(NAME), by_pid(guest.pid())),
        };
        let (before, began) = (self.cpu()?, Instant::now());
        let answer = self.client.attach(&config, &target, None);
        let (wall, after) = (began.elapsed(), self.cpu()?);
        let attached = answer.doing(&self.name)?;
        let steps = attached.timeline.into_iter();
        let steps = steps.map(|step| (step.what, step.durationMicros as f64)).collect();
        Ok(Cost { wall, cpu: after - before, steps })
    }

    fn detach(&mut self, _: &Guest) -> Result<Cost> {
        let (before, began) = (self.cpu()?, Instant::now());
        let answer = self.client.detach(NAME);
        let (wall, after) = (began.elapsed(), self.cpu()?);
        answer.doing(&self.name)?;
        Ok(Cost { wall, cpu: after - before, steps: Vec::new() })
    }

    fn needed(&self) -> bool {
        true
    }
}
