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

//! From the calls of guestnetd and of the programs that it runs to the keys of what they change.
//! What is not understood is a key of its own, which has no row: nothing is passed over.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use crate::files::{self, Places};
use crate::strace::{self, Call, Event};
use crate::{iptables, netlink};

/// What the machine calls the things that the keys must not name.
#[derive(Clone, Debug)]
pub struct Names {
    /// The device's network namespace, as the kernel writes it: `net:[4026531840]`.
    pub device: String,
    /// guestnetd's directory and socket.
    pub places: Places,
    /// The program under test.
    pub guestnetd: PathBuf,
}

/// The keys in the order in which they were first seen, and for each the call that it is for.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// In order.
    pub order: Vec<String>,
    /// Whether that is the order of a start and of one attach.
    pub whole_order: bool,
    /// A line of the trace for each.
    pub lines: BTreeMap<String, String>,
}

impl Seen {
    fn add(&mut self, key: String, line: &dyn Fn() -> String) {
        if !self.lines.contains_key(&key) {
            self.order.push(key.clone());
            self.lines.insert(key, line());
        }
    }
}

/// Reads a trace.
pub fn of(trace: &str, names: &Names) -> Seen {
    let mut reader = Reader::new(names);
    for event in strace::read(trace) {
        match event {
            Event::Call(call) => reader.call(&call),
            Event::Ended(tid) => reader.ended(tid),
            Event::Strange(line) => reader.seen.add("a strange line".into(), &|| line.clone()),
        }
    }
    if !reader.lines.is_empty() {
        reader
            .seen
            .add("lines for iptables that nobody read".into(), &|| format!("{:?}", reader.lines));
    }
    reader.seen
}

/// Where a thread is, or where a socket was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Netns {
    #[default]
    Device,
    Guest,
    /// One that a thread has made for itself, and that goes with it.
    Own,
}

/// Who a thread is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Program {
    #[default]
    Guestnetd,
    Iptables,
    /// What it changes is netd's: it stands in for the program that asks netd.
    Ndc,
    /// What it changes is which modules the kernel has.
    Modprobe,
    /// It lists a chain.
    Nft,
}

struct Reader<'a> {
    names: &'a Names,
    /// guestnetd's main thread, while it is there. What comes before it is of what starts it.
    main: Option<u32>,
    programs: HashMap<u32, Program>,
    netns: HashMap<u32, Netns>,
    /// Netlink sockets, by their owner and descriptor. Threads of guestnetd share theirs.
    sockets: HashMap<(u32, u32), (String, Netns)>,
    /// What iptables-restore will read, as tables and commands.
    lines: Vec<(String, String)>,
    seen: Seen,
}

impl<'a> Reader<'a> {
    fn new(names: &'a Names) -> Self {
        Self {
            names,
            main: None,
            programs: HashMap::new(),
            netns: HashMap::new(),
            sockets: HashMap::new(),
            lines: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn ended(&mut self, tid: u32) {
        self.main = self.main.filter(|main| *main != tid);
        self.programs.remove(&tid);
        self.netns.remove(&tid);
        self.sockets.retain(|(owner, _), _| *owner != tid);
    }

    fn call(&mut self, call: &Call) {
        if call.failed() || call.is_restarted() {
            return;
        }
        if call.name == "execve" {
            return self.execve(call);
        }
        let program = self.programs.get(&call.tid).copied().unwrap_or_default();
        if self.main.is_none() || matches!(program, Program::Ndc | Program::Modprobe | Program::Nft)
        {
            return;
        }
        let keys = match call.name.as_str() {
            "socket" => self.socket(call),
            "setns" => self.setns(call),
            "unshare" => self.unshare(call),
            "sendto" | "sendmsg" | "sendmmsg" | "write" | "writev" | "pwrite64" | "pwritev"
            | "send" => self.sent(call),
            "setsockopt" => setsockopt(call, program),
            "ioctl" => ioctl(call),
            _ => files::changed(call, &self.names.places).unwrap_or_else(|| vec![unknown(call)]),
        };
        for key in keys {
            self.seen.add(key, &|| call.line());
        }
    }

    fn execve(&mut self, call: &Call) {
        let mut texts = call.texts();
        let path = PathBuf::from(if texts.is_empty() { String::new() } else { texts.remove(0) });
        if path == self.names.guestnetd {
            // Perhaps again: of the one before nothing is left.
            self.programs.clear();
            self.netns.clear();
            self.sockets.clear();
            self.main = Some(call.tid);
            return;
        }
        if self.main.is_none() {
            return;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = name.trim_end_matches("-wrapper-1.0").replace("-legacy", "");
        let words: Vec<_> = texts.iter().skip(1).map(String::as_str).collect();
        let (program, keys) = match name.as_str() {
            "iptables" | "ip6tables" | "netutils" => {
                (Program::Iptables, iptables::command(&name, &words).into_iter().collect())
            }
            "iptables-restore" | "ip6tables-restore" => {
                let plain = name.trim_end_matches("-restore");
                let of = |(table, line): (String, String)| {
                    let words: Vec<_> = line.split(' ').collect();
                    iptables::key(plain, &table, &words)
                };
                let mut keys = vec![format!("{name} {}", words.join(" "))];
                keys.extend(std::mem::take(&mut self.lines).into_iter().map(of));
                (Program::Iptables, keys)
            }
            "nft" if words.starts_with(&["-a", "list", "chain"]) => {
                (Program::Nft, vec!["nft -a list chain".to_owned()])
            }
            "ndc" => (Program::Ndc, vec![format!("ndc {}", words.join(" "))]),
            // Only where the kernel does not have them yet: no row, which is to be seen everywhere.
            "modprobe" if words == ["--quiet", "--all", "ip_tables", "ip6_tables"] => {
                (Program::Modprobe, Vec::new())
            }
            _ => (Program::Guestnetd, vec![unknown(call)]),
        };
        self.programs.insert(call.tid, program);
        for key in keys {
            self.seen.add(key, &|| call.line());
        }
    }

    /// The descriptors of a program that was started are its own.
    fn owner(&self, tid: u32) -> u32 {
        if self.programs.contains_key(&tid) {
            tid
        } else {
            0
        }
    }

    fn socket(&mut self, call: &Call) -> Vec<String> {
        let words: Vec<_> = call.args.split(", ").collect();
        if let (["AF_NETLINK", _, protocol], Some(fd)) = (words.as_slice(), call.returned_fd()) {
            let netns = self.netns.get(&call.tid).copied().unwrap_or_default();
            self.sockets.insert((self.owner(call.tid), fd), ((*protocol).to_owned(), netns));
        }
        Vec::new()
    }

    fn setns(&mut self, call: &Call) -> Vec<String> {
        let (Some((_, to)), true) = (call.fd(), call.args.ends_with(", CLONE_NEWNET")) else {
            return vec![unknown(call)];
        };
        let netns = if to == self.names.device { Netns::Device } else { Netns::Guest };
        self.netns.insert(call.tid, netns);
        vec![format!("setns {}", if netns == Netns::Device { "device" } else { "guest" })]
    }

    fn unshare(&mut self, call: &Call) -> Vec<String> {
        if call.args != "CLONE_NEWNET" {
            return vec![unknown(call)];
        }
        self.netns.insert(call.tid, Netns::Own);
        vec!["unshare CLONE_NEWNET".into()]
    }

    /// What was written to a descriptor of whatever kind.
    fn sent(&mut self, call: &Call) -> Vec<String> {
        let Some((fd, what)) = call.fd() else { return vec![unknown(call)] };
        if what.starts_with("NETLINK:") {
            return self.netlink(call, fd);
        }
        if what.starts_with("/memfd:iptables") {
            self.lines.extend(iptables::lines(&String::from_utf8_lossy(&call.data)));
            return Vec::new();
        }
        // A question to a resolver, whoever it is: guestnetd has no other use for UDP.
        if what.starts_with("UDP:[") && what.ends_with(":53]") {
            return vec!["send UDP port 53".into()];
        }
        // The rest of these are doctor's probes.
        if ["RAW:", "TCP:", "UDP:"].iter().any(|kind| what.starts_with(kind)) {
            return vec!["send probes".into()];
        }
        // Who is at the other end of these is told something.
        let told = ["UNIX", "pipe:", "anon_inode:[eventfd]", "/dev/null", "/dev/pts/"];
        if told.iter().any(|kind| what.starts_with(kind)) {
            return Vec::new();
        }
        let keys = files::written(what, &call.data, &self.names.places);
        match what.starts_with("/proc/sys/") {
            true => self.in_place(self.netns.get(&call.tid).copied().unwrap_or_default(), keys),
            false => keys,
        }
    }

    /// The keys with the network namespace that they are about, if that is not the device's.
    fn in_place(&self, netns: Netns, keys: Vec<String>) -> Vec<String> {
        let place = match netns {
            Netns::Device => return keys,
            Netns::Guest => "guest: ",
            Netns::Own => "own netns: ",
        };
        keys.into_iter().map(|key| format!("{place}{key}")).collect()
    }

    fn netlink(&self, call: &Call, fd: u32) -> Vec<String> {
        let Some((protocol, netns)) = self.sockets.get(&(self.owner(call.tid), fd)) else {
            return vec![unknown(call)];
        };
        let keys = match protocol.as_str() {
            "NETLINK_ROUTE" => netlink::route(&call.data),
            "NETLINK_NETFILTER" => netlink::netfilter(&call.data),
            "NETLINK_XFRM" => netlink::xfrm(&call.data),
            _ => Err("an unknown protocol".into()),
        };
        match keys {
            // A question that the end of the process cut off.
            Ok(_) if call.data.is_empty() && call.args.contains("nlmsg_type=RTM_GET") => Vec::new(),
            Ok(_) if call.data.is_empty() => vec![unknown(call)],
            Ok(keys) => self.in_place(*netns, keys),
            Err(why) => vec![format!("{why} in {}", unknown(call))],
        }
    }
}

fn setsockopt(call: &Call, program: Program) -> Vec<String> {
    let mut words = call.args.split(", ").skip(1);
    match (words.next(), words.next()) {
        (Some("SOL_SOCKET" | "SOL_NETLINK" | "SOL_PACKET"), _) => Vec::new(),
        (Some("SOL_IP"), Some("IP_MTU_DISCOVER" | "IP_FREEBIND" | "IP_PKTINFO")) => Vec::new(),
        (Some("SOL_IP" | "SOL_IPV6"), Some(name))
            if program == Program::Iptables && name.contains("_SO_SET_") =>
        {
            vec![format!("setsockopt {name}")]
        }
        _ => vec![unknown(call)],
    }
}

fn ioctl(call: &Call) -> Vec<String> {
    match call.args.split(", ").nth(1).unwrap_or_default() {
        // NS_GET_NSTYPE and TUNGETDEVNETNS ask; the others are about the descriptor itself.
        "NS_GET_NSTYPE" | "TUNGETDEVNETNS" | "FIONBIO" | "FIOCLEX" | "TIOCOUTQ" | "TCGETS" => {
            Vec::new()
        }
        made @ ("TUNSETIFF" | "TUNSETOWNER" | "TUNSETVNETHDRSZ") => vec![made.into()],
        _ => vec![unknown(call)],
    }
}

fn unknown(call: &Call) -> String {
    format!("unknown: {} {}", call.name, call.texts().join(" "))
}
