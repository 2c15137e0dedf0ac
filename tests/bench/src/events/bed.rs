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

//! A device as netd shapes it, with guestnetd that uses its wrappers, a guest, a watch; and what one
//! event does to them.

use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::netd::{Found, NetdDevice, Watch};
use guestnet_tests::probe::exchange;
use guestnet_tests::traffic::{flow, Flow, Forgotten, Heard, Monitor, Ours, Prober, Sent, Who};
use guestnet_tests::{Guest, Probe};

use super::floor::{Fix, Fixer};
use super::kind::{Kind, Wanted};
use crate::error::{Doing, Error, Result};
use crate::options::Options;
use crate::service::Service;

/// How often the guest sends a datagram.
pub const EVERY: Duration = Duration::from_micros(250);
/// Traffic that has not come back by then never comes.
pub const LIMIT: Duration = Duration::from_secs(5);
/// What guestnetd says when it makes conntrack forget.
const FORGOTTEN: &str = "forgotten";

/// The device and what is on it.
pub struct Bed {
    // In this order: guestnetd ends before its guests and its device.
    service: Option<Service>,
    guest: Guest,
    watch: Option<Watch>,
    /// The device.
    pub device: NetdDevice,
    ours: Ours,
    /// Probes sent so far.
    probes: u32,
}

/// What an event did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of the traffic; none: it never came back.
    pub flow: Option<Flow>,
    /// Changes that guestnetd asked the kernel for: netlink's that were announced, and lines about
    /// connections forgotten.
    pub changes: usize,
    /// The wrapper's calls.
    pub calls: Vec<String>,
    /// Connections there were, and how many of them conntrack did not forget.
    pub tracked: [usize; 2],
    /// Whether the TCP stream lived.
    pub lived: bool,
}

impl Bed {
    /// One with these arguments for guestnetd; with rmnet0, too, where they name it.
    pub fn new(options: &Options, args: &[&str]) -> Result<Self> {
        let device = NetdDevice::new();
        if args.iter().any(|word| word.contains("rmnet")) {
            device.connect("rmnet0", NetdDevice::RMNET0);
        }
        let watch = device.watch(&["wlan0", "rmnet0"]);
        let [iptables, ndc] =
            [device.iptables(), device.ndc()].map(|path| path.to_string_lossy().into_owned());
        let own = ["--iptables", &iptables, "--ndc", &ndc];
        let service = Service::start(&options.bin, &device, &[&own, args].concat())?;
        let guest = Guest::new();
        service.connect()?.attach(&config("demo"), &by_pid(guest.pid()), None)?;
        // A link whose ends have one index is to the kernel an interface of its own: it takes up to a
        // second to announce that the carrier is lost. Now the device has one interface more.
        device.delete_interface("wlan0");
        device.connect("wlan0", NetdDevice::WLAN0);
        let far = device.internet.link(&NetdDevice::far_end("wlan0"));
        if far.is_some_and(|link| link["ifindex"] == device.ifindex("wlan0")) {
            return Err(Error::new("both ends of wlan0 have one index"));
        }
        let ours = Ours::of(service.pid(), [device.ifindex("vm_wlan")])?;
        if ours.ports.is_empty() {
            return Err(Error::new("guestnetd's netlink sockets are not found"));
        }
        let watch = Some(watch);
        Ok(Self { service: Some(service), guest, watch, device, ours, probes: 0 })
    }

    /// The same, but guestnetd has ended: what it has set up for its guest stays.
    pub fn deserted(options: &Options, args: &[&str]) -> Result<Self> {
        let mut bed = Self::new(options, args)?;
        bed.service = None;
        bed.ours.ports.clear();
        Ok(bed)
    }

    /// One event.
    pub fn take(&mut self, kind: Kind) -> Result<Outcome> {
        let forgotten = self.forgotten();
        let mut lost = Forgotten::listen(&self.device)?;
        let stream = self.guest.connect_tcp(NetdDevice::TCP).doing("the TCP stream")?;
        exchange(&stream, "before").doing("the TCP stream")?;
        let prober = self.prober()?;
        let ports = [prober.port, stream.local_addr()?.port()];
        self.device.note_calls();
        let mut monitor = Monitor::start(&self.device, self.ours.clone())?;
        kind.prepare(&self.device);
        monitor.mark()?;
        kind.cause(&self.device);
        let end = Instant::now();
        monitor.mark()?;
        prober.flows(LIMIT);
        let sent = self.finish(prober)?;
        let heard = monitor.end()?;
        let calls = self.device.noted_calls();
        let kept = ports.len() - lost.of(&ports)?;
        let lived = exchange(&stream, "after").is_ok();
        let asked = heard.all.iter().filter(|(_, who)| *who == Who::Guestnetd).count();
        let last = last_change(kind, &heard, end)?;
        let outcome = Outcome {
            flow: flow(&sent, last),
            changes: asked + self.forgotten() - forgotten,
            calls,
            tracked: [ports.len(), kept],
            lived,
        };
        kind.undo(&self.device);
        Ok(outcome)
    }

    /// One event, and what it takes done by the bench itself.
    pub fn take_fixed(&mut self, kind: Kind) -> Result<Option<Flow>> {
        let prober = self.prober()?;
        let fixer = Fixer::start(&self.device, Fix::of(kind, &self.device))?;
        let mut ours = self.ours.clone();
        ours.ports.insert(fixer.port);
        let mut monitor = Monitor::start(&self.device, ours)?;
        kind.prepare(&self.device);
        monitor.mark()?;
        kind.cause(&self.device);
        let end = Instant::now();
        monitor.mark()?;
        prober.flows(LIMIT);
        let sent = self.finish(prober)?;
        let heard = monitor.end()?;
        fixer.end()?;
        let last = last_change(kind, &heard, end)?;
        kind.undo(&self.device);
        kind.undo_rule(&self.device);
        Ok(flow(&sent, last))
    }

    /// So many calls of the wrapper that change nothing, one after the other.
    pub fn bare_calls(&self, count: usize) -> Duration {
        let (program, words) = (self.device.iptables(), "-w -C oem_fwd -j oem_guestnet_fwd");
        let begin = Instant::now();
        for _ in 0..count {
            self.device.wrapped(&program, words);
        }
        begin.elapsed()
    }

    /// Ends the watch.
    pub fn stop_watching(&mut self) -> Found {
        self.watch.take().map(Watch::end).unwrap_or_default()
    }

    /// A prober whose traffic flows.
    fn prober(&self) -> Result<Prober> {
        let prober = Prober::start(&self.guest, self.probes, NetdDevice::UDP, EVERY)?;
        let flows = prober.flows(LIMIT);
        let log = || self.service.as_ref().map(Service::log).unwrap_or_default();
        flows.then_some(prober).ok_or_else(|| Error::new(format!("no traffic\n{}", log())))
    }

    fn finish(&mut self, prober: Prober) -> Result<Vec<Sent>> {
        let sent = prober.end()?;
        self.probes += sent.len() as u32;
        Ok(sent)
    }

    fn forgotten(&self) -> usize {
        let log = self.service.as_ref().map(Service::log).unwrap_or_default();
        log.matches(FORGOTTEN).count()
    }
}

/// When others changed something for the last time: as it was announced, or where nothing is, when the
/// program that did it ended. What is announced later, such as an interface's state, is nobody's doing.
fn last_change(kind: Kind, heard: &Heard, end: Instant) -> Result<Instant> {
    if kind.wanted() == Wanted::Timer {
        return Ok(end);
    }
    let [from, to] = heard.marks[..] else { return Err(Error::new("two marks are needed")) };
    let last = heard.all[from..to].iter().rfind(|(_, who)| *who == Who::Others);
    last.map(|(at, _)| *at).ok_or_else(|| Error::new("nothing was announced"))
}
