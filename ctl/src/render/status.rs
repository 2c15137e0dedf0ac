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

//! Why guests have, or have not, internet.

use super::{guest, layers, units};
use crate::names::Name;
use crate::uplink;
use android_system_guestnet::aidl::android::system::guestnet::{
    GuestStatus::GuestStatus, Status::Status, Uplink::Uplink,
};

/// The uplink, what all guests share, and each guest.
pub fn text(status: &Status, colour: bool) -> String {
    let mut text = uplink_line(&status.uplink);
    text += "device\n";
    text += &layers::text(&status.device, colour);
    for of in &status.guests {
        text += &guest_line(of);
        text += &layers::text(&of.layers, colour);
    }
    if status.guests.is_empty() {
        text += "no guest is attached\n";
    }
    text
}

fn uplink_line(up: &Uplink) -> String {
    if uplink::ready(up) {
        format!("uplink {}: up, {}, mtu {}\n", uplink::name(up), up.address, up.mtu)
    } else {
        format!("uplink {}: {}\n", uplink::name(up), uplink::advice(up))
    }
}

fn guest_line(of: &GuestStatus) -> String {
    let state = of.guest.state.words();
    let (sent, received) = (units::bytes(of.rxBytes), units::bytes(of.txBytes));
    let (out, into) = (units::packets(of.rxPackets), units::packets(of.txPackets));
    format!(
        "{} ({state}; sent {sent} in {out}, received {received} in {into})\n",
        guest::line(&of.guest)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_whole_picture() {
        assert_eq!(
            text(&samples::status(), false),
            "\
uplink wlan0: no interface wlan0; the default route leaves by eth0: \
start guestnetd with --uplink eth0 or --uplink default
device
  ok    forwarding  net.ipv4.ip_forward is 1
  BAD   firewall    chain FORWARD of table filter drops: add a rule for vm_wlan+
  ?     nat         cannot be read: permission denied
  wait  uplink      no interface wlan0
demo: wlan0 172.17.3.3/16 behind vm_wlan, default via 172.17.3.2 \
(attached; sent 2.0 KiB in 20 packets, received 1000 B in 1 packet)
  ok    link        vm_wlan is up
"
        );
    }

    #[test]
    fn an_uplink_that_works_and_no_guest() {
        let mut status = samples::status();
        status.uplink.interfaceIndex = 2;
        status.uplink.up = true;
        status.uplink.address = "192.168.1.5".to_owned();
        status.device.clear();
        status.guests.clear();
        let expected = "uplink wlan0: up, 192.168.1.5, mtu 1500\ndevice\nno guest is attached\n";
        assert_eq!(text(&status, false), expected);
    }
}
