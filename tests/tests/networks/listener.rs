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

//! A listener that writes down what it is told.

use std::sync::mpsc::{self, Receiver, Sender};
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

/// One notice.
#[derive(Debug)]
pub enum Event {
    /// About a guest: its name and state.
    Guest(GuestEvent, String, GuestState),
    /// About the uplink: before, now, and the microseconds between.
    Uplink(Way, Way, i64),
}

/// An uplink, as far as it matters here.
#[derive(Debug, Eq, PartialEq)]
pub struct Way {
    /// Its name.
    pub interface: String,
    /// Whether it is there, up, and has carrier.
    pub up: bool,
    /// Its address.
    pub address: String,
}

impl From<&Uplink> for Way {
    fn from(uplink: &Uplink) -> Self {
        let (interface, address) = (uplink.interfaceName.clone(), uplink.address.clone());
        Self { interface, up: uplink.up, address }
    }
}

/// A registered listener.
pub struct Listener {
    heard: Receiver<Event>,
    _binder: Strong<dyn IGuestNetListener>,
}

struct Ear(Mutex<Sender<Event>>);

impl Ear {
    fn hear(&self, event: Event) -> binder::Result<()> {
        // Nobody may be listening any more.
        let _ = self.0.lock().expect("the sender").send(event);
        Ok(())
    }
}

impl Interface for Ear {}

impl IGuestNetListener for Ear {
    fn onGuest(&self, event: GuestEvent, guest: &Guest) -> binder::Result<()> {
        self.hear(Event::Guest(event, guest.name.clone(), guest.state))
    }

    fn onUplink(&self, previous: &Uplink, current: &Uplink, gap: i64) -> binder::Result<()> {
        self.hear(Event::Uplink(previous.into(), current.into(), gap))
    }
}

impl Listener {
    /// Registers a new one.
    pub fn new(service: &dyn IGuestNet) -> Self {
        let (sender, heard) = mpsc::channel();
        let ear = Ear(Mutex::new(sender));
        let binder = BnGuestNetListener::new_binder(ear, BinderFeatures::default());
        service.registerListener(&binder).expect("registerListener");
        Self { heard, _binder: binder }
    }

    /// The next notice about a guest: what happened, to whom, and its state.
    #[track_caller]
    pub fn next_guest(&self) -> (GuestEvent, String, GuestState) {
        loop {
            if let Event::Guest(event, name, state) = self.next() {
                return (event, name, state);
            }
        }
    }

    /// The next notice about the uplink: before, now, and the microseconds between.
    #[track_caller]
    pub fn next_uplink(&self) -> (Way, Way, i64) {
        loop {
            if let Event::Uplink(previous, current, gap) = self.next() {
                return (previous, current, gap);
            }
        }
    }

    #[track_caller]
    fn next(&self) -> Event {
        self.heard.recv_timeout(BOUND).expect("a notice")
    }
}
