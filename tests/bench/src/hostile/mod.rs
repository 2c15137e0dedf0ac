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

//! One guest that does harm as fast as a core can: what it costs the device, the other guests, and whoever
//! calls guestnetd meanwhile.

mod attack;
mod cores;
mod victims;

use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::{
    DnsMode::DnsMode, GuestConfig::GuestConfig,
};
use guestnet_tests::client::{by_netns, config};
use guestnet_tests::{poll, Device, InNetns, Internet, Probe};

use crate::build::Build;
use crate::contract::Client;
use crate::crowd::{namespaces, on_a_thread};
use crate::error::{Doing, Error, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells::{digits, micros, ratio};
use crate::report::table::{Cell, Table};
use crate::service::Service;
use attack::{Attack, Attacker, ATTACKS};
use cores::Cores;
use victims::{suffer, VICTIMS};

/// How long each state is looked at, in each round.
const TIME: Duration = Duration::from_millis(500);
/// How long a guest makes connections that are counted.
const STORM: Duration = Duration::from_millis(1500);
/// How long those of an earlier storm may stay, and how many count for none.
const FORGOTTEN: Duration = Duration::from_secs(5);
const FEW: f64 = 50.0;
/// Which state is a busy core: behind idle.
const BUSY: usize = 1;
/// Connections that one guest may have.
const CAP: f64 = 4096.0;
const FILTERS: [&str; 2] = ["nftables", "iptables"];

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

/// A device with a guest that does harm, one that does not, and one that comes and goes.
struct Scene {
    filter: &'static str,
    cores: Cores,
    // In this order: guestnetd ends before its guests, and they before the device.
    client: Client,
    service: Service,
    guests: Vec<OwnedFd>,
    device: Device,
    /// For each state, idle first, the samples of each victim.
    times: Vec<[Samples; 4]>,
}

impl Scene {
    fn new(build: &Build, filter: &'static str, cores: Cores) -> Result<Self> {
        let device = Device::options().forwarding().build();
        let args = ["--firewall", filter, "--dns", Internet::ADDRESS];
        let service = cores.others(|| Service::start(&build.bin, &device, &args))?;
        let client = build.connect(&service)?;
        let guests = namespaces(3)?;
        let times = vec![<[Samples; 4]>::default(); ATTACKS.len() + 1];
        let scene = Self { filter, cores, client, service, guests, device, times };
        scene.attach("other", 1)?;
        Ok(scene)
    }

    fn attach(&self, name: &str, at: usize) -> Result<()> {
        self.attach_as(&config(name), at)
    }

    fn attach_as(&self, config: &GuestConfig, at: usize) -> Result<()> {
        self.client.attach(config, &by_netns(self.guests[at].try_clone()?))
    }

    /// Lets the first guest, attached anew, do harm while something else is done.
    fn under<T>(&self, attack: Option<Attack>, then: impl FnOnce() -> Result<T>) -> Result<T> {
        let dns = match attack {
            Some(Attack::Forwarder) => DnsMode::FORWARD,
            _ => DnsMode::AUTO,
        };
        self.attach_as(&GuestConfig { dns, ..config("hostile") }, 0)?;
        let host = self.host_end()?;
        let attacker =
            attack.map(|attack| Attacker::start(attack, &self.guests[0], &host, self.cores));
        let attacker = attacker.transpose()?;
        let done = self.cores.others(then);
        if let Some(attacker) = attacker {
            attacker.stop()?;
        }
        self.client.detach("hostile")?;
        done
    }

    /// The link address of the device's end, and the guest's address.
    fn host_end(&self) -> Result<attack::Ends> {
        let link = self.guests[0].link("wlan0").ok_or_else(|| Error::new("no wlan0"))?;
        let route = self.guests[0].run("ip -4 -o addr show dev wlan0");
        let address = route.split_whitespace().nth(3).and_then(|text| text.split('/').next());
        let address = address.and_then(|text| text.parse().ok());
        let index = link["link_index"].as_u64();
        let hosts = self.device.ip("link");
        let host = hosts.iter().find(|host| host["ifindex"].as_u64() == index);
        let mac = host.and_then(|host| host["address"].as_str()).map(attack::mac);
        address
            .zip(mac)
            .map(|(address, mac)| attack::Ends { address, mac })
            .ok_or_else(|| Error::new("the guest's link"))
    }

    /// The most connections that there were while the guest made them, beside those of before.
    fn connections(&self, attack: Attack) -> Result<f64> {
        let count = || -> Result<f64> {
            self.device.sysctl("net/netfilter/nf_conntrack_count").parse().doing("a count")
        };
        // Those of an earlier storm are forgotten by a thread of guestnetd's, or end by themselves.
        let _ = poll(FORGOTTEN, || count().ok().filter(|left| *left < FEW));
        let before = count()?;
        self.under(Some(attack), || {
            let mut most = 0f64;
            for _ in 0..15 {
                thread::sleep(STORM / 15);
                most = most.max(count()? - before);
            }
            Ok(most)
        })
    }
}

fn measure(options: &Options) -> Result<Table> {
    let now = Build::now(options);
    let mut scenes = Vec::new();
    for cores in [Cores::Shared, Cores::Apart] {
        for filter in FILTERS {
            scenes.push(Scene::new(&now, filter, cores)?);
        }
    }
    let columns = [
        "",
        "samples",
        "median",
        "p99",
        "median against idle",
        "p99 against idle",
        "p99 against a busy core",
    ];
    let title = "One hostile guest, at full speed of a core";
    let mut table = Table::new("hostile", title, &columns);
    let rounds = options.rounds(20);
    let states: Vec<Option<Attack>> = std::iter::once(None).chain(ATTACKS.map(Some)).collect();
    for round in 0..rounds + 1 {
        for at in order(round, states.len()) {
            for scene in &mut scenes {
                let seen = scene.under(states[at], || {
                    let [other, third] = [1, 2].map(|at| &scene.guests[at]);
                    suffer(&scene.device, other, third, &scene.service, TIME)
                });
                let seen = seen.doing(attack::name(states[at]))?;
                if round > 0 {
                    for (all, seen) in scene.times[at].iter_mut().zip(&seen) {
                        all.extend(seen);
                    }
                }
            }
        }
        progress::show("hostile", round, rounds);
    }
    for scene in &scenes {
        fill(&mut table, scene, &states);
    }
    entries(options, &mut table)?;
    table.method.push(format!(
        "{rounds} rounds of {} ms each, the attacks in changing order; the hostile guest is attached again \
         before each. It writes frames from one thread without a pause: SYNs from all ports to all \
         ports of an address beyond the uplink that never answers, UDP from all ports to all ports of it, ARP requests \
         that claim an address each, first fragments without a last one, questions to the \
         gateway's resolver from all ports, by DNAT and by guestnetd's forwarder, DISCOVERs of a client each. Meanwhile, all at once: the device and another guest \
         connect to a server beyond the uplink (TCP, every 5 ms), list() is called (every 5 ms), and \
         another guest is attached (every 20 ms, and detached). Idle is the same without the attack. The \
         machine has two cores, of which the attack takes one: a busy core is a thread that makes the same frames \
         and writes none, and what is over that is what the frames cost. With cores apart the guest has the first one \
         to itself, as a cpuset keeps it there, and all others, guestnetd too, have the second one, also when idle.",
        TIME.as_millis()
    ));
    table.method.push(format!(
        "Connections of one guest: the most that conntrack had in {} ms of the attack beyond those before.",
        STORM.as_millis()
    ));
    Ok(table)
}

fn fill(table: &mut Table, scene: &Scene, states: &[Option<Attack>]) {
    let filter = scene.cores.name(scene.filter);
    for (who, (victim, most)) in VICTIMS.iter().enumerate() {
        let (idle, busy) = (&scene.times[0][who], &scene.times[BUSY][who]);
        let mut worst: Option<(f64, String)> = None;
        let mut most_over: Option<(f64, String)> = None;
        for (at, state) in states.iter().enumerate() {
            let times = &scene.times[at][who];
            let against = |floor: &Samples| {
                let tails = times.percentile(99.0).zip(floor.percentile(99.0));
                tails.map(|(attacked, floor)| attacked / floor)
            };
            let tail = against(idle).filter(|_| at > 0);
            let over = against(busy).filter(|_| at > BUSY);
            table.row(
                format!("{filter}: {victim}, {}", attack::name(*state)),
                vec![
                    Cell::Number(times.len() as f64, String::new()),
                    micros(times.median()),
                    micros(times.percentile(99.0)),
                    ratio(times.ratio(idle).filter(|_| at > 0)),
                    ratio(tail),
                    ratio(over),
                ],
            );
            // What a core less costs is no attack's.
            let tail = tail.filter(|_| at > BUSY);
            for (worst, tail) in [(&mut worst, tail), (&mut most_over, over)] {
                if let Some(tail) = tail.filter(|t| worst.as_ref().is_none_or(|w| *t > w.0)) {
                    *worst = Some((tail, attack::name(*state).to_owned()));
                }
            }
        }
        let measured = worst.map(|(times, of)| (format!("{times:.2}x ({of})"), times <= *most));
        let what = format!("{filter}: {victim}, p99 under attack");
        table.target(&what, &format!("at most {most:.0}x idle"), measured);
        let measured = most_over.map(|(times, of)| (format!("{times:.2}x ({of})"), times <= *most));
        table.target(&what, &format!("at most {most:.0}x a busy core"), measured);
    }
}

/// What one guest can make in conntrack, also with earlier builds.
fn entries(options: &Options, table: &mut Table) -> Result<()> {
    for (at, build) in Build::all(options)?.iter().enumerate() {
        for filter in FILTERS {
            let scene = Scene::new(build, filter, Cores::Shared)?;
            let mut most = 0f64;
            for attack in [Attack::Syn, Attack::Udp, Attack::Dns] {
                let count = scene.connections(attack)?;
                most = most.max(count);
                let row = format!("{filter}: connections of one guest, {}", attack.name());
                let row = if at == 0 { row } else { format!("{row}: {}", build.name) };
                let cells = vec![Cell::Number(count, String::new()), Cell::Empty];
                table.row(row, [cells, vec![Cell::Empty; 4]].concat());
            }
            if at == 0 {
                let what = format!("{filter}: connections of one guest");
                let wanted = "at most 4096 + 1 %";
                table.target(&what, wanted, Some((digits(most), most <= CAP * 1.01)));
            }
        }
    }
    Ok(())
}
