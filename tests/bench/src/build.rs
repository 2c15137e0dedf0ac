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

//! The builds of guestnetd that are measured beside each other: this one, and those of `--before`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::Connection;
use guestnet_tests::client::{by_netns, config};
use guestnet_tests::Device;

use crate::contract::{Client, Layout};
use crate::crowd::namespaces;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::service::Service;

/// A build.
#[derive(Clone, Debug)]
pub struct Build {
    /// Its name in the tables: `guestnetd`, or that of its folder.
    pub name: String,
    /// Its folder.
    pub bin: PathBuf,
    layout: Layout,
}

impl Build {
    /// This one.
    pub fn now(options: &Options) -> Self {
        Self { name: "guestnetd".to_owned(), bin: options.bin.clone(), layout: Layout::Now }
    }

    /// This one, and then those of `--before`.
    pub fn all(options: &Options) -> Result<Vec<Self>> {
        let before = options.before.iter().map(|bin| Self::before(bin));
        std::iter::once(Ok(Self::now(options))).chain(before).collect()
    }

    /// An earlier one; which contract it has is tried.
    fn before(bin: &Path) -> Result<Self> {
        let name = bin.file_name().unwrap_or(bin.as_os_str()).to_string_lossy().into_owned();
        let guest = namespaces(1)?.remove(0);
        let mut failed = Vec::new();
        for layout in [Layout::Now, Layout::OneAddress] {
            let build = Self { name: name.clone(), bin: bin.to_owned(), layout };
            match build.attaches(&guest) {
                Ok(()) => return Ok(build),
                Err(e) => failed.push(e.to_string()),
            }
        }
        Err(Error::new(format!("{}: {}", bin.display(), failed.join("; "))))
    }

    fn attaches(&self, guest: &OwnedFd) -> Result<()> {
        let device = Device::new();
        let service = Service::start(&self.bin, &device, &[])?;
        let client = self.connect(&service)?;
        client.attach(&config("guest"), &by_netns(guest.try_clone()?))?;
        client.detach("guest")
    }

    /// A client of a service of this build.
    pub fn connect(&self, service: &Service) -> Result<Client> {
        Ok(self.client(service.connect()?))
    }

    /// The same by a connection that is there.
    pub fn client(&self, net: Connection<dyn IGuestNet>) -> Client {
        Client::new(net, self.layout)
    }
}
