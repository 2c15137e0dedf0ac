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

//! What a guest's root may send: nobody gets another's lease, and nobody else waits for it.

use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use guestnet_tests::bed::{eventually, Bed, BOUND};
use guestnet_tests::{Guest, InNetns};

use crate::raw::{framed, Frame, Wire, DISCOVER, RELEASE, REQUEST};
use crate::scene::{counters, Client};

const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
/// The first guest's, which all of these tests are about, and the next one's.
const OWN: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
const OTHERS: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 4);
/// Nothing has come by then: what is answered is so within a millisecond.
const SILENCE: Duration = Duration::from_millis(200);

/// A guest that is attached, one beside it, and the wire of the first.
fn scene() -> (Bed, Guest, Wire) {
    let bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    let other = Guest::new();
    bed.attach("other", &other);
    let wire = Wire::of(&bed.guest);
    (bed, other, wire)
}

#[test]
fn a_stranger_gets_no_lease_and_is_counted() {
    let (bed, _other, wire) = scene();
    let own = Frame::of(&bed.guest, DISCOVER);
    let stranger = [2, 0, 0, 0, 0, 1];
    let odd = [
        Frame { chaddr: stranger, ..own.clone() },
        Frame { mac: stranger, ..own.clone() },
        Frame { mac: stranger, chaddr: stranger, ..own.clone() },
        Frame { giaddr: OTHERS, ..own.clone() },
        Frame { giaddr: Ipv4Addr::new(172, 17, 3, 2), ..own.clone() },
        Frame { source: OTHERS, ..own.clone() },
        Frame { source: Ipv4Addr::new(1, 1, 1, 1), ..own.clone() },
        Frame { port: 6800, ..own.clone() },
        Frame { options: vec![255], ..own.clone() },
        Frame { options: vec![53, 1, OFFER, 255], ..own.clone() },
        Frame { options: vec![53, 200, 1], ..own.clone() },
    ];
    for (refused, odd) in (1..).zip(odd) {
        wire.send(&odd.bytes());
        eventually(&format!("it is counted: {odd:?}"), || {
            counters(&bed, "box") == [0, 0, 0, refused]
        });
    }
    assert_eq!(wire.answer(SILENCE), None);
    wire.send(&own.bytes());
    assert_eq!(wire.answer(BOUND), Some((OFFER, OWN)));
}

#[test]
fn whatever_a_guest_asks_for_it_gets_its_own_or_nothing() {
    let (bed, _other, wire) = scene();
    let wants = |address: Ipv4Addr| {
        let [a, b, c, d] = address.octets();
        let options = vec![53, 1, REQUEST, 50, 4, a, b, c, d, 255];
        Frame { options, ..Frame::of(&bed.guest, REQUEST) }
    };
    wire.send(&wants(OTHERS).bytes());
    assert_eq!(wire.answer(BOUND), Some((NAK, NOBODY)));
    wire.send(&wants(OWN).bytes());
    assert_eq!(wire.answer(BOUND), Some((ACK, OWN)));
    // As if it had another's, and from there.
    let has = Frame { ciaddr: OTHERS, source: OTHERS, ..Frame::of(&bed.guest, REQUEST) };
    wire.send(&has.bytes());
    assert_eq!(wire.answer(BOUND), Some((NAK, NOBODY)));
    assert_eq!(counters(&bed, "other"), [0; 4]);
}

#[test]
fn garbage_of_every_length_is_dropped() {
    let (bed, _other, wire) = scene();
    let own = Frame::of(&bed.guest, DISCOVER);
    let whole = own.message();
    let mut oversized = whole.clone();
    oversized.pop();
    oversized.resize(1400, 0);
    let mut bytes: Vec<Vec<u8>> = (0..whole.len()).step_by(13).map(|n| whole[..n].into()).collect();
    bytes.extend([Vec::new(), vec![0xff; 1472], vec![0; 1472], oversized.clone()]);
    for (n, payload) in bytes.iter().enumerate() {
        // Below the pace of a guest that sends too much.
        if n % 20 == 19 {
            std::thread::sleep(Duration::from_millis(2000));
        }
        wire.send(&framed(&own, payload));
    }
    // The last one was a whole message with a lot behind it.
    assert_eq!(wire.answer(BOUND), Some((OFFER, OWN)));
    let mut short = own.bytes();
    short.truncate(60);
    wire.send(&short);
    wire.send(&framed(&own, &whole));
    assert_eq!(wire.answer(BOUND), Some((OFFER, OWN)));
    // Each that had no answer is counted: all but the one with a lot behind it, and the short one.
    // It is counted behind its answer.
    eventually("all are counted", || counters(&bed, "box") == [2, 0, 0, bytes.len() as i64]);
}

#[test]
fn a_storm_of_one_guest_stops_nobody_else() {
    let (bed, other, wire) = scene();
    let own = Frame::of(&bed.guest, DISCOVER);
    let storm = std::thread::spawn(move || {
        for n in 0..100_000_u32 {
            let [_, a, b, c] = n.to_be_bytes();
            let stranger = [2, 0, 0, a, b, c];
            // From a stranger for itself, from the guest for a stranger, from a stranger for the guest.
            let (mac, chaddr) = match n % 3 {
                0 => (stranger, stranger),
                1 => (own.mac, stranger),
                _ => (stranger, own.mac),
            };
            wire.send(&Frame { mac, chaddr, ..own.clone() }.bytes());
        }
        wire
    });
    let began = Instant::now();
    let mut leases = 0;
    while !storm.is_finished() || leases == 0 {
        let client = Client::udhcpc(&other, "-q");
        assert!(client.told().starts_with("bound ip=172.17.3.4/16"));
        leases += 1;
    }
    let wire = storm.join().expect("the storm");
    eprintln!("{leases} leases within a storm of {:?}", began.elapsed());
    let [offers, acks, naks, refused] = counters(&bed, "box");
    assert_eq!([offers, acks, naks], [0; 3], "a stranger got something");
    assert!(refused > 0);
    assert_eq!(counters(&bed, "other")[3], 0);
    // It is heard again, and has its own lease as ever.
    let own = Frame::of(&bed.guest, DISCOVER).bytes();
    eventually("it is heard again", || {
        wire.send(&own);
        wire.answer(Duration::from_millis(300)) == Some((OFFER, OWN))
    });
}

/// What it has is kept for the next start, and a guest is heard ten times in a second.
#[test]
fn a_guest_that_takes_and_releases_its_lease_does_not_fill_the_disk() {
    let (bed, _other, wire) = scene();
    let path = bed.daemon.state_dir().join("guests/box.json");
    let written = move || std::fs::metadata(&path).map(|f| (f.ino(), f.mtime_nsec())).ok();
    let (stop, began) = (Arc::new(AtomicBool::new(false)), Instant::now());
    let watch = std::thread::spawn({
        let (stop, written) = (Arc::clone(&stop), written.clone());
        move || {
            let (mut last, mut writes) = (written(), 0);
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
                let now = written();
                writes += u32::from(now != last);
                last = now;
            }
            writes
        }
    });
    let [a, b, c, d] = OWN.octets();
    let takes = Frame {
        options: vec![53, 1, REQUEST, 50, 4, a, b, c, d, 255],
        ..Frame::of(&bed.guest, REQUEST)
    };
    let releases = Frame {
        options: vec![53, 1, RELEASE, 54, 4, 172, 17, 3, 2, 255],
        ciaddr: OWN,
        source: OWN,
        ..Frame::of(&bed.guest, RELEASE)
    };
    let mut turns = 0;
    while began.elapsed() < Duration::from_secs(3) {
        wire.send(&takes.bytes());
        assert_eq!(wire.answer(BOUND), Some((ACK, OWN)), "after {turns} turns");
        wire.send(&releases.bytes());
        turns += 1;
        // The first ones may come fast.
        std::thread::sleep(Duration::from_millis(if turns < 12 { 30 } else { 210 }));
    }
    wire.send(&takes.bytes());
    assert_eq!(wire.answer(BOUND), Some((ACK, OWN)));
    let record = bed.daemon.state_dir().join("guests/box.json");
    eventually("what it has in the end is kept", || {
        std::fs::read_to_string(&record).is_ok_and(|text| text.contains("\"told\""))
    });
    stop.store(true, Ordering::Relaxed);
    let writes = watch.join().expect("the writes");
    let seconds = began.elapsed().as_secs();
    eprintln!("{turns} turns, {writes} writes in {seconds} s");
    assert!(turns > 15, "{turns} turns");
    assert!((1..=seconds as u32 + 2).contains(&writes), "{writes} writes in {seconds} s");
}

#[test]
fn a_server_in_a_guest_is_heard_by_nobody_else() {
    let (bed, other, _wire) = scene();
    // The first guest plays the gateway, with all that a server can do there.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("udhcpd.conf");
    let leases = folder.path().join("leases");
    std::fs::write(&leases, "").expect("leases");
    let text = format!(
        "start 10.6.6.6\nend 10.6.6.9\ninterface wlan0\nlease_file {}\nopt router 10.6.6.1\n",
        leases.display()
    );
    std::fs::write(&file, text).expect("its configuration");
    bed.guest.run("ip addr add 10.6.6.1/24 dev wlan0");
    let line = format!("busybox udhcpd -f {}", file.display());
    let mut server = bed.guest.words(&line).spawn().expect("udhcpd");
    let own = Wire::of(&bed.guest);
    let listens = || bed.guest.run("ss -lun").contains(":67 ");
    eventually("it listens", listens);
    for _ in 0..3 {
        let client = Client::udhcpc(&other, "-q");
        assert!(client.told().starts_with("bound ip=172.17.3.4/16 router=172.17.3.2"));
    }
    assert_eq!(own.answer(SILENCE), None, "what is told to one is heard by no other");
    let _ = server.kill();
    let _ = server.wait();
}
