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

//! What a client says beside its first question (RFC 2131, 4.3.2 to 4.3.4), frame by frame.

use std::net::Ipv4Addr;
use std::time::Duration;

use guestnet_tests::bed::{eventually, Bed, BOUND};
use guestnet_tests::InNetns;

use crate::changes::flaps;
use crate::raw::{Frame, Wire, DECLINE, RELEASE, REQUEST};
use crate::scene::{counters, Client};

const ACK: u8 = 5;
const OWN: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
const SILENCE: Duration = Duration::from_millis(300);

/// To this server, of this address.
fn about_own(bed: &Bed, kind: u8) -> Frame {
    let options = vec![53, 1, kind, 54, 4, 172, 17, 3, 2, 50, 4, 172, 17, 3, 3, 255];
    Frame { options, ..Frame::of(&bed.guest, kind) }
}

#[test]
fn a_client_that_rebinds_by_broadcast_keeps_its_lease() {
    let bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    let wire = Wire::of(&bed.guest);
    // REBINDING: from its address to all, for no server.
    let rebinds = Frame { ciaddr: OWN, source: OWN, ..Frame::of(&bed.guest, REQUEST) };
    wire.send(&rebinds.bytes());
    assert_eq!(wire.answer(BOUND), Some((ACK, OWN)));
    eventually("it is counted", || counters(&bed, "box") == [0, 1, 0, 0]);
}

#[test]
fn a_client_that_declines_is_logged_and_not_answered() {
    let bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    let wire = Wire::of(&bed.guest);
    wire.send(&about_own(&bed, DECLINE).bytes());
    let said = "box: its DHCP client says that another there has 172.17.3.3";
    assert!(bed.daemon.wait_log(said, BOUND), "{}", bed.daemon.log());
    assert_eq!(wire.answer(SILENCE), None);
    assert_eq!(counters(&bed, "box"), [0; 4]);
}

#[test]
fn who_has_released_its_lease_is_told_of_no_change() {
    let bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    Client::udhcpc(&bed.guest, "-q").told();
    let before = flaps(&bed.guest);
    // The control: with a lease it is told.
    bed.device.run("ip link set wlan0 mtu 1400");
    eventually("its carrier has gone", || flaps(&bed.guest) == before + 1);
    Client::udhcpc(&bed.guest, "-q").told();
    let wire = Wire::of(&bed.guest);
    let releases = Frame { ciaddr: OWN, source: OWN, ..about_own(&bed, RELEASE) };
    wire.send(&releases.bytes());
    assert_eq!(wire.answer(SILENCE), None);
    bed.device.run("ip link set wlan0 mtu 1300");
    let follows = || bed.guest.run("ip link show dev wlan0").contains("mtu 1300 ");
    eventually("its link follows", follows);
    // Longer than it takes with a lease.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(flaps(&bed.guest), before + 1);
}
