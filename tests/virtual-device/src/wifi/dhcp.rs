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

//! Addresses: dnsmasq's DHCP behind the access points, busybox's client on the device.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use guestnet_tests::{must, poll, InNetns, Internet};
use tempfile::TempDir;

use super::LIMIT;
use crate::{Machine, Process};

/// Which leases there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subnet {
    /// 192.0.2.0/24.
    First,
    /// 10.99.7.0/24.
    Second,
}

impl Subnet {
    /// One of its addresses. The gateway is the first.
    pub fn address(self, host: u8) -> String {
        match self {
            Self::First => format!("192.0.2.{host}"),
            Self::Second => format!("10.99.7.{host}"),
        }
    }

    /// The one that leases are not of now.
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// dnsmasq; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    dnsmasq: Process,
    /// What it leases.
    pub subnet: Subnet,
    _dir: TempDir,
}

impl Server {
    /// Starts one that knows of no lease.
    #[track_caller]
    pub fn start(internet: &Internet, subnet: Subnet) -> Self {
        let dir = tempfile::Builder::new().prefix("gnt-dhcp-").tempdir().expect("a directory");
        let mut command = internet.command("dnsmasq");
        let range = format!("{},{},10m", subnet.address(50), subnet.address(99));
        let leases = dir.path().join("leases");
        // It would ping an address for three seconds before it gives it away.
        command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-ping", "--port=0"]);
        command.args(["--user=root", "--log-facility=-", "--pid-file=", "--interface=br0"]);
        command.args(["--dhcp-authoritative", &format!("--dhcp-range={range}")]);
        command.arg(format!("--dhcp-option=option:router,{}", subnet.address(1)));
        command.arg(format!("--dhcp-leasefile={}", leases.display()));
        let dnsmasq = Process::start(&mut command);
        let ready = || dnsmasq.log().contains("DHCP, IP range").then_some(());
        poll(LIMIT, ready).unwrap_or_else(|| panic!("dnsmasq\n{}", dnsmasq.log()));
        Self { dnsmasq, subnet, _dir: dir }
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.dnsmasq.kill();
    }
}

/// Asks for an address and a default route. As Android's client it touches neither when the lease is
/// the one that is there.
#[track_caller]
pub fn lease(device: &Machine, interface: &str) {
    let dir = tempfile::Builder::new().prefix("gnt-udhcpc-").tempdir().expect("a directory");
    let script = dir.path().join("script");
    fs::write(&script, include_str!("udhcpc.sh")).expect("the script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("chmod");
    let mut command = device.command("busybox");
    command.args(["udhcpc", "-f", "-q", "-n", "-t", "20", "-T", "1", "-i", interface, "-s"]);
    must(command.arg(&script));
}
