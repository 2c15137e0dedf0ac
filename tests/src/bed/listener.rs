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

//! A listener that writes down what it is told, and one that does not care.

use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Mutex;

use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest;
use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNetListener::{
    BnGuestNetListener, IGuestNetListener,
};
use android_system_guestnet::aidl::android::system::guestnet::Uplink::Uplink;
use binder::{BinderFeatures, Interface, Strong};

use super::BOUND;

/// What a listener was told.
#[derive(Debug)]
pub enum Told {
    /// Something happened to a guest.
    Guest(GuestEvent, Guest),
    /// The uplink changed.
    Uplink {
        /// What it was.
        previous: Uplink,
        /// What it is.
        current: Uplink,
        /// The microseconds between.
        gap: i64,
    },
}

/// A listener that writes down what it is told; registered by [`Listener::on`], else by the test.
pub struct Listener {
    /// What the service is given.
    pub binder: Strong<dyn IGuestNetListener>,
    told: Receiver<Told>,
}

impl Listener {
    /// One that is not registered yet.
    #[allow(clippy::new_without_default)] // It has a channel and a binder of its own.
    pub fn new() -> Self {
        let (sender, told) = channel();
        let ear = Ear(Some(Mutex::new(sender)));
        Self { binder: BnGuestNetListener::new_binder(ear, BinderFeatures::default()), told }
    }

    /// One that this service tells.
    #[track_caller]
    pub fn on(service: &dyn IGuestNet) -> Self {
        let listener = Self::new();
        service.registerListener(&listener.binder).expect("registerListener");
        listener
    }

    /// The next thing it is told.
    #[track_caller]
    pub fn next(&self) -> Told {
        self.told.recv_timeout(BOUND).expect("to be told")
    }

    /// The next thing, if it is told already.
    pub fn try_next(&self) -> Option<Told> {
        self.told.try_recv().ok()
    }

    /// The next thing, which has to be about a guest.
    #[track_caller]
    pub fn next_guest(&self) -> (GuestEvent, Guest) {
        match self.next() {
            Told::Guest(event, guest) => (event, guest),
            other => panic!("not about a guest: {other:?}"),
        }
    }

    /// The next thing about a guest, whatever is said of the uplink before: what, whom, its state.
    #[track_caller]
    pub fn wait_guest(&self) -> (GuestEvent, String, GuestState) {
        loop {
            if let Told::Guest(event, guest) = self.next() {
                return (event, guest.name, guest.state);
            }
        }
    }

    /// The next thing about the uplink, whatever is said of guests before: the microseconds between too.
    #[track_caller]
    pub fn wait_uplink(&self) -> (Uplink, Uplink, i64) {
        loop {
            if let Told::Uplink { previous, current, gap } = self.next() {
                return (previous, current, gap);
            }
        }
    }
}

/// One that does not care.
pub fn deaf() -> Strong<dyn IGuestNetListener> {
    BnGuestNetListener::new_binder(Ear(None), BinderFeatures::default())
}

struct Ear(Option<Mutex<Sender<Told>>>);

impl Interface for Ear {}

impl Ear {
    fn hear(&self, told: Told) -> binder::Result<()> {
        if let Some(sender) = &self.0 {
            // The test may be over.
            let _ = sender.lock().expect("the listener").send(told);
        }
        Ok(())
    }
}

impl IGuestNetListener for Ear {
    fn onGuest(&self, event: GuestEvent, guest: &Guest) -> binder::Result<()> {
        self.hear(Told::Guest(event, copy(guest)))
    }

    fn onUplink(&self, previous: &Uplink, current: &Uplink, gap: i64) -> binder::Result<()> {
        let (previous, current) = (copy_uplink(previous), copy_uplink(current));
        self.hear(Told::Uplink { previous, current, gap })
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
        addresses: guest.addresses.clone(),
        gateway: guest.gateway.clone(),
        mtu: guest.mtu,
        mac: guest.mac.clone(),
        ownerUid: guest.ownerUid,
        attachedAtMillis: guest.attachedAtMillis,
        timeline: Vec::new(),
        vpnPolicy: guest.vpnPolicy,
        uplink: guest.uplink.clone(),
        configuredMtu: guest.configuredMtu,
        keep: guest.keep,
        lifeline: guest.lifeline,
        leaseMillis: guest.leaseMillis,
        endCause: guest.endCause,
        dhcp: guest.dhcp,
        dhcpCounters: Default::default(),
        dnsCounters: Default::default(),
        dns: guest.dns,
        dnsServers: guest.dnsServers.clone(),
        endedByUid: guest.endedByUid,
        endedByPid: guest.endedByPid,
        segment: guest.segment.clone(),
        ..Guest::default()
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
        cause: uplink.cause,
        text: uplink.text.clone(),
    }
}
