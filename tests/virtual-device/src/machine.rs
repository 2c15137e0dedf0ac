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

//! The virtual device itself, as the tests' device: its initial network namespace.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use guestnet_tests::InNetns;

/// The machine that this runs on.
#[derive(Debug)]
pub struct Machine(());

impl Machine {
    /// It, if it is a virtual device: nothing else may be changed like that.
    #[track_caller]
    pub fn virtual_device() -> Self {
        let scene = Path::new("/device/scene").exists();
        assert!(scene, "not in the virtual device: run `tests/virtual-device/run`");
        Self(())
    }
}

impl InNetns for Machine {
    fn open_netns(&self) -> OwnedFd {
        File::open("/proc/1/ns/net").expect("the initial network namespace").into()
    }
}
