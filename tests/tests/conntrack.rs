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

//! Tracked connections go with what they belong to: with the guest that has opened them, and with the
//! gap in the rules in which they began; and a guest keeps no more of them than it may have.

use android_system_guestnet::aidl::android::system::guestnet::Operation::Operation;
use guestnet_tests::bed::{eventually, Bed, BOUND};
use guestnet_tests::client::{address, by_netns, config};
use guestnet_tests::{uninterrupted, Daemon, Device, Guest, InNetns, Internet, Probe};
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The tracked connections that an address opened.
fn connections(device: &Device, address: &str) -> usize {
    let all = device.enter(|| std::fs::read_to_string("/proc/thread-self/net/nf_conntrack"));
    let text = all.unwrap_or_else(|_| device.run("conntrack -L"));
    text.lines().filter(|line| line.contains(&format!("src={address} "))).count()
}

#[test]
fn the_next_guest_with_an_address_has_none_of_its_predecessors_connections() {
    let device = Device::new();
    let daemon = Daemon::new(&device).started();
    let net = daemon.connect();
    let (first, second) = (Guest::new(), Guest::new());
    net.attach(&config("first"), &by_netns(first.open_netns()), None).unwrap();
    first.udp(Internet::UDP, "hello").unwrap();
    assert!(connections(&device, "172.17.3.3") > 0, "the control: a connection is tracked");
    net.detach("first").unwrap();
    eventually("they go with the guest", || connections(&device, "172.17.3.3") == 0);

    // As after a crash in between: its predecessor's are there.
    let theirs = "conntrack -I -s 172.17.3.3 -d 192.0.2.9 -p udp --sport 7 --dport 7 -t 600";
    device.run(theirs);
    let guest = net.attach(&config("second"), &by_netns(second.open_netns()), None).unwrap();
    assert_eq!(address(&guest), "172.17.3.3");
    assert_eq!(connections(&device, "172.17.3.3"), 0);
    assert!(guest.timeline.iter().any(|s| s.operation == Operation::FORGET_CONNECTIONS));
    second.udp(Internet::UDP, "hello").unwrap();

    // Those that a guest opens at once are not taken for what it had before.
    for _ in 0..20 {
        net.detach("second").unwrap();
        net.attach(&config("second"), &by_netns(second.open_netns()), None).unwrap();
        second.udp(Internet::UDP, "hello").unwrap();
        assert!(connections(&device, "172.17.3.3") > 0);
    }
}

/// One that has ended while guestnetd was not there, too.
#[test]
fn connections_of_a_guest_that_ended_unseen_are_nobodys() {
    let device = Device::new();
    let mut daemon = Daemon::new(&device).started();
    let (first, second) = (Guest::new(), Guest::new());
    daemon.connect().attach(&config("first"), &by_netns(first.open_netns()), None).unwrap();
    first.udp(Internet::UDP, "hello").unwrap();
    // One that stays for as long as an established TCP connection may.
    let theirs = "conntrack -I -s 172.17.3.3 -d 192.0.2.9 -p tcp --sport 7 --dport 7 -t 432000 --state ESTABLISHED -u ASSURED";
    device.run(theirs);
    assert!(connections(&device, "172.17.3.3") > 1, "the control");
    daemon.kill();
    drop(first);
    eventually("its link is gone", || !device.run("ip -br link").contains("vm_wlan"));
    daemon.start();
    let net = daemon.connect();
    let guest = net.attach(&config("second"), &by_netns(second.open_netns()), None).unwrap();
    assert_eq!((address(&guest), connections(&device, "172.17.3.3")), ("172.17.3.3", 0));
}

/// A UDP flow that begins while a firewall's reload has taken our rules is translated again once they are
/// back: a connection that no NAT has touched would go on so for as long as it lasts.
#[test]
fn a_flow_born_in_a_gap_is_translated_when_the_rules_are_back() {
    let bed = Bed::on(Device::new()).args("--firewall iptables --check-every 2").build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let flow = guest.enter(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:4446").unwrap();
        socket.connect(Internet::UDP).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
        socket
    });
    let answered = || {
        let _ = flow.send(b"hello");
        uninterrupted(|| flow.recv(&mut [0; 64])).is_ok()
    };
    // Connections are tracked as long as a rule asks for it.
    bed.device.run("iptables-legacy -w -A OUTPUT -m conntrack --ctstate ESTABLISHED");
    for words in ["-t nat -F", "-t nat -X", "-F INPUT", "-F FORWARD"] {
        bed.device.run(&format!("iptables-legacy -w {words}"));
    }
    assert!(!answered(), "the control: it leaves with the guest's own address");
    assert!(connections(&bed.device, "172.17.3.3") > 0);
    eventually("it is translated", answered);
    let said = "that no source NAT had touched forgotten";
    assert!(bed.daemon.wait_log(said, BOUND), "{}", bed.daemon.log());
}

/// TCP that is closed no limit of the kernel's counts, and each packet of it keeps it for as long again: a guest
/// that sends them has no more entries for that.
fn closed_connections_go_whoever_keeps_them(firewall: &str) {
    const MOST: usize = 512;
    // Those that stay, and those that are opened before guestnetd is told again.
    const CLOSED: usize = MOST / 16 + MOST / 64;
    let args = format!("--firewall {firewall} --guest-connections {MOST}");
    let bed = Bed::on(Device::new()).args(&args).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let entries = || connections(&bed.device, "172.17.3.3");
    let closed = || tracked(&bed.device, "172.17.3.3", &["TIME_WAIT", "CLOSE"]);
    let keeper = Keeper::of(&guest);
    let most = AtomicUsize::new(0);
    for _ in 0..MOST / 8 {
        guest.enter(|| drop(std::net::TcpStream::connect(Internet::TCP).unwrap()));
        most.fetch_max(closed(), Ordering::Relaxed);
    }
    assert!(most.into_inner() > MOST / 64, "the control: they are there when they are closed");
    eventually("those beyond go", || closed() <= CLOSED);
    // With as many others as there may be.
    let sockets: Vec<_> = (0..MOST)
        .map(|_| guest.enter(|| std::net::UdpSocket::bind("0.0.0.0:0").unwrap()))
        .collect();
    let until = Instant::now() + Duration::from_secs(3);
    let mut most = 0;
    while Instant::now() < until {
        for socket in &sockets {
            let _ = socket.send_to(b"hello", Internet::UDP);
        }
        let soon = Duration::from_millis(20);
        let server = Internet::TCP.parse().unwrap();
        for _ in 0..8 {
            guest.enter(|| drop(std::net::TcpStream::connect_timeout(&server, soon)));
        }
        most = most.max(entries());
    }
    println!("{firewall}: {most} entries at most, and {} are closed", closed());
    assert!(keeper.kept() > 0, "the control: packets of closed connections are sent");
    assert!((MOST / 8..=MOST + MOST / 100).contains(&most), "{most} entries");
}

#[test]
fn closed_connections_go_whoever_keeps_them_nftables() {
    closed_connections_go_whoever_keeps_them("nftables");
}

#[test]
fn closed_connections_go_whoever_keeps_them_iptables() {
    closed_connections_go_whoever_keeps_them("iptables");
}

/// The TCP connections that an address opened, in one of these states.
fn tracked(device: &Device, address: &str, states: &[&str]) -> usize {
    let all = device.enter(|| std::fs::read_to_string("/proc/thread-self/net/nf_conntrack"));
    let text = all.unwrap_or_else(|_| device.run("conntrack -L"));
    let is = |line: &&str| {
        line.contains(&format!("src={address} "))
            && line.split_whitespace().any(|word| states.contains(&word))
    };
    text.lines().filter(is).count()
}

/// A thread of a guest's that answers whatever came last of each connection, over and over.
struct Keeper {
    done: Arc<AtomicBool>,
    kept: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    fn of(guest: &Guest) -> Self {
        use nix::sys::socket::{socket, AddressFamily, SockFlag, SockProtocol, SockType};
        let (inet, flags) = (AddressFamily::Inet, SockFlag::SOCK_NONBLOCK);
        let raw = || socket(inet, SockType::Raw, flags, SockProtocol::Tcp).unwrap();
        let raw = guest.enter(raw);
        let (done, kept) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let (ends, counts) = (Arc::clone(&done), Arc::clone(&kept));
        let thread = std::thread::spawn(move || {
            let mut last = HashMap::new();
            while !ends.load(Ordering::Relaxed) {
                let mut packet = [0; 2048];
                while let Ok(length) = nix::unistd::read(raw.as_raw_fd(), &mut packet) {
                    last.extend(answer(&packet[..length]));
                }
                for ((server, _), answer) in &last {
                    let to = nix::sys::socket::SockaddrIn::from(SocketAddrV4::new(*server, 0));
                    let none = nix::sys::socket::MsgFlags::empty();
                    let sent = nix::sys::socket::sendto(raw.as_raw_fd(), answer, &to, none);
                    counts.fetch_add(usize::from(sent.is_ok()), Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        Self { done, kept, thread: Some(thread) }
    }

    fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The ACK for a TCP segment that came from a server's port 80, by the server and the guest's port.
fn answer(packet: &[u8]) -> Option<((Ipv4Addr, u16), Vec<u8>)> {
    const FIN: u8 = 1;
    const ACK: u8 = 0x10;
    const SYN_OR_RST: u8 = 6;
    let [server, guest] = [12, 16].map(|at| <[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
    let segment = packet.get(usize::from(packet[0] & 15) * 4..)?;
    let (ports, numbers) = (segment.get(..4)?, segment.get(4..12)?);
    let flags = *segment.get(13)?;
    if ports[..2] != [0, 80] || flags & SYN_OR_RST != 0 {
        return None;
    }
    let (sequence, acknowledged) = numbers.split_at(4);
    let data = segment.len() - usize::from(segment[12] >> 4) * 4 + usize::from(flags & FIN);
    let sequence = u32::from_be_bytes(sequence.try_into().unwrap()).wrapping_add(data as u32);
    let mut answer = [&ports[2..], &ports[..2], acknowledged, &sequence.to_be_bytes()].concat();
    answer.extend([0x50, ACK, 0xff, 0xff, 0, 0, 0, 0]);
    // The sum over the pseudo header and the segment.
    let pseudo = [&guest[..], &server, &[0, 6, 0, answer.len() as u8], &answer].concat();
    let sum = pseudo.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    answer[16..18].copy_from_slice(&sum.to_be_bytes());
    let port = u16::from_be_bytes([ports[2], ports[3]]);
    Some(((server.into(), port), answer))
}
