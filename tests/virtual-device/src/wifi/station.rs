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

//! The device's side of Wi-Fi: wpa_supplicant.

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use guestnet_tests::{poll, InNetns};
use tempfile::TempDir;

use super::access_point::{KEY, SSID};
use super::LIMIT;
use crate::{Machine, Process};

/// wpa_supplicant for one interface; it ends when it is dropped.
#[derive(Debug)]
pub struct Station {
    supplicant: Process,
    interface: String,
    dir: TempDir,
}

impl Station {
    /// Starts it; it looks for the network at once.
    #[track_caller]
    pub fn start(device: &Machine, interface: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("gnt-station-").tempdir().expect("a directory");
        let config = dir.path().join("wpa_supplicant.conf");
        let text = format!(
            "ctrl_interface={}\nnetwork={{\n ssid=\"{SSID}\"\n psk={KEY}\n key_mgmt=WPA-PSK\n \
             proto=RSN\n pairwise=CCMP\n scan_freq=2412 2437\n}}\n",
            control(&dir).display()
        );
        fs::write(&config, text).expect("wpa_supplicant.conf");
        let mut command = device.command("wpa_supplicant");
        command.args(["-D", "nl80211", "-i", interface, "-c"]).arg(&config);
        let supplicant = Process::start(&mut command);
        let station = Self { supplicant, interface: interface.to_owned(), dir };
        let answers = || station.exchange("PING").ok();
        poll(LIMIT, answers).unwrap_or_else(|| panic!("wpa_supplicant\n{}", station.log()));
        // An access point that is back is looked for every second; unasked it would be every five.
        station.ask("SCAN_INTERVAL 1");
        station
    }

    /// Has it do something; panics when it will not.
    #[track_caller]
    pub fn ask(&self, words: &str) {
        let answer = self.asked(words);
        let fine = ["OK", "FAIL-BUSY"].contains(&answer.trim());
        assert!(fine, "{words}: {answer}\n{}", self.log());
    }

    /// Its answer.
    #[track_caller]
    pub fn asked(&self, words: &str) -> String {
        self.exchange(words).unwrap_or_else(|e| panic!("{words}: {e}\n{}", self.log()))
    }

    /// A line of its status: `bssid`.
    pub fn status(&self, key: &str) -> Option<String> {
        let status = self.asked("STATUS");
        let value = |line: &str| Some(line.split_once('=')?.1.to_owned());
        status.lines().find(|line| line.starts_with(&format!("{key}="))).and_then(value)
    }

    /// Whether it has joined the network, with all keys.
    pub fn is_connected(&self) -> bool {
        self.status("wpa_state").as_deref() == Some("COMPLETED")
    }

    /// What it has said.
    pub fn log(&self) -> String {
        self.supplicant.log()
    }

    /// As wpa_cli does it: a process for each question would cost more than the answer.
    fn exchange(&self, words: &str) -> io::Result<String> {
        let own = tempfile::tempdir()?;
        let socket = UnixDatagram::bind(own.path().join("socket"))?;
        socket.connect(control(&self.dir).join(&self.interface))?;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.send(words.as_bytes())?;
        let mut answer = vec![0; 16 << 10];
        let length = socket.recv(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    }
}

fn control(dir: &TempDir) -> PathBuf {
    dir.path().join("control")
}
