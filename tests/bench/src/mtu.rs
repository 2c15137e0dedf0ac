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

//! How long a thousand guests take to follow their uplink's MTU.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use guestnet_tests::{poll, InNetns};

use crate::build::Build;
use crate::crowd::{namespaces, on_a_thread, Crowd};
use crate::error::{Error, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells::{micros, ratio, text};
use crate::report::table::{Cell, Table};
use crate::settle::go;

/// Microseconds for a thousand.
const MOST: f64 = 3e6;
/// A build of some time ago takes 40 s.
const LIMIT: Duration = Duration::from_secs(120);

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

fn measure(options: &Options) -> Result<Table> {
    let count = if options.quick { 100 } else { 1000 };
    let builds = Build::all(options)?;
    let start = |build: &Build| Crowd::start(build, 1);
    let crowds: Vec<Crowd> = builds.iter().map(start).collect::<Result<_>>()?;
    let netns: Vec<_> = builds.iter().map(|_| namespaces(count)).collect::<Result<_>>()?;
    for (crowd, netns) in crowds.iter().zip(&netns) {
        crowd.up(netns, 1)?;
    }
    let rounds = (options.rounds(30) / 6).max(2);
    let mut times = vec![Samples::default(); builds.len()];
    for round in 0..rounds {
        for who in order(round, builds.len()) {
            // Once is enough of what takes most of a minute.
            let slow = times[who].median().is_some_and(|us| us > 5.0 * MOST);
            if slow {
                continue;
            }
            let mtu = if round % 2 == 0 { 1400 } else { 1500 };
            crowds[who].device.run(&format!("ip link set wlan0 mtu {mtu}"));
            let began = Instant::now();
            let followed = || {
                let list = crowds[who].device.run("ip -o link show type veth");
                let word = format!(" mtu {mtu} ");
                // The uplink is one of them.
                let so = |line: &&str| line.contains("vm_wlan") && line.contains(&word);
                (list.lines().filter(so).count() == count).then_some(())
            };
            let inside = || netns[who].iter().all(|netns| has(netns, mtu)).then_some(());
            poll(LIMIT, followed).and_then(|()| poll(LIMIT, inside)).ok_or_else(|| {
                Error::new(format!("{}: guests do not follow the MTU", builds[who].name))
            })?;
            times[who].push(began.elapsed());
        }
        progress::show("mtu", round + 1, rounds);
    }
    let columns = ["", "rounds", "median", "worst", "for each guest", "guestnetd against it"];
    let title = format!("{count} guests follow the uplink's MTU");
    let mut table = Table::new("mtu", &title, &columns);
    for (who, build) in builds.iter().enumerate() {
        let times_of = &times[who];
        table.row(
            &build.name,
            vec![
                Cell::Number(times_of.len() as f64, String::new()),
                micros(times_of.median()),
                micros(times_of.max()),
                micros(times_of.median().map(|us| us / count as f64)),
                ratio(times[0].ratio(times_of).filter(|_| who > 0)),
            ],
        );
    }
    let measured = times[0].median().filter(|_| count == 1000);
    let measured = measured.map(|us| (text(&Cell::Micros(us)), us < MOST));
    table.target("1000 guests follow an MTU change", "under 3 s", measured);
    table.method.push(
        "`ip link set wlan0 mtu ...` on the device, there and back in turn; from its end until the \
         device's end of every guest's link, and then the guest's, has that MTU."
            .to_owned(),
    );
    Ok(table)
}

/// Whether the guest's end has this MTU. The calling thread is in its namespace afterwards.
fn has(netns: &impl InNetns, mtu: libc::c_int) -> bool {
    let read = || -> Option<libc::c_int> {
        go(netns).ok()?;
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
        // SAFETY: zeros are a request without a name.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(b"wlan0") {
            *to = *from as libc::c_char;
        }
        // SAFETY: the request is one, and lives until the call returns.
        let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &mut request) };
        if done != 0 {
            return None;
        }
        // SAFETY: the kernel has written the member of this request.
        Some(unsafe { request.ifr_ifru.ifru_mtu })
    };
    read() == Some(mtu)
}
