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

//! Events, one line each.

use super::plain::plain;
use super::{guest as guests, units};
use crate::names::Name;
use android_system_guestnet::aidl::android::system::guestnet::{
    EndCause::EndCause, Guest::Guest, GuestEvent::GuestEvent, Uplink::Uplink,
};

/// What happened to a guest, and when.
pub fn guest(at_millis: i64, event: GuestEvent, guest: &Guest) -> String {
    let what = match event {
        GuestEvent::ATTACHED => guests::line(guest),
        GuestEvent::STATE => format!("{}: {}", guest.name, guest.state.words()),
        GuestEvent::LOST => format!("{}: {}", guest.name, why_lost(guest.endCause)),
        GuestEvent::DETACHED => format!("{}{}", guest.name, by_whom(guest)),
        _ => guest.name.clone(),
    };
    format!("{}  {:<8}  {what}\n", units::date(at_millis), event.words())
}

/// Who detached it; nothing where an older guestnetd does not say.
fn by_whom(guest: &Guest) -> String {
    match (guest.endedByUid, guest.endedByPid) {
        (-1, _) => String::new(),
        (uid, pid @ 1..) => format!(": by uid {}, pid {pid}", uid as u32),
        (uid, _) => format!(": by uid {}", uid as u32),
    }
}

/// Why a guest is gone that nobody detached.
pub fn why_lost(cause: EndCause) -> String {
    match cause {
        EndCause::PROCESS_EXITED => "its process has ended".to_owned(),
        EndCause::NAMESPACE_GONE => "its network namespace has ended".to_owned(),
        EndCause::LINK_DELETED => "its link was deleted".to_owned(),
        EndCause::OWNER_DIED => "its owner has died".to_owned(),
        EndCause::LEASE_ENDED => "its lease has ended".to_owned(),
        EndCause::TAP_CLOSED => "the last descriptor of its TAP device was closed".to_owned(),
        EndCause::NONE => "its link disappeared".to_owned(), // an older guestnetd
        other => other.words(),
    }
}

/// From which uplink to which, and when.
pub fn uplink(at_millis: i64, previous: &Uplink, current: &Uplink, gap_micros: i64) -> String {
    format!(
        "{}  uplink    {} -> {}, rules in place after {}\n",
        units::date(at_millis),
        plain(&previous.text, false),
        plain(&current.text, false),
        units::micros(gap_micros)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn one_line_for_each_event() {
        let demo = samples::guest();
        for (event, text) in [
            (
                GuestEvent::ATTACHED,
                "attached  demo: wlan0 172.17.3.3/16 behind vm_wlan, default via 172.17.3.2\n",
            ),
            (GuestEvent::STATE, "state     demo: attached\n"),
            (GuestEvent::DETACHED, "detached  demo\n"),
            (GuestEvent::LOST, "lost      demo: its link disappeared\n"),
            (GuestEvent(9), "9         demo\n"),
        ] {
            let line = format!("1970-01-01 00:00:01 UTC  {text}");
            assert_eq!(guest(1234, event, &demo), line);
        }
        let killed = Guest { endCause: EndCause::PROCESS_EXITED, ..samples::guest() };
        let text = "1970-01-01 00:00:01 UTC  lost      demo: its process has ended\n";
        assert_eq!(guest(1999, GuestEvent::LOST, &killed), text);
    }

    #[test]
    fn who_detached_it() {
        for (uid, pid, text) in
            [(0, 42, "demo: by uid 0, pid 42"), (-2, 0, "demo: by uid 4294967294"), (-1, 0, "demo")]
        {
            let gone = Guest { endedByUid: uid, endedByPid: pid, ..samples::guest() };
            let line = format!("1970-01-01 00:00:00 UTC  detached  {text}\n");
            assert_eq!(guest(0, GuestEvent::DETACHED, &gone), line);
        }
    }

    #[test]
    fn from_one_uplink_to_another() {
        let uplink_of = |text: &str| Uplink { text: text.to_owned(), ..Uplink::default() };
        let (none, now) =
            (uplink_of("no interface wlan0"), uplink_of("wl\x1ban0 10.0.0.5, MTU 1500"));
        assert_eq!(
            uplink(0, &none, &now, 800),
            "1970-01-01 00:00:00 UTC  uplink    no interface wlan0 -> wl\\u{1b}an0 10.0.0.5, MTU 1500, rules in place after 800 us\n"
        );
    }
}
