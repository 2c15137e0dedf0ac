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

//! The events: how each comes about, what is wanted of it, and how everything is as before.

use std::thread::sleep;
use std::time::Duration;

use guestnet_tests::netd::{table, NetdDevice};
use guestnet_tests::{said, InNetns};

/// An event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Wi-Fi lost and back with its address, which the interface keeps meanwhile.
    #[default]
    SameAddress,
    /// Wi-Fi lost and back with another address, in another subnet.
    OtherAddress,
    /// wlan0 deleted and made anew.
    Anew,
    /// Wi-Fi lost while rmnet0 is connected.
    Cellular,
    /// netd starts anew, with so many milliseconds between its steps.
    Restart(u64),
    /// Our routing rule deleted.
    Rule,
    /// Our route in netd's table of local networks deleted.
    Route,
    /// Our address removed.
    Address,
    /// The rules of our chain in FORWARD deleted.
    Chain,
    /// The jump to it deleted.
    Jump,
}

/// All of them, in the order of the table.
pub const ALL: [Kind; 12] = [
    Kind::SameAddress,
    Kind::OtherAddress,
    Kind::Anew,
    Kind::Cellular,
    Kind::Restart(0),
    Kind::Restart(5),
    Kind::Restart(100),
    Kind::Rule,
    Kind::Route,
    Kind::Address,
    Kind::Chain,
    Kind::Jump,
];

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// guestnetd does nothing, and no connection notices anything.
    Nothing,
    /// Less than so many milliseconds.
    Under(u64),
    /// No later than the next comparison of everything.
    Timer,
}

/// Which guestnetd an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// As on a device with Wi-Fi alone.
    Usual,
    /// With rmnet0 as its second uplink.
    Several,
    /// That compares everything every second.
    Checking,
}

const OTHER: &str = "10.99.7.5/24";
/// As long as Wi-Fi is away.
const AWAY: Duration = Duration::from_millis(100);
const FORWARD: &str = "oem_fwd";

impl Kind {
    /// Its row.
    pub fn name(self) -> String {
        match self {
            Self::SameAddress => "Wi-Fi lost and back, same address".into(),
            Self::OtherAddress => "Wi-Fi back with another address".into(),
            Self::Anew => "Wi-Fi back as another interface".into(),
            Self::Cellular => "Wi-Fi lost, rmnet0 connected".into(),
            Self::Restart(0) => "netd starts anew, at once".into(),
            Self::Restart(pace) => format!("netd starts anew, a step every {pace} ms"),
            Self::Rule => "our routing rule deleted".into(),
            Self::Route => "our route in table 97 deleted".into(),
            Self::Address => "our address removed".into(),
            Self::Chain => "our chain flushed (not announced)".into(),
            Self::Jump => "our jump deleted (not announced)".into(),
        }
    }

    /// The number.
    pub fn wanted(self) -> Wanted {
        match self {
            Self::SameAddress => Wanted::Nothing,
            Self::OtherAddress | Self::Anew | Self::Cellular => Wanted::Under(10),
            Self::Restart(_) => Wanted::Under(50),
            Self::Rule | Self::Route | Self::Address => Wanted::Under(20),
            Self::Chain | Self::Jump => Wanted::Timer,
        }
    }

    /// Whose turn it is.
    pub fn whose(self) -> Whose {
        match self {
            Self::Cellular => Whose::Several,
            Self::Chain | Self::Jump => Whose::Checking,
            _ => Whose::Usual,
        }
    }

    /// Whether somebody else can do guestnetd's part by netlink, for comparison.
    pub fn has_floor(self) -> bool {
        !matches!(self, Self::Restart(_) | Self::Chain | Self::Jump)
    }

    /// What goes before the event; nobody waits for traffic yet.
    pub fn prepare(self, device: &NetdDevice) {
        match self {
            Self::SameAddress => device.wifi_lost_for_a_moment(),
            Self::OtherAddress => device.wifi_lost(),
            Self::Anew => device.delete_interface("wlan0"),
            _ => return,
        }
        sleep(AWAY);
    }

    /// The event.
    pub fn cause(self, device: &NetdDevice) {
        match self {
            Self::SameAddress => device.wifi_back(),
            Self::OtherAddress => device.wifi_back_at(OTHER),
            Self::Anew => device.connect("wlan0", NetdDevice::WLAN0),
            Self::Cellular => {
                device.wifi_lost();
                device.default_to("rmnet0");
            }
            Self::Restart(pace) => drop(device.netd_restarts(Duration::from_millis(pace))),
            Self::Rule => drop(device.run("ip rule del from 172.17.0.0/16")),
            Self::Route => drop(device.run("ip route del 172.17.0.0/16 table 97")),
            Self::Address => drop(device.run("ip addr del 172.17.3.2/16 dev vm_wlan")),
            Self::Chain => iptables(device, &format!("-F {}", chain(device))),
            Self::Jump => iptables(device, &format!("-D {FORWARD} -j {}", chain(device))),
        }
    }

    /// Back to what was before, as far as the event has not gone by itself.
    pub fn undo(self, device: &NetdDevice) {
        match self {
            Self::OtherAddress => {
                device.wifi_lost();
                device.wifi_back();
            }
            Self::Cellular => {
                device.wifi_back();
                device.default_to("wlan0");
            }
            _ => {}
        }
    }

    /// The same where no guestnetd brings its rule back.
    pub fn undo_rule(self, device: &NetdDevice) {
        if self == Self::Cellular {
            let rule = "pref 21500 from 172.17.0.0/16";
            let table = table(device.ifindex("wlan0"));
            device.run(&format!("ip rule del {rule}"));
            device.run(&format!("ip rule add {rule} lookup {table} proto 103"));
        }
    }
}

/// Our chain that is in use: there are two names.
fn chain(device: &NetdDevice) -> String {
    let jumps = device.chain("iptables", "filter", FORWARD);
    let ours = jumps.iter().find_map(|jump| jump.split(" -j ").nth(1));
    ours.expect("our jump").to_owned()
}

fn iptables(device: &NetdDevice, words: &str) {
    let mut command = device.words(&format!("iptables-legacy -w {words}"));
    let out = command.env("XTABLES_LOCKFILE", device.xtables_lock()).output().expect("iptables");
    assert!(out.status.success(), "iptables {words}: {}", said(&out));
}
