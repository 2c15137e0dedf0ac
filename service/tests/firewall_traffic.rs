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

//! Real packets through both backends: what a guest may send and what it may not, and that no
//! packet leaves by an interface that is not the uplink, nor with a guest's own address.
//!
//! Four namespaces: the device (the test's own), a guest behind `vm_wlan`, and a neighbour behind
//! each of `wlan0`, `eth0` and `lan0`, all of which have the address that the guest sends to.

mod firewall_cases;
mod firewall_rig;

use firewall_cases::ruleset;
use firewall_rig::sh;
use guestnetd::effects::firewall::iptables::{Iptables, Programs};
use guestnetd::effects::firewall::nftables::Nftables;
use guestnetd::effects::firewall::{Backend, Choice, Firewall, Ruleset, Strangers};
use guestnetd::spec::Subnet;
use nix::sched::{setns, CloneFlags};
use nix::sys::socket::{setsockopt, sockopt::Linger, sockopt::RcvBufForce};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

const REMOTE: &str = "198.51.100.1:9000";
const LONGEST: Duration = Duration::from_secs(10);

/// A network namespace that is held by a process.
struct Namespace(Child);

impl Namespace {
    /// With the other end of a veth pair whose near end is `near`.
    fn behind(near: &str, far: &str) -> Self {
        let holder = Command::new("unshare")
            .args(["-n", "sh", "-c", "echo; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn();
        let mut holder = holder.unwrap();
        // It says a line when it is in its namespace.
        let mut line = String::new();
        let out = holder.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        let this = Self(holder);
        this.sh("sysctl -qw net.ipv6.conf.default.accept_dad=0");
        sh(&format!(
            "ip link add {near} type veth peer name {far} netns {}; ip link set {near} up",
            this.0.id()
        ));
        this.sh(&format!("ip link set lo up; ip link set {far} up"));
        this
    }

    fn sh(&self, commands: &str) {
        sh(&format!("nsenter -t {} -n sh -ec '{commands}'", self.0.id()));
    }

    /// Runs this in the namespace, on a thread of its own.
    fn inside<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        self.spawn(f).join().unwrap()
    }

    fn spawn<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let netns = File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        thread::spawn(move || {
            setns(netns, CloneFlags::CLONE_NEWNET).unwrap();
            f()
        })
    }

    fn socket(&self, address: &'static str) -> UdpSocket {
        let socket = self.inside(move || UdpSocket::bind(address).unwrap());
        socket.set_nonblocking(true).unwrap();
        socket
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The kernel takes 1000 packets at a time on each CPU, of all namespaces, and drops others unsaid
/// (`net.core.netdev_max_backlog`): who floods is alone, so that a packet that nobody counts is nobody's.
static CPUS: RwLock<()> = RwLock::new(());

fn in_netns(test: impl FnOnce() + Send + 'static) {
    let _beside_others = CPUS.read().unwrap_or_else(PoisonError::into_inner);
    firewall_rig::in_netns(test);
}

fn alone_in_netns(test: impl FnOnce() + Send + 'static) {
    let _alone = CPUS.write().unwrap_or_else(PoisonError::into_inner);
    firewall_rig::in_netns(test);
}

/// The device with its guest and its neighbours.
struct Device {
    guest: Namespace,
    neighbours: [Neighbour; 3],
}

/// Someone behind an interface of the device: `.1` of a subnet in which the device is `.2`.
struct Neighbour {
    interface: &'static str,
    subnet: &'static str,
    namespace: Namespace,
    remote: UdpSocket,
}

impl Device {
    /// Without IPv6: what a link says of itself there (MLD, router solicitations) comes when it likes,
    /// and a drop of it would be counted beside those that a test waits for.
    fn new() -> Self {
        Self::with_ipv6("1")
    }

    fn and_ipv6() -> Self {
        Self::with_ipv6("0")
    }

    fn with_ipv6(disabled: &str) -> Self {
        let ipv6 = format!(
            "sysctl -qw net.ipv6.conf.all.disable_ipv6={disabled} net.ipv6.conf.default.disable_ipv6={disabled}"
        );
        sh(&ipv6);
        sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.default.accept_dad=0
            sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0");
        let guest = Namespace::behind("vm_wlan", "wlan0");
        guest.sh(&ipv6);
        sh("ip address add 172.17.3.2/16 dev vm_wlan");
        guest.sh("ip address add 172.17.3.3/16 dev wlan0; ip route add default via 172.17.3.2");
        let neighbour = |interface, subnet| {
            let namespace = Namespace::behind(interface, "peer");
            sh(&format!("ip address add {subnet}.2/24 dev {interface}"));
            namespace.sh(&format!(
                "ip address add {subnet}.1/24 dev peer; ip address add 198.51.100.1/32 dev lo
                 ip route add 172.17.0.0/16 via {subnet}.2"
            ));
            let remote = namespace.socket(REMOTE);
            Neighbour { interface, subnet, namespace, remote }
        };
        let neighbours = [
            neighbour("wlan0", "192.0.2"),
            neighbour("eth0", "203.0.113"),
            neighbour("lan0", "198.18.0"),
        ];
        Self { guest, neighbours }
    }

    fn route_by(&self, interface: &str) {
        let subnet = self.neighbour(interface).subnet;
        sh(&format!("ip route replace default via {subnet}.1 dev {interface}"));
    }

    fn neighbour(&self, interface: &str) -> &Neighbour {
        self.neighbours.iter().find(|neighbour| neighbour.interface == interface).unwrap()
    }

    /// Packets that have come to this neighbour; each has to have the device's address there.
    fn came_to(&self, interface: &str) -> usize {
        let Neighbour { subnet, remote, .. } = self.neighbour(interface);
        let mut count = 0;
        while let Some((_, from)) = received(remote) {
            let from = from.ip().to_string();
            assert_eq!(from, format!("{subnet}.2"), "not masqueraded, by {interface}");
            count += 1;
        }
        count
    }
}

/// A packet's first byte and where it came from.
fn received(socket: &UdpSocket) -> Option<(u8, SocketAddr)> {
    let mut buffer = [0; 64];
    let (_, from) = socket.recv_from(&mut buffer).ok()?;
    Some((buffer[0], from))
}

fn soon(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LONGEST;
    while !condition() {
        assert!(Instant::now() < end, "not within {LONGEST:?}: {what}");
        thread::yield_now();
    }
}

fn by(uplink: &str) -> Ruleset {
    ruleset(&format!(
        "uplink {uplink}\nsubnet 172.17.0.0/16 gateway 172.17.3.2\naddress vm_wlan 172.17.3.3\n"
    ))
}

fn closed() -> Ruleset {
    ruleset("subnet 172.17.0.0/16 gateway 172.17.3.2\naddress vm_wlan 172.17.3.3\n")
}

/// The guest sends without a pause, every packet a connection of its own, while the uplink and the
/// route change, not at the same time.
fn packets_leave_by_the_uplink_only(choice: Choice) {
    alone_in_netns(move || {
        let device = Device::new();
        let mut firewall = Firewall::open(&choice.into()).unwrap().0;
        firewall.apply(&closed()).unwrap();
        device.route_by("wlan0");
        let done = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicUsize::new(0));
        let sender = {
            let (done, sent) = (done.clone(), sent.clone());
            device.guest.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                    // A full queue is no failure: the next one goes.
                    let _ = socket.send_to(b"?", REMOTE);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let some_are_sent = || {
            let before = sent.load(Ordering::Relaxed);
            soon("the guest sends", || sent.load(Ordering::Relaxed) >= before + 20);
        };
        some_are_sent();
        for name in ["wlan0", "eth0", "lan0"] {
            assert_eq!(device.came_to(name), 0, "{name} without an uplink");
        }
        for turn in 0..12 {
            let (uplink, other) = [("wlan0", "eth0"), ("eth0", "wlan0")][turn % 2];
            firewall.apply(&by(uplink)).unwrap();
            // Routed to where they may not go any more: what is on its way arrives, then nothing.
            some_are_sent();
            device.came_to(other);
            some_are_sent();
            assert_eq!(device.came_to(other), 0, "{other} when the uplink is {uplink}");
            device.route_by("lan0");
            some_are_sent();
            device.came_to(uplink);
            device.route_by(uplink);
            let mut came = 0;
            soon("packets leave by the uplink", || {
                came += device.came_to(uplink);
                came > 20
            });
            assert_eq!(device.came_to("lan0"), 0, "lan0 was never the uplink");
        }
        firewall.apply(&closed()).unwrap();
        some_are_sent();
        device.came_to("wlan0");
        device.came_to("eth0");
        some_are_sent();
        assert_eq!(device.came_to("wlan0") + device.came_to("eth0"), 0, "no uplink any more");
        assert!(firewall.dropped().unwrap() > 0, "drops are counted");
        done.store(true, Ordering::Relaxed);
        sender.join().unwrap();
    });
}

#[test]
fn packets_leave_by_the_uplink_only_nftables() {
    packets_leave_by_the_uplink_only(Choice::Nftables);
}

#[test]
fn packets_leave_by_the_uplink_only_iptables() {
    packets_leave_by_the_uplink_only(Choice::Iptables);
}

/// Others' rules in front of ours, in either filter, that take guests out of source NAT, give them
/// another address, or send their questions elsewhere: every packet leaves with the uplink's address.
fn nat_is_decided_before_others(choice: Choice) {
    const THEIRS: [&str; 4] = [
        "iptables-legacy -t nat -I POSTROUTING -s 172.16.0.0/12 -j RETURN",
        "iptables-legacy -t nat -I POSTROUTING -s 172.16.0.0/12 -j ACCEPT",
        "iptables-legacy -t nat -I POSTROUTING -s 172.16.0.0/12 -j SNAT --to-source 192.0.2.77",
        "nft add chain ip nat theirs \"{ type nat hook postrouting priority srcnat; }\"
         nft add rule ip nat theirs ip saddr 172.16.0.0/12 snat to 192.0.2.78",
    ];
    in_netns(move || {
        let device = Device::new();
        device.route_by("wlan0");
        sh("nft add table ip nat");
        let mut firewall = Firewall::open(&choice.into()).unwrap().0;
        firewall.apply(&by("wlan0")).unwrap();
        for theirs in THEIRS {
            // What nf_tables decides at the priority of iptables is decided behind it.
            if choice == Choice::Nftables || theirs.starts_with("iptables") {
                sh(theirs);
            }
            let first = firewall.drift(&by("wlan0")).unwrap();
            let lost = choice == Choice::Iptables && theirs.starts_with("iptables");
            assert_eq!(first.is_some(), lost, "{theirs}: {first:?}");
            firewall.apply(&by("wlan0")).unwrap();
            assert_eq!(firewall.drift(&by("wlan0")).unwrap(), None);
            // Each is a connection of its own.
            device.guest.inside(|| {
                for _ in 0..5 {
                    UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"?", REMOTE).unwrap();
                }
            });
            let mut came = 0;
            soon(theirs, || {
                came += device.came_to("wlan0");
                came == 5
            });
        }
    });
}

#[test]
fn nat_is_decided_before_others_nftables() {
    nat_is_decided_before_others(Choice::Nftables);
}

#[test]
fn nat_is_decided_before_others_iptables() {
    nat_is_decided_before_others(Choice::Iptables);
}

/// Whether a packet of the guest comes to any of these sockets before one that is known to pass and
/// was sent behind it.
fn reaches(device: &Device, to: SocketAddr, sockets: &[UdpSocket]) -> bool {
    device.guest.inside(move || {
        let any: SocketAddr = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
        UdpSocket::bind(any).unwrap().send_to(b"?", to).unwrap();
        UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"!", "172.17.3.2:53").unwrap();
    });
    let (mut reached, mut known) = (false, false);
    soon("what is known to pass", || {
        for (first, _) in sockets.iter().filter_map(received) {
            reached |= first == b'?';
            known |= first == b'!';
        }
        known
    });
    reached
}

/// Rules of an earlier process are written once more, and every packet of a guest goes on passing: those
/// of one connection, and the first of each new one.
fn a_new_process_loses_no_packet(choice: Choice) {
    alone_in_netns(move || {
        let device = Device::new();
        device.route_by("wlan0");
        // Room for all that comes while nobody looks.
        let remote = &device.neighbour("wlan0").remote;
        setsockopt(remote, RcvBufForce, &(64 << 20)).unwrap();
        let mut firewall = Firewall::open(&choice.into()).unwrap().0;
        firewall.apply(&by("wlan0")).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let sender = {
            let done = done.clone();
            device.guest.spawn(move || {
                let one = UdpSocket::bind("0.0.0.0:7000").unwrap();
                let mut sent = 0;
                while !done.load(Ordering::Relaxed) {
                    let new = UdpSocket::bind("0.0.0.0:0").unwrap();
                    for socket in [&one, &new] {
                        sent += usize::from(socket.send_to(b"?", REMOTE).is_ok());
                    }
                    thread::sleep(Duration::from_micros(100));
                }
                sent
            })
        };
        let mut came = 0;
        for _ in 0..20 {
            // As a process that ends: its table has no owner any more.
            drop(firewall);
            firewall = Firewall::open(&choice.into()).unwrap().0;
            let applied = || firewall.apply(&by("wlan0")).is_ok();
            soon("the rules are taken over", applied);
            came += device.came_to("wlan0");
        }
        assert!(came > 100, "{came} packets in all that time");
        done.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap();
        let begun = Instant::now();
        while came < sent && begun.elapsed() < LONGEST {
            came += device.came_to("wlan0");
        }
        assert_eq!(came, sent, "packets that arrived, and that were sent");
        assert_eq!(firewall.dropped().unwrap(), 0);
    });
}

#[test]
fn a_new_process_loses_no_packet_nftables() {
    a_new_process_loses_no_packet(Choice::Nftables);
}

#[test]
fn a_new_process_loses_no_packet_iptables() {
    a_new_process_loses_no_packet(Choice::Iptables);
}

/// What a guest may say to the device itself, and what the device's neighbours may say to it.
fn the_device_is_closed_to_a_guest(choice: Choice) {
    in_netns(move || {
        let device = Device::and_ipv6();
        let any = |port: u16| {
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        // Of both IP versions: an IPv4 packet comes in as one of a mapped address.
        let sockets = [any(5555), any(53)];
        let link_local = sh("ip -6 -o address show dev vm_wlan scope link | grep -o 'fe80[^/]*'");
        let link_local: Ipv6Addr = link_local.trim().parse().unwrap();
        let scope = device.guest.inside(|| nix::net::if_::if_nametoindex("wlan0").unwrap());
        let doors: [SocketAddr; 4] = [
            "172.17.3.2:5555".parse().unwrap(),
            "192.0.2.2:5555".parse().unwrap(),
            "192.0.2.2:53".parse().unwrap(),
            SocketAddrV6::new(link_local, 5555, 0, scope).into(),
        ];
        // Without rules every one of them is open: so the test can fail.
        for door in doors {
            soon("an open door", || reaches(&device, door, &sockets));
        }
        let mut firewall = Firewall::open(&choice.into()).unwrap().0;
        firewall.apply(&by("wlan0")).unwrap();
        for door in doors {
            assert!(!reaches(&device, door, &sockets), "{door}");
        }
        device.guest.sh("ping -q -c 1 -W 5 172.17.3.2");
        device.guest.sh("! ping -q -c 1 -W 1 192.0.2.2");
        // A neighbour that begins: not to the guest, though it knows the way.
        let in_guest = device.guest.socket("0.0.0.0:7000");
        let wlan0 = &device.neighbour("wlan0").namespace;
        let knock = || {
            wlan0.inside(|| {
                UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"?", "172.17.3.3:7000").unwrap();
            });
        };
        let before = firewall.dropped().unwrap();
        knock();
        soon("the drop", || firewall.dropped().unwrap() > before);
        assert!(received(&in_guest).is_none());
        // Nor to who answers guests at the gateway, in the name of a guest or in its own.
        for from in ["192.0.2.1:0", "172.17.3.9:0"] {
            let before = firewall.dropped().unwrap();
            wlan0.inside(move || {
                sh("ip address replace 172.17.3.9/32 dev lo");
                UdpSocket::bind(from).unwrap().send_to(b"?", "172.17.3.2:53").unwrap();
            });
            soon("the drop", || firewall.dropped().unwrap() > before);
        }
        assert!(!sockets.iter().filter_map(received).any(|(first, _)| first == b'?'));
        // The device itself does.
        UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"!", "172.17.3.2:53").unwrap();
        soon("the device's own question", || received(&sockets[1]).is_some());
        firewall.clear().unwrap();
        soon("an open door again", || {
            knock();
            received(&in_guest).is_some()
        });
    });
}

#[test]
fn the_device_is_closed_to_a_guest_nftables() {
    the_device_is_closed_to_a_guest(Choice::Nftables);
}

#[test]
fn the_device_is_closed_to_a_guest_iptables() {
    the_device_is_closed_to_a_guest(Choice::Iptables);
}

/// What a guest asks its gateway is answered by the resolver, and the guest does not notice; who
/// answers at the gateway is asked only when there is no resolver.
fn the_resolver_answers_for_the_gateway(choice: Choice) {
    in_netns(move || {
        let device = Device::new();
        device.route_by("wlan0");
        let at_gateway = UdpSocket::bind("172.17.3.2:53").unwrap();
        at_gateway.set_nonblocking(true).unwrap();
        let wlan0 = &device.neighbour("wlan0").namespace;
        let asked = wlan0.socket("192.0.2.1:53");
        let listener = wlan0.inside(|| TcpListener::bind("192.0.2.1:53").unwrap());
        let over_tcp = thread::spawn(move || {
            let (mut stream, from) = listener.accept().unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
            from.ip().to_string()
        });
        let with = |more: &str| {
            ruleset(&format!("uplink wlan0\nsubnet 172.17.0.0/16 gateway 172.17.3.2\naddress vm_wlan 172.17.3.3\n{more}"))
        };
        let mut firewall = Firewall::open(&choice.into()).unwrap().0;
        firewall.apply(&with("resolver 192.0.2.1\n")).unwrap();
        let guest = device.guest.socket("0.0.0.0:0");
        guest.connect("172.17.3.2:53").unwrap();
        guest.send(b"?").unwrap();
        let mut question = None;
        soon("the question", || {
            question = received(&asked);
            question.is_some()
        });
        let (_, from) = question.unwrap();
        assert_eq!(from.ip().to_string(), "192.0.2.2", "masqueraded as all that leaves");
        asked.send_to(b"!", from).unwrap();
        // Connected: an answer from another address than the gateway's would not come up.
        soon("the answer", || received(&guest).is_some_and(|(first, _)| first == b'!'));
        let echoed = device.guest.inside(|| {
            let mut stream = TcpStream::connect("172.17.3.2:53").unwrap();
            stream.write_all(b"?").unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            byte
        });
        assert_eq!((echoed, over_tcp.join().unwrap().as_str()), (*b"?", "192.0.2.2"));
        assert!(received(&at_gateway).is_none(), "the gateway's own was asked");
        // Only what is meant for the gateway, and only DNS: the rest goes where it was sent.
        let other = device.guest.socket("0.0.0.0:0");
        other.send_to(b"?", REMOTE).unwrap();
        soon("another packet", || device.came_to("wlan0") == 1);
        // No uplink: the question goes nowhere.
        let before = firewall.dropped().unwrap();
        let mut closed = closed();
        closed.resolver = "192.0.2.1".parse().ok();
        firewall.apply(&closed).unwrap();
        device.guest.socket("0.0.0.0:0").send_to(b"?", "172.17.3.2:53").unwrap();
        soon("the drop", || firewall.dropped().unwrap() != before);
        assert!(received(&asked).is_none() && received(&at_gateway).is_none());
        firewall.apply(&with("")).unwrap();
        device.guest.socket("0.0.0.0:0").send_to(b"?", "172.17.3.2:53").unwrap();
        soon("the question, at the gateway", || received(&at_gateway).is_some());
        assert!(received(&asked).is_none());
    });
}

#[test]
fn the_resolver_answers_for_the_gateway_nftables() {
    the_resolver_answers_for_the_gateway(Choice::Nftables);
}

#[test]
fn the_resolver_answers_for_the_gateway_iptables() {
    the_resolver_answers_for_the_gateway(Choice::Iptables);
}

/// An IPv4 packet, as a guest's root may send it: whatever it says of itself.
fn packet(from: &str, to: &str, protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let octets = |address: &str| address.parse::<std::net::Ipv4Addr>().unwrap().octets();
    let length = (20 + payload.len()) as u16;
    let mut bytes = [&[0x45, 0][..], &length.to_be_bytes(), &[0, 7]].concat();
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0]);
    bytes.extend([octets(from), octets(to)].concat());
    let sum = checksum(&bytes);
    bytes[10..12].copy_from_slice(&sum);
    bytes.extend(payload);
    bytes
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words =
        bytes.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(*two.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// A UDP datagram without a checksum.
fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len()) as u16;
    let numbers = [from, to, length, 0].map(u16::to_be_bytes).concat();
    [&numbers, data].concat()
}

/// "Fragmentation needed, the MTU is 600", about this packet.
fn too_big(about: &[u8]) -> Vec<u8> {
    let mut bytes = [&[3, 4, 0, 0, 0, 0, 2, 88][..], about].concat();
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum);
    bytes
}

impl Namespace {
    /// Sends these packets by a raw socket, each to the address that it says.
    fn send_raw(&self, packets: Vec<Vec<u8>>) {
        use nix::sys::socket::{sendto, socket, AddressFamily, MsgFlags, SockFlag, SockProtocol};
        use nix::sys::socket::{SockType, SockaddrIn};
        use std::os::fd::AsRawFd;
        self.inside(move || {
            let (raw, flags) = (SockType::Raw, SockFlag::empty());
            let socket = socket(AddressFamily::Inet, raw, flags, SockProtocol::Raw).unwrap();
            for packet in packets {
                let to = SockaddrIn::new(packet[16], packet[17], packet[18], packet[19], 0);
                sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty()).unwrap();
            }
        });
    }
}

/// A guest that speaks in the name of a server, or of the path to it, is not heard by the device that
/// talks to that server; nor does it leave in the name of another guest.
fn a_guest_speaks_for_itself(choice: Choice) {
    in_netns(move || {
        let device = Device::new();
        device.route_by("wlan0");
        let ours = UdpSocket::bind("192.0.2.2:4000").unwrap();
        ours.connect(REMOTE).unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut firewall = Firewall::open(&choice.into()).unwrap().0;
        firewall.apply(&by("wlan0")).unwrap();
        ours.send(b"?").unwrap();
        soon("the question", || device.came_to("wlan0") == 1);
        let dropped = |what: &str, packet: Vec<u8>, firewall: &mut Firewall| {
            let before = firewall.dropped().unwrap();
            device.guest.send_raw(vec![packet]);
            soon(what, || firewall.dropped().unwrap() > before);
        };
        let answer = packet("198.51.100.1", "192.0.2.2", 17, 0, &udp(9000, 4000, b"forged"));
        dropped("a forged answer", answer, &mut firewall);
        let question = packet("192.0.2.2", "198.51.100.1", 17, 0, &udp(4000, 9000, b"?"));
        let error = packet("172.17.3.3", "192.0.2.2", 1, 0, &too_big(&question));
        dropped("an error about the device's path", error, &mut firewall);
        // To the server about the device's connection, which no NAT has touched.
        let its = packet("198.51.100.1", "192.0.2.2", 17, 0, &udp(9000, 4000, b"!"));
        let error = packet("172.17.3.3", "198.51.100.1", 1, 0, &too_big(&its));
        dropped("an error about the server's path", error, &mut firewall);
        assert_eq!(ours.recv(&mut [0; 64]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        assert!(!sh("ip route get 198.51.100.1").contains("mtu"), "the path is as it was");
        if choice == Choice::Nftables {
            let other = packet("172.17.3.4", "198.51.100.1", 17, 0, &udp(7, 9000, b"?"));
            dropped("a packet in another guest's name", other, &mut firewall);
        }
        assert_eq!(device.came_to("wlan0"), 0);
        device.neighbour("wlan0").remote.send_to(b"!", "192.0.2.2:4000").unwrap();
        soon("the server's answer", || ours.recv(&mut [0; 64]).is_ok());
    });
}

#[test]
fn a_guest_speaks_for_itself_nftables() {
    a_guest_speaks_for_itself(Choice::Nftables);
}

#[test]
fn a_guest_speaks_for_itself_iptables() {
    a_guest_speaks_for_itself(Choice::Iptables);
}

/// One guest has so many connections at a time and no more; a flow that nobody answers is one of them,
/// however long it lasts, and those that end make room.
fn connections_of_one_guest_are_limited(firewall: impl FnOnce() -> Firewall + Send + 'static) {
    in_netns(move || {
        let device = Device::new();
        device.route_by("wlan0");
        let mut limited = by("wlan0");
        limited.connections = Some(64);
        let mut firewall = firewall();
        firewall.apply(&limited).unwrap();
        // A quarter is for what is closed. x_tables counts what is asked of the device apart: a quarter again.
        let most = if firewall.backend() == Backend::Nftables { 48 } else { 36 };
        let send = |sockets: usize, packets: usize| {
            device.guest.inside(move || {
                let all: Vec<_> =
                    (0..sockets).map(|_| UdpSocket::bind("0.0.0.0:0").unwrap()).collect();
                for socket in &all {
                    for _ in 0..packets {
                        socket.send_to(b"?", REMOTE).unwrap();
                        thread::sleep(Duration::from_micros(500));
                    }
                }
            });
        };
        let came = |sent: usize, firewall: &mut Firewall| {
            let (mut came, before) = (0, firewall.dropped().unwrap());
            send(1, sent);
            soon("all packets", || {
                came += device.came_to("wlan0");
                came + (firewall.dropped().unwrap() - before) as usize == sent
            });
            came
        };
        assert_eq!(came(200, &mut firewall), 200, "one flow that is never answered");
        send(200, 1);
        soon("all of them", || {
            let dropped = firewall.dropped().unwrap() as usize;
            dropped == 200 - (most - 1)
        });
        let mut came_first = 0;
        soon("those that may", || {
            came_first += device.came_to("wlan0");
            came_first >= most - 1
        });
        assert_eq!(came_first, most - 1, "those that may and no other");
        assert_eq!(came(5, &mut firewall), 0, "a flow more");
        if firewall.backend() == Backend::Nftables {
            // Everything counts, whoever it is for.
            let gateway = device.guest.inside(|| UdpSocket::bind("0.0.0.0:0").unwrap());
            gateway.send_to(b"?", "172.17.3.2:53").unwrap();
            soon("the drop", || firewall.dropped().unwrap() as usize > 200 - (most - 1) + 5);
        }
        sh("conntrack -D -s 172.17.3.3 >/dev/null 2>&1");
        soon("room", || came(1, &mut firewall) == 1);
    });
}

#[test]
fn connections_of_one_guest_are_limited_nftables() {
    connections_of_one_guest_are_limited(|| Nftables::remembering().unwrap().into());
}

#[test]
fn connections_of_one_guest_are_limited_iptables() {
    connections_of_one_guest_are_limited(|| opened(Choice::Iptables));
}

fn opened(choice: Choice) -> Firewall {
    Firewall::open(&choice.into()).unwrap().0
}

/// Where the kernel has nothing to limit connections with, guests have internet all the same.
fn without_a_limit_there_is_internet(firewall: impl FnOnce() -> Firewall + Send + 'static) {
    alone_in_netns(move || {
        let device = Device::new();
        device.route_by("wlan0");
        let limited = Ruleset { connections: Some(8), ..by("wlan0") };
        let mut firewall = firewall();
        assert!(!firewall.lacks().is_empty());
        firewall.apply(&limited).unwrap();
        assert_eq!(firewall.drift(&limited).unwrap(), None);
        let text = firewall.text(&limited);
        assert!(!text.contains("connlimit") && !text.contains("ct count"), "{text}");
        device.guest.inside(|| {
            for _ in 0..40 {
                let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                socket.send_to(b"?", REMOTE).unwrap();
                thread::sleep(Duration::from_micros(500));
            }
        });
        let mut came = 0;
        soon("all of them", || {
            came += device.came_to("wlan0");
            came == 40
        });
        // What limits fragments is another thing.
        assert_eq!(firewall.dropped().unwrap(), 0);
    });
}

#[test]
fn without_a_limit_there_is_internet_nftables() {
    without_a_limit_there_is_internet(|| Nftables::unlimited().unwrap().into());
}

#[test]
fn without_a_limit_there_is_internet_iptables() {
    let programs = || Programs::find().unwrap();
    without_a_limit_there_is_internet(move || Iptables::unlimited(programs()).unwrap().into());
}

/// What is closed is not counted, but it is in the table: so a guest opens so many in a time and no more.
fn what_one_guest_opens_and_closes_is_limited(
    firewall: impl FnOnce() -> Firewall + Send + 'static,
) {
    alone_in_netns(move || {
        let device = Device::new();
        device.route_by("wlan0");
        let mut limited = by("wlan0");
        // One in a second, 8 at once.
        limited.connections = Some(64);
        let mut firewall = firewall();
        firewall.apply(&limited).unwrap();
        const SERVER: &str = "198.51.100.1:2000";
        let far = &device.neighbour("wlan0").namespace;
        let server = far.inside(|| TcpListener::bind(SERVER).unwrap());
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        thread::spawn(move || {
            for stream in server.incoming().flatten() {
                // It ends with RST: the state CLOSE, for 10 s.
                setsockopt(&stream, Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let accepted = || accepted.load(Ordering::Relaxed);
        // The RST may come before it is seen that the connection is there.
        let open = |count: usize, patience: u64| {
            device.guest.inside(move || {
                let (server, patience) = (SERVER.parse().unwrap(), Duration::from_millis(patience));
                (0..count).for_each(|_| drop(TcpStream::connect_timeout(&server, patience)));
            });
        };
        let began = Instant::now();
        open(1, 1000);
        soon("the first", || accepted() == 1);
        open(150, 10);
        let tracked =
            std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").unwrap();
        let tracked: usize = tracked.trim().parse().unwrap();
        let most = 8 + began.elapsed().as_secs() as usize + 2;
        assert!((4..=most).contains(&tracked), "{tracked} connections, and not {most} at most");
        assert!(firewall.dropped().unwrap() >= (151 - most) as u64);
        let before = accepted();
        soon("there is room", || {
            open(1, 200);
            accepted() > before
        });
    });
}

#[test]
fn what_one_guest_opens_and_closes_is_limited_nftables() {
    what_one_guest_opens_and_closes_is_limited(|| {
        let firewall: Firewall = Nftables::remembering().unwrap().into();
        assert_eq!(firewall.lacks(), ["CONFIG_NF_CONNTRACK_TIMEOUT"]);
        firewall
    });
}

#[test]
fn what_one_guest_opens_and_closes_is_limited_iptables() {
    what_one_guest_opens_and_closes_is_limited(|| opened(Choice::Iptables));
}

/// How many entries of the guest's are in conntrack.
fn entries() -> usize {
    // /proc/net is the main thread's.
    let table = std::fs::read_to_string("/proc/thread-self/net/nf_conntrack").unwrap();
    table.lines().filter(|line| line.contains("src=172.17.3.3 ")).count()
}

type Work = Box<dyn Fn() + Send + Sync>;

/// The most entries of the guest's that are seen while it does this, over and over, for so long.
fn most_entries(device: &Device, during: Duration, work: Work) -> usize {
    let done = Arc::new(AtomicBool::new(false));
    let work = Arc::new(work);
    let threads = [0; 4].map(|_| {
        let (done, work) = (Arc::clone(&done), Arc::clone(&work));
        device.guest.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                work();
            }
        })
    });
    let end = Instant::now() + during;
    let mut most = 0;
    while Instant::now() < end {
        most = most.max(entries());
    }
    done.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    most.max(entries())
}

/// A server behind wlan0 that takes connections and reads each to its end, or ends them with a RST; and
/// how many it has taken.
fn server(device: &Device, address: &'static str, resets: bool) -> Arc<AtomicUsize> {
    let far = &device.neighbour("wlan0").namespace;
    let server = far.inside(move || TcpListener::bind(address).unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in server.incoming().flatten() {
            if resets {
                setsockopt(&stream, Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
            } else {
                stream.set_nonblocking(true).unwrap();
                open.push(stream);
                // Those whose guest has closed its end.
                open.retain(|mut stream| !matches!(stream.read(&mut [0]), Ok(0)));
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    accepted
}

/// However fast a guest opens and closes, and whatever: no more entries than it may have. Then what is
/// closed goes.
#[test]
fn entries_of_one_guest_are_limited() {
    alone_in_netns(|| {
        const MOST: usize = 512;
        const TAKES: &str = "198.51.100.1:2000";
        const RESETS: &str = "198.51.100.1:2001";
        let device = Device::new();
        device.route_by("wlan0");
        let mut limited = by("wlan0");
        limited.connections = Some(MOST as u32);
        let mut firewall = opened(Choice::Nftables);
        firewall.apply(&limited).unwrap();
        let taken = [server(&device, TAKES, false), server(&device, RESETS, true)];
        let connect =
            |to: &str| TcpStream::connect_timeout(&to.parse().unwrap(), Duration::from_millis(20));
        let udp = || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(b"?", REMOTE).unwrap();
        };
        let mut counted = 0;
        let held = move || (0..100).map(|_| connect(TAKES)).collect::<Vec<_>>();
        let both: Work = Box::new(move || drop(connect(TAKES)));
        let reset: Work = Box::new(move || drop(connect(RESETS)));
        let then_udp: Work = Box::new(move || {
            drop(held());
            (0..100).for_each(|_| udp());
        });
        for (what, seconds, work) in [
            ("both ends close", 3, both),
            ("RST", 3, reset),
            ("many are closed at once, and then there are others", 4, then_udp),
            // As many as are counted.
            ("UDP", 6, Box::new(udp)),
        ] {
            let most = most_entries(&device, Duration::from_secs(seconds), work);
            println!("{what}: {most} entries");
            assert!(most > MOST / 8 && most <= MOST + MOST / 100, "{what}: {most} entries");
            counted = most;
        }
        assert!(counted > MOST * 5 / 8, "{counted}");
        for taken in &taken {
            let taken = taken.load(Ordering::Relaxed);
            assert!(taken > MOST / 4, "{taken} connections were taken");
        }
        sh("conntrack -F 2>/dev/null");
        // The server closes with a guest of its next connection.
        device.guest.inside(move || (0..20).for_each(|_| drop(connect(TAKES))));
        soon("they are forgotten", || entries() <= 1);
    });
}

/// A guest asks for hosts of a large network that nobody has: the device asks for few of them at a time.
fn hosts_of_a_crowd_are_asked_for_slowly(choice: Choice) {
    alone_in_netns(move || {
        let device = Device::new();
        device.route_by("wlan0");
        let mut limited = by("wlan0");
        limited.connections = Some(4096);
        limited.crowd = Subnet::containing([198, 51, 0, 0].into(), 16);
        let mut firewall = opened(choice);
        firewall.apply(&limited).unwrap();
        let began = Instant::now();
        let send = |to: &'static str| {
            device.guest.inside(move || {
                for _ in 0..300 {
                    UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"?", to).unwrap();
                }
            });
        };
        send(REMOTE);
        let (mut came, mut may) = (0, 0);
        soon("all packets", || {
            came += device.came_to("wlan0");
            may = 128 + 64 * (began.elapsed().as_secs() as usize + 1);
            came + firewall.dropped().unwrap() as usize == 300
        });
        assert!((100..=may).contains(&came), "{came} of 300");
        // Behind a router.
        let before = firewall.dropped().unwrap();
        send("100.64.0.1:9000");
        assert_eq!(firewall.dropped().unwrap(), before);
    });
}

#[test]
fn hosts_of_a_crowd_are_asked_for_slowly_nftables() {
    hosts_of_a_crowd_are_asked_for_slowly(Choice::Nftables);
}

#[test]
fn hosts_of_a_crowd_are_asked_for_slowly_iptables() {
    hosts_of_a_crowd_are_asked_for_slowly(Choice::Iptables);
}

/// 200 short connections in a second, each with a question for a name: nothing is dropped.
#[test]
fn an_honest_guest_is_not_limited() {
    in_netns(|| {
        const TAKES: &str = "198.51.100.1:2000";
        let device = Device::new();
        device.route_by("wlan0");
        let mut limited = by("wlan0");
        limited.connections = Some(4096);
        let mut firewall = opened(Choice::Nftables);
        firewall.apply(&limited).unwrap();
        let taken = server(&device, TAKES, false);
        let count = 1000;
        device.guest.inside(move || {
            let began = Instant::now();
            for nth in 0..count {
                let due = began + Duration::from_millis(5) * nth;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"?", REMOTE).unwrap();
                TcpStream::connect_timeout(&TAKES.parse().unwrap(), LONGEST).unwrap();
            }
        });
        soon("all are taken", || taken.load(Ordering::Relaxed) == count as usize);
        assert_eq!(firewall.dropped().unwrap(), 0);
    });
}

/// What a guest sends leaves by ports that the device's own connections never have; what has no ports
/// leaves, too.
fn guests_leave_by_ports_of_their_own(choice: Choice) {
    in_netns(move || {
        let device = Device::new();
        device.route_by("wlan0");
        let mut firewall = Firewall::open(&choice.into()).unwrap().0;
        firewall.apply(&Ruleset { nat_ports: Some((5000, 5099)), ..by("wlan0") }).unwrap();
        let wlan0 = device.neighbour("wlan0");
        for bound in ["0.0.0.0:40000", "0.0.0.0:5050", "0.0.0.0:0"] {
            device.guest.inside(move || {
                UdpSocket::bind(bound).unwrap().send_to(b"?", REMOTE).unwrap();
            });
            let mut from = None;
            soon("the packet", || {
                from = received(&wlan0.remote);
                from.is_some()
            });
            let port = from.unwrap().1.port();
            assert!((5000..=5099).contains(&port), "{bound} left by {port}");
        }
        let listener = wlan0.namespace.inside(|| TcpListener::bind("198.51.100.1:9001").unwrap());
        let _stream = device.guest.inside(|| {
            TcpStream::connect_timeout(&"198.51.100.1:9001".parse().unwrap(), LONGEST).unwrap()
        });
        let port = listener.accept().unwrap().1.port();
        assert!((5000..=5099).contains(&port), "TCP by {port}");
        device.guest.sh("ping -q -c 1 -W 5 198.51.100.1");
    });
}

#[test]
fn guests_leave_by_ports_of_their_own_nftables() {
    guests_leave_by_ports_of_their_own(Choice::Nftables);
}

#[test]
fn guests_leave_by_ports_of_their_own_iptables() {
    guests_leave_by_ports_of_their_own(Choice::Iptables);
}

/// Where forwarding is on for guests alone, nobody behind the uplink reaches the device's other networks
/// through it; what somebody's DNAT leads further passes where others may need forwarding.
fn strangers_do_not_pass(choice: Choice) {
    in_netns(move || {
        let device = Device::new();
        device.route_by("wlan0");
        let [wlan0, lan0] = ["wlan0", "lan0"].map(|name| &device.neighbour(name).namespace);
        wlan0.sh("ip route add 198.18.0.0/24 via 192.0.2.2");
        lan0.sh("ip route add 192.0.2.0/24 via 198.18.0.2");
        let behind = [wlan0.socket("192.0.2.1:7000"), lan0.socket("198.18.0.1:7000")];
        sh("iptables-legacy -t nat -A PREROUTING -i wlan0 -p udp --dport 7777 -j DNAT \
            --to-destination 198.18.0.1:7000");
        let mut firewall = Firewall::open(&choice.into()).unwrap().0;
        // Whether it comes in from wlan0, from lan0, and by DNAT from wlan0.
        let mut pass = |strangers: Strangers| {
            let rules = Ruleset { strangers, ..by("wlan0") };
            firewall.apply(&rules).unwrap();
            let ways = [
                (wlan0, "198.18.0.1:7000", &behind[1]),
                (lan0, "192.0.2.1:7000", &behind[0]),
                (wlan0, "192.0.2.2:7777", &behind[1]),
            ];
            let passed = ways.map(|(from, to, socket)| {
                let before = firewall.dropped().unwrap();
                from.inside(move || {
                    UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"?", to).unwrap();
                });
                let mut came = false;
                soon("it comes, or is dropped", || {
                    came = received(socket).is_some();
                    came || firewall.dropped().unwrap() > before
                });
                came
            });
            device.guest.socket("0.0.0.0:0").send_to(b"?", REMOTE).unwrap();
            soon("the guest's", || device.came_to("wlan0") == 1);
            passed
        };
        assert_eq!(pass(Strangers::Pass), [true, true, true]);
        assert_eq!(pass(Strangers::NotFromWaysOut), [false, true, true]);
        assert_eq!(pass(Strangers::Nowhere), [false, false, false]);
    });
}

#[test]
fn strangers_do_not_pass_nftables() {
    strangers_do_not_pass(Choice::Nftables);
}

#[test]
fn strangers_do_not_pass_iptables() {
    strangers_do_not_pass(Choice::Iptables);
}

/// What is in no connection of its own that NAT knows does not leave with the guest's address.
#[test]
fn nothing_leaves_untranslated_nftables() {
    in_netns(|| {
        let device = Device::new();
        device.route_by("wlan0");
        // Connections are tracked before our rules are there, and without NAT.
        sh("iptables-legacy -A OUTPUT -m conntrack --ctstate ESTABLISHED");
        let guest = device.guest.socket("0.0.0.0:7000");
        guest.send_to(b"?", REMOTE).unwrap();
        let remote = &device.neighbour("wlan0").remote;
        let mut came = None;
        soon("the packet in the gap", || {
            came = received(remote);
            came.is_some()
        });
        assert_eq!(came.unwrap().1.to_string(), "172.17.3.3:7000", "the control");
        let mut firewall = Firewall::open(&Choice::Nftables.into()).unwrap().0;
        firewall.apply(&by("wlan0")).unwrap();
        guest.send_to(b"?", REMOTE).unwrap();
        soon("the drop", || firewall.dropped().unwrap() == 1);
        device.guest.socket("0.0.0.0:0").send_to(b"?", REMOTE).unwrap();
        soon("a new connection", || device.came_to("wlan0") == 1);
    });
}

/// Fragments that never become whole fill what the device has for all of them: of one guest only so
/// many are taken.
#[test]
fn fragments_of_one_guest_are_few_nftables() {
    alone_in_netns(|| {
        let device = Device::new();
        device.route_by("wlan0");
        let mut firewall = Firewall::open(&Choice::Nftables.into()).unwrap().0;
        firewall.apply(&by("wlan0")).unwrap();
        let more = |id: u16| {
            let mut one = packet("172.17.3.3", "198.51.100.1", 17, 0x2000, &udp(7, 9, &[0; 16]));
            one[4..6].copy_from_slice(&id.to_be_bytes());
            one[10..12].copy_from_slice(&[0; 2]);
            let sum = checksum(&one[..20]);
            one[10..12].copy_from_slice(&sum);
            one
        };
        let begun = Instant::now();
        device.guest.send_raw((1..=6000).map(more).collect());
        let taken = 6000 - firewall.dropped().unwrap();
        let most = 128 + 40 * (begun.elapsed().as_secs() + 1);
        assert!((100..=most).contains(&taken), "{taken} of 6000");
        // Whole packets pass, and so do fragments at a rate that is usual.
        device.guest.socket("0.0.0.0:0").send_to(b"?", REMOTE).unwrap();
        soon("a whole packet", || device.came_to("wlan0") == 1);
        thread::sleep(Duration::from_millis(500));
        device.guest.socket("0.0.0.0:0").send_to(&[b'?'; 4000], REMOTE).unwrap();
        soon("a packet in three pieces", || device.came_to("wlan0") == 1);
    });
}

/// A guest with a way out of its own leaves by that one, with the device's address there, and by no
/// other, wherever its packets are routed.
fn a_guest_leaves_by_its_own_way_out(choice: Choice) {
    in_netns(move || {
        let device = Device::new();
        let mut firewall = Firewall::open(&choice.into()).unwrap().0;
        let with = |exit: &str| {
            ruleset(&format!(
                "uplink wlan0\nuplink eth*\nsubnet 172.17.0.0/16 gateway 172.17.3.2\naddress vm_wlan 172.17.3.3\n{exit}"
            ))
        };
        let guest = device.guest.socket("0.0.0.0:7000");
        // How many of three packets arrive behind each neighbour; one after the other is routed to.
        let mut arrive = |ruleset: &Ruleset| {
            firewall.apply(ruleset).unwrap();
            ["wlan0", "eth0", "lan0"].map(|interface| {
                device.route_by(interface);
                let before = firewall.dropped().unwrap();
                for _ in 0..3 {
                    device.guest.socket("0.0.0.0:0").send_to(b"?", REMOTE).unwrap();
                }
                let mut came = 0;
                soon("three packets, or three drops", || {
                    came += device.came_to(interface);
                    came as u64 + firewall.dropped().unwrap() - before == 3
                });
                came
            })
        };
        assert_eq!(arrive(&with("")), [3, 3, 0]);
        assert_eq!(arrive(&with("guest vm_wlan by lan0\n")), [0, 0, 3]);
        assert_eq!(arrive(&with("guest vm_wlan by wlan0\n")), [3, 0, 0]);
        // Another guest's way out is none of this one's.
        assert_eq!(arrive(&with("guest vm_wlan1 by lan0\n")), [3, 3, 0]);
        assert_eq!(arrive(&with("guest vm_wlan by lan0\n")), [0, 0, 3]);
        // Behind its own way out, too, only replies come in.
        let lan0 = &device.neighbour("lan0");
        guest.send_to(b"?", REMOTE).unwrap();
        let mut question = None;
        soon("the question", || {
            question = received(&lan0.remote);
            question.is_some()
        });
        lan0.remote.send_to(b"!", question.unwrap().1).unwrap();
        soon("the answer", || received(&guest).is_some());
        let before = firewall.dropped().unwrap();
        lan0.namespace.inside(|| {
            UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"?", "172.17.3.3:7000").unwrap();
        });
        soon("the drop", || firewall.dropped().unwrap() > before);
        assert!(received(&guest).is_none());
    });
}

#[test]
fn a_guest_leaves_by_its_own_way_out_nftables() {
    a_guest_leaves_by_its_own_way_out(Choice::Nftables);
}

#[test]
fn a_guest_leaves_by_its_own_way_out_iptables() {
    a_guest_leaves_by_its_own_way_out(Choice::Iptables);
}

/// What a neighbour sends to a port of the device's comes to the guest, at the port that is named or at
/// the same one, and is answered from where it was sent to; another port leads nowhere.
fn a_port_leads_to_a_guest(choice: Choice, device_at: &'static str, guest_at: &'static str) {
    in_netns(move || {
        let device = Device::and_ipv6();
        let brackets = |address: &str| match address.contains(':') {
            true => format!("[{address}]"),
            false => address.to_owned(),
        };
        let (to_device, to_guest) = (brackets(device_at), brackets(guest_at));
        let wlan0 = &device.neighbour("wlan0").namespace;
        sh("sysctl -qw net.ipv6.conf.all.forwarding=1
            ip address add fd00:17::2/64 dev vm_wlan nodad; ip address add fd00:c0::2/64 dev wlan0 nodad");
        device.guest.sh(
            "ip address add fd00:17::3/64 dev wlan0 nodad; ip route add default via fd00:17::2",
        );
        wlan0.sh("ip address add fd00:c0::1/64 dev peer nodad");
        let listen = |port: u16| {
            let at = format!("{to_guest}:{port}");
            device.guest.inside(move || TcpListener::bind(at).unwrap())
        };
        let echo = |listener: TcpListener| {
            thread::spawn(move || {
                let (mut stream, from) = listener.accept().unwrap();
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                stream.write_all(&byte).unwrap();
                from.ip().to_string()
            })
        };
        let ask = |port: u16, byte: u8| {
            let to: SocketAddr = format!("{to_device}:{port}").parse().unwrap();
            wlan0.inside(move || {
                let mut stream =
                    TcpStream::connect_timeout(&to, Duration::from_millis(500)).ok()?;
                stream.write_all(&[byte]).unwrap();
                let mut answer = [0];
                stream.read_exact(&mut answer).unwrap();
                Some(answer[0])
            })
        };
        let mut firewall = Firewall::open(&choice.into()).unwrap().0;
        let base =
            "uplink wlan0\nsubnet 172.17.0.0/16 gateway 172.17.3.2\naddress vm_wlan 172.17.3.3\n";
        let back = match guest_at.contains(':') {
            true => format!("answers from {guest_at}/128 by wlan0\n"),
            false => String::new(),
        };
        let with = |more: &str| ruleset(&format!("{base}{back}{more}"));
        firewall.apply(&with("")).unwrap();
        assert_eq!(ask(8080, 1), None, "no port leads to the guest yet");
        let forwards = format!(
            "forward tcp 8080 from wlan0 to {to_guest}:80\nforward tcp 9000-9001 from wlan0 to {guest_at}\n"
        );
        let wanted = with(&forwards);
        firewall.apply(&wanted).unwrap();
        assert_eq!(firewall.drift(&wanted).unwrap(), None);
        let neighbour = if guest_at.contains(':') { "fd00:c0::1" } else { "192.0.2.1" };
        for (port, at) in [(8080, 80), (9000, 9000), (9001, 9001)] {
            let served = echo(listen(at));
            // On a busy machine half a second may pass before an answer.
            assert_eq!((0..10).find_map(|_| ask(port, 7)), Some(7), "port {port}");
            assert_eq!(served.join().unwrap(), neighbour, "port {port}");
        }
        let _listens = [listen(8081), listen(9002)];
        for port in [80, 8081, 9002] {
            assert_eq!(ask(port, 1), None, "port {port} leads to the guest");
        }
        firewall.apply(&with("")).unwrap();
        let _listens = listen(80);
        assert_eq!(ask(8080, 1), None, "the port still leads to the guest");
    });
}

#[test]
fn a_port_leads_to_a_guest_nftables() {
    a_port_leads_to_a_guest(Choice::Nftables, "192.0.2.2", "172.17.3.3");
}

#[test]
fn a_port_leads_to_a_guest_iptables() {
    a_port_leads_to_a_guest(Choice::Iptables, "192.0.2.2", "172.17.3.3");
}

#[test]
fn a_port_leads_to_a_guest_over_ipv6_nftables() {
    a_port_leads_to_a_guest(Choice::Nftables, "fd00:c0::2", "fd00:17::3");
}

#[test]
fn a_port_leads_to_a_guest_over_ipv6_iptables() {
    a_port_leads_to_a_guest(Choice::Iptables, "fd00:c0::2", "fd00:17::3");
}
