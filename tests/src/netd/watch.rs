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

//! A watch over the packets that leave a device: none of a guest's may leave by another interface
//! than the uplink, and none by the uplink with the guest's own source.
//!
//! A packet is a guest's when its source is in the guests' subnet, or when the same packet came in
//! on a guest's link before: forwarding and address translation leave its IP identification, its
//! payload and TCP's sequence numbers alone.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use nix::net::if_::if_indextoname;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sched::{setns, CloneFlags};
use nix::sys::socket::{
    recvfrom, setsockopt, socket, sockopt, AddressFamily, LinkAddr, SockFlag, SockProtocol,
    SockType,
};

use super::NetdDevice;
use crate::InNetns;

/// The guests' subnet, 172.17.0.0/16.
const GUESTS: [u8; 2] = [172, 17];
/// Of each packet, so many bytes are looked at.
const SNAP: usize = 256;

/// A running watch; it ends with [`Watch::end`].
#[derive(Debug)]
pub struct Watch {
    // Closed to end the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<Found>>,
}

/// What a watch has found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Guests' packets that left by an interface they have no business with.
    pub leaks: Vec<String>,
    /// Guests' packets that left by an uplink with the guest's own source.
    pub untranslated: Vec<String>,
    /// Packets that came from guests.
    pub from_guests: u64,
    /// Packets of guests that left by an uplink with another source, as they should.
    pub forwarded: u64,
    /// Packets that went by unseen: then nothing is proved. That begins at some 100,000 a second.
    pub missed: u64,
}

impl NetdDevice {
    /// Watches from now on. Guests may leave by the uplinks.
    #[track_caller]
    pub fn watch(&self, uplinks: &[&str]) -> Watch {
        Watch::start(self, uplinks)
    }
}

impl Watch {
    /// Watches any device from now on, on all interfaces, those to come too.
    #[track_caller]
    pub fn start(device: &impl InNetns, uplinks: &[&str]) -> Self {
        let socket = device.enter(|| {
            let (family, kind) = (AddressFamily::Packet, SockType::Datagram);
            socket(
                family,
                kind,
                SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
                SockProtocol::EthAll,
            )
        });
        let socket = socket.expect("a packet socket");
        setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).expect("SO_RCVBUFFORCE");
        let (stopped, stop) = UnixStream::pair().expect("a socket pair");
        let netns = device.open_netns();
        let uplinks = uplinks.iter().map(|name| (*name).to_owned()).collect();
        let thread = thread::spawn(move || {
            // Names of interfaces are looked up in the thread's namespace.
            setns(&netns, CloneFlags::CLONE_NEWNET).expect("setns");
            Watcher { uplinks, ..Watcher::default() }.run(&socket, &stopped)
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }

    /// Ends it and gives what it has found, up to the last packet sent before.
    pub fn end(mut self) -> Found {
        self.stop = None;
        let thread = self.thread.take().expect("a running watch");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Found {
    /// Panics unless every packet was seen and none of a guest's left as it may not.
    #[track_caller]
    pub fn assert_clean(&self) {
        let clean = self.leaks.is_empty() && self.untranslated.is_empty() && self.missed == 0;
        assert!(clean, "guests' packets have left the device: {self:#?}");
    }
}

#[derive(Default)]
struct Watcher {
    uplinks: HashSet<String>,
    /// Of each interface by its index, its name and what it leads to.
    sides: HashMap<usize, (String, Side)>,
    /// What identifies a packet that came from a guest, and its source then.
    seen: HashMap<u64, IpAddr>,
    found: Found,
}

impl Watcher {
    fn run(mut self, socket: &OwnedFd, stopped: &UnixStream) -> Found {
        loop {
            let mut fds =
                [socket.as_fd(), stopped.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            if poll(&mut fds, PollTimeout::NONE).is_err() {
                continue;
            }
            let on_stop = fds[1].any().unwrap_or(true);
            let mut buffer = [0; SNAP];
            while let Ok((length, Some(from))) =
                recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer)
            {
                self.packet(&buffer[..length.min(SNAP)], &from);
            }
            if on_stop {
                self.found.missed += missed(socket);
                return self.found;
            }
        }
    }

    fn packet(&mut self, bytes: &[u8], from: &LinkAddr) {
        let outgoing = from.pkttype() == libc::PACKET_OUTGOING;
        let side = self.side(from.ifindex());
        // Most packets need no second look.
        let of_interest = match side {
            Side::Guests => !outgoing,
            Side::Loopback => false,
            Side::Uplink | Side::Other => outgoing,
        };
        let Some(packet) = of_interest.then(|| Packet::read(bytes)).flatten() else { return };
        if side == Side::Guests {
            self.found.from_guests += 1;
            self.seen.insert(packet.identity, packet.source);
            return;
        }
        let original = self.seen.get(&packet.identity).copied();
        let own = packet.is_from_subnet() || original == Some(packet.source);
        let said = || format!("{}: {packet}", self.sides[&from.ifindex()].0);
        if side == Side::Uplink {
            if own {
                self.found.untranslated.push(said());
            } else if original.is_some() {
                self.found.forwarded += 1;
            }
        } else if own || original.is_some() {
            self.found.leaks.push(said());
        }
    }

    /// Kept: the interface may be gone when its last packet is read.
    fn side(&mut self, ifindex: usize) -> Side {
        if let Some((_, side)) = self.sides.get(&ifindex) {
            return *side;
        }
        let name = if_indextoname(ifindex as u32).ok();
        let name =
            name.map_or(format!("interface {ifindex}"), |n| n.to_string_lossy().into_owned());
        let side = match name.as_str() {
            "lo" => Side::Loopback,
            name if name.starts_with("vm_wlan") => Side::Guests,
            name if self.uplinks.contains(name) => Side::Uplink,
            _ => Side::Other,
        };
        self.sides.insert(ifindex, (name, side));
        side
    }
}

/// What an interface leads to.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Side {
    Guests,
    Uplink,
    Loopback,
    Other,
}

/// What of a packet matters here.
struct Packet {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    identity: u64,
}

impl Packet {
    /// Of an IP packet's first bytes.
    fn read(bytes: &[u8]) -> Option<Self> {
        let array = |at: usize| bytes.get(at..at + 4)?.try_into().ok();
        let array6 = |at: usize| bytes.get(at..at + 16)?.try_into().ok();
        let (source, destination, protocol, id, rest): (IpAddr, IpAddr, _, &[u8], &[u8]);
        match bytes.first()? >> 4 {
            4 => {
                let a: [u8; 4] = array(12)?;
                let b: [u8; 4] = array(16)?;
                (source, destination) = (a.into(), b.into());
                (protocol, id) = (*bytes.get(9)?, bytes.get(4..6)?);
                rest = bytes.get(usize::from(bytes[0] & 15) * 4..)?;
            }
            6 => {
                let a: [u8; 16] = array6(8)?;
                let b: [u8; 16] = array6(24)?;
                (source, destination) = (a.into(), b.into());
                (protocol, id) = (*bytes.get(6)?, &bytes[..0]);
                rest = bytes.get(40..)?;
            }
            // Not IP, which no guest's packet is forwarded as.
            _ => return None,
        }
        let mut hash = DefaultHasher::new();
        (protocol, id).hash(&mut hash);
        // What address translation leaves alone.
        match i32::from(protocol) {
            libc::IPPROTO_TCP => {
                let offset = usize::from(rest.get(12)? >> 4) * 4;
                (rest.get(4..12), rest.get(13), rest.get(offset..)).hash(&mut hash);
            }
            // Without the ports, and the checksum.
            libc::IPPROTO_UDP => (rest.get(4..6), rest.get(8..)).hash(&mut hash),
            libc::IPPROTO_ICMP => (rest.first(), rest.get(6..)).hash(&mut hash),
            _ => rest.hash(&mut hash),
        }
        Some(Self { source, destination, protocol, identity: hash.finish() })
    }

    fn is_from_subnet(&self) -> bool {
        matches!(self.source, IpAddr::V4(source) if source.octets().starts_with(&GUESTS))
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}, protocol {}", self.source, self.destination, self.protocol)
    }
}

/// How many packets the socket had no room for.
fn missed(socket: &OwnedFd) -> u64 {
    let mut stats = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = std::mem::size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `stats`, which has as many.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            std::ptr::addr_of_mut!(stats).cast(),
            &mut length,
        )
    };
    assert_eq!(done, 0, "PACKET_STATISTICS: {}", std::io::Error::last_os_error());
    u64::from(stats.tp_drops)
}
