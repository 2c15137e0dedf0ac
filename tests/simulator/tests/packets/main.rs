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

//! Packets that real namespaces pass on, and what the simulator says of them: the same links, addresses and
//! routes in both, made by the same requests, and the packet filters of guestnetd's golden files, which
//! `nft` or iptables loads and the simulator reads as the kernel gives them.

#[allow(dead_code)]
#[path = "../against_linux/linux.rs"]
mod linux;
mod listed;
mod requests;
#[allow(dead_code)]
#[path = "../xtables/real.rs"]
mod x_tables;

use guestnet_simulator::xtables::{self, Family};
use guestnet_simulator::{Connection, Fate, Kernel, Netns, Packet, Ruleset, ROUTE};
use linux::{inside, Linux};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const GUEST: [u8; 4] = [172, 17, 3, 3];
const GATEWAY: [u8; 4] = [172, 17, 3, 2];
const SPOOFED: [u8; 4] = [172, 17, 3, 99];
const OWN: [u8; 4] = [192, 0, 2, 7];
const ROUTER: [u8; 4] = [192, 0, 2, 1];
const RESOLVER: [u8; 4] = [192, 0, 2, 53];
const INTERNET: [u8; 4] = [198, 51, 100, 9];
const PORTS: [u16; 3] = [53, 7777, 30053];

/// The device, a guest and the network outside, in both kernels.
struct Bed {
    kernel: Kernel,
    all: Vec<(Linux, Netns)>,
}

const DEVICE: usize = 0;
const INSIDE: usize = 1;
const OUTSIDE: usize = 2;

impl Bed {
    fn new(uplink: &str) -> Self {
        let mut kernel = Kernel::new();
        let mut add = || {
            let linux = Linux::new(&[]);
            let netns = kernel.netns_add();
            kernel.fd_open(linux.file.as_raw_fd(), netns);
            (linux, netns)
        };
        let all = vec![add(), add(), add()];
        let mut bed = Self { kernel, all };
        for (path, value) in [
            ("/proc/sys/net/ipv4/conf/all/rp_filter", "0"),
            ("/proc/sys/net/ipv4/conf/default/rp_filter", "0"),
            ("/proc/sys/net/ipv4/ip_forward", "1"),
        ] {
            bed.write(DEVICE, path, value);
        }
        let fd = |at: usize| bed.all[at].0.file.as_raw_fd();
        let (guest, outside) = (fd(INSIDE), fd(OUTSIDE));
        bed.send(DEVICE, &requests::veth("vm_wlan0", "wlan0", guest, 1_735_288_180));
        bed.send(DEVICE, &requests::veth(uplink, "ap", outside, 0));
        for at in [DEVICE, INSIDE, OUTSIDE] {
            bed.send(at, &requests::up(1));
        }
        for (at, index) in [(DEVICE, 2), (DEVICE, 3), (INSIDE, 2), (OUTSIDE, 2)] {
            bed.send(at, &requests::up(index));
        }
        for (at, index, address, prefix) in [
            (DEVICE, 2, GATEWAY, 32),
            (DEVICE, 3, OWN, 24),
            (INSIDE, 2, GUEST, 16),
            (INSIDE, 2, SPOOFED, 16),
            (OUTSIDE, 2, ROUTER, 24),
            (OUTSIDE, 2, RESOLVER, 24),
            (OUTSIDE, 2, INTERNET, 32),
        ] {
            bed.send(at, &requests::address(index, address, prefix));
        }
        bed.send(DEVICE, &requests::route(2, [172, 17, 0, 0], 16, None));
        bed.send(DEVICE, &requests::route(3, [0; 4], 0, Some(ROUTER)));
        bed.send(INSIDE, &requests::route(2, [0; 4], 0, Some(GATEWAY)));
        bed.send(OUTSIDE, &requests::route(2, [0; 4], 0, Some(OWN)));
        bed
    }

    fn send(&mut self, at: usize, request: &[u8]) {
        let (linux, netns) = &self.all[at];
        let done = |answers: Vec<Vec<u8>>| answers[0][16..20] == [0; 4];
        assert!(done(linux.send(request)), "Linux refuses {request:?}");
        assert!(done(self.kernel.send(*netns, ROUTE, 1, request)), "refused: {request:?}");
    }

    fn write(&mut self, at: usize, path: &str, value: &str) {
        let (linux, netns) = &self.all[at];
        linux.write(path, value).unwrap();
        self.kernel.write(*netns, path, value.as_bytes()).unwrap();
    }

    fn nft(&self, arguments: &[&str]) -> bool {
        let run = || Command::new("nft").args(arguments).output().unwrap();
        let output = inside(&self.all[DEVICE].0.file, run);
        if !output.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        }
        output.status.success()
    }
}

/// Where a packet arrives, as whose, at which port.
type Arrival = (usize, Ipv4Addr, u16);

/// What the simulator says of a packet of UDP.
fn simulated(bed: &Bed, rules: &Ruleset, sent: &Sent) -> Result<Option<Arrival>, Fate> {
    let packet = Packet {
        input: if sent.at == INSIDE { 2 } else { 3 },
        from: sent.from.into(),
        to: sent.to.into(),
        protocol: 17,
        ports: (40000, sent.port),
        connection: Connection::New,
    };
    match bed.kernel.packet(bed.all[DEVICE].1, rules, &packet) {
        Fate::Here { to } => Ok(Some((DEVICE, packet.from, to.1))),
        Fate::Sent { output: 2, from, to, .. } if to.0 == Ipv4Addr::from(GUEST) => {
            Ok(Some((INSIDE, from, to.1)))
        }
        Fate::Sent { output: 3, from, to, .. } => Ok(Some((OUTSIDE, from, to.1))),
        Fate::Dropped(_) | Fate::Refused(_) | Fate::Sent { .. } => Ok(None),
        other => Err(other),
    }
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at: usize,
    from: [u8; 4],
    to: [u8; 4],
    port: u16,
}

fn packets() -> Vec<Sent> {
    let mut all = Vec::new();
    for port in PORTS {
        for from in [GUEST, SPOOFED] {
            for to in [INTERNET, ROUTER, RESOLVER, GATEWAY, OWN] {
                all.push(Sent { at: INSIDE, from, to, port });
            }
        }
        for from in [ROUTER, INTERNET] {
            for to in [GUEST, GATEWAY, OWN] {
                all.push(Sent { at: OUTSIDE, from, to, port });
            }
        }
    }
    all
}

/// Sends them in Linux, and tells where each arrived; waits for those that have to.
fn real(bed: &Bed, all: &[Sent], wanted: usize) -> BTreeMap<u32, Arrival> {
    let listen = |at: usize| {
        let bind = move |port: u16| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
            socket.set_nonblocking(true).unwrap();
            (at, port, socket)
        };
        inside(&bed.all[at].0.file, || PORTS.map(bind))
    };
    let ears: Vec<_> = [DEVICE, INSIDE, OUTSIDE].into_iter().flat_map(listen).collect();
    let mut arrived = BTreeMap::new();
    let mut hear = || {
        for (at, port, socket) in &ears {
            let mut id = [0; 4];
            while let Ok((4, SocketAddr::V4(from))) = socket.recv_from(&mut id) {
                arrived.insert(u32::from_ne_bytes(id), (*at, *from.ip(), *port));
            }
        }
        arrived.len()
    };
    // What is lost is sent again: each packet from a socket of its own, so that it is always a first one.
    for _ in 0..3 {
        for (id, sent) in all.iter().enumerate() {
            inside(&bed.all[sent.at].0.file, || {
                let socket = UdpSocket::bind((Ipv4Addr::from(sent.from), 0)).unwrap();
                let to = (Ipv4Addr::from(sent.to), sent.port);
                // It may be refused by an ICMP of before.
                let _ = socket.send_to(&(id as u32).to_ne_bytes(), to);
            });
        }
        let since = Instant::now();
        while hear() < wanted && since.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(2));
        }
        if hear() >= wanted {
            break;
        }
    }
    // For what should not come.
    std::thread::sleep(Duration::from_millis(20));
    hear();
    arrived
}

/// Where packets go, and where the simulator says that they do; how many arrive.
fn compare(name: &str, bed: &Bed, rules: &Ruleset, differ: &mut Vec<String>) -> usize {
    let all = packets();
    let says = |sent: &Sent| {
        simulated(bed, rules, sent).unwrap_or_else(|e| panic!("{name}: {sent:?}: {e:?}"))
    };
    let says: Vec<_> = all.iter().map(says).collect();
    let wanted = says.iter().flatten().count();
    assert!(wanted < all.len(), "{name}: all of them arrive");
    let arrived = real(bed, &all, wanted);
    for (id, (sent, says)) in all.iter().zip(says).enumerate() {
        let did = arrived.get(&(id as u32)).copied();
        if did != says {
            differ.push(format!("{name}: {sent:?}: Linux {did:?}, simulator {says:?}"));
        }
    }
    wanted
}

#[test]
fn packets_go_where_the_simulator_says() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED packets_go_where_the_simulator_says: it needs root");
        return;
    }
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../service/tests/golden/firewall");
    let mut folders: Vec<_> =
        std::fs::read_dir(goldens).unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    let (mut loaded, mut through, mut differ) = (0, 0, Vec::new());
    for folder in folders {
        let Ok(text) = std::fs::read_to_string(folder.join("nftables.txt")) else { continue };
        let uplink = if text.contains("oifname \"wlan0\"") { "wlan0" } else { "eth0" };
        let bed = Bed::new(uplink);
        if !bed.nft(&[&text.replace('\n', " \n")]) {
            continue;
        }
        loaded += 1;
        let element = "add element inet guestnet guests { \"vm_wlan0\" . 172.17.3.3 }";
        assert!(bed.nft(&[element]));
        let rules = Ruleset::read(&listed::all(&bed.all[DEVICE].0.file));
        let name = folder.file_name().unwrap().to_string_lossy();
        through += compare(&format!("{name}, nftables"), &bed, &rules, &mut differ);
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(loaded >= 10 && through >= 50, "{loaded} packet filters, {through} packets arrive");
}

/// A table of IPv4 goes from Linux to the simulator as it is.
fn copy(bed: &mut Bed, table: &str) {
    let (linux, netns) = &bed.all[DEVICE];
    let mut asked = table.as_bytes().to_vec();
    asked.resize(84, 0);
    let info = x_tables::get(linux, Family::V4, xtables::GET_INFO, &asked).unwrap();
    asked.resize(40 + u32::from_ne_bytes(info[80..].try_into().unwrap()) as usize, 0);
    asked[32..36].copy_from_slice(&info[80..]);
    let entries = x_tables::get(linux, Family::V4, xtables::GET_ENTRIES, &asked).unwrap();
    let had = bed.kernel.xtables_get(*netns, Family::V4, xtables::GET_INFO, &entries[..84]);
    // Name and hooks; entries, bytes; where hooks begin and end; how many entries there were.
    let parts = [&info[..36], &info[76..], &info[36..76], &had.unwrap()[76..80], &[0; 8]];
    let mut all = parts.concat();
    all.extend(&entries[40..]);
    bed.kernel.xtables_set(*netns, Family::V4, xtables::SET_REPLACE, &all).unwrap();
}

#[test]
fn packets_go_where_the_simulator_says_by_x_tables() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED packets_go_where_the_simulator_says_by_x_tables: it needs root");
        return;
    }
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../service/tests/golden/firewall");
    let mut folders: Vec<_> =
        std::fs::read_dir(goldens).unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    let (mut loaded, mut through, mut differ) = (0, 0, Vec::new());
    for folder in folders {
        let Ok(text) = std::fs::read_to_string(folder.join("iptables.txt")) else { continue };
        let uplink = if text.contains("-o wlan0") { "wlan0" } else { "eth0" };
        let mut bed = Bed::new(uplink);
        for line in text.lines().filter(|line| line.starts_with("iptables ")) {
            let words: Vec<&str> = line.split(' ').collect();
            let ended = x_tables::run(&bed.all[DEVICE].0, words[0], &words[1..], "");
            assert_eq!(ended.0, 0, "{line}: {ended:?}");
        }
        ["filter", "nat"].into_iter().for_each(|table| copy(&mut bed, table));
        loaded += 1;
        let name = folder.file_name().unwrap().to_string_lossy();
        through += compare(&format!("{name}, iptables"), &bed, &Ruleset::default(), &mut differ);
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(loaded >= 10 && through >= 50, "{loaded} packet filters, {through} packets arrive");
}
