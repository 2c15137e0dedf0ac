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

//! From the call until the guest's first packet is answered beyond the uplink.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_tests::client::{by_netns, config};
use guestnet_tests::{Device, Guest, InNetns, Internet};
use std::os::fd::AsFd;

use crate::crowd::{on_a_thread, Plain};
use crate::error::{Doing, Error, Result};
use crate::measure::{order, Samples, Steps};
use crate::options::Options;
use crate::progress;
use crate::report::cells::{micros, ratio, text};
use crate::report::table::{Cell, Table};
use crate::service::{filter, Service};
use crate::settle::{go, Settle};

const LIMIT: Duration = Duration::from_secs(2);

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

fn measure(options: &Options) -> Result<Table> {
    let device = Device::options().forwarding().build();
    let service = Service::start(&options.bin, &device, &[])?;
    let client = service.connect()?;
    let mut plain = Plain::new(&filter(&options.bin)?)?;
    let mut settle = Settle::new()?;
    let rounds = options.rounds(30);
    // guestnetd, the floor, a null call; of the first two also the packet alone.
    let mut whole = [Samples::default(), Samples::default(), Samples::default()];
    let mut packet = [Samples::default(), Samples::default()];
    let mut guests = Vec::new();
    for round in 0..rounds + 2 {
        for who in order(round, 3) {
            let guest = Guest::new();
            let sender = Sender::new(&guest)?;
            let netns = guest.open_netns();
            go(&plain.device)?;
            let began = Instant::now();
            match who {
                0 => drop(client.attach(&config("guest"), &by_netns(netns), None)?),
                1 => {
                    let done = plain.floor.attach(0, netns.as_fd(), &mut Steps::begin());
                    done.doing("the floor")?;
                }
                _ => drop(client.get("nobody")?),
            }
            let attached = began.elapsed();
            if who < 2 {
                sender.exchange()?;
            }
            let took = began.elapsed();
            if round >= 2 {
                whole[who].push(took);
                if let Some(packet) = packet.get_mut(who) {
                    packet.push(took - attached);
                }
            }
            match who {
                0 => client.detach("guest")?,
                1 => plain.floor.delete(0).map(drop)?,
                _ => {}
            }
            guests.push(guest);
            settle.settle()?;
        }
        progress::show("first packet", round + 1, rounds + 2);
    }
    Ok(table(rounds, &whole, &packet))
}

fn table(rounds: usize, whole: &[Samples; 3], packet: &[Samples; 2]) -> Table {
    let columns = ["", "median", "p99", "of it the packet", "against the floor + call"];
    let title = "First packet: from the call until it is answered beyond the uplink";
    let mut table = Table::new("first-packet", title, &columns);
    let sum = whole[1].plus(&whole[2]);
    for (name, samples, packet) in [
        ("guestnetd", &whole[0], packet[0].median()),
        ("the floor", &whole[1], packet[1].median()),
        ("the floor + one null call", &sum, packet[1].median()),
    ] {
        table.row(
            name,
            vec![
                micros(samples.median()),
                micros(samples.percentile(99.0)),
                micros(packet),
                ratio(samples.ratio(&sum)),
            ],
        );
    }
    let measured = whole[0].median().map(|us| (text(&Cell::Micros(us)), us < 2000.0));
    table.target(
        "call to a guest's first packet answered beyond the uplink",
        "under 2 ms",
        measured,
    );
    table.method.push(format!(
        "{rounds} rounds. A UDP socket of the guest's namespace is open before; when the attach is \
         answered it sends one datagram to a server behind the uplink, and waits for the echo. The \
         neighbours are resolved on the way, as for every new guest."
    ));
    table
}

/// A UDP socket in a guest.
struct Sender(UdpSocket);

impl Sender {
    fn new(guest: &Guest) -> Result<Self> {
        let socket = guest.enter(|| UdpSocket::bind("0.0.0.0:0"))?;
        socket.set_read_timeout(Some(LIMIT))?;
        Ok(Self(socket))
    }

    fn exchange(&self) -> Result<()> {
        self.0.send_to(b"first", Internet::UDP).doing("the guest's first packet")?;
        let mut buffer = [0; 64];
        let length = self.0.recv(&mut buffer).doing("its answer")?;
        let wanted = format!("{} first", Device::ADDRESS);
        let right = buffer[..length] == *wanted.as_bytes();
        right.then_some(()).ok_or_else(|| Error::new("the answer is not through NAT"))
    }
}
