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
//! A guest's question for a name: by DNAT to the resolver, and through guestnetd's forwarder to the same one.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::{
    DnsMode::DnsMode, GuestConfig::GuestConfig, IGuestNet::IGuestNet,
};
use guestnet_tests::bed::GATEWAY;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::resolver::{self, question};
use guestnet_tests::{poll, Device, Guest, InNetns};

use crate::crowd::on_a_thread;
use crate::error::{Doing, Error, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells::{micros, ratio, text};
use crate::report::table::{Cell, Table};
use crate::service::Service;

const RESOLVER: &str = "192.0.2.53";
/// How long an answer is waited for; that is then its time.
const LOST: Duration = Duration::from_secs(1);
/// Questions of a round, one after the other.
const AT_A_TIME: usize = 200;
/// On their way at once for each of the guests that ask as fast as they are answered.
const WINDOW: u16 = 32;
/// How long those ask, and how long a storm lasts.
const WHILE: Duration = Duration::from_secs(2);

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

/// What was measured.
#[derive(Default)]
struct Found {
    /// By DNAT, and by the forwarder.
    one: [Samples; 2],
    /// Answers in a second, in the same order.
    rate: [Samples; 2],
    /// By the forwarder, while another guest is quiet, and while it sends all it can.
    beside: [Samples; 2],
}

fn measure(options: &Options) -> Result<Table> {
    let device = Device::new();
    device.internet.run(&format!("ip addr add {RESOLVER}/32 dev lo"));
    let at = RESOLVER.parse().doing("an address")?;
    let (socket, _) = resolver::listen(&device.internet, at);
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    // A guest that asks every 2 ms by a new socket would meet its limit of connections: not measured here.
    let arguments = ["--dns", RESOLVER, "--guest-connections", "65536"];
    let service = Service::start(&options.bin, &device, &arguments)?;
    let client = service.connect()?;
    let modes =
        [DnsMode::DNAT, DnsMode::DNAT, DnsMode::FORWARD, DnsMode::FORWARD, DnsMode::FORWARD];
    let mut guests = Vec::new();
    for (at, dns) in modes.into_iter().enumerate() {
        let guest = Guest::new();
        let asks = GuestConfig { dns, ..config(&format!("guest{at}")) };
        client.attach(&asks, &by_pid(guest.pid()), None)?;
        guests.push(guest);
    }
    let [dnat, _, forwarded, _, storm] = &guests[..] else { return Err(Error::new("five guests")) };
    let over = AtomicBool::new(false);
    let rounds = options.rounds(10);
    thread::scope(|scope| {
        scope.spawn(|| answer(&socket, &over));
        let done = (|| {
            for guest in &guests {
                poll(Duration::from_secs(5), || ask(guest).ok().filter(|took| *took < LOST))
                    .ok_or_else(|| Error::new("a guest is not answered"))?;
            }
            let mut found = Found::default();
            for round in 0..rounds + 1 {
                // Warm, and thrown away.
                if round == 1 {
                    found = Found::default();
                }
                for way in order(round, 2) {
                    for _ in 0..AT_A_TIME {
                        found.one[way].push(ask([dnat, forwarded][way])?);
                    }
                    found.rate[way].push_micros(rate(&guests[2 * way..2 * way + 2])?);
                }
                for busy in order(round, 2) {
                    let over = AtomicBool::new(busy == 0);
                    thread::scope(|scope| -> Result<()> {
                        let flood = scope.spawn(|| send_all_it_can(storm, &over));
                        let end = Instant::now() + WHILE;
                        while Instant::now() < end {
                            found.beside[busy].push(ask(forwarded)?);
                            thread::sleep(Duration::from_millis(2));
                        }
                        over.store(true, Ordering::Release);
                        flood.join().map_err(|_| Error::new("a panic, told above"))?
                    })?;
                }
                progress::show("names", round, rounds);
            }
            Ok(found)
        })();
        over.store(true, Ordering::Release);
        done
    })
    .map(|found| table(rounds, &found))
}

fn table(rounds: usize, found: &Found) -> Table {
    let columns = ["", "median", "p99", "beside DNAT, or quiet", "answers in a second"];
    let title = "Names: a guest's question, by DNAT and through guestnetd";
    let mut table = Table::new("names", title, &columns);
    let Found { one, rate, beside } = found;
    let number = |samples: &Samples| {
        samples.median().map_or(Cell::Empty, |n| Cell::Number(n, String::new()))
    };
    for (name, samples, base, rate) in [
        ("by DNAT", &one[0], &one[0], number(&rate[0])),
        ("through guestnetd's forwarder", &one[1], &one[0], number(&rate[1])),
        ("the same while nobody else asks", &beside[0], &beside[0], Cell::Empty),
        ("the same while another guest sends all it can", &beside[1], &beside[0], Cell::Empty),
    ] {
        let cells = vec![
            micros(samples.median()),
            micros(samples.percentile(99.0)),
            ratio(samples.ratio(base)),
            rate,
        ];
        table.row(name, cells);
    }
    let more = one[1].median().zip(one[0].median()).map(|(ours, dnat)| ours - dnat);
    table.target(
        "a question through the forwarder against DNAT",
        "at most 60 us more",
        more.map(|us| (text(&Cell::Micros(us)), us <= 60.0)),
    );
    table.target(
        "answers through the forwarder, with everything on this machine's processors",
        "at least 40 000 in a second",
        rate[1].median().map(|n| (format!("{n:.0}"), n >= 40_000.0)),
    );
    let tails = beside[1].percentile(99.0).zip(beside[0].percentile(99.0));
    table.target(
        "p99 of a guest while another one sends all it can",
        "under 2x quiet",
        tails.map(|(busy, quiet)| (format!("{:.2}x", busy / quiet), busy < 2.0 * quiet)),
    );
    table.method.push(format!(
        "{rounds} rounds, DNAT and forwarder in changing order. One resolver behind the uplink answers all. \
         A question has a socket of its own, as those of a resolver in C have: {AT_A_TIME} of them one after the \
         other. A guest may have 65 536 connections, so that none of its questions is beyond its limit. \
         Answers in a second: two guests, {WINDOW} questions on their way for each, for {} s; those who ask, \
         guestnetd and the resolver share the processors. A storm: one guest sends questions by a hundred \
         sockets as fast as it can, and reads no answer, while another asks every 2 ms.",
        WHILE.as_secs()
    ));
    table
}

/// One question of a guest, by a socket of its own.
fn ask(guest: &Guest) -> Result<Duration> {
    let socket = guest.enter(|| UdpSocket::bind("0.0.0.0:0"))?;
    socket.connect((GATEWAY, 53))?;
    socket.set_read_timeout(Some(LOST))?;
    let began = Instant::now();
    socket.send(&question())?;
    let mut buffer = [0; 512];
    match socket.recv(&mut buffer) {
        Ok(_) => Ok(began.elapsed()),
        Err(_) => Ok(LOST),
    }
}

/// How many answers in a second these guests get, who ask again as they are answered.
fn rate(guests: &[Guest]) -> Result<f64> {
    let began = Instant::now();
    let counts = thread::scope(|scope| {
        let asking: Vec<_> = guests.iter().map(|guest| scope.spawn(|| busy(guest))).collect();
        let join = |one: thread::ScopedJoinHandle<'_, Result<u64>>| {
            one.join().map_err(|_| Error::new("a panic, told above"))?
        };
        asking.into_iter().map(join).collect::<Result<Vec<u64>>>()
    })?;
    Ok(counts.into_iter().sum::<u64>() as f64 / began.elapsed().as_secs_f64())
}

fn busy(guest: &Guest) -> Result<u64> {
    let socket = guest.enter(|| UdpSocket::bind("0.0.0.0:0"))?;
    socket.connect((GATEWAY, 53))?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut message = question();
    let mut ask = |id: u16| -> Result<()> {
        message[..2].copy_from_slice(&id.to_be_bytes());
        // A full queue is a lost question.
        let _ = socket.send(&message);
        Ok(())
    };
    let (mut id, mut answers, mut buffer) = (0_u16, 0, [0; 512]);
    let mut next = || {
        id = id.wrapping_add(1);
        id
    };
    for _ in 0..WINDOW {
        ask(next())?;
    }
    let end = Instant::now() + WHILE;
    while Instant::now() < end {
        match socket.recv(&mut buffer) {
            Ok(_) => {
                answers += 1;
                ask(next())?;
            }
            // All of them are lost.
            Err(_) => (0..WINDOW).try_for_each(|_| ask(next()))?,
        }
    }
    Ok(answers)
}

fn send_all_it_can(guest: &Guest, over: &AtomicBool) -> Result<()> {
    let socket = || guest.enter(|| UdpSocket::bind("0.0.0.0:0"));
    let sockets: Vec<_> = (0..100).map(|_| socket()).collect::<std::io::Result<_>>()?;
    let to: SocketAddr = SocketAddr::new(GATEWAY.parse().doing("an address")?, 53);
    let message = question();
    while !over.load(Ordering::Acquire) {
        for socket in &sockets {
            let _ = socket.send_to(&message, to);
        }
    }
    Ok(())
}

/// The resolver: what it is asked, with the bits of an answer that there is none.
fn answer(socket: &UdpSocket, over: &AtomicBool) {
    let mut buffer = [0; 512];
    while !over.load(Ordering::Acquire) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        buffer[2] |= 0x80;
        buffer[3] |= 0x80;
        let _ = socket.send_to(&buffer[..length], from);
    }
}
