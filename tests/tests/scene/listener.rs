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

//! Listeners: one that does not care, and one that writes down what it is told.

use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Mutex;

use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest;
use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNetListener::{
    BnGuestNetListener, IGuestNetListener,
};
use android_system_guestnet::aidl::android::system::guestnet::Uplink::Uplink;
use binder::{BinderFeatures, Interface, Strong};

use super::BOUND;

/// What a listener was told.
#[derive(Debug)]
pub enum Told {
    Guest(GuestEvent, Guest),
    Uplink { previous: Uplink, current: Uplink, gap: i64 },
}

struct Listener(Option<Mutex<Sender<Told>>>);

impl Interface for Listener {}

impl Listener {
    fn tell(&self, told: Told) {
        if let Some(sender) = &self.0 {
            // A test that is over listens no more.
            let _ = sender.lock().expect("the listener").send(told);
        }
    }
}

impl IGuestNetListener for Listener {
    fn onGuest(&self, event: GuestEvent, guest: &Guest) -> binder::Result<()> {
        self.tell(Told::Guest(event, copy(guest)));
        Ok(())
    }

    fn onUplink(&self, previous: &Uplink, current: &Uplink, gap: i64) -> binder::Result<()> {
        self.tell(Told::Uplink {
            previous: copy_uplink(previous),
            current: copy_uplink(current),
            gap,
        });
        Ok(())
    }
}

/// One that does not care.
pub fn deaf() -> Strong<dyn IGuestNetListener> {
    BnGuestNetListener::new_binder(Listener(None), BinderFeatures::default())
}

/// One that writes down what it is told.
pub fn attentive() -> (Strong<dyn IGuestNetListener>, Receiver<Told>) {
    let (sender, told) = channel();
    let listener = Listener(Some(Mutex::new(sender)));
    (BnGuestNetListener::new_binder(listener, BinderFeatures::default()), told)
}

/// The next thing that a listener hears.
#[track_caller]
pub fn next(told: &Receiver<Told>) -> Told {
    told.recv_timeout(BOUND).expect("to be told")
}

#[track_caller]
pub fn next_guest(told: &Receiver<Told>) -> (GuestEvent, Guest) {
    match next(told) {
        Told::Guest(event, guest) => (event, guest),
        other => panic!("not about a guest: {other:?}"),
    }
}

/// AIDL's parcelables cannot be cloned.
fn copy(guest: &Guest) -> Guest {
    Guest {
        name: guest.name.clone(),
        kind: guest.kind,
        state: guest.state,
        slot: guest.slot,
        hostInterface: guest.hostInterface.clone(),
        hostInterfaceIndex: guest.hostInterfaceIndex,
        interfaceName: guest.interfaceName.clone(),
        address: guest.address.clone(),
        gateway: guest.gateway.clone(),
        prefixLength: guest.prefixLength,
        mtu: guest.mtu,
        mac: guest.mac.clone(),
        ownerUid: guest.ownerUid,
        attachedAtMillis: guest.attachedAtMillis,
        timeline: Vec::new(),
        vpnPolicy: guest.vpnPolicy,
        uplink: guest.uplink.clone(),
    }
}

fn copy_uplink(uplink: &Uplink) -> Uplink {
    Uplink {
        choice: uplink.choice.clone(),
        interfaceName: uplink.interfaceName.clone(),
        interfaceIndex: uplink.interfaceIndex,
        up: uplink.up,
        address: uplink.address.clone(),
        mtu: uplink.mtu,
        defaultRouteInterface: uplink.defaultRouteInterface.clone(),
        dnsServers: uplink.dnsServers.clone(),
        routeTable: uplink.routeTable,
    }
}
