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

//! An access point: hostapd with a radio, on the bridge that both are on.

use std::fs;

use guestnet_tests::{poll, InNetns, Netns, Probe};
use tempfile::TempDir;

use super::{radio::Radio, LIMIT};
use crate::Process;

/// The network's name, and its key: not a passphrase, which takes 4096 rounds of SHA-1 to be one.
pub const SSID: &str = "guestnet";
pub const KEY: &str = "5bd4a4cbd0f3a1c6b9b1a0a8ad2d1c5f7de07db1b3c8d27d6b2c1d1a77b2d0c3";

/// So often it asks a slow station for its part of the key exchange; 4 would send it away after 4 s.
const PATIENCE: u32 = 30;

/// An access point; it ends when it is dropped.
#[derive(Debug)]
pub struct AccessPoint {
    hostapd: Option<Process>,
    _radio: Radio,
    number: u8,
    dir: TempDir,
}

impl AccessPoint {
    /// Starts the first or the second one, on a channel of its own.
    #[track_caller]
    pub fn new(netns: &Netns, number: u8) -> Self {
        let mut radio = Radio::new(&name(number), &address(number));
        radio.move_to(netns);
        let dir = tempfile::Builder::new().prefix("gnt-ap-").tempdir().expect("a directory");
        let mut point = Self { hostapd: None, _radio: radio, number, dir };
        point.power_back(netns);
        point
    }

    /// Its link address, by which stations know it.
    pub fn bssid(&self) -> String {
        address(self.number)
    }

    /// Starts it again.
    #[track_caller]
    pub fn power_back(&mut self, netns: &Netns) {
        let name = name(self.number);
        // Channels 1 and 6, which do not overlap.
        let channel = self.number * 5 - 4;
        let config = self.dir.path().join("hostapd.conf");
        let text = format!(
            "interface={name}\nbridge=br0\ndriver=nl80211\nssid={SSID}\nhw_mode=g\nchannel={channel}\n\
             wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_psk={KEY}\n\
             wpa_pairwise_update_count={PATIENCE}\n"
        );
        fs::write(&config, text).expect("hostapd.conf");
        let hostapd = Process::start(netns.command("hostapd").arg(&config));
        let up = || hostapd.log().contains("AP-ENABLED").then_some(());
        poll(LIMIT, up).unwrap_or_else(|| panic!("hostapd\n{}", hostapd.log()));
        netns.wait_until_up(&name);
        self.hostapd = Some(hostapd);
    }

    /// Ends it without a word to its stations. The radio of a hostapd that is killed goes on sending
    /// beacons, until its interface is down.
    pub fn power_cut(&mut self, netns: &Netns) {
        self.hostapd = None;
        netns.run(&format!("ip link set {} down", name(self.number)));
    }
}

fn name(number: u8) -> String {
    format!("ap{number}")
}

fn address(number: u8) -> String {
    format!("02:00:00:00:00:{number:02x}")
}
