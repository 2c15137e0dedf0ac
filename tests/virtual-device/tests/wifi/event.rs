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

//! What happens to Wi-Fi, and what is wanted of the guest's connections.

use guestnet_device_tests::wifi::Wifi;

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Disconnected and connected again; the same address.
    Reconnect,
    /// The same, but the lease is of another subnet.
    OtherAddress,
    /// From one access point to the other.
    Roam,
    /// The access points are without power for a moment; nobody says so.
    PowerCut,
    /// The radio is removed; one with a new wlan0 comes.
    Anew,
    /// Wi-Fi is given up; the device goes on by rmnet0.
    ForGood,
}

impl Event {
    /// Those of a guestnetd whose uplink is wlan0.
    pub const WITH_WIFI_ALONE: [Self; 5] =
        [Self::Reconnect, Self::OtherAddress, Self::Roam, Self::PowerCut, Self::Anew];

    /// Its row.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reconnect => "disconnected and back, same address",
            Self::OtherAddress => "disconnected and back, other address",
            Self::Roam => "roamed to another access point",
            Self::PowerCut => "access points without power and back",
            Self::Anew => "radio removed, a new wlan0",
            Self::ForGood => "Wi-Fi given up, on by rmnet0",
        }
    }

    /// Whether connections are to outlive it: the device's address and interface are the same.
    pub fn keeps_connections(self) -> bool {
        matches!(self, Self::Reconnect | Self::Roam | Self::PowerCut)
    }

    /// Whether every probe of it may be answered: one roams from probe to probe, and what is sent while
    /// the device is disconnected may wait in queues (mac80211) until it is connected again.
    pub fn is_short(self) -> bool {
        matches!(self, Self::Reconnect | Self::Roam)
    }

    /// Where guests' packets may leave meanwhile.
    pub fn uplinks(self) -> &'static [&'static str] {
        if self == Self::ForGood {
            &["wlan0", "rmnet0"]
        } else {
            &["wlan0"]
        }
    }

    /// The address that guests are seen with then.
    pub fn address(self, wifi: &Wifi) -> Option<String> {
        if self == Self::ForGood {
            Some(Wifi::RMNET0.to_owned())
        } else {
            wifi.address()
        }
    }

    /// The event, from its first to its last change.
    pub fn cause(self, wifi: &mut Wifi) {
        match self {
            Self::Reconnect => {
                wifi.disconnect();
                wifi.connect();
                wifi.lease();
            }
            Self::OtherAddress => {
                wifi.disconnect();
                wifi.serve(wifi.subnet().other());
                wifi.connect();
                wifi.lease();
            }
            Self::Roam => {
                let other = wifi.find_other();
                wifi.roam(&other);
            }
            Self::PowerCut => {
                wifi.power_cut();
                wifi.power_back();
                wifi.wait_until_connected();
                wifi.lease();
            }
            Self::Anew => {
                wifi.remove_radio();
                wifi.add_radio();
                wifi.wait_until_connected();
                wifi.lease();
            }
            Self::ForGood => {
                wifi.disconnect();
                wifi.give_up();
            }
        }
    }

    /// As before.
    pub fn undo(self, wifi: &Wifi) {
        if self == Self::ForGood {
            wifi.connect();
            wifi.lease();
        }
    }
}
