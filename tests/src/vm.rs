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

//! The other side of a TAP device: a machine that speaks Ethernet by the descriptor alone, frame by frame, as
//! a VM's kernel does. It answers for its address, asks by DHCP and sends pings.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::bed::BOUND;
use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest as Attached;

/// What stands before each frame (`struct virtio_net_hdr_mrg_rxbuf`): nothing is left to the other side.
const HEADER: usize = 12;
/// How long until something is sent again.
const AGAIN: Duration = Duration::from_millis(200);
/// The checksum is left to the other side. (VIRTIO_NET_HDR_F_NEEDS_CSUM)
const NEEDS_CSUM: u8 = 1;
const BROADCAST: [u8; 6] = [0xff; 6];
const ARP: [u8; 2] = [8, 6];
const IPV4: [u8; 2] = [8, 0];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// DHCPDISCOVER.
pub const DISCOVER: u8 = 1;
/// DHCPOFFER.
pub const OFFER: u8 = 2;
/// DHCPREQUEST.
pub const REQUEST: u8 = 3;
/// DHCPACK.
pub const ACK: u8 = 5;
/// DHCPNAK.
pub const NAK: u8 = 6;

/// A machine.
pub struct Vm {
    queues: Vec<std::fs::File>,
    /// Which of its queues it sends by.
    pub by: usize,
    /// Which of them the last frame has come by.
    pub came_by: AtomicUsize,
    /// How many checksums were left to it.
    pub left: AtomicUsize,
    /// Whether checksums may be left to it, and it leaves those of UDP to the other side.
    offload: bool,
    mac: [u8; 6],
    gateway: Ipv4Addr,
    /// Its address; until it has one it answers for none.
    pub address: Ipv4Addr,
}

/// What a DHCP server has said.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which message it is.
    pub kind: u8,
    /// The address that is the client's.
    pub address: Ipv4Addr,
    /// Its router.
    pub gateway: Option<Ipv4Addr>,
    /// Its MTU.
    pub mtu: Option<u16>,
}

impl Vm {
    /// One with the first descriptor, the MAC and the gateway that attach() has told.
    pub fn of(guest: &mut Attached) -> Self {
        let queue = guest.tap.remove(0).into();
        Self::by(guest, vec![queue])
    }

    /// One with all descriptors.
    pub fn of_all(guest: &mut Attached) -> Self {
        let queues = std::mem::take(&mut guest.tap).into_iter().map(OwnedFd::from).collect();
        Self::by(guest, queues)
    }

    /// One with these queues of a guest's device.
    pub fn by(guest: &Attached, queues: Vec<OwnedFd>) -> Self {
        let queues = queues.into_iter().map(Into::into).collect();
        let bytes = guest.mac.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("hex"));
        let mac = bytes.collect::<Vec<_>>().try_into().expect("a MAC");
        let gateway = guest.gateway.parse().expect("an address");
        let (by, offload) = (0, false);
        let [came_by, left] = [0; 2].map(AtomicUsize::new);
        Self { queues, by, came_by, left, offload, mac, gateway, address: Ipv4Addr::UNSPECIFIED }
    }

    /// Takes and leaves checksums, as VMMs ask for it.
    pub fn offloads(&mut self) {
        // linux/if_tun.h; it takes its argument by value.
        const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
        const TUN_F_CSUM: libc::c_ulong = 1;
        // SAFETY: the descriptor is open, and no memory is touched.
        let done =
            unsafe { libc::ioctl(self.queues[0].as_raw_fd(), TUNSETOFFLOAD as _, TUN_F_CSUM) };
        assert_eq!(done, 0, "TUNSETOFFLOAD: {}", io::Error::last_os_error());
        self.offload = true;
    }

    /// Closes one of its queues.
    pub fn close(&mut self, queue: usize) {
        drop(self.queues.remove(queue));
        self.by = 0;
    }

    /// One more descriptor of the same device, as a process has it that this one was passed to.
    pub fn descriptor(&self) -> OwnedFd {
        self.queues[0].try_clone().expect("dup").into()
    }

    fn send(&self, to: [u8; 6], kind: [u8; 2], payload: &[u8]) {
        let mut frame = [&[0; HEADER][..], &to, &self.mac, &kind, payload].concat();
        if self.offload {
            leave_checksum(&mut frame);
        }
        // Of a device that is gone nothing is wanted.
        let _ = (&self.queues[self.by]).write(&frame);
    }

    /// Sends a frame as it is, whosever MAC it has.
    pub fn sends(&self, frame: &[u8]) {
        let _ = (&self.queues[self.by]).write(&[&[0; HEADER][..], frame].concat());
    }

    /// Sends a packet of IPv6 to another MAC.
    pub fn sends_ipv6(&self, to: [u8; 6], packet: &[u8]) {
        self.send(to, IPV6, packet);
    }

    /// Sends a datagram from its address to another MAC; nobody waits for an answer.
    pub fn sends_udp(&self, mac: [u8; 6], to: Ipv4Addr, ports: [u16; 2]) {
        self.send(mac, IPV4, &ipv4(self.address, to, 17, &udp(ports, b"hello")));
    }

    /// How many frames of IPv6 come in this time.
    pub fn ipv6_that_comes(&self, wait: Duration) -> usize {
        let (until, mut count) = (Instant::now() + wait, 0);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let frame = self.next(left.as_millis() as i32 + 1);
            count += usize::from(frame.is_some_and(|frame| frame[12..14] == IPV6));
        }
        count
    }

    /// Sends until there is an answer; what else comes is answered as a machine does.
    fn ask<T>(
        &self,
        wait: Duration,
        send: impl Fn(),
        answer: impl Fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let until = Instant::now() + wait;
        let mut again = Instant::now();
        loop {
            let now = Instant::now();
            if now >= until {
                return None;
            }
            if now >= again {
                send();
                again = now + AGAIN;
            }
            let left = (again.min(until) - now).as_millis() as i32 + 1;
            if let Some(found) = self.next(left).and_then(|frame| answer(&frame)) {
                return Some(found);
            }
        }
    }

    /// The next frame in so many milliseconds, behind its header.
    fn next(&self, wait: i32) -> Option<Vec<u8>> {
        let watched = |queue: &std::fs::File| libc::pollfd {
            fd: queue.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut polls: Vec<_> = self.queues.iter().map(watched).collect();
        // SAFETY: the kernel reads and writes as many `struct pollfd` as there are.
        if unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as _, wait) } <= 0 {
            return None;
        }
        let at = polls.iter().position(|poll| poll.revents & libc::POLLIN != 0)?;
        let mut buffer = vec![0; 1 << 16];
        let length = (&self.queues[at]).read(&mut buffer).ok()?;
        let mut frame = buffer.get(HEADER..length)?.to_vec();
        let header = &mut buffer[..HEADER];
        if self.offload && header[0] == NEEDS_CSUM {
            make_checksum(header, &mut frame);
            self.left.fetch_add(1, Relaxed);
        }
        assert_whole(header, &frame);
        self.came_by.store(at, Relaxed);
        self.answer_arp(&frame);
        Some(frame)
    }

    fn answer_arp(&self, frame: &[u8]) {
        let asked = frame.len() >= 42 && frame[12..14] == ARP && frame[20..22] == [0, 1];
        if asked && frame[38..42] == self.address.octets() && !self.address.is_unspecified() {
            let to: [u8; 6] = frame[22..28].try_into().expect("six bytes");
            let back = [&frame[14..20], &[0, 2], &self.mac, &frame[38..42], &to, &frame[28..32]];
            self.send(to, ARP, &back.concat());
        }
    }

    /// The MAC of an address on the link.
    pub fn resolve(&self, address: Ipv4Addr, wait: Duration) -> Option<[u8; 6]> {
        let question = [
            &[0, 1, 8, 0, 6, 4, 0, 1],
            &self.mac[..],
            &self.address.octets(),
            &[0; 6],
            &address.octets(),
        ];
        let question = question.concat();
        self.ask(
            wait,
            || self.send(BROADCAST, ARP, &question),
            |frame| {
                let is_it = frame.len() >= 42
                    && frame[12..14] == ARP
                    && frame[20..22] == [0, 2]
                    && frame[28..32] == address.octets();
                is_it.then(|| frame[22..28].try_into().expect("six bytes"))
            },
        )
    }

    /// Asks a DHCP server; with `wanted` for that address.
    pub fn dhcp(&self, kind: u8, wanted: Option<Ipv4Addr>) -> Option<Lease> {
        let mut message = vec![1, 1, 6, 0, 7, 7, 7, 7, 0, 0, 0x80, 0];
        message.extend([0; 16]);
        message.extend(self.mac);
        message.resize(236, 0);
        message.extend([99, 130, 83, 99, 53, 1, kind, 55, 3, 1, 3, 26]);
        if let Some(wanted) = wanted {
            message.extend([50, 4]);
            message.extend(wanted.octets());
        }
        message.push(255);
        let nobody = Ipv4Addr::UNSPECIFIED;
        let datagram = udp([68, 67], &message);
        let packet = ipv4(nobody, Ipv4Addr::BROADCAST, 17, &datagram);
        // What was asked twice is answered twice: the second answer may come to the next question.
        let answer =
            |frame: &[u8]| lease(frame).filter(|l| (l.kind == OFFER) == (kind == DISCOVER));
        self.ask(BOUND, || self.send(BROADCAST, IPV4, &packet), answer)
    }

    /// Whether a ping from one address to another is answered in this time.
    pub fn pings_from(&self, from: Ipv4Addr, to: Ipv4Addr, wait: Duration) -> bool {
        let Some(gateway) = self.resolve(self.gateway, wait) else { return false };
        let mut echo = vec![8, 0, 0, 0, 0x47, 0x4e, 0, 1];
        echo.extend([0x5a; 56]);
        let sum = checksum(&echo);
        echo[2..4].copy_from_slice(&sum);
        let packet = ipv4(from, to, 1, &echo);
        let answer = |frame: &[u8]| {
            let is_it = frame.len() >= 42
                && frame[12..14] == IPV4
                && frame[23] == 1
                && frame[26..30] == to.octets()
                && frame[30..34] == from.octets()
                && frame[34] == 0
                && frame[38..40] == [0x47, 0x4e];
            is_it.then_some(())
        };
        self.ask(wait, || self.send(gateway, IPV4, &packet), answer).is_some()
    }

    /// The same from its own address.
    pub fn pings(&self, to: Ipv4Addr) -> bool {
        self.pings_from(self.address, to, BOUND)
    }

    /// Sends this to another MAC, from its address, until an answer comes from there by that protocol: what is behind
    /// its IP header.
    pub fn asks(&self, mac: [u8; 6], to: Ipv4Addr, protocol: u8, data: &[u8]) -> Option<Vec<u8>> {
        let packet = ipv4(self.address, to, protocol, data);
        let answer = |frame: &[u8]| {
            let is_it = frame.len() > 34
                && frame[12..14] == IPV4
                && frame[23] == protocol
                && frame[26..30] == to.octets();
            is_it.then(|| frame[34..].to_vec())
        };
        self.ask(BOUND, || self.send(mac, IPV4, &packet), answer)
    }

    /// Asks for its address, and takes it.
    #[track_caller]
    pub fn boots(&mut self) -> Lease {
        let offer = self.dhcp(DISCOVER, None).expect("an offer");
        assert_eq!(offer.kind, OFFER);
        let lease = self.dhcp(REQUEST, Some(offer.address)).expect("an answer");
        assert_eq!(lease.kind, ACK);
        self.address = lease.address;
        lease
    }
}

/// Leaves the checksum of UDP over IPv4 to the other side, with what that needs for it in the header of the frame:
/// where it begins and where it stands. The sum of the pseudo header stands there already (virtio 1.1, 5.1.6.2).
fn leave_checksum(frame: &mut [u8]) {
    let (header, frame) = frame.split_at_mut(HEADER);
    if frame.len() < 42 || frame[12..14] != IPV4 || frame[23] != 17 {
        return;
    }
    header[0] = NEEDS_CSUM;
    header[6..8].copy_from_slice(&34u16.to_ne_bytes());
    header[8..10].copy_from_slice(&6u16.to_ne_bytes());
    let pseudo = [&frame[26..34], &[0, 17], &frame[38..40]].concat();
    let [high, low] = checksum(&pseudo);
    frame[40..42].copy_from_slice(&[!high, !low]);
}

/// Makes the checksum that was left to this side, as its header says, and takes that for done.
#[track_caller]
fn make_checksum(header: &mut [u8], frame: &mut [u8]) {
    let number = |at: usize| usize::from(u16::from_ne_bytes([header[at], header[at + 1]]));
    let (start, at) = (number(6), number(6) + number(8));
    assert!(start >= 34 && at + 2 <= frame.len(), "{header:02x?} for {frame:02x?}");
    let sum = checksum(&frame[start..]);
    frame[at..at + 2].copy_from_slice(&sum);
    header[0] = 0;
}

/// What a frame for a machine without any offload must be: no checksum is left to it, and none is wrong.
#[track_caller]
pub fn assert_whole(header: &[u8], frame: &[u8]) {
    // Flags and kind of GSO. (VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_NONE)
    assert_eq!(header[..2], [0, 0], "something is left to the other side: {frame:02x?}");
    if frame.len() < 34 || frame[12..14] != IPV4 {
        return;
    }
    let at = 14 + usize::from(frame[14] & 15) * 4;
    let end = 14 + usize::from(u16::from_be_bytes([frame[16], frame[17]]));
    assert_eq!(checksum(&frame[14..at]), [0, 0], "IPv4: {frame:02x?}");
    let fragment = u16::from_be_bytes([frame[20], frame[21]]) & 0x3fff != 0;
    let data = &frame[at..end];
    let mut whole = Vec::new();
    match frame[23] {
        // No checksum (RFC 768).
        17 if data[6..8] == [0, 0] => return,
        6 | 17 => {
            whole.extend(&frame[26..34]);
            whole.extend([0, frame[23]]);
            whole.extend((data.len() as u16).to_be_bytes());
        }
        1 => {}
        _ => return,
    }
    whole.extend(data);
    assert!(fragment || checksum(&whole) == [0, 0], "protocol {}: {frame:02x?}", frame[23]);
}

/// What a server's frame says.
fn lease(frame: &[u8]) -> Option<Lease> {
    // IPv4, UDP, from 67 to 68; options from 282 on.
    let is_it = frame.len() > 285 && frame[12..14] == IPV4 && frame[34..38] == [0, 67, 0, 68];
    if !is_it {
        return None;
    }
    let address: [u8; 4] = frame[58..62].try_into().ok()?;
    let mut found = Lease { kind: 0, address: address.into(), gateway: None, mtu: None };
    let mut options = &frame[282..];
    while let [code, length, rest @ ..] = options {
        if *code == 255 {
            break;
        }
        let (value, after) = rest.split_at_checked(usize::from(*length))?;
        match (code, value) {
            (53, [kind]) => found.kind = *kind,
            (3, [a, b, c, d]) => found.gateway = Some([*a, *b, *c, *d].into()),
            (26, [high, low]) => found.mtu = Some(u16::from_be_bytes([*high, *low])),
            _ => {}
        }
        options = after;
    }
    Some(found)
}

/// A packet of IPv6 with a datagram from one port to another, whole.
pub fn ipv6_udp(from: Ipv6Addr, to: Ipv6Addr, ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let mut datagram = udp(ports, payload);
    let length = (datagram.len() as u16).to_be_bytes();
    let pseudo = [&from.octets()[..], &to.octets(), &[0, 0], &length, &[0, 0, 0, 17]].concat();
    let sum = checksum(&[&pseudo[..], &datagram].concat());
    datagram[6..8].copy_from_slice(&sum);
    let head = [0x60, 0, 0, 0, length[0], length[1], 17, 64];
    [&head[..], &from.octets(), &to.octets(), &datagram].concat()
}

/// A datagram from one port to another.
pub fn udp(ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    // No checksum (RFC 768).
    let header = [ports[0], ports[1], length, 0].map(u16::to_be_bytes).concat();
    [&header, payload].concat()
}

/// What opens a TCP connection.
pub fn syn(from: Ipv4Addr, to: Ipv4Addr, ports: [u16; 2]) -> Vec<u8> {
    let ports = ports.map(u16::to_be_bytes).concat();
    let mut segment =
        [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]].concat();
    let pseudo = [&from.octets()[..], &to.octets(), &[0, 6, 0, segment.len() as u8]].concat();
    let sum = checksum(&[pseudo, segment.clone()].concat());
    segment[16..18].copy_from_slice(&sum);
    segment
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len() as u16).to_be_bytes();
    let mut header = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0];
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    [&header[..], payload].concat()
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let word = |two: &[u8]| u32::from(two[0]) << 8 | two.get(1).copied().map_or(0, u32::from);
    let sum = bytes.chunks(2).map(word).sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes()
}

/// What a descriptor's device says of itself by an ioctl(2) that reads into `value`.
pub fn asked<T>(
    descriptor: &impl AsRawFd,
    request: libc::c_ulong,
    value: &mut T,
) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the callers' requests write no more than `value` has.
    match unsafe { libc::ioctl(descriptor.as_raw_fd(), request as _, value as *mut T) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
