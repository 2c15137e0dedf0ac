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

//! Each queue carries frames both ways, before and after a crash of guestnetd. One that its holder adds is under the
//! rules of all.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::{
    EndCause::EndCause, GuestConfig::GuestConfig, IGuestNet::IGuestNet,
};
use guestnet_tests::bed::{eventually, Bed, Listener, BOUND};
use guestnet_tests::client::address;
use guestnet_tests::vm::{udp, Vm};
use guestnet_tests::{InNetns, Probe};

use super::ends::next_lost;
use super::{attach, nowhere, tap, FIRST, GATEWAY, INTERNET};

/// A VM with so many queues, and its lease.
fn with(bed: &Bed, queues: i32) -> Vm {
    let config = GuestConfig { queues, ..tap("vm") };
    let mut vm = Vm::of_all(&mut bed.attach_as(&config, &nowhere()));
    vm.boots();
    vm
}

/// The kernel answers a flow by the queue that it came from (tun_flow_update()), once it has seen that.
#[track_caller]
fn each_carries_both_ways(vm: &mut Vm, queues: usize, bed: &Bed) {
    for by in 0..queues {
        vm.by = by;
        let mac = vm.resolve(GATEWAY, BOUND).expect("the gateway answers");
        let datagram = udp([41_000 + by as u16, 7], b"by a queue of its own");
        eventually(&format!("answers by queue {by}"), || {
            let answer = vm.asks(mac, INTERNET, 17, &datagram);
            let answer = answer.unwrap_or_else(|| panic!("queue {by}\n{}", bed.daemon.log()));
            assert!(answer.ends_with(b"by a queue of its own"), "{answer:02x?}");
            *vm.came_by.get_mut() == by
        });
    }
}

#[test]
fn each_of_four_carries_both_ways_before_and_after_a_crash_and_the_last_is_the_lifeline() {
    let mut bed = Bed::new("nftables");
    let mut vm = with(&bed, 4);
    each_carries_both_ways(&mut vm, 4, &bed);
    bed.daemon.kill();
    each_carries_both_ways(&mut vm, 4, &bed);
    bed.start();
    let again = bed.service.get("vm").expect("get").expect("it is taken over");
    assert_eq!(again.queues, 4);
    each_carries_both_ways(&mut vm, 4, &bed);
    // Nothing is stored of it: its link says enough.
    bed.daemon.kill();
    std::fs::remove_dir_all(bed.daemon.state_dir().join("guests")).expect("what is stored");
    bed.start();
    let again = bed.service.get("vm").expect("get").expect("it is known by its link");
    assert_eq!(again.queues, 4);
    each_carries_both_ways(&mut vm, 4, &bed);
    assert_eq!(vm.boots().address, FIRST);
    let listener = Listener::on(&**bed.service);
    for left in [3, 2, 1] {
        vm.close(0);
        each_carries_both_ways(&mut vm, left, &bed);
        let status = bed.service.status(Some("vm")).expect("status");
        let text = &status.guests[0].layers[0].text;
        assert_eq!(*text, format!("vm_wlan is up, and {left} of its 4 descriptors are open"));
    }
    drop(vm);
    assert_eq!(next_lost(&listener), ("vm".to_owned(), EndCause::TAP_CLOSED));
    assert!(bed.device.link("vm_wlan").is_none());
}

/// A descriptor of one more queue of the guest's device, as its owner opens one.
fn one_more(bed: &Bed, several: bool) -> io::Result<File> {
    // linux/if_tun.h
    const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
    const TAP_NO_PI_VNET_HDR: u16 = 0x0002 | 0x1000 | 0x4000;
    const IFF_MULTI_QUEUE: u16 = 0x0100;
    let mut request = [0u8; 40];
    request[..7].copy_from_slice(b"vm_wlan");
    let flags = TAP_NO_PI_VNET_HDR | if several { IFF_MULTI_QUEUE } else { 0 };
    request[16..18].copy_from_slice(&flags.to_ne_bytes());
    bed.device.enter(|| {
        // It is of the namespace that it is opened in.
        let tun = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
        // SAFETY: the descriptor is open, and the kernel reads and writes one `struct ifreq`, 40 bytes.
        match unsafe { libc::ioctl(tun.as_raw_fd(), TUNSETIFF as _, request.as_mut_ptr()) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(tun),
        }
    })
}

#[test]
fn a_queue_that_its_holder_adds_is_under_the_same_rules() {
    let bed = Bed::new("auto");
    // A device of one queue has no second.
    let one = attach(&bed, "vm");
    for several in [false, true] {
        let refused = one_more(&bed, several).expect_err("a second queue");
        let code = refused.raw_os_error();
        assert!([Some(libc::EBUSY), Some(libc::EINVAL)].contains(&code), "{refused}");
    }
    drop(one);
    eventually("it is gone", || bed.names().is_empty());

    let vm = with(&bed, 2);
    let before = bed.service.get("vm").expect("get").expect("it is there");
    let added = one_more(&bed, true).expect("a third queue");
    let mut by_it = Vm::by(&before, vec![added.into()]);
    by_it.address = vm.address;
    drop(vm);
    assert!(by_it.pings(INTERNET), "{}", bed.daemon.log());
    let another = address(&bed.attach("other", &bed.guest)).parse().expect("an address");
    let short = Duration::from_millis(300);
    for other in [another, Ipv4Addr::new(172, 17, 9, 9), Ipv4Addr::new(192, 0, 2, 2)] {
        assert!(!by_it.pings_from(other, INTERNET, short), "from {other}");
    }
    assert!(!by_it.pings_from(by_it.address, another, short), "it is another guest");
    assert!(by_it.pings(INTERNET));
    let after = bed.service.get("vm").expect("get").expect("it is there");
    assert_eq!(
        (after.queues, &after.mac, &after.addresses, after.hostInterfaceIndex),
        (before.queues, &before.mac, &before.addresses, before.hostInterfaceIndex)
    );
    // It is a descriptor of the device as the others are: the last one that is closed.
    let listener = Listener::on(&**bed.service);
    drop(by_it);
    assert_eq!(next_lost(&listener), ("vm".to_owned(), EndCause::TAP_CLOSED));
    assert!(bed.device.link("vm_wlan").is_none());
}
