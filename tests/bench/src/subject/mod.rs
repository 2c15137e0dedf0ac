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

//! Who is measured: something that gives a guest its network and takes it away again.

mod command;
mod floor;
mod guestnetd;
mod null;

use std::time::Duration;

use guestnet_tests::{Device, Guest};

use crate::error::Result;

pub use command::{rivals, Missing};
pub use floor::{load, FloorSubject};
pub use guestnetd::{Guestnetd, How};
pub use null::{Call, NullCall};

/// What one action cost.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// From the order to the answer.
    pub wall: Duration,
    /// Processor time of everybody who took part, as far as it is over at the answer.
    pub cpu: Duration,
    /// What the time went to, if it is known: steps and their microseconds.
    pub steps: Vec<(String, f64)>,
}

/// A subject. Before each action the calling thread is put into the subject's device.
pub trait Subject {
    /// Its name in the tables.
    fn name(&self) -> String;

    /// Its device. Nobody else works in it.
    fn device(&self) -> &Device;

    /// Gives the guest its network.
    fn attach(&mut self, guest: &Guest) -> Result<Cost>;

    /// Takes it away.
    fn detach(&mut self, guest: &Guest) -> Result<Cost>;

    /// Whether the guest has internet in between.
    fn connects(&self) -> bool {
        true
    }

    /// Whether the others are compared with it: without it there is no table.
    fn needed(&self) -> bool {
        false
    }
}
