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

//! A listener that passes on which guest came or went.

use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Mutex;

use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest;
use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNetListener::{
    BnGuestNetListener, IGuestNetListener,
};
use android_system_guestnet::aidl::android::system::guestnet::Uplink::Uplink;
use binder::{BinderFeatures, Interface, Strong};

/// An event and the guest's name.
type Heard = (GuestEvent, String);

struct Listener(Mutex<Sender<Heard>>);

impl Interface for Listener {}

impl IGuestNetListener for Listener {
    fn onGuest(&self, event: GuestEvent, guest: &Guest) -> binder::Result<()> {
        if let Ok(told) = self.0.lock() {
            // A test that is over listens no more.
            let _ = told.send((event, guest.name.clone()));
        }
        Ok(())
    }

    fn onUplink(&self, _previous: &Uplink, _current: &Uplink, _gap: i64) -> binder::Result<()> {
        Ok(())
    }
}

/// The listener, and what it hears.
pub fn attentive() -> (Strong<dyn IGuestNetListener>, Receiver<Heard>) {
    let (sender, heard) = channel();
    let listener = Listener(Mutex::new(sender));
    (BnGuestNetListener::new_binder(listener, BinderFeatures::default()), heard)
}
