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

use crate::exit::{Exit, Failure};
use crate::output::{self, Output};
use crate::{json, render, verdict};
use android_system_guestnet::aidl::android::system::guestnet::{
    Guest::Guest, GuestState::GuestState, IGuestNet::IGuestNet, LayerStatus::LayerStatus,
};

/// Says what was attached, and when its traffic waits, for what.
pub fn tell(
    guestnet: &dyn IGuestNet,
    output: &Output,
    guest: &Guest,
    timeline: bool,
) -> Result<Exit, Failure> {
    let waits = guest.state == GuestState::WAITING_FOR_UPLINK;
    let why = waits.then(|| why(guestnet, guest));
    let reason = why.as_ref().and_then(|why| why.as_ref().ok());
    let advice = why.as_ref().map(|why| why.as_ref().map_or_else(String::clone, verdict::advice));
    output.answer(
        || json::attached(guest, advice.as_deref(), reason),
        || render::guest::attached(guest, timeline),
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
