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

//! netd's answer to the request for forwarding: waited for on a thread of its own, without the daemon's
//! lock.

use crate::daemon::{Daemon, Handle};
use crate::error::Error;

/// Asks netd on a thread of its own, without the daemon's lock.
pub(in crate::daemon) fn ask(handle: &Handle) -> Result<(), Error> {
    let request = handle.enter(|daemon| Ok(daemon.shared.forwarding.get().request()))?;
    let Some(request) = request else { return Ok(()) };
    let with = handle.clone();
    let work = move || {
        let result = request.ask();
        // Else guestnetd ends.
        let _ = with.call(|daemon| {
            daemon.netd_answered(result);
            Ok(())
        });
    };
    let spawned = std::thread::Builder::new().name("netd".into()).spawn(work);
    let Err(cause) = spawned else { return Ok(()) };
    handle.enter(|daemon| {
        daemon.netd_answered(Err(Error::Forwarding { switch: "on", cause }));
        Ok(())
    })
}

impl Daemon {
    /// netd has answered.
    fn netd_answered(&mut self, result: Result<(), Error>) {
        let again = self.shared.forwarding.get_mut().answered(&result);
        self.world.awaits_netd = false;
        let result = match result {
            // Between its answer and this it may have started again.
            Ok(()) if !self.shared.forwarding.get().is_on() => Err(Error::Forwarding {
                switch: "on",
                cause: std::io::Error::other("netd was asked, but net.ipv4.ip_forward is 0"),
            }),
            other => other,
        };
        if let Err(e) = &result {
            log::error!("forwarding: {e}");
        } else {
            log::info!("forwarding: netd has answered");
        }
        self.shared.forwarding.answered(true, &result);
        if again && self.world.guests.need_forwarding() {
            self.shared.forwarding.get_mut().ask_later();
            self.world.awaits_netd = true;
        }
        // What netd does when it starts is done now.
        self.pass_after_netd();
    }
}
