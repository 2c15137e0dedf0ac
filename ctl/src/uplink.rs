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

//! What is wrong with an uplink, and what to do about it, in one sentence. Pure.

use android_system_guestnet::aidl::android::system::guestnet::Uplink::Uplink;

/// Whether guests can send by it, as far as it tells.
pub fn ready(uplink: &Uplink) -> bool {
    uplink.interfaceIndex != 0 && uplink.up && !uplink.address.is_empty()
}

/// The uplink's name; what was asked for when there is none.
pub fn name(uplink: &Uplink) -> &str {
    match uplink.interfaceName.as_str() {
        "" => &uplink.choice,
        name => name,
    }
}

/// Why guests wait for it, and the next step.
pub fn advice(uplink: &Uplink) -> String {
    let name = name(uplink);
    let route = uplink.defaultRouteInterface.as_str();
    let (problem, cure) = if uplink.interfaceIndex == 0 && uplink.choice == "default" {
        ("the device has no default route".to_owned(), "traffic flows as soon as it has one")
    } else if uplink.interfaceIndex == 0 && uplink.choice.contains(',') {
        let none = format!("no interface of {} is usable", uplink.choice);
        (none, "traffic flows as soon as one is there, up and has an IPv4 address")
    } else if uplink.interfaceIndex == 0 && route.is_empty() {
        (
            format!("no interface {name}, and the device has no default route"),
            "traffic flows as soon as the interface is there and up",
        )
    } else if uplink.interfaceIndex == 0 {
        (format!("no interface {name}"), "traffic flows as soon as it is there and up")
    } else if !uplink.up {
        (format!("interface {name} is down or has no carrier"), "traffic flows as soon as it is up")
    } else if uplink.address.is_empty() {
        (format!("interface {name} has no IPv4 address"), "traffic flows as soon as it has one")
    } else {
        (
            format!("interface {name} is up, but not in use"),
            "guestnetctl status says which layer is not right",
        )
    };
    if route.is_empty() || route == name {
        format!("{problem}: {cure}")
    } else {
        format!(
            "{problem}; the default route leaves by {route}: \
             start guestnetd with --uplink {route} or --uplink default"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uplink(
        choice: &str,
        name: &str,
        index: i32,
        up: bool,
        address: &str,
        route: &str,
    ) -> Uplink {
        Uplink {
            choice: choice.to_owned(),
            interfaceName: name.to_owned(),
            interfaceIndex: index,
            up,
            address: address.to_owned(),
            mtu: 1500,
            defaultRouteInterface: route.to_owned(),
            ..Uplink::default()
        }
    }

    #[test]
    fn every_cause_has_its_sentence() {
        for (uplink, text) in [
            (
                uplink("wlan0", "wlan0", 0, false, "", "eth0"),
                "no interface wlan0; the default route leaves by eth0: \
                 start guestnetd with --uplink eth0 or --uplink default",
            ),
            (
                uplink("wlan0", "wlan0", 0, false, "", ""),
                "no interface wlan0, and the device has no default route: \
                 traffic flows as soon as the interface is there and up",
            ),
            (
                uplink("default", "", 0, false, "", ""),
                "the device has no default route: traffic flows as soon as it has one",
            ),
            (
                uplink("wlan0,rmnet*", "", 0, false, "", ""),
                "no interface of wlan0,rmnet* is usable: \
                 traffic flows as soon as one is there, up and has an IPv4 address",
            ),
            (
                uplink("wlan0,rmnet*", "", 0, false, "", "eth0"),
                "no interface of wlan0,rmnet* is usable; the default route leaves by eth0: \
                 start guestnetd with --uplink eth0 or --uplink default",
            ),
            (
                uplink("wlan0", "wlan0", 3, false, "10.0.0.5", "eth0"),
                "interface wlan0 is down or has no carrier; the default route leaves by eth0: \
                 start guestnetd with --uplink eth0 or --uplink default",
            ),
            (
                uplink("wlan0", "wlan0", 3, false, "", ""),
                "interface wlan0 is down or has no carrier: traffic flows as soon as it is up",
            ),
            (
                uplink("default", "eth0", 2, false, "", "eth0"),
                "interface eth0 is down or has no carrier: traffic flows as soon as it is up",
            ),
            (
                uplink("wlan0", "wlan0", 3, true, "", "wlan0"),
                "interface wlan0 has no IPv4 address: traffic flows as soon as it has one",
            ),
            (
                uplink("wlan0", "wlan0", 3, true, "", "eth0"),
                "interface wlan0 has no IPv4 address; the default route leaves by eth0: \
                 start guestnetd with --uplink eth0 or --uplink default",
            ),
            (
                uplink("wlan0", "wlan0", 3, true, "10.0.0.5", "eth0"),
                "interface wlan0 is up, but not in use; the default route leaves by eth0: \
                 start guestnetd with --uplink eth0 or --uplink default",
            ),
            (
                uplink("wlan0", "wlan0", 3, true, "10.0.0.5", "wlan0"),
                "interface wlan0 is up, but not in use: \
                 guestnetctl status says which layer is not right",
            ),
        ] {
            assert_eq!(advice(&uplink), text);
        }
    }

    #[test]
    fn ready_is_there_up_and_addressed() {
        assert!(ready(&uplink("wlan0", "wlan0", 3, true, "10.0.0.5", "wlan0")));
        assert!(!ready(&uplink("wlan0", "wlan0", 0, true, "10.0.0.5", "wlan0")));
        assert!(!ready(&uplink("wlan0", "wlan0", 3, false, "10.0.0.5", "wlan0")));
        assert!(!ready(&uplink("wlan0", "wlan0", 3, true, "", "wlan0")));
    }
}
