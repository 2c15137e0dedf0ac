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

//! This build beside earlier ones, in turn: what each of them does must not have become dearer.

use std::io::Write;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use guestnet_platform::Endpoint;
use guestnet_tests::bed::second_way;
use guestnet_tests::client::{by_netns, config, NAME};
use guestnet_tests::{Device, InNetns, Internet};

use crate::build::Build;
use crate::cpu;
use crate::crowd::{name, namespaces, on_a_thread, Crowd};
use crate::error::{Doing, Error, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells::{digits, micros, ratio, text};
use crate::report::table::{Cell, Table};
use crate::service::{scratch, Service};
use crate::settle::Settle;
use crate::start::{socket_in, Running};

/// What may be dearer than before, in times as much.
const DEARER: f64 = 1.05;
/// Guests that a restart finds.
const ADOPTED: usize = 100;
/// Microseconds from exec to serving with them.
const RESTART: f64 = 15_000.0;
/// An address that both ways of a device lead to.
const ANYWHERE: &str = "203.0.113.9";
/// How often it is asked whether it answers.
const PACE: Duration = Duration::from_micros(100);
const LIMIT: Duration = Duration::from_secs(10);

/// Measures it. Without an earlier build there is nothing to say.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

/// What was measured of one build.
#[derive(Clone, Default)]
struct Cost {
    wall: Samples,
    cpu: Samples,
}

fn measure(options: &Options) -> Result<Table> {
    let builds = Build::all(options)?;
    let columns =
        ["", "median", "p90", "least", "CPU", "guestnetd against it", "its least", "its CPU"];
    let mut table = Table::new("before", "Beside the builds before", &columns);
    let rounds = options.rounds(60);
    attaches(options, &builds, rounds, &mut table)?;
    handovers(&builds, rounds, &mut table)?;
    restarts(&builds, rounds, &mut table)?;
    table.method.push(format!(
        "{rounds} rounds, all builds in each, in changing order, each in a device of its own. What is \
         compared is the middle one of the ratios of all rounds; beside it the ratios of the least \
         times and of the median CPU. CPU is that of the client and of guestnetd. All builds are \
         called by the same client, which reads of an answer whether it is a failure, and nothing else. \
         They are named by their commits."
    ));
    table.method.push(format!(
        "Hand-over: `--uplink default`, two ways to one address; from before the order to `ip -batch` \
         to replace the default route until a guest's datagram, sent every {} us from one port, is \
         answered by the other way. Restart: {ADOPTED} guests are attached; from before fork until \
         guestnetd says that it is ready.",
        PACE.as_micros()
    ));
    Ok(table)
}

/// Attach and detach of the first guest and of guest 1000.
fn attaches(options: &Options, builds: &[Build], rounds: usize, table: &mut Table) -> Result<()> {
    let most = if options.quick { 100 } else { 1000 };
    let start = |build: &Build| Crowd::start(build, 1);
    let crowds: Vec<Crowd> = builds.iter().map(start).collect::<Result<_>>()?;
    let netns: Vec<_> = builds.iter().map(|_| namespaces(most)).collect::<Result<_>>()?;
    let mut settle = Settle::new()?;
    for there in [0, most - 1] {
        for (crowd, netns) in crowds.iter().zip(&netns).filter(|_| there > 0) {
            crowd.up(&netns[..there], 1)?;
        }
        settle.settle()?;
        let mut costs = vec![[Cost::default(), Cost::default()]; builds.len()];
        for round in 0..rounds + 2 {
            for who in order(round, builds.len()) {
                let (crowd, netns) = (&crowds[who], &netns[who][there]);
                let [attach, detach] = &mut costs[who];
                let keep = round >= 2;
                timed(crowd, keep.then_some(attach), |crowd| crowd.attach(there, netns))?;
                timed(crowd, keep.then_some(detach), |crowd| crowd.detach(there))?;
                settle.settle()?;
            }
            progress::show(&format!("before: guest {}", there + 1), round, rounds + 1);
        }
        for (at, what) in ["attach", "detach"].iter().enumerate() {
            let costs: Vec<Cost> = costs.iter().map(|both| both[at].clone()).collect();
            fill(table, &format!("{what} of guest {}", there + 1), builds, &costs);
        }
    }
    Ok(())
}

fn timed(
    crowd: &Crowd,
    cost: Option<&mut Cost>,
    call: impl FnOnce(&Crowd) -> Result<Duration>,
) -> Result<()> {
    let cpu = || -> Result<Duration> { Ok(cpu::own()? + cpu::of_process(crowd.service.pid())?) };
    let before = cpu()?;
    let wall = call(crowd)?;
    let after = cpu()?;
    if let Some(cost) = cost {
        cost.wall.push(wall);
        cost.cpu.push(after - before);
    }
    Ok(())
}

/// A device with two ways to one address, and a guest that asks it all the time.
struct TwoWays {
    // In this order: guestnetd ends before its guest, and both before the device.
    service: Service,
    probe: UdpSocket,
    _guest: OwnedFd,
    orders: ChildStdin,
    ip: Child,
    _beyond: Internet,
    _device: Device,
    second: bool,
}

impl TwoWays {
    fn new(build: &Build) -> Result<Self> {
        let device = Device::options().forwarding().build();
        let beyond = second_way(&device, "eth1");
        // Who is asked at that address answers from it.
        for (internet, net) in [(&device.internet, "192.0.2"), (&beyond, "198.51.100")] {
            internet.netns.run(&format!("ip addr add {ANYWHERE}/32 dev lo"));
            let route = format!("ip route replace {net}.2/32 dev device src {ANYWHERE}");
            internet.netns.run(&route);
        }
        let service = Service::start(&build.bin, &device, &["--uplink", "default"])?;
        let guest = namespaces(1)?.remove(0);
        let client = build.connect(&service)?;
        client.attach(&config("guest"), &by_netns(guest.try_clone()?))?;
        let probe = guest.enter(|| UdpSocket::bind("0.0.0.0:0"))?;
        probe.set_read_timeout(Some(PACE))?;
        let mut ip = device.words("ip -batch -").stdin(Stdio::piped()).spawn().doing("ip")?;
        let orders = ip.stdin.take().ok_or_else(|| Error::new("ip has no stdin"))?;
        let (_guest, _beyond, _device) = (guest, beyond, device);
        let mut new = Self { service, probe, _guest, orders, ip, _beyond, _device, second: false };
        new.answered_from("192.0.2.2")?;
        Ok(new)
    }

    /// Goes over to the other way.
    fn change(&mut self) -> Result<(Duration, Duration)> {
        self.second = !self.second;
        let (gateway, address) = match self.second {
            true => ("198.51.100.1", "198.51.100.2"),
            false => ("192.0.2.1", "192.0.2.2"),
        };
        let (cpu, began) = (cpu::of_process(self.service.pid())?, Instant::now());
        writeln!(self.orders, "route replace default via {gateway}")?;
        self.orders.flush()?;
        self.answered_from(address)?;
        let took = began.elapsed();
        Ok((took, cpu::of_process(self.service.pid())? - cpu))
    }

    /// Asks until the answer tells of a datagram that had this address.
    fn answered_from(&mut self, address: &str) -> Result<()> {
        let end = Instant::now() + LIMIT;
        let mut buffer = [0; 64];
        while Instant::now() < end {
            // An ICMP error for an earlier datagram is none of this one.
            let _ = self.probe.send_to(b"?", (ANYWHERE, 7));
            while let Ok(length) = self.probe.recv(&mut buffer) {
                if buffer[..length].starts_with(address.as_bytes()) {
                    return Ok(());
                }
            }
        }
        Err(Error::new(format!("no answer to {address}:\n{}", self.service.log())))
    }
}

impl Drop for TwoWays {
    fn drop(&mut self) {
        let _ = self.ip.kill();
        let _ = self.ip.wait();
    }
}

fn handovers(builds: &[Build], rounds: usize, table: &mut Table) -> Result<()> {
    let mut devices: Vec<TwoWays> = builds.iter().map(TwoWays::new).collect::<Result<_>>()?;
    let mut costs = vec![Cost::default(); builds.len()];
    for round in 0..rounds + 2 {
        for who in order(round, builds.len()) {
            let (wall, cpu) = devices[who].change().doing(&builds[who].name)?;
            if round >= 2 {
                costs[who].wall.push(wall);
                costs[who].cpu.push(cpu);
            }
        }
        progress::show("before: hand-over", round, rounds + 1);
    }
    fill(table, "uplink hand-over", builds, &costs);
    Ok(())
}

fn restarts(builds: &[Build], rounds: usize, table: &mut Table) -> Result<()> {
    let device = || Device::options().forwarding().build();
    let devices: Vec<Device> = builds.iter().map(|_| device()).collect();
    let netns: Vec<_> = builds.iter().map(|_| namespaces(ADOPTED)).collect::<Result<_>>()?;
    let dirs: Vec<_> = builds.iter().map(|_| scratch()).collect::<Result<_>>()?;
    for (who, build) in builds.iter().enumerate() {
        let dir = dirs[who].path();
        let running = Running::launch(&build.bin, &devices[who], dir, &[])?;
        let endpoint: Endpoint = socket_in(dir).parse().doing("the endpoint")?;
        let net = guestnet_platform::connect(&endpoint, NAME).doing("connecting to guestnetd")?;
        let client = build.client(net);
        for (at, netns) in netns[who].iter().enumerate() {
            client.attach(&config(&name(at)), &by_netns(netns.try_clone()?))?;
        }
        drop(client);
        running.stop()?;
    }
    let mut costs = vec![Cost::default(); builds.len()];
    for round in 0..rounds + 1 {
        for who in order(round, builds.len()) {
            let dir = dirs[who].path();
            let running = Running::launch(&builds[who].bin, &devices[who], dir, &[])?;
            if round >= 1 {
                costs[who].wall.push(running.start);
                costs[who].cpu.push(running.cpu()?);
            }
            running.stop()?;
        }
        progress::show("before: restart", round, rounds);
    }
    let what = format!("restart to serving, {ADOPTED} guests");
    let median = costs[0].wall.median();
    let measured = median.map(|us| (text(&Cell::Micros(us)), us < RESTART));
    table.target(&what, "under 15 ms", measured);
    fill(table, &what, builds, &costs);
    Ok(())
}

fn fill(table: &mut Table, what: &str, builds: &[Build], costs: &[Cost]) {
    let own = &costs[0];
    for (build, cost) in builds.iter().zip(costs) {
        let least = own.wall.min().zip(cost.wall.min()).map(|(own, base)| own / base);
        let mut against =
            [own.wall.against(&cost.wall), least, own.cpu.ratio(&cost.cpu)].map(ratio);
        if std::ptr::eq(own, cost) {
            against = Default::default();
        }
        let cells = [
            micros(cost.wall.median()),
            micros(cost.wall.percentile(90.0)),
            micros(cost.wall.min()),
            micros(cost.cpu.median()),
        ];
        table.row(format!("{what}: {}", build.name), [&cells[..], &against[..]].concat());
        if !std::ptr::eq(own, cost) {
            let times = own.wall.against(&cost.wall);
            let measured = times.map(|times| (format!("{times:.2}x"), times <= DEARER));
            let wanted = format!("at most {}x", digits(DEARER));
            table.target(&format!("{what}, against {}", build.name), &wanted, measured);
        }
    }
}
