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

//! `guestnetctl watch`: a listener that prints what it is told, until Ctrl-C, until the count is
//! reached or until guestnetd goes away.

use crate::exit::{Exit, Failure};
use crate::output::{self, Output};
use crate::{client, json, render};
use android_system_guestnet::aidl::android::system::guestnet::{
    Guest::Guest,
    GuestEvent::GuestEvent,
    IGuestNetListener::{BnGuestNetListener, IGuestNetListener},
    Uplink::Uplink,
};
use binder::{BinderFeatures, DeathRecipient, IBinder, Interface};
use std::sync::mpsc::{self, Sender};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the main thread is told.
enum Heard {
    /// An event, rendered.
    Event(String),
    /// guestnetd is gone.
    Gone,
}

/// Renders events and hands them over: guestnetd never waits for our stdout.
struct Listener {
    output: Output,
    heard: Sender<Heard>,
}

impl Interface for Listener {}

impl IGuestNetListener for Listener {
    fn onGuest(&self, event: GuestEvent, guest: &Guest) -> binder::Result<()> {
        let at = now();
        self.hear(self.output.line(
            || json::guest_event(at, event, guest),
            || render::events::guest(at, event, guest),
        ));
        Ok(())
    }

    fn onUplink(&self, previous: &Uplink, current: &Uplink, gap: i64) -> binder::Result<()> {
        let at = now();
        self.hear(self.output.line(
            || json::uplink_event(at, previous, current, gap),
            || render::events::uplink(at, previous, current, gap),
        ));
        Ok(())
    }
}

/// Milliseconds since the epoch. It is told within milliseconds of the event, and has no time of its own.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(-1, |since| i64::try_from(since.as_millis()).unwrap_or(-1))
}

impl Listener {
    fn hear(&self, event: String) {
        // Nobody hears when the count is reached: we are about to end.
        let _ = self.heard.send(Heard::Event(event));
    }
}

/// Prints `count` events, or all there are.
pub fn run(uri: Option<&str>, output: &Output, count: Option<u64>) -> Result<Exit, Failure> {
    let guestnet = client::connect(uri)?;
    let (heard, hear) = mpsc::channel();
    let gone = heard.clone();
    let mut recipient = DeathRecipient::new(move || {
        let _ = gone.send(Heard::Gone);
    });
    let mut service = guestnet.as_binder();
    service.link_to_death(&mut recipient).map_err(|e| {
        Failure::new(Exit::Other, format!("cannot notice when guestnetd goes away: {e:?}"))
    })?;
    let listener = Listener { output: output.clone(), heard };
    let listener = BnGuestNetListener::new_binder(listener, BinderFeatures::default());
    guestnet.registerListener(&listener)?;
    output::complain("watching; Ctrl-C ends it");
    let mut left = count;
    while left != Some(0) {
        match hear.recv() {
            Ok(Heard::Event(event)) => output::write(&event)?,
            Ok(Heard::Gone) | Err(_) => {
                return Err(Failure::new(Exit::Unreachable, "guestnetd went away; see its log"))
            }
        }
        left = left.map(|n| n - 1);
    }
    guestnet.unregisterListener(&listener)?;
    Ok(Exit::Ok)
}
