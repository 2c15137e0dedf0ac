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

//! Two clients at once: with a name each, neither notices the other; with one name for both, one
//! gets it and the other is told so.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;

use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::{
    ERROR_NAME_IN_USE, ERROR_NO_SUCH_GUEST,
};
use guestnet_tests::bed::{Bed, Listener};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{Guest, Internet, Probe, Snapshot};

const ROUNDS: usize = 25;

#[test]
fn exactly_one_of_two_gets_the_name() {
    let bed = Bed::with_neighbour();
    let device = Snapshot::of(&bed.device);
    let guests = [Guest::new(), Guest::new()];
    let together = Barrier::new(2);
    let one = |guest: &Guest| {
        let service = bed.daemon.connect();
        let mut wins = Vec::new();
        for round in 0..ROUNDS {
            together.wait();
            let answer = service.attach(&config("one"), &by_pid(guest.pid()), None);
            let won = match &answer {
                Ok(_) => true,
                Err(e) => {
                    assert_eq!(e.service_specific_error(), ERROR_NAME_IN_USE, "{round}: {e}");
                    false
                }
            };
            wins.push(won);
            together.wait();
            assert_eq!(guest.link("wlan0").is_some(), won, "round {round}");
            together.wait();
            // Both take it away: the later one finds it leaving, or gone.
            match service.detach("one") {
                Ok(()) => {}
                Err(e) => assert_eq!(e.service_specific_error(), ERROR_NO_SUCH_GUEST, "{e}"),
            }
            together.wait();
            assert!(guest.link("wlan0").is_none(), "round {round}");
        }
        wins
    };
    let [left, right] = thread::scope(|scope| {
        let threads = [scope.spawn(|| one(&guests[0])), scope.spawn(|| one(&guests[1]))];
        threads.map(|thread| thread.join().expect("a client"))
    });
    for round in 0..ROUNDS {
        assert_ne!(left[round], right[round], "round {round}");
    }
    device.assert_same(&Snapshot::of(&bed.device));
    bed.assert_neighbour_talks("the fight");
}

#[test]
fn everybody_hears_every_step_of_two_clients_at_once() {
    let bed = Bed::with_neighbour();
    let listener = Listener::new();
    bed.service.registerListener(&listener.binder).expect("registerListener");
    let before = bed.before();
    std::thread::scope(|scope| {
        for name in ["left", "right"] {
            let daemon = &bed.daemon;
            scope.spawn(move || {
                let (service, guest) = (daemon.connect(), Guest::new());
                for round in 0..50 {
                    let attached = service.attach(&config(name), &by_pid(guest.pid()), None);
                    let attached = attached.unwrap_or_else(|e| panic!("{name} {round}: {e}"));
                    assert_eq!(attached.name, name);
                    assert!(round % 10 > 0 || guest.ping(Internet::ADDRESS), "{name} {round}");
                    service.detach(name).unwrap_or_else(|e| panic!("{name} {round}: {e}"));
                }
            });
        }
    });
    let mut last = BTreeMap::new();
    for heard in 0..200 {
        let (event, guest) = listener.next_guest();
        let expected = match last.insert(guest.name.clone(), event) {
            Some(GuestEvent::ATTACHED) => GuestEvent::DETACHED,
            _ => GuestEvent::ATTACHED,
        };
        assert_eq!(event, expected, "event {heard}, {}", guest.name);
    }
    assert!(listener.try_next().is_none() && last.len() == 2, "{last:?}");
    before.assert_same_device(&bed);
    bed.assert_neighbour_talks("two clients");
}
