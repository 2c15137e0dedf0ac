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

//! A VM's network by the frames that its descriptors carry: a lease, its gateway, the internet behind the
//! device's address, a name. And what is left when they are closed: nothing, which is told once.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::EndCause::EndCause;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::GuestKind::GuestKind;
use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use android_system_guestnet::aidl::android::system::guestnet::TargetKind::TargetKind;
use guestnet_tests::bed::{Listener, Told, BOUND};
use guestnet_tests::client::config;
use guestnet_tests::resolver::{question, Resolver};
use guestnet_tests::vm::{udp, Lease, Vm, ACK, DISCOVER, OFFER, REQUEST};
use guestnet_tests::{poll, NetdDevice, Probe};

use crate::init::bed::Bed;

/// The name of the guest.
pub const NAME: &str = "vm";
/// What guestnetd says of its end.
pub const END: &str =
    "vm: the last descriptor of its TAP device was closed: its link vm_wlan is gone";

/// Gets its address, and reaches all that a guest is to reach on [`NetdDevice::this_machine`]. An error is what
/// is not answered.
pub fn reaches_all(vm: &mut Vm, gateway: Ipv4Addr) -> Result<Lease, String> {
    let offer = vm.dhcp(DISCOVER, None).filter(|offer| offer.kind == OFFER);
    let address = offer.ok_or("nobody offers a lease")?.address;
    let lease = vm.dhcp(REQUEST, Some(address)).ok_or("nobody confirms the lease")?;
    if (lease.kind, lease.address, lease.gateway) != (ACK, address, Some(gateway)) {
        return Err(format!("another lease than {address} by {gateway}: {lease:?}"));
    }
    vm.address = address;
    let mac = vm.resolve(gateway, BOUND).ok_or("the gateway does not answer ARP")?;
    let server: Ipv4Addr = NetdDevice::SERVER.parse().map_err(|_| "the server's address")?;
    for to in [gateway, server] {
        if !vm.pings(to) {
            return Err(format!("{to} does not answer a ping"));
        }
    }
    // The server says which address it sees: the device's own.
    let seen = NetdDevice::WLAN0.split('/').next().unwrap_or_default();
    let seen = format!("{seen} in a frame");
    answers(vm, mac, (server, 7), b"in a frame", seen.as_bytes())?;
    answers(vm, mac, (gateway, 53), &question(), &Resolver::ANSWER)?;
    Ok(lease)
}

/// A datagram is answered by one with this at its end. What else comes from there is passed over.
fn answers(
    vm: &Vm,
    mac: [u8; 6],
    (to, port): (Ipv4Addr, u16),
    text: &[u8],
    end: &[u8],
) -> Result<(), String> {
    let datagram = udp([41_000, port], text);
    let answer = || vm.asks(mac, to, 17, &datagram).filter(|answer| answer.ends_with(end));
    poll(BOUND, answer).map(drop).ok_or_else(|| format!("{to} does not answer at UDP {port}"))
}

/// A VM whose manager is this process: it lives by its two descriptors, and ends with them.
pub fn lives(bed: &Bed, service: &dyn IGuestNet) -> Result<(), String> {
    let before = bed.device.everything_else();
    let listener = heard(service)?;
    let tap = GuestConfig { kind: GuestKind::TAP, queues: 2, ..config(NAME) };
    let nowhere = GuestTarget { kind: TargetKind::NONE, ..GuestTarget::default() };
    let attached = service.attach(&tap, &nowhere, None);
    let mut guest = attached.map_err(|e| format!("attach of a VM: {e}"))?;
    let flags = bed.device.link("vm_wlan").map(|link| link["flags"].to_string());
    let up = flags.is_some_and(|flags| flags.contains("\"UP\""));
    if guest.tap.len() != 2 || !up {
        return Err(format!("a VM has {} descriptors; its link is up: {up}", guest.tap.len()));
    }
    let gateway = guest.gateway.parse().map_err(|_| format!("a gateway: {}", guest.gateway))?;
    let mut vm = Vm::of_all(&mut guest);
    bed.resolver.asked();
    reaches_all(&mut vm, gateway).map_err(|why| format!("a VM by its descriptors: {why}"))?;
    if bed.resolver.asked().is_empty() {
        return Err("a VM is answered, and netd's resolver was not asked".to_owned());
    }
    // By its other queue, and of that alone.
    vm.close(0);
    if !vm.pings(gateway) {
        return Err("a VM with one descriptor left is not answered".to_owned());
    }
    drop(vm);
    ends(bed, service, &listener)?;
    before.diff(&bed.device.everything_else()).map_or(Ok(()), Err)
}

/// A listener that this service tells.
pub fn heard(service: &dyn IGuestNet) -> Result<Listener, String> {
    let listener = Listener::new();
    service.registerListener(&listener.binder).map_err(|e| format!("a listener: {e}"))?;
    Ok(listener)
}

/// It has no descriptor any more: its link is gone and all that was made for it, and of that one event tells.
pub fn ends(bed: &Bed, service: &dyn IGuestNet, listener: &Listener) -> Result<(), String> {
    let mut told = Vec::new();
    let mut is_told = || {
        while let Some(news) = listener.try_next() {
            if let Told::Guest(GuestEvent::LOST | GuestEvent::DETACHED, guest) = news {
                told.push((guest.name, guest.endCause));
            }
        }
        (!told.is_empty()).then_some(())
    };
    poll(BOUND, &mut is_told).ok_or("of a VM's end nobody is told")?;
    let gone = || bed.traces().is_empty().then_some(());
    poll(BOUND, gone).ok_or_else(|| format!("a VM left behind: {:?}", bed.traces()))?;
    // Whatever else would be told of it.
    thread::sleep(Duration::from_millis(500));
    is_told();
    let _ = service.unregisterListener(&listener.binder);
    let there = service.get(NAME).map_err(|e| format!("get: {e}"))?;
    match (&told[..], there) {
        ([(name, EndCause::TAP_CLOSED)], None) if name == NAME => Ok(()),
        (_, there) => Err(format!("told of a VM's end: {told:?}; what is there: {there:?}")),
    }
}
