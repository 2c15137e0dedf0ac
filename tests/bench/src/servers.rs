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

//! What it costs to have servers and TAP devices: attaches with and without them, a lease beside dnsmasq's, and
//! guestnetd with ten guests that have them all.

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::{
    DeviceState::DeviceState, Dhcp::Dhcp, DnsMode::DnsMode, Guest::Guest as Attached,
    GuestConfig::GuestConfig, GuestKind::GuestKind, GuestTarget::GuestTarget, IGuestNet::IGuestNet,
    TargetKind::TargetKind,
};
use guestnet_platform::Connection;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{poll, Device, Guest, InNetns, Probe};
use nix::sys::socket::{setsockopt, sockopt::BindToDevice};

use crate::crowd::on_a_thread;
use crate::error::{Doing, Error, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells::{micros, ratio, text};
use crate::report::table::{Cell, Table};
use crate::service::{Service, ANONYMOUS, RESIDENT};
use crate::settle::Settle;

const DNSMASQ: &str = "/usr/sbin/dnsmasq";
/// Guests that have all servers, one of them a VM.
const GUESTS: usize = 10;
/// After a lease: guestnetd hears ten messages a second of a guest, and 32 at once.
const PAUSE: Duration = Duration::from_millis(220);
const PATIENCE: Duration = Duration::from_secs(2);
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;

/// The kinds of attach.
const KINDS: [(&str, GuestKind, Dhcp, DnsMode); 3] = [
    ("attach: veth, no servers", GuestKind::VETH, Dhcp::OFF, DnsMode::DNAT),
    ("attach: veth, DHCP and names by guestnetd", GuestKind::VETH, Dhcp::AUTO, DnsMode::FORWARD),
    ("attach: TAP, DHCP and names by guestnetd", GuestKind::TAP, Dhcp::AUTO, DnsMode::FORWARD),
];

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

fn measure(options: &Options) -> Result<Table> {
    let columns = ["", "median", "p99", "beside the first"];
    let title = "Servers: what they cost, and a lease beside dnsmasq's";
    let mut table = Table::new("servers", title, &columns);
    let row = |table: &mut Table, name: &str, samples: &Samples, base: &Samples| {
        let (median, p99) = (micros(samples.median()), micros(samples.percentile(99.0)));
        table.row(name, vec![median, p99, ratio(samples.against(base))]);
    };
    let rounds = options.rounds(100);
    let attaches = attaches(options, rounds)?;
    for ((name, ..), samples) in KINDS.iter().zip(&attaches) {
        row(&mut table, name, samples, &attaches[0]);
    }
    let leases = leases(options, options.rounds(60))?;
    let who = ["DISCOVER to ACK: guestnetd", "DISCOVER to ACK: dnsmasq"];
    for (name, samples) in who.iter().zip(&leases) {
        match samples.len() {
            0 => table.skipped(*name, format!("{DNSMASQ} is not there")),
            _ => row(&mut table, name, samples, &leases[0]),
        }
    }
    let quiet = if options.quick { 10 } else { 60 };
    let [resident, own, wakeups, at_rest] = idle(options, quiet)?;
    for (what, value, unit) in [
        ("resident, with 10 guests that have them all", resident, "KiB"),
        ("of it its own", own, "KiB"),
        ("wake-ups in a minute, with them", wakeups, ""),
        ("the same while the device rests", at_rest, ""),
    ] {
        let cells = vec![Cell::Number(value, unit.to_owned()), Cell::Empty, Cell::Empty];
        table.row(what, cells);
    }
    for (at, what) in
        [(2, "attach of a TAP against veth"), (1, "attach with servers against without")]
    {
        let times = attaches[at].against(&attaches[0]);
        let said = times.map(|times| (format!("{times:.2}x"), times <= 1.005));
        table.target(what, "1.00x", said);
    }
    let ack = leases[0].median();
    let said = ack.map(|us| (text(&Cell::Micros(us)), us < 1000.0));
    table.target("DISCOVER to ACK", "under 1 ms", said);
    let said = (format!("{resident:.0} KiB"), resident < 6.0 * 1024.0);
    table.target("resident with all servers and 10 guests", "under 6 MB", Some(said));
    let said = (format!("{at_rest:.0}"), at_rest == 0.0);
    table.target("wake-ups in a minute, with all servers and 10 guests, idle", "0", Some(said));
    table.method.push(format!(
        "Attaches: {rounds} rounds, each kind once in each, in changing order, at one guestnetd where another guest \
         has servers already; ratios are the middle ones of all rounds. A lease is DISCOVER, OFFER, REQUEST and ACK by \
         one socket of the guest's; dnsmasq has a device of its own, no ping before an offer, and its leases in memory, \
         as guestnetd has. Ten guests: nine containers and a TAP device; each container has taken a lease. Wake-ups \
         are context switches of all threads: those of one look at everything, each --check-every of 60 s. A device that \
         rests is one of which setDeviceState() has said so."
    ));
    Ok(table)
}

fn none() -> GuestTarget {
    GuestTarget { kind: TargetKind::NONE, fd: None, pid: 0 }
}

fn attach(
    client: &Connection<dyn IGuestNet>,
    name: &str,
    (kind, dhcp, dns): (GuestKind, Dhcp, DnsMode),
    guest: &Guest,
) -> Result<(Attached, Duration)> {
    let asks = GuestConfig { kind, dhcp, dns, ..config(name) };
    let target = if kind == GuestKind::TAP { none() } else { by_pid(guest.pid()) };
    let began = Instant::now();
    let attached = client.attach(&asks, &target, None)?;
    Ok((attached, began.elapsed()))
}

/// Attaches of each kind.
fn attaches(options: &Options, rounds: usize) -> Result<[Samples; 3]> {
    let device = Device::options().forwarding().build();
    let service = Service::start(&options.bin, &device, &[])?;
    let client = service.connect()?;
    let first = Guest::new();
    let has_all = (GuestKind::VETH, Dhcp::AUTO, DnsMode::FORWARD);
    attach(&client, "first", has_all, &first)?;
    let mut settle = Settle::new()?;
    let mut found: [Samples; 3] = Default::default();
    for round in 0..rounds + 2 {
        // Warm, and thrown away.
        if round == 2 {
            found = Default::default();
        }
        for at in order(round, KINDS.len()) {
            let guest = Guest::new();
            let (_, kind, dhcp, dns) = KINDS[at];
            let (attached, took) = attach(&client, "guest", (kind, dhcp, dns), &guest)?;
            found[at].push(took);
            client.detach("guest")?;
            drop(attached);
            settle.settle()?;
        }
        progress::show("servers: attaches", round, rounds + 1);
    }
    Ok(found)
}

/// Leases of guestnetd and of dnsmasq; none of one that is not there.
fn leases(options: &Options, rounds: usize) -> Result<[Samples; 2]> {
    let (ours, theirs) = (Device::new(), Device::new());
    let service = Service::start(&options.bin, &ours, &[])?;
    let client = service.connect()?;
    let guests = [Guest::new(), Guest::new()];
    let (_, kind, dhcp, dns) = KINDS[1];
    attach(&client, "guest", (kind, dhcp, dns), &guests[0])?;
    let dnsmasq = Dnsmasq::start(&theirs, &guests[1])?;
    let mut found: [Samples; 2] = Default::default();
    for round in 0..rounds + 1 {
        if round == 1 {
            found = Default::default();
        }
        for at in order(round, 2).filter(|at| *at == 0 || dnsmasq.is_some()) {
            found[at].push(lease(&guests[at])?);
            thread::sleep(PAUSE);
        }
        progress::show("servers: leases", round, rounds);
    }
    Ok(found)
}

/// dnsmasq as a guest's only DHCP server.
struct Dnsmasq(Child);

impl Dnsmasq {
    fn start(device: &Device, guest: &Guest) -> Result<Option<Self>> {
        if !std::path::Path::new(DNSMASQ).exists() {
            return Ok(None);
        }
        let pid = guest.pid();
        device.run(&format!("ip link add vm_wlan type veth peer name wlan0 netns {pid}"));
        device.run("ip addr add 172.17.3.2/24 dev vm_wlan");
        device.run("ip link set vm_wlan up");
        guest.run("ip addr add 172.17.3.3/24 dev wlan0");
        guest.run("ip link set wlan0 up");
        let mut command = device.command(DNSMASQ);
        command.args(["--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=vm_wlan"]);
        command.args(["--bind-interfaces", "--no-ping", "--dhcp-authoritative", "--user=root"]);
        command.args(["--dhcp-range=172.17.3.3,172.17.3.3,255.255.255.0,1h", "--leasefile-ro"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = Self(child.spawn().doing(DNSMASQ)?);
        poll(Duration::from_secs(5), || lease(guest).ok())
            .ok_or_else(|| Error::new("dnsmasq gives no lease"))?;
        Ok(Some(child))
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client's message: `kind`, and the address that it wants.
fn message(mac: [u8; 6], kind: u8, wanted: Option<[u8; 4]>) -> Vec<u8> {
    // BOOTREQUEST, Ethernet, an id, and that the answer may be a broadcast.
    let mut bytes = vec![1, 1, 6, 0, 7, 7, 7, 7, 0, 0, 0x80, 0];
    bytes.resize(28, 0);
    bytes.extend(mac);
    bytes.resize(236, 0);
    bytes.extend([99, 130, 83, 99, 53, 1, kind, 55, 5, 1, 3, 6, 26, 28]);
    if let Some(wanted) = wanted {
        bytes.extend([50, 4]);
        bytes.extend(wanted);
    }
    bytes.push(255);
    bytes.resize(300, 0);
    bytes
}

/// How long it takes a guest to get its address.
fn lease(guest: &Guest) -> Result<Duration> {
    let link = guest.link("wlan0").ok_or_else(|| Error::new("a guest without a link"))?;
    let bytes = link["address"].as_str().unwrap_or_default().split(':');
    let bytes: Vec<u8> = bytes.filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let mac = bytes.try_into().map_err(|_| Error::new("a guest without a MAC"))?;
    let socket = guest.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 68)))?;
    setsockopt(&socket.as_fd(), BindToDevice, &"wlan0".into())?;
    socket.set_broadcast(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let began = Instant::now();
    let offered = ask(&socket, &message(mac, DISCOVER, None), OFFER)?;
    ask(&socket, &message(mac, REQUEST, Some(offered)), ACK)?;
    Ok(began.elapsed())
}

/// Sends it, and waits for an answer of this kind: the address that is in it.
fn ask(socket: &UdpSocket, message: &[u8], kind: u8) -> Result<[u8; 4]> {
    socket.send_to(message, (Ipv4Addr::BROADCAST, 67))?;
    let mut buffer = [0; 1500];
    loop {
        let length = socket.recv(&mut buffer).doing("a lease")?;
        let answer = &buffer[..length];
        // The kind is the first option in what both servers send.
        if answer.get(240..243) == Some(&[53, 1, kind]) {
            return answer[16..20].try_into().map_err(|_| Error::new("no address"));
        }
    }
}

/// What guestnetd has with guests that have all servers: KiB that are resident, and its own, and its wake-ups in
/// a minute, and in one in which the device rests.
fn idle(options: &Options, seconds: u64) -> Result<[f64; 4]> {
    let device = Device::new();
    let service = Service::start(&options.bin, &device, &[])?;
    let client = service.connect()?;
    let guests: Vec<_> = (0..GUESTS).map(|_| Guest::new()).collect();
    let mut attached = Vec::new();
    for (at, guest) in guests.iter().enumerate() {
        let (_, kind, dhcp, dns) = KINDS[if at == 0 { 2 } else { 1 }];
        attached.push(attach(&client, &format!("guest{at}"), (kind, dhcp, dns), guest)?);
        if kind == GuestKind::VETH {
            lease(guest)?;
        }
    }
    // What follows an attach is over.
    thread::sleep(Duration::from_secs(5));
    progress::say(&format!("servers: {seconds} s in which nothing happens"));
    let counted = || -> Result<f64> {
        let before = service.wakeups()?;
        thread::sleep(Duration::from_secs(seconds));
        Ok((service.wakeups()? - before) * 60.0 / seconds as f64)
    };
    let wakeups = counted()?;
    client.setDeviceState(&DeviceState { idle: true })?;
    thread::sleep(Duration::from_secs(1));
    let at_rest = counted()?;
    Ok([service.memory(RESIDENT)?, service.memory(ANONYMOUS)?, wakeups, at_rest])
}
