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

//! What is said after an attach, by whichever command it was done.

use crate::cli::NamesArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, Output};
use crate::resolv_conf::{self, Done, Place};
use crate::{json, render, verdict};
use android_system_guestnet::aidl::android::system::guestnet::{
    Guest::Guest, GuestState::GuestState, IGuestNet::IGuestNet, LayerStatus::LayerStatus,
};

/// The file that the guest's names are to be in, if one was asked for: before the attach.
pub fn file(names: &NamesArgs, pid: Option<i32>) -> Result<Option<Place>, Failure> {
    let place = names.resolv_conf.as_ref().map(|which| resolv_conf::place(which, pid));
    place.transpose().map_err(|message| Failure::new(Exit::BadInput, message))
}

/// Says what was attached, and who answers for names, which is written to `file`; and when its traffic
/// waits, for what. The guest is attached whatever becomes of the file.
pub fn tell_new(
    guestnet: &dyn IGuestNet,
    output: &Output,
    guest: &Guest,
    timeline: bool,
    file: Option<Place>,
) -> Result<Exit, Failure> {
    let done = file.map(|place| place.write(&guest.name, &guest.gateway));
    let exit = say(guestnet, output, guest, timeline, Some(done.as_ref()))?;
    if let Some(Done { path, left: Some(why) }) = &done {
        output::complain(&format!(
            "{} is left as it is: {why}; what it has to say is: nameserver {}",
            path.display(),
            guest.gateway
        ));
    }
    Ok(exit)
}

/// Says what a guest has after it was changed, and when its traffic waits, for what.
pub fn tell(
    guestnet: &dyn IGuestNet,
    output: &Output,
    guest: &Guest,
    timeline: bool,
) -> Result<Exit, Failure> {
    say(guestnet, output, guest, timeline, None)
}

/// `names`: for a new guest, what became of its file.
fn say(
    guestnet: &dyn IGuestNet,
    output: &Output,
    guest: &Guest,
    timeline: bool,
    names: Option<Option<&Done>>,
) -> Result<Exit, Failure> {
    let waits = guest.state == GuestState::WAITING_FOR_UPLINK;
    let why = waits.then(|| why(guestnet, guest));
    let reason = why.as_ref().and_then(|why| why.as_ref().ok());
    let advice = why.as_ref().map(|why| why.as_ref().map_or_else(String::clone, verdict::advice));
    output.answer(
        || json::attached(guest, advice.as_deref(), reason, names.flatten()),
        || {
            let names = names
                .map(|done| render::guest::names(guest, done, output.look()))
                .unwrap_or_default();
            render::guest::attached(guest, timeline, output.look()) + &names
        },
    )?;
    match advice {
        Some(advice) => {
            output::complain(&advice);
            Ok(Exit::NoUplink)
        }
        None => Ok(Exit::Ok),
    }
}

/// The layer that it waits at. The guest is attached whatever becomes of this second question.
fn why(guestnet: &dyn IGuestNet, guest: &Guest) -> Result<LayerStatus, String> {
    let status = guestnet.status(Some(&guest.name)).map_err(|e| {
        format!("there is no uplink, and guestnetd could not be asked why: {}", Failure::from(e))
    })?;
    let reason = status.guests.into_iter().next().and_then(|of| of.reason);
    reason.ok_or_else(|| "there was no uplink at first; now there is".to_owned())
}
