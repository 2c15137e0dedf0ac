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

//! A connection of a device's own, as every device in use has. At each delete of a link the kernel walks over its
//! whole table of connections, once for the link and once for its address (nf_nat_masquerade.c), and leaves both
//! out where it has none: who happens to open no connection would be measured as quicker.

use std::net::UdpSocket;
use std::time::Duration;

use guestnet_tests::{Device, InNetns, Internet};

use crate::error::{Doing, Result};

/// A socket of the device's that talks to the internet.
pub struct InUse(UdpSocket);

impl InUse {
    /// Opens it.
    pub fn open(device: &Device) -> Result<Self> {
        let socket = device.enter(|| UdpSocket::bind("0.0.0.0:0"))?;
        socket.connect(Internet::UDP)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok(Self(socket))
    }

    /// Has a datagram go and come: the table knows the connection for half a minute, if there are rules now that
    /// ask it.
    pub fn speak(&self) -> Result<()> {
        self.0.send(b"in use")?;
        self.0.recv(&mut [0; 64]).doing("the device's own traffic")?;
        Ok(())
    }
}
