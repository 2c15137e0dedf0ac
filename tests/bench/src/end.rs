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

//! From a guest's death until the device has its link no more, beside what the kernel takes alone.

use std::time::{Duration, Instant};

use guestnet_tests::client::{by_netns, by_pid, config};
use guestnet_tests::{poll, Device, Guest, InNetns};
use nix::net::if_::if_nametoindex;

use crate::build::Build;
use crate::contract::Client;
use crate::crowd::on_a_thread;
use crate::error::{Doing, Error, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells::{micros, ratio, text};
use crate::report::table::{Cell, Table};
use crate::service::Service;
use crate::settle::{go, Settle};

/// Microseconds.
const MOST: f64 = 30_000.0;
/// How often it is looked.
const PACE: Duration = Duration::from_micros(100);
const LIMIT: Duration = Duration::from_secs(10);
const LINK: &str = "vm_wlan";

/// Who gave the guest its link.
enum Giver {
    /// `ip`: the link goes with its namespace, and nobody else is told.
    Kernel,
    /// guestnetd, told of the guest by its pid or by its namespace.
    Service { client: Client, _service: Service, by_pid: bool },
}

struct Subject {
    name: String,
    giver: Giver,
    device: Device,
    times: Samples,
}

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

fn measure(options: &Options) -> Result<Table> {
    let mut subjects = vec![Subject {
        name: "the kernel alone".to_owned(),
        giver: Giver::Kernel,
        device: device(),
        times: Samples::default(),
    }];
    for build in Build::all(options)? {
        for (by_pid, how) in [(true, "pid"), (false, "netns fd")] {
            let device = device();
            let _service = Service::start(&build.bin, &device, &[])?;
            let client = build.connect(&_service)?;
            let giver = Giver::Service { client, _service, by_pid };
            let name = format!("{}, by {how}", build.name);
            subjects.push(Subject { name, giver, device, times: Samples::default() });
        }
    }
    let rounds = options.rounds(30);
    let mut settle = Settle::new()?;
    for round in 0..rounds + 1 {
        for at in order(round, subjects.len()) {
            let subject = &mut subjects[at];
            let took = subject.death().doing(&subject.name)?;
            if round > 0 {
                subject.times.push(took);
            }
            settle.settle()?;
        }
        progress::show("end", round, rounds);
    }
    Ok(table(rounds, &subjects))
}

fn device() -> Device {
    Device::options().forwarding().build()
}

impl Subject {
    /// A guest's life; gives the time from before its only process is killed until the link is gone.
    fn death(&mut self) -> Result<Duration> {
        let mut guest = Guest::new();
        match &self.giver {
            Giver::Kernel => {
                let to = self.device.netns.name();
                guest.run(&format!("ip link add wlan0 type veth peer name {LINK} netns {to}"));
                self.device.run(&format!("ip addr add 172.17.3.2/16 dev {LINK}"));
                self.device.run(&format!("ip link set {LINK} up"));
                guest.run("ip link set wlan0 up");
            }
            Giver::Service { client, by_pid: by, .. } => {
                let target = match by {
                    true => by_pid(guest.pid()),
                    false => by_netns(guest.open_netns()),
                };
                client.attach(&config("guest"), &target)?;
            }
        }
        go(&self.device)?;
        let there = || if_nametoindex(LINK).is_ok();
        if !there() {
            return Err(Error::new("there is no link"));
        }
        let began = Instant::now();
        guest.kill();
        while there() {
            if began.elapsed() > LIMIT {
                return Err(Error::new("the link stays"));
            }
            std::thread::sleep(PACE);
        }
        let took = began.elapsed();
        if let Giver::Service { client, .. } = &self.giver {
            // It may still have to find out.
            let nobody = || client.detach("guest").is_err().then_some(());
            poll(LIMIT, nobody).ok_or_else(|| Error::new("the guest stays"))?;
        }
        Ok(took)
    }
}

fn table(rounds: usize, subjects: &[Subject]) -> Table {
    let columns = ["", "median", "p90", "least", "worst", "against the kernel alone"];
    let title = "A guest's death: from the end of its process until its link is gone";
    let mut table = Table::new("end", title, &columns);
    let kernel = &subjects[0].times;
    for subject in subjects {
        let times = &subject.times;
        let cells = vec![
            micros(times.median()),
            micros(times.percentile(90.0)),
            micros(times.min()),
            micros(times.max()),
            ratio(times.against(kernel)),
        ];
        table.row(&subject.name, cells);
    }
    for subject in &subjects[1..3] {
        let median = subject.times.median();
        let measured = median.map(|us| (text(&Cell::Micros(us)), us < MOST));
        table.target(&format!("link gone: {}", subject.name), "under 30 ms", measured);
    }
    table.method.push(format!(
        "{rounds} rounds, in turn, each in a device of its own. The guest is one process in a network \
         namespace that nobody else holds; it is killed. It is looked every {} us whether the device's \
         end is there. A guest that was named by its pid lives by that process, one that was named by \
         its namespace until the kernel has taken that down. The kernel alone: the same link, made by \
         `ip`, and no guestnetd.",
        PACE.as_micros()
    ));
    table
}
