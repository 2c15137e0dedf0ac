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
use crate::{json, render, uplink, verdict};
use android_system_guestnet::aidl::android::system::guestnet::{
    Guest::Guest, GuestState::GuestState, IGuestNet::IGuestNet, Status::Status,
};

/// Says what was attached, and when its traffic waits, for what.
pub fn tell(
    guestnet: &dyn IGuestNet,
    output: &Output,
    guest: &Guest,
    timeline: bool,
) -> Result<Exit, Failure> {
    let advice = (guest.state == GuestState::WAITING_FOR_UPLINK).then(|| advice(guestnet, guest));
    output.answer(
        || json::attached(guest, advice.as_deref()),
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

/// The guest is attached whatever becomes of this second question.
fn advice(guestnet: &dyn IGuestNet, guest: &Guest) -> String {
    match guestnet.status(Some(&guest.name)) {
        Ok(status) => cause(&status, guest),
        Err(e) => format!("there is no uplink, and why could not be asked: {}", Failure::from(e)),
    }
}

/// The uplink's trouble; where that is not what the guest waits for, its own.
fn cause(status: &Status, guest: &Guest) -> String {
    let layers = status.guests.first().map_or(&[][..], |of| &of.layers);
    match verdict::of(layers).layer() {
        Some(own) if guest.uplink.is_some() || uplink::ready(&status.uplink) => own.text.clone(),
        _ => uplink::advice(&status.uplink),
    }
}
