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

//! A device with an uplink, another one, and things of others; a daemon on it; a guest. What is seen
//! of it all, as text.

use guestnetd::api::error_codes::code;
use guestnetd::daemon::{AttachRequest, By, Config, Daemon, Handle, UpdateRequest, Whose};
use guestnetd::effects::firewall::{Choice, Options};
use guestnetd::effects::kernel::netns::initial::Initial;
use guestnetd::effects::kernel::netns::target::{Named, Target};
use guestnetd::error::Error;
use guestnetd::spec::{GuestName, GuestSpec, IfName, Kind, Mtu, Queues, SegmentName};
use nix::sched::{unshare, CloneFlags};
use serde_json::Value;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// An operation of guestnetd's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Attach,
    AttachTap,
    AttachSegment,
    Detach,
    Update,
    UplinkChange,
    Restart,
    Repair,
}

impl Operation {
    pub const ALL: [Self; 8] = [
        Self::Attach,
        Self::AttachTap,
        Self::AttachSegment,
        Self::Detach,
        Self::Update,
        Self::UplinkChange,
        Self::Restart,
        Self::Repair,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Attach => "attach",
            Self::AttachTap => "attach, TAP",
            Self::AttachSegment => "attach, segment",
            Self::Detach => "detach",
            Self::Update => "update",
            Self::UplinkChange => "uplink change",
            Self::Restart => "restart",
            Self::Repair => "repair",
        }
    }

    pub fn attaches(self) -> bool {
        matches!(self, Self::Attach | Self::AttachTap | Self::AttachSegment)
    }
}

/// What a device is like: its packet filter, and whose the device's routes and its forwarding are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Nftables,
    Iptables,
    /// As netd leaves it: its rules, tables and chains, and programs in the place of its wrappers.
    Netd,
}

impl Shape {
    pub const ALL: [Self; 3] = [Self::Nftables, Self::Iptables, Self::Netd];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
            Self::Netd => "netd",
        }
    }
}

pub fn run(command: &str) -> String {
    let out = Command::new("sh").args(["-c", command]).output().expect("sh");
    assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Has this process in a device of its own; gives what is behind its uplinks: to be one of several, an
/// uplink has to lead out of it. Elsewhere it does not, so that nothing needs forwarding but guests.
pub fn enter_a_device(operation: Operation, shape: Shape) -> File {
    let leads_out = operation == Operation::UplinkChange;
    let behind = guest_netns();
    let process = std::process::id();
    let inside = format!("nsenter --net=/proc/{process}/fd/{} ", behind.as_raw_fd());
    unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
    for (uplink, mtu) in [("wlan0", 1500), ("eth0", 1400)] {
        run(&if leads_out {
            format!("{inside} ip link add {uplink} mtu {mtu} up type veth peer name {uplink} mtu {mtu} netns {process}")
        } else {
            format!(
                "ip link add {uplink} mtu {mtu} type veth peer name ap_{uplink} mtu {mtu}; \
                 echo 1 > /proc/sys/net/ipv6/conf/ap_{uplink}/disable_ipv6; ip link set ap_{uplink} up"
            )
        });
    }
    run("ip link set lo up; \
         for dev in wlan0 eth0; do echo 1 > /proc/sys/net/ipv6/conf/$dev/disable_ipv6; ip link set $dev up; done; \
         while ip link | grep -q LOWERLAYERDOWN; do sleep 0.01; done; \
         ip addr add 192.0.2.7/24 dev wlan0; ip addr add 198.51.100.7/24 dev eth0; \
         ip route add default via 192.0.2.1 dev wlan0");
    // Others' things.
    run("ip link add others type dummy; ip rule add pref 5000 fwmark 0x77 lookup 77; \
         ip route add 203.0.113.0/24 dev wlan0 table 77; \
         echo 1 > /proc/sys/net/ipv4/conf/others/forwarding; \
         nft 'add table inet others; add chain inet others x { type filter hook output priority 0; }; \
              add rule inet others x tcp dport 7 accept'; \
         iptables-legacy -A OUTPUT -p tcp --dport 7 -j ACCEPT");
    if shape == Shape::Netd {
        run(NETD);
    }
    behind
}

/// netd's rules, a table for each network, and its chains.
const NETD: &str = "
    ip route del default
    rule() { ip rule add \"$@\"; }
    index() { ip -o link show $1 | cut -d: -f1; }
    rule pref 10000 fwmark 0xc0000/0xd0000 lookup 99
    rule pref 16000 fwmark 0x10063/0x1ffff iif lo lookup 97
    for network in 'wlan0 192.0.2' 'eth0 198.51.100'; do
        set -- $network
        table=$((1000 + $(index $1)))
        rule pref 17000 iif lo oif $1 lookup $table
        ip route add $2.0/24 dev $1 table $table
        ip route add default via $2.1 dev $1 table $table
    done
    rule pref 20000 fwmark 0x0/0x10000 lookup 97
    rule pref 31000 fwmark 0x0/0xffff iif lo lookup $((1000 + $(index wlan0)))
    rule pref 32000 unreachable
    ip rule del pref 32766; ip rule del pref 32767
    for t in iptables-legacy ip6tables-legacy; do
        for c in oem_fwd fw_FORWARD bw_FORWARD tetherctrl_FORWARD; do $t -N $c; $t -A FORWARD -j $c; done
        for c in bw_INPUT fw_INPUT; do $t -N $c; $t -A INPUT -j $c; done
    done
    iptables-legacy -A tetherctrl_FORWARD -j DROP
    for c in oem_nat_pre tetherctrl_nat_POSTROUTING; do iptables-legacy -t nat -N $c; done
    iptables-legacy -t nat -A PREROUTING -j oem_nat_pre
    iptables-legacy -t nat -A POSTROUTING -j tetherctrl_nat_POSTROUTING
";

/// Another default network: netd adds a rule for the new one, and then removes that for the old one.
fn netd_changes_to(network: &str) {
    run(&format!(
        "r='pref 31000 fwmark 0x0/0xffff iif lo lookup'
         new=$((1000 + $(ip -o link show {network} | cut -d: -f1)))
         ip rule show pref 31000 | grep -q \" $new *$\" || ip rule add $r $new
         for old in $(ip rule show pref 31000 | sed 's/.*lookup //'); do
             [ $old = $new ] || ip rule del $r $old
         done"
    ));
}

/// What runs in the place of netd's wrappers: they let through what those do.
fn wrappers(dir: &Path) {
    let write = |name: &str, text: String| {
        let path = dir.join(name);
        let path = path.display();
        run(&format!("mkdir -p {} && cat >{path}.new <<'END'\n#!/bin/sh\n{text}\nEND\nchmod 755 {path}.new && mv {path}.new {path}", dir.display()));
    };
    for program in ["iptables", "ip6tables"] {
        write(
            &format!("{program}-wrapper-1.0"),
            // The lock is the machine's, and others' tables are no concern of this device's.
            format!(
                "export XTABLES_LOCKFILE={}
                 case \"$*\" in
                 -w*' -'[ACDFINX]' oem_'*|'-w '*' -j oem_'*) exec {program}-legacy \"$@\" ;;
                 esac
                 echo \"Unexpected command: $*\" >&2; exit 1",
                dir.join("xtables.lock").display()
            ),
        );
    }
    // It counts who needs it (TetherController.cpp): guestnetd alone, here.
    write(
        "ndc-wrapper-1.0",
        "case \"$1 $2\" in 'ipfwd enable') on=1 ;; 'ipfwd disable') on=0 ;; *) exit 1 ;; esac
         echo $on >/proc/sys/net/ipv4/ip_forward
         echo '200 0 ipfwd operation succeeded'"
            .to_owned(),
    );
}

fn guest_netns() -> File {
    let thread = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a namespace");
        File::open("/proc/thread-self/ns/net").expect("a namespace")
    });
    thread.join().expect("a namespace")
}

/// How a call failed: its code in the contract, and its words.
pub type Failed = (i32, String);

fn failed(e: Error) -> Failed {
    (code(&e), e.to_string())
}

/// What is seen at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub device: String,
    pub inside: String,
}

pub struct Bed {
    pub operation: Operation,
    pub shape: Shape,
    pub dir: PathBuf,
    netns: PathBuf,
    _netns: Option<File>,
    daemon: Option<(Handle, JoinHandle<()>)>,
    /// TAP descriptors.
    held: Vec<OwnedFd>,
}

pub fn name() -> GuestName {
    GuestName::new("faulty").expect("a name")
}

impl Bed {
    pub fn new(operation: Operation, shape: Shape, dir: &Path) -> Self {
        if shape == Shape::Netd {
            wrappers(&dir.with_extension("bin"));
        }
        let mut bed = Self {
            operation,
            shape,
            dir: dir.to_owned(),
            netns: PathBuf::new(),
            _netns: None,
            daemon: None,
            held: Vec::new(),
        };
        bed.another_guest();
        bed
    }

    /// From now on it is about a guest that had no network before.
    pub fn another_guest(&mut self) {
        let netns = guest_netns();
        self.netns = format!("/proc/{}/fd/{}", std::process::id(), netns.as_raw_fd()).into();
        self._netns = Some(netns);
    }

    /// Where its namespace can be opened while this process lives.
    pub fn netns(&self) -> &Path {
        &self.netns
    }

    /// The guest of another process's bed.
    pub fn of(operation: Operation, shape: Shape, dir: &Path, netns: &Path) -> Self {
        let (dir, netns) = (dir.to_owned(), netns.to_owned());
        Self { operation, shape, dir, netns, _netns: None, daemon: None, held: Vec::new() }
    }

    pub fn start(&mut self) -> Result<(), Failed> {
        let wrapper = |name: &str| self.dir.with_extension("bin").join(name);
        let firewall = match self.shape {
            Shape::Nftables => Choice::Nftables.into(),
            Shape::Iptables => Choice::Iptables.into(),
            Shape::Netd => Options {
                choice: Choice::Iptables,
                iptables: Some(wrapper("iptables-wrapper-1.0")),
            },
        };
        let config = Config {
            uplink: "wlan0,eth0".parse().expect("uplinks"),
            firewall,
            state_dir: self.dir.clone(),
            keep_forwarding: false,
            ndc: (self.shape == Shape::Netd).then(|| wrapper("ndc-wrapper-1.0")),
            dnsproxyd: PathBuf::new(),
            guest_zone: None,
            resolvers: Vec::new(),
            resolv_conf: None,
            connections: 4096,
            check_every: Duration::from_secs(1),
        };
        // A start has no code: it says why in words.
        self.daemon = Some(Daemon::spawn(config, |_| {}).map_err(|e| (-1, e.to_string()))?);
        Ok(())
    }

    pub fn end(&mut self) {
        if let Some((daemon, thread)) = self.daemon.take() {
            daemon.end();
            let _ = thread.join();
        }
    }

    fn daemon(&self) -> &Handle {
        &self.daemon.as_ref().expect("a daemon").0
    }

    fn spec(&self, mtu: Option<u32>, address: Option<[u8; 4]>) -> GuestSpec {
        let wlan0 = IfName::new("wlan0").expect("a name");
        let gateway = [172, 28, 3, 2].into();
        let mut spec = GuestSpec::new(name(), wlan0, address.map(Into::into), gateway, 16, -1)
            .expect("a spec");
        spec.mtu = mtu.and_then(|mtu| Mtu::try_from(mtu).ok());
        match self.operation {
            Operation::AttachTap => {
                let kind = Kind::Tap { queues: Queues::new(2).expect("two"), owner: 0 };
                spec.connected(kind).expect("a TAP")
            }
            Operation::AttachSegment => spec.on(SegmentName::new("cockpit")),
            _ => spec,
        }
    }

    pub fn attach(&mut self) -> Result<(), Failed> {
        let spec = self.spec(None, None);
        let named = || Named::Netns(File::open(&self.netns).expect("the guest").into());
        let named = (self.operation != Operation::AttachTap).then(named);
        let target = named.map(|named| Target::open(named, &Initial::find())).transpose();
        let request = AttachRequest {
            spec,
            target: target.map_err(|e| (-1, e.to_string()))?,
            uid: 0,
            most: None,
            owner: None,
            arrived: Instant::now(),
        };
        let (_, tap) = self.daemon().attach(request).map_err(failed)?;
        self.held.extend(tap);
        Ok(())
    }

    pub fn detach(&mut self) -> Result<(), Failed> {
        let by = By { uid: 0, pid: 0 };
        let gone = self.daemon().detach(name(), Whose::Everyones, by).map_err(failed);
        self.held.clear();
        gone
    }

    pub fn is_attached(&self) -> bool {
        self.daemon().list(Whose::Everyones).is_ok_and(|guests| !guests.is_empty())
    }

    /// Up to where the operation begins.
    pub fn prepare(&mut self) -> Result<(), Failed> {
        if self.operation.attaches() {
            return Ok(());
        }
        self.attach()?;
        self.damage();
        Ok(())
    }

    /// What is to be put back; or what the uplink was before.
    pub fn damage(&mut self) {
        match self.operation {
            Operation::Restart => {
                self.end();
                run("ip addr flush dev $(ip -o link | grep -o 'vm_wlan[0-9]*' | head -1)");
                match self.shape {
                    Shape::Netd => run("iptables-legacy -F oem_fwd; iptables-legacy -t nat -F oem_nat_pre"),
                    Shape::Iptables => run("iptables-legacy -t nat -F; iptables-legacy -t filter -D FORWARD 1"),
                    Shape::Nftables => run("nft list tables | grep guestnet | while read -r one; do nft delete $one 2>/dev/null; done; true"),
                };
            }
            Operation::Repair => {
                self.inside(
                    "ip route flush table main; ip addr flush dev wlan0; ip link set wlan0 down",
                );
            }
            _ => {}
        }
    }

    /// The operation itself.
    pub fn act(&mut self) -> Result<(), Failed> {
        match self.operation {
            Operation::Attach | Operation::AttachTap | Operation::AttachSegment => self.attach(),
            Operation::Detach => self.detach(),
            Operation::Update => {
                let spec = self.spec(Some(1380), Some([172, 28, 9, 9]));
                let request = UpdateRequest {
                    name: name(),
                    spec,
                    whose: Whose::Everyones,
                    arrived: Instant::now(),
                };
                self.daemon().update(request).map(drop).map_err(failed)
            }
            Operation::UplinkChange => {
                match self.shape {
                    Shape::Netd => netd_changes_to("eth0"),
                    _ => drop(run("ip route replace default via 198.51.100.1 dev eth0")),
                }
                Ok(())
            }
            Operation::Restart => self.start(),
            Operation::Repair => {
                let arrived = Instant::now();
                self.daemon().repair(&name(), Whose::Everyones, arrived).map(drop).map_err(failed)
            }
        }
    }

    /// No guest, and the uplink that was.
    pub fn put_back(&mut self) {
        match self.shape {
            Shape::Netd => netd_changes_to("wlan0"),
            _ => drop(run("ip route replace default via 192.0.2.1 dev wlan0")),
        }
        if self.daemon.is_none() {
            self.start().expect("a start");
        }
        if self.is_attached() {
            self.detach().expect("a detach");
        }
        self.held.clear();
    }

    fn inside(&self, command: &str) -> String {
        let out = Command::new("nsenter")
            .arg(format!("--net={}", self.netns.display()))
            .args(["sh", "-c", command])
            .output()
            .expect("nsenter");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// All that an operation may change. Without counters, handles, indexes, and whose packets were dropped;
    /// chains that are built again have the other of two names.
    pub fn seen(&self) -> Seen {
        let device = run(
            "ip -d -o link; ip -o addr; ip route show table all; ip rule; \
             for dev in $(ip -o link | grep -o 'vm_[a-z0-9_]*\\|gn_[a-z0-9_]*' | sort -u); do \
                 tc filter show dev $dev ingress 2>/dev/null; tc filter show dev $dev egress 2>/dev/null; done; \
             nft -s list ruleset | sed 's/ # progname.*//; /^\tflags/d; /^\t*\\(elements = { \\)\\?\"[^\"]*\" counter/d'; \
             (iptables-legacy-save; ip6tables-legacy-save) | grep -v '^[#:*C]' | sed 's/\\(oem_guestnet_[a-z]*\\)_[bc]/\\1/g'; \
             cat /proc/sys/net/ipv4/ip_forward; \
             grep . /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv4/conf/*/accept_redirects; true",
        );
        let inside = self.inside(
            "ip -o link; ip -4 -o addr; ip -4 route; cat /proc/sys/net/ipv6/conf/wlan0/disable_ipv6 2>/dev/null",
        );
        Seen { device: plain(&device) + &self.files(), inside: plain(&inside) }
    }

    /// What is stored, without what is another one for each link.
    fn files(&self) -> String {
        let mut all = Vec::new();
        for dir in [self.dir.clone(), self.dir.join("guests")] {
            let Ok(files) = fs::read_dir(dir) else { continue };
            for path in files.flatten().map(|file| file.path()) {
                let name = path.display().to_string();
                if path.is_dir() || name.ends_with(".aside") || name.ends_with("lock") {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap_or_default();
                let mut value: Value = serde_json::from_str(text.trim()).unwrap_or_default();
                forget(&mut value);
                all.push(format!("{name}: {value}\n"));
            }
        }
        all.sort();
        all.concat()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.end();
        if self._netns.is_some() {
            let _ = fs::remove_dir_all(self.dir.with_extension("bin"));
        }
    }
}

fn forget(value: &mut Value) {
    if let Value::Object(object) = value {
        for key in ["index", "attached_at", "crc32", "netns", "boot", "lifelines"] {
            object.remove(key);
        }
        object.values_mut().for_each(forget);
    }
}

/// Without interfaces' indexes and what is random.
fn plain(text: &str) -> String {
    let word = |word: &str| match word.split_once('@') {
        Some((name, peer)) if peer.starts_with("if") => name.to_owned(),
        _ if word.starts_with("02:67:") || word.starts_with("02:6") => "MAC".to_owned(),
        _ => word.replace("noop", "noqueue"),
    };
    let line = |line: &str| {
        let mut words: Vec<_> = line.split_whitespace().collect();
        let first = words.first().copied().unwrap_or_default();
        if first.strip_suffix(':').is_some_and(|index| index.parse::<u32>().is_ok())
            && !line.contains("lookup")
        {
            words.remove(0);
        }
        // The last three are handles of tc's.
        let passes = |word: &&str| {
            ["link-netnsid", "fh", "ht", "index"].contains(word) || word.ends_with("_timer")
        };
        while let Some(at) = words.iter().position(passes) {
            words.drain(at..(at + 2).min(words.len()));
        }
        words.into_iter().map(word).collect::<Vec<_>>().join(" ") + "\n"
    };
    let mut lines: Vec<_> = text.lines().map(line).filter(|line| line != "\n").collect();
    // Links are in the order of their coming.
    lines.sort();
    lines.concat()
}

/// What is in one and not in the other.
pub fn difference(wanted: &str, found: &str) -> String {
    let only = |sign: char, a: &str, b: &str| -> Vec<String> {
        // A line may be there twice.
        let mut others: Vec<_> = b.lines().collect();
        let is_there = |line: &&str| match others.iter().position(|other| other == line) {
            Some(at) => Some(others.swap_remove(at)).is_none(),
            None => true,
        };
        a.lines().filter(is_there).map(|line| format!("{sign} {line}")).collect()
    };
    [only('-', wanted, found), only('+', found, wanted)].concat().join("; ")
}
