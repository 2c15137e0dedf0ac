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

//! `guestnetctl attach --hold`: attaches a guest as its owner, and stays until the guest is gone. When
//! this process ends before, guestnetd detaches the guest.

use crate::cli::{GuestArgs, NamesArgs};
use crate::exit::{Exit, Failure};
use crate::output::{self, Output};
use crate::render::events;
use crate::{attached, client, target};
use android_system_guestnet::aidl::android::system::guestnet::{
    EndCause::EndCause,
    Guest::Guest,
    GuestEvent::GuestEvent,
    GuestState::GuestState,
    IGuestNetListener::{BnGuestNetListener, IGuestNetListener},
    Uplink::Uplink,
};
use binder::{BinderFeatures, DeathRecipient, IBinder, Interface};
use std::sync::mpsc::{self, Sender};

/// The guest's owner, which is told of guests, too.
struct Owner {
    name: String,
    /// Why the guest is gone; nothing: guestnetd is.
    gone: Sender<Option<EndCause>>,
}

impl Interface for Owner {}

impl IGuestNetListener for Owner {
    fn onGuest(&self, _event: GuestEvent, guest: &Guest) -> binder::Result<()> {
        if guest.name == self.name && guest.state == GuestState::GONE {
            // Nobody hears when we are about to end.
            let _ = self.gone.send(Some(guest.endCause));
        }
        Ok(())
    }

    fn onUplink(&self, _previous: &Uplink, _current: &Uplink, _gap: i64) -> binder::Result<()> {
        Ok(())
    }
}

/// Attaches, says so, and stays.
pub fn run(
    uri: Option<&str>,
    output: &Output,
    args: &GuestArgs,
    names: &NamesArgs,
    timeline: bool,
) -> Result<Exit, Failure> {
    let (config, named) = target::asked(args)?;
    let file = attached::file(names, args.target.pid)?;
    let guestnet = client::connect(uri)?;
    let (gone, hear) = mpsc::channel();
    let lost = gone.clone();
    let mut recipient = DeathRecipient::new(move || {
        let _ = lost.send(None);
    });
    guestnet.as_binder().link_to_death(&mut recipient).map_err(|e| {
        Failure::new(Exit::Other, format!("cannot notice when guestnetd goes away: {e:?}"))
    })?;
    let owner = Owner { name: args.name.get().to_owned(), gone };
    let owner = BnGuestNetListener::new_binder(owner, BinderFeatures::default());
    let guest = guestnet.attach(&config, &named, Some(&owner.as_binder()))?;
    guestnet.registerListener(&owner)?;
    attached::tell_new(&**guestnet, output, &guest, timeline, file)?;
    output::complain("holding; the guest is detached when this ends");
    match hear.recv() {
        Ok(Some(EndCause::DETACHED)) => Ok(Exit::Ok),
        Ok(Some(cause)) => {
            output::complain(&format!("{}: {}", args.name.get(), events::why_lost(cause)));
            Ok(Exit::Ok)
        }
        Ok(None) | Err(_) => {
            Err(Failure::new(Exit::Unreachable, "guestnetd went away; see its log"))
        }
    }
}
