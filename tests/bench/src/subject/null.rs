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

//! A call of guestnetd that does nothing: what its transport alone costs.

use std::path::Path;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::Connection;
use guestnet_tests::{Device, Guest};

use super::{Cost, Subject};
use crate::cpu;
use crate::error::{Doing, Result};
use crate::service::Service;

/// Which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `get()` of a name that is not there: the smallest answer that there is.
    Get,
    /// `info()`.
    Info,
}

/// A guestnetd without guests, and a client.
pub struct NullCall {
    call: Call,
    client: Connection<dyn IGuestNet>,
    service: Service,
    device: Device,
}

impl NullCall {
    /// Starts one in a device of its own.
    pub fn start(bin: &Path, call: Call, device: Device) -> Result<Self> {
        let service = Service::start(bin, &device, &[])?;
        let client = service.connect()?;
        Ok(Self { call, client, service, device })
    }
}

impl Subject for NullCall {
    fn name(&self) -> String {
        match self.call {
            Call::Get => "one null call: get() of nobody",
            Call::Info => "one null call: info()",
        }
        .to_owned()
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn attach(&mut self, _: &Guest) -> Result<Cost> {
        let cpu = || -> Result<Duration> { Ok(cpu::own()? + cpu::of_process(self.service.pid())?) };
        let (before, began) = (cpu()?, Instant::now());
        let answer = match self.call {
            Call::Get => self.client.get("nobody").map(drop),
            Call::Info => self.client.info().map(drop),
        };
        let (wall, after) = (began.elapsed(), cpu()?);
        answer.doing(self.name())?;
        Ok(Cost { wall, cpu: after - before, steps: Vec::new() })
    }

    fn detach(&mut self, guest: &Guest) -> Result<Cost> {
        self.attach(guest)
    }

    fn connects(&self) -> bool {
        false
    }

    fn needed(&self) -> bool {
        true
    }
}
