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

//! Wi-Fi as a device has it, with simulated radios (mac80211_hwsim): two access points of one network
//! on one Ethernet, hostapd on both; wpa_supplicant and a DHCP client for the device's `wlan0`. Beyond is
//! the [`Internet`], whose namespace the access points are in; rmnet0 leads there, too, where it is added.

mod access_point;
mod dhcp;
mod hwsim;
mod radio;
mod station;

use std::fs;
use std::thread;
use std::time::Duration;

use guestnet_tests::{poll, InNetns, Internet, Probe};

use crate::Machine;
use access_point::AccessPoint;
use dhcp::Server;
pub use dhcp::Subnet;
use radio::Radio;
use station::Station;

/// How long each step may take on a busy machine: a scan, a key exchange, a lease.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// Not so short that nobody notices.
const AWAY: Duration = Duration::from_millis(100);
const STATION: &str = "02:00:00:00:00:03";

/// The device with its networks; all of it ends when this is dropped.
#[derive(Debug)]
pub struct Wifi {
    // In this order: the radios are taken from the namespaces that they are in.
    station: Option<Station>,
    radio: Option<Radio>,
    points: [AccessPoint; 2],
    server: Server,
    internet: Internet,
    /// The device.
    pub device: Machine,
}

impl Wifi {
    /// The server beyond: TCP. It answers as [`Internet::TCP`] does.
    pub const TCP: &'static str = "198.51.100.1:80";
    /// The server beyond: UDP.
    pub const UDP: &'static str = "198.51.100.1:7";
    /// The device's address on rmnet0.
    pub const RMNET0: &'static str = "203.0.113.2";

    /// Connected, and with an address of the first subnet.
    #[allow(clippy::new_without_default)] // It changes the machine.
    #[track_caller]
    pub fn new() -> Self {
        let device = Machine::virtual_device();
        // Not with radios of its own: here each has its address and its name.
        device.run("modprobe mac80211_hwsim radios=0");
        let internet = Internet::at("198.51.100.1");
        internet.run("ip link add br0 type bridge");
        internet.run("ip link set br0 up");
        for subnet in [Subnet::First, Subnet::Second] {
            internet.run(&format!("ip addr add {}/24 dev br0", subnet.address(1)));
        }
        let points = [1, 2].map(|number| AccessPoint::new(&internet.netns, number));
        let server = Server::start(&internet, Subnet::First);
        let mut wifi = Self { station: None, radio: None, points, server, internet, device };
        wifi.add_radio();
        wifi.connect();
        wifi.lease();
        wifi
    }

    /// The address of wlan0, if it has one.
    pub fn address(&self) -> Option<String> {
        let addresses = self.device.addresses(4, "wlan0");
        addresses.first().and_then(|text| Some(text.split_once('/')?.0.to_owned()))
    }

    /// Leaves the network for a moment at least, as the framework has it done; the address stays.
    pub fn disconnect(&self) {
        self.station().ask("DISCONNECT");
        self.wait_for_carrier(false);
        thread::sleep(AWAY);
    }

    /// Joins the network, by whichever access point.
    pub fn connect(&self) {
        self.station().ask("RECONNECT");
        self.wait_until_connected();
    }

    /// Asks for an address; one that is there already is left alone.
    pub fn lease(&self) {
        dhcp::lease(&self.device, "wlan0");
    }

    /// What leases are of.
    pub fn subnet(&self) -> Subnet {
        self.server.subnet
    }

    /// From now on leases are of this subnet.
    pub fn serve(&mut self, subnet: Subnet) {
        // Not two at once: there is one port.
        self.server.stop();
        self.server = Server::start(&self.internet, subnet);
    }

    /// Finds the other access point, which is to be done before one roams to it.
    pub fn find_other(&self) -> String {
        let here = self.station().status("bssid").expect("an access point");
        let other = self.points.iter().map(AccessPoint::bssid).find(|bssid| *bssid != here);
        let other = other.expect("the other access point");
        let found = || {
            self.station().ask("SCAN");
            thread::sleep(Duration::from_millis(200));
            self.station().asked("SCAN_RESULTS").contains(&other).then_some(())
        };
        poll(LIMIT, found).unwrap_or_else(|| panic!("no {other}\n{}", self.station().log()));
        other
    }

    /// Roams to this access point. One that is too slow with its answer, on a busy machine, is asked again.
    pub fn roam(&self, to: &str) {
        let there = || {
            let station = self.station();
            if !station.is_connected() {
                return None;
            }
            if station.status("bssid").is_some_and(|bssid| bssid == to) {
                return Some(());
            }
            station.ask(&format!("ROAM {to}"));
            thread::sleep(Duration::from_millis(20));
            None
        };
        poll(LIMIT, there).unwrap_or_else(|| panic!("not at {to}\n{}", self.station().log()));
        self.wait_for_carrier(true);
    }

    /// The access points lose their power; nobody tells the device.
    pub fn power_cut(&mut self) {
        let internet = &self.internet.netns;
        self.points.iter_mut().for_each(|point| point.power_cut(internet));
        self.wait_for_carrier(false);
    }

    /// They have it again.
    pub fn power_back(&mut self) {
        let internet = &self.internet.netns;
        self.points.iter_mut().for_each(|point| point.power_back(internet));
    }

    /// The device finds the network by itself.
    pub fn wait_until_connected(&self) {
        poll(LIMIT, || self.station().is_connected().then_some(()))
            .unwrap_or_else(|| panic!("not connected\n{}", self.station().log()));
        self.wait_for_carrier(true);
    }

    /// Takes the device's radio away, and with it wlan0.
    pub fn remove_radio(&mut self) {
        self.station = None;
        self.radio = None;
    }

    /// A radio as before, whose wlan0 is a new interface.
    pub fn add_radio(&mut self) {
        self.radio = Some(Radio::new("station", STATION));
        self.device.run("iw dev wlan0 set power_save off");
        self.station = Some(Station::start(&self.device, "wlan0"));
    }

    /// Brings rmnet0, the device's way where there is no Wi-Fi.
    pub fn add_rmnet0(&self) {
        let there = self.internet.netns.name();
        self.device.run(&format!("ip link add rmnet0 type veth peer name i-rmnet0 netns {there}"));
        self.internet.run("ip addr add 203.0.113.1/24 dev i-rmnet0");
        self.internet.run("ip link set i-rmnet0 up");
        self.device.run(&format!("ip addr add {}/24 dev rmnet0", Self::RMNET0));
        self.device.run("ip link set rmnet0 up");
        self.device.wait_until_up("rmnet0");
        self.device.run("ip route add default via 203.0.113.1 dev rmnet0 metric 200");
    }

    /// Wi-Fi is given up, as the framework does: no address, no route.
    pub fn give_up(&self) {
        self.device.run("ip addr flush dev wlan0");
    }

    fn station(&self) -> &Station {
        self.station.as_ref().expect("a wlan0")
    }

    fn wait_for_carrier(&self, wanted: bool) {
        let state = || fs::read_to_string("/sys/class/net/wlan0/operstate").unwrap_or_default();
        let up = || state().trim_end() == "up";
        let log = || self.station.as_ref().map(Station::log).unwrap_or_default();
        poll(LIMIT, || (up() == wanted).then_some(()))
            .unwrap_or_else(|| panic!("carrier of wlan0 not {wanted}\n{}", log()));
    }
}

impl Drop for Wifi {
    fn drop(&mut self) {
        let _ = self.device.try_run("ip link del rmnet0");
    }
}
