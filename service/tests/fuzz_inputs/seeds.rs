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

//! Seeds: this kernel's own answers about links, routes and filters that are made for it, and messages as
//! clients, resolvers and programs send them.

use crate::firewall_cases::{cases, open};
use crate::firewall_rig::{in_netns, run, sh};
use guestnetd::effects::firewall::Choice;
use guestnetd::effects::kernel::netlink::attr::Writer;
use guestnetd::effects::kernel::netlink::Netlink;
use guestnetd::effects::kernel::{
    address, fib, ipsec, link, mirred, neighbour, observe, route, rule, tc, uplink,
};
use guestnetd::fuzzing::{questions, record, tables_of_nftables, METHODS};
use guestnetd::model::if_index::IfIndex;
use guestnetd::model::policy_rules::RoutingMode;
use guestnetd::model::segment::Place;
use guestnetd::model::tc::Way;
use guestnetd::model::uplink::Choice as Uplinks;
use guestnetd::spec::Family;
use nix::sys::socket::{socket, AddressFamily, SockFlag, SockType};
use rtnetlink::sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rtnetlink::sys::{Socket, SocketAddr};
use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

const LINKS: &str = "
ip link add wlan0 type veth peer name far0; ip link set wlan0 up alias uplink; ip link set far0 up
ip address add 192.0.2.2/24 dev wlan0; ip address add 2001:db8::2/64 dev wlan0 nodad
ip link add vm_wlan type veth peer name end0; ip link set vm_wlan up; ip link set end0 up
ip address add 172.17.3.2/16 dev vm_wlan
ip link add br0 type bridge; ip link set end0 master br0
ip link add v0 link wlan0 type vlan id 7
ip link add vrf0 type vrf table 10
ip tuntap add tun0 mode tun; ip tuntap add tap0 mode tap multi_queue
ip neighbour add 192.0.2.1 lladdr 02:00:00:00:00:01 dev wlan0
";
const ROUTES: &str = "
ip route add default via 192.0.2.1 dev wlan0 metric 100
ip route add 198.51.100.0/24 nexthop via 192.0.2.1 dev wlan0 weight 2 nexthop dev vm_wlan
ip route add blackhole 203.0.113.0/24; ip route add unreachable default metric 999 table 1002
ip route add 10.0.0.0/8 via inet6 2001:db8::1 dev wlan0 mtu 1400 congctl reno
ip -6 route add default via 2001:db8::1 dev wlan0
ip rule add priority 16000 fwmark 0x10064/0x1ffff iif lo lookup 1002
ip rule add priority 17000 from 172.17.0.0/16 to 198.51.100.0/24 iif vm_wlan lookup 1002
ip rule add priority 18000 uidrange 1000-9999 ipproto tcp dport 80-90 prohibit
ip rule add priority 19000 not from 10.0.0.0/8 lookup main suppress_prefixlength 0
";
const QUEUES: &str = "
tc qdisc add dev vm_wlan root tbf rate 1mbit burst 10k latency 50ms
tc qdisc add dev end0 root netem delay 10ms loss 100%
tc qdisc add dev wlan0 clsact
tc filter add dev wlan0 ingress pref 1 protocol ip u32 match ip src 172.17.3.3/32 action mirred egress redirect dev end0
tc filter add dev wlan0 ingress pref 2 protocol ip flower ip_proto tcp dst_port 80 src_ip 10.0.0.0/8 action drop
tc filter add dev wlan0 ingress pref 3 protocol all matchall action police rate 1mbit burst 10k conform-exceed drop
tc filter add dev wlan0 egress pref 4 protocol ip u32 match u32 0 0 action drop
";
const POLICIES: &str = "
ip xfrm policy add src 10.0.0.0/8 dst 172.17.0.0/16 proto tcp dport 80 dir fwd action block priority 7
ip xfrm policy add src 0.0.0.0/0 dst 198.51.100.0/24 dir out mark 1 mask 3 tmpl proto esp mode tunnel
";
/// What a rule of [`NFT`] needs that has this in it, beside chains.
const NFT_PARTS: [(&str, &str); 6] = [
    ("@s", "nft 'add set ip t s { type ipv4_addr . inet_service; flags interval; elements = { 192.0.2.0/24 . 80-90 } }'"),
    ("@m", "nft 'add map ip t m { type ipv4_addr : verdict; flags interval; elements = { 10.0.0.0/8 : drop, 172.17.3.0/24 : jump e } }'"),
    ("@d", "nft 'add set ip t d { type ipv4_addr; flags dynamic, timeout; timeout 1m; }'"),
    ("@i", "nft 'add set ip t i { type ifname . ipv4_addr; elements = { vm_wlan . 172.17.3.3 } }'"),
    ("limit name", "nft add limit ip t l rate 10/second"),
    ("timeout set", "nft 'add ct timeout ip t h { protocol tcp; policy = { time_wait: 1, close: 1 }; }'"),
];
const NFT: &str = "
nft add rule ip t c meta nftrace set 1
nft add rule ip t c ct state established,related ct status confirmed accept
nft add rule ip t c iifname vm_wlan* oifname '{ wlan0, wlan1 }' ip daddr . tcp dport @s counter drop
nft add rule ip t c iifname != vm_wlan* iifgroup != 7 iifname . ct original ip saddr != @i counter goto e
nft add rule ip t c ip saddr vmap @m
nft add rule ip t c meta mark and 0xff00 == 0x100 limit name l ip ttl 5 reject with icmp type admin-prohibited
nft add rule ip t c fib daddr type local meta l4proto '{ tcp, udp }' th dport 53 drop
nft add rule ip t c udp dport 54 queue num 3
nft add rule ip t c update @d '{ ip saddr limit rate over 5/second }' drop
nft add rule ip t c add @d '{ ip saddr ct count over 3072 }' counter drop
nft add rule ip t c ct status != confirmed numgen inc mod 64 0 log group 26478
nft add rule ip t c ct timeout set '\"h\"'
nft add rule ip t c 'tcp flags & (syn | ack) == syn ct count over 10 drop'
nft add rule ip t c tcp option maxseg size set 1200
nft add rule ip t c meta mark set ct mark goto e
nft add rule ip t c ip frag-off and 0x3fff != 0 ip saddr and 255.255.240.0 == '{ 10.20.48.0 }' notrack
nft add rule ip n p oifname wlan0 meta l4proto udp masquerade to :1024-32767
nft add rule ip n p ip saddr 172.17.3.3 snat to 192.0.2.7
nft add rule ip n q udp dport 53 dnat to 192.0.2.1:5353
";
const XTABLES: &str = "
iptables-legacy -w -N own; iptables-legacy -w -A own -j RETURN; iptables-legacy -w -P FORWARD DROP
iptables-legacy -w -A FORWARD -i vm_wlan+ ! -o wlan0 -s 172.17.0.0/16 -p tcp --dport 80:90 -g own
iptables-legacy -w -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
iptables-legacy -w -A FORWARD -m mark --mark 0x1/0xff -m limit --limit 5/s -j REJECT
iptables-legacy -w -A FORWARD -m u32 --u32 '6&0xFF=6' -m multiport -p tcp --dports 53,80:90 -j DROP
iptables-legacy -w -A FORWARD -m connlimit --connlimit-above 3 -m addrtype --dst-type LOCAL -j own
iptables-legacy -w -A FORWARD -m hashlimit --hashlimit-above 5/s --hashlimit-name a -m string --string x --algo bm -j DROP
iptables-legacy -w -A FORWARD -m time --timestart 01:00 --timestop 02:00 -m owner --uid-owner 0 -j DROP
iptables-legacy -w -A FORWARD -m bpf --bytecode '1,6 0 0 1' -m statistic --mode random --probability 0.5 -j DROP
iptables-legacy -w -t mangle -A PREROUTING -m quota --quota 99 -m length --length 10:90 -j MARK --set-mark 7
iptables-legacy -w -t mangle -A PREROUTING -j CONNMARK --restore-mark
iptables-legacy -w -t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination 192.0.2.1:53
iptables-legacy -w -t nat -A POSTROUTING -o wlan0 -j MASQUERADE
";

/// Where the seeds are written.
struct Seeds(PathBuf);

impl Seeds {
    fn put(&self, target: &str, name: &str, bytes: &[u8]) {
        assert!(!bytes.is_empty(), "{target}/{name} is empty");
        let folder = self.0.join(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), bytes).expect("a seed");
    }
}

/// Writes all of them.
pub fn write(folder: &Path) {
    let seeds = |folder: &Path| Seeds(folder.to_owned());
    for kernel in [of_routing, of_announcements, of_filters] {
        let seeds = seeds(folder);
        in_netns(move || kernel(&seeds));
    }
    of_names(&seeds(folder));
    of_texts(&seeds(folder));
    of_contract(&seeds(folder));
}

/// As many as the kernel and the programs here take.
fn each(commands: &str) {
    for command in commands.lines().filter(|line| !line.is_empty()) {
        let (done, said) = run(command);
        if !done {
            eprintln!("{command}: {said}");
        }
    }
}

fn of_routing(seeds: &Seeds) {
    for commands in [LINKS, ROUTES, QUEUES, POLICIES] {
        each(commands);
    }
    let netlink = Netlink::open().unwrap();
    let index = link::by_name(&netlink, "wlan0").unwrap().unwrap().index;
    let vm = link::by_name(&netlink, "vm_wlan").unwrap().unwrap().index;
    let of = |read: &dyn Fn(&Netlink)| record(|| read(&netlink));
    seeds.put("links", "all", &of(&|n| drop(link::all(n))));
    seeds.put("links", "one", &of(&|n| drop(link::by_index(n, vm))));
    seeds.put("links", "counters", &of(&|n| drop(link::counters(n))));
    seeds.put("links", "none", &of(&|n| drop(link::by_name(n, "none"))));
    seeds.put("addresses", "v4", &of(&|n| drop(address::of(n, Family::V4, None))));
    seeds.put("addresses", "v6", &of(&|n| drop(address::of(n, Family::V6, None))));
    seeds.put("addresses", "prefixes", &slim(&of(&|n| drop(observe::Lists::read(n)))));
    let neighbours = of(&|n| drop(neighbour::of(n, Family::V4, Some(index))));
    seeds.put("addresses", "neighbours", &neighbours);
    seeds.put("routes", "v4", &of(&|n| drop(route::of(n, Family::V4, None, None))));
    seeds.put("routes", "v6", &of(&|n| drop(route::of(n, Family::V6, None, None))));
    let server = Ipv4Addr::new(198, 51, 100, 7);
    seeds.put("routes", "towards", &of(&|n| drop(route::towards(n, server))));
    seeds.put("routes", "nowhere", &of(&|n| drop(route::towards(n, [203, 0, 113, 1]))));
    seeds.put("routes", "matched", &of(&|n| drop(fib::lookup(n, server, None))));
    seeds.put("rules", "v4", &of(&|n| drop(rule::all(n, Family::V4))));
    seeds.put("rules", "v6", &of(&|n| drop(rule::all(n, Family::V6))));
    for (name, choice) in [("default", "default"), ("listed", "wlan0,eth*")] {
        let choice: Uplinks = choice.parse().unwrap();
        let routing = RoutingMode::Main;
        let question = uplink::Question { choice: &choice, routing, rules: &[], sender: None };
        seeds.put("uplink", name, &slim(&of(&|n| drop(uplink::observe(n, &question)))));
    }
    seeds.put("traffic_control", "queues", &of(&|n| drop(tc::queues(n))));
    for (name, way) in [("in", Way::In), ("out", Way::Out)] {
        seeds.put("traffic_control", name, &of(&|n| drop(tc::filters(n, index, way))));
    }
    let led = of(&|n| drop(mirred::of(n, index, Place::FromGuest)));
    seeds.put("traffic_control", "mirred", &led);
    seeds.put("ipsec", "policies", &record(|| drop(ipsec::policies())));
    seeds.put("traffic_control", "of_others", &queues_of_others());
    seeds.put("connections", "two", &[connection(17, 53, 30), connection(6, 443, 300)].concat());
}

/// Without what links have of counters and of each family: `links` has that, and where a link is one answer of
/// many, what is longest would be fuzzed most.
fn slim(messages: &[u8]) -> Vec<u8> {
    const LINK: usize = 16 + 16;
    const LONG: usize = 64;
    let mut slim = Vec::new();
    let mut left = messages;
    while let Some(length) = left.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes) as usize) {
        let (one, rest) = left.split_at(length.next_multiple_of(4).min(left.len()));
        left = rest;
        if one.get(4..6) != Some(&libc::RTM_NEWLINK.to_ne_bytes()) || one.len() < LINK {
            slim.extend(one);
            continue;
        }
        let start = slim.len();
        slim.extend(&one[..LINK]);
        let mut attributes = &one[LINK..];
        while let Some(length) = attributes.first_chunk().map(|l| u16::from_ne_bytes(*l) as usize) {
            let length = length.max(4).next_multiple_of(4).min(attributes.len());
            let (attribute, rest) = attributes.split_at(length);
            attributes = rest;
            if attribute.len() <= LONG {
                slim.extend(attribute);
            }
        }
        let length = ((slim.len() - start) as u32).to_ne_bytes();
        slim[start..start + 4].copy_from_slice(&length);
    }
    slim
}

/// Queues and filters that not every kernel has.
fn queues_of_others() -> Vec<u8> {
    let numbers =
        |all: &[u32]| all.iter().flat_map(|number| number.to_ne_bytes()).collect::<Vec<u8>>();
    // `struct tcmsg`
    let of = |kind: u16, name: &[u8], options: &Writer| {
        let body = Writer::after(&numbers(&[0, 2, 0x0001_0000, u32::MAX, 0x0001_0008]));
        message(kind, body.with(1, name).with_nested(2, options).bytes())
    };
    let netem = Writer::after(&numbers(&[0, 1000, u32::MAX, 0, 0, 0])).with(10, &[0; 8]);
    let police = Writer::default().with(1, &numbers(&[0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    let act = |name: &[u8], options: &Writer| {
        let one = Writer::default().with(1, name).with_nested(2, options);
        Writer::default().with_nested(1, &one)
    };
    let gact = Writer::default().with(2, &numbers(&[1, 0, 2, 1, 1]));
    let flower = Writer::default()
        .with(8, &[8, 0])
        .with(9, &[6])
        .with(10, &[10, 0, 0, 0])
        .with(11, &[255, 0, 0, 0])
        .with_nested(3, &act(b"gact\0", &gact));
    let bpf = Writer::default().with(8, &numbers(&[1])).with(7, b"program\0");
    let matchall = Writer::default().with_nested(2, &act(b"police\0", &police));
    [
        of(libc::RTM_NEWQDISC, b"netem\0", &netem),
        of(libc::RTM_NEWQDISC, b"pfifo\0", &Writer::after(&[0; 4])),
        of(libc::RTM_NEWTFILTER, b"flower\0", &flower),
        of(libc::RTM_NEWTFILTER, b"bpf\0", &bpf),
        of(libc::RTM_NEWTFILTER, b"matchall\0", &matchall),
    ]
    .concat()
}

/// A connection of the guest's to its gateway, which somebody else has answered.
fn connection(protocol: u8, port: u16, left: u32) -> Vec<u8> {
    let tuple = |from: [u8; 4], to: [u8; 4], ports: [u16; 2]| {
        let ip = Writer::default().with(1, &from).with(2, &to);
        let transport = Writer::default()
            .with(1, &[protocol])
            .with(2, &ports[0].to_be_bytes())
            .with(3, &ports[1].to_be_bytes());
        Writer::default().with_nested(1, &ip).with_nested(2, &transport)
    };
    let (guest, gateway, server) = ([172, 17, 3, 3], [172, 17, 3, 2], [93, 184, 215, 14]);
    let body = Writer::after(&[2, 0, 0, 0])
        .with_nested(1, &tuple(guest, gateway, [4000, port]))
        .with_nested(2, &tuple(server, guest, [port, 4000]))
        .with(3, &0x18e_u32.to_be_bytes())
        .with(7, &left.to_be_bytes())
        .with(12, &[7; 4]);
    message(1 << 8, body.bytes())
}

/// All that has come on a socket by now.
fn heard_by(socket: &Socket) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), Vec::with_capacity(64 << 10));
    loop {
        buffer.clear();
        match socket.recv_from(&mut buffer, 0) {
            Ok(_) => all.extend_from_slice(&buffer),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return all,
        }
    }
}

fn listener(family: isize, groups: &[u32]) -> Socket {
    let mut socket = Socket::new(family).unwrap();
    socket.bind(&SocketAddr::new(0, 0)).unwrap();
    socket.set_non_blocking(true).unwrap();
    for group in groups {
        socket.add_membership(*group).unwrap();
    }
    socket
}

fn of_announcements(seeds: &Seeds) {
    // RTNLGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV4_NETCONF, _NEXTHOP
    let socket = listener(NETLINK_ROUTE, &[1, 5, 7, 8, 24, 32]);
    for (name, commands) in [
        ("links", LINKS),
        ("routes", ROUTES),
        (
            "switches",
            "sysctl -qw net.ipv4.ip_forward=1; sysctl -qw net.ipv4.conf.wlan0.forwarding=0",
        ),
        (
            "ends",
            "ip link delete vm_wlan
ip route flush table main; ip link delete wlan0",
        ),
    ] {
        each(commands);
        seeds.put("announcements", name, &heard_by(&socket));
    }
}

/// `IPT_SO_GET_INFO` and `IPT_SO_GET_ENTRIES`: what describes a table, and its entries.
fn table_of_xtables(name: &str) -> Vec<u8> {
    let inet = AddressFamily::Inet;
    let socket = socket(inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let ask = |option: libc::c_int, buffer: &mut [u8]| {
        let mut length = buffer.len() as libc::socklen_t;
        let place = buffer.as_mut_ptr().cast();
        // SAFETY: the descriptor is open, and the kernel writes at most `length` bytes to the buffer.
        let done = unsafe {
            libc::getsockopt(socket.as_raw_fd(), libc::SOL_IP, option, place, &mut length)
        };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    };
    let mut info = vec![0; 84];
    info[..name.len()].copy_from_slice(name.as_bytes());
    ask(64, &mut info);
    let size: [u8; 4] = info[80..84].try_into().unwrap();
    let mut entries = vec![0; 40 + u32::from_ne_bytes(size) as usize];
    entries[..name.len()].copy_from_slice(name.as_bytes());
    entries[32..36].copy_from_slice(&size);
    ask(65, &mut entries);
    [&info, &entries[40..]].concat()
}

fn of_filters(seeds: &Seeds) {
    each(XTABLES);
    for name in ["filter", "mangle", "nat"] {
        seeds.put("xtables", name, &table_of_xtables(name));
    }
    let mut firewall = open(Choice::Nftables);
    for (name, of) in [("table", "resolver"), ("short", "no_subnets")] {
        let case = cases().into_iter().find(|case| case.name == of).unwrap();
        firewall.apply(&case.ruleset).unwrap();
        let ours = record(|| drop(tables_of_nftables()));
        seeds.put("own_nftables", name, &ours);
        if name == "table" {
            seeds.put("nftables", "ours", &ours);
        }
        firewall.clear().unwrap();
    }
    // One for each rule, with what it needs: what is short is taken more often.
    for (number, rule) in NFT.lines().filter(|line| !line.is_empty()).enumerate() {
        sh("nft flush ruleset");
        let (table, chain, hook) = match rule.split(' ').collect::<Vec<_>>()[4..6] {
            ["t", chain] => ("t", chain, "filter hook forward priority 0; policy drop"),
            [table, "p"] => (table, "p", "nat hook postrouting priority 100"),
            [table, chain] => (table, chain, "nat hook prerouting priority -100"),
            _ => panic!("{rule}: a table and a chain"),
        };
        sh(&format!("nft 'add table ip {table}; add chain ip {table} {chain} {{ type {hook}; }}'"));
        if rule.contains("goto e") || rule.contains("@m") {
            sh("nft 'add chain ip t e; add rule ip t e counter accept'");
        }
        for (mark, command) in NFT_PARTS {
            if rule.contains(mark) {
                sh(command);
            }
        }
        // As many as the kernel takes.
        let (done, said) = run(rule);
        if !done {
            eprintln!("{rule}: {said}");
            continue;
        }
        let name = format!("others_{}", number + 1);
        seeds.put("nftables", &name, &record(|| drop(tables_of_nftables())));
    }
    sh("nft flush ruleset");
    // NFNLGRP_NFTRACE
    let socket = listener(NETLINK_NETFILTER, &[9]);
    sh("nft add table ip t; nft 'add chain ip t i { type filter hook input priority 0; }'
        nft add rule ip t i meta nftrace set 1; nft add rule ip t i counter accept
        nft 'add chain ip t o { type filter hook output priority 0; }'
        nft add rule ip t o meta nftrace set 1; ping -qc1 -W1 127.0.0.1");
    seeds.put("trace", "nftables", &heard_by(&socket));
    seeds.put("trace", "xtables", &logged());
    let text = |kind, value: &[u8]| Writer::after(&[2, 0, 0, 0]).with(kind, value);
    let sets = [text(2, b"others\0"), text(3, b"hash:ip,port\0"), text(9, &[0; 4])];
    seeds.put("ipset", "set", &sets.map(|body| message(6 << 8, body.bytes())).concat());
}

/// A message with its header.
fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = (16 + body.len()) as u32;
    let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], body].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// What nfnetlink_log has of a packet that TRACE is about.
fn logged() -> Vec<u8> {
    let packet = [
        &[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 172, 17, 3, 3, 172, 17, 3, 2][..],
        &[0, 1, 0, 53, 0, 0, 0, 0],
    ];
    let body = Writer::after(&[2, 0, 0, 0])
        .with(1, &[8, 0, 2, 0])
        .with(10, b"TRACE: filter:FORWARD:rule:1 \0")
        .with(4, &7u32.to_be_bytes())
        .with(9, &packet.concat());
    message(4 << 8, body.bytes())
}

fn of_names(seeds: &Seeds) {
    let name = |what: &str| what.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let mut first = Vec::new();
    for (what, _, message) in questions() {
        seeds.put("dns_question", &name(what), &message);
        if first.is_empty() {
            first = message;
        }
    }
    let zoned = [&first[..12], b"\x03box\x05guest\0\0\x01\0\x01"].concat();
    seeds.put("dns_question", "of_the_zone", &zoned);
    let reverse = b"\x013\x013\x0217\x03172\x07in-addr\x04arpa\0\0\x0c\0\x01";
    seeds.put("dns_question", "backwards", &[&first[..12], &reverse[..]].concat());
    let record = [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];
    let answer = |flags: [u8; 2], records: u8| {
        let mut answer = first.clone();
        answer[2..4].copy_from_slice(&flags);
        answer[7] = records;
        (0..records).for_each(|_| answer.extend(record));
        answer
    };
    let length = (first.len() as u16).to_be_bytes();
    for (what, answer) in [
        ("address", answer([0x81, 0x80], 1)),
        ("long", answer([0x81, 0x80], 60)),
        ("cut", answer([0x83, 0x80], 0)),
        ("refused", answer([0x81, 0x85], 0)[..12].to_vec()),
    ] {
        seeds.put("dns_answer", what, &[&length[..], &first, &answer].concat());
        let lengths = [&[0; 4][..], &(answer.len() as u32).to_be_bytes()].concat();
        seeds.put("dnsproxyd", what, &[&lengths[..], &answer].concat());
        seeds.put("probes", what, &answer);
    }
    seeds.put("dnsproxyd", "timeout", &(-110_i32).to_be_bytes());
    let http =
        b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\nContent-Length: 0\r\n\r\n";
    seeds.put("probes", "http", http);
    seeds.put("probes", "tcp", &[&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6], &[7; 34][..]].concat());
    seeds.put("probes", "echo", &[0, 0, 0xff, 0xf8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    of_dhcp(seeds);
}

fn of_dhcp(seeds: &Seeds) {
    for (name, kind, more) in [
        ("discover", 1, &[57, 2, 5, 220, 55, 6, 1, 3, 6, 26, 114, 121][..]),
        ("request", 3, &[50, 4, 172, 17, 3, 3, 54, 4, 172, 17, 3, 2, 61, 3, 1, 2, 3]),
        ("overloaded", 3, &[52, 1, 3]),
        ("decline", 4, &[50, 4, 172, 17, 3, 3, 54, 4, 172, 17, 3, 2]),
        ("inform", 8, &[12, 3, b'b', b'o', b'x']),
    ] {
        let mut bytes = vec![1, 1, 6, 0, 0, 0, 0, 7];
        bytes.resize(28, 0);
        bytes.extend([2, 0, 0, 0, 0, 7]);
        bytes.resize(236, 0);
        bytes.extend([99, 130, 83, 99, 53, 1, kind]);
        bytes.extend(more);
        bytes.push(255);
        seeds.put("dhcp", name, &bytes);
        let length = ((20 + 8 + bytes.len()) as u16).to_be_bytes();
        let datagram = ((8 + bytes.len()) as u16).to_be_bytes();
        let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0];
        packet.extend([255; 4]);
        let sum: u32 =
            packet.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend([0, 68, 0, 67, datagram[0], datagram[1], 0, 0]);
        packet.extend(bytes);
        seeds.put("dhcp", &format!("{name}_packet"), &packet);
    }
}

fn of_texts(seeds: &Seeds) {
    for (name, text) in [
        ("record", record_of_a_guest()),
        ("forwarding", r#"{"version":2,"boot":"boot","ours":true,"contested":false,"before":{"ip_forward":false}}"#.to_owned()),
        ("resolvers", r#"{"version":2,"boot":"boot","behind":{"wlan0":["192.0.2.53"]},"order":["wlan0"]}"#.to_owned()),
        ("logger", r#"{"version":2,"boot":"boot","name":"nf_log_ipv4"}"#.to_owned()),
    ] {
        seeds.put("store", name, text.as_bytes());
    }
    let file = include_str!("../../../packaging/guestnetd.toml");
    seeds.put("configuration", "packaged", file.as_bytes());
    // With every example in force.
    let all: Vec<_> = file
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest,
            _ => line,
        })
        .collect();
    seeds.put("configuration", "all", all.join("\n").as_bytes());
    let guest = "uplink = [\"wlan0\", \"rmnet*\"]\n[guest.box]\naddress = \"172.17.3.3\"\nmtu = 1400\nvpn = \"follow\"\ndns-mode = [\"192.0.2.53\"]\nlifeline = \"process\"\nlease = 60\n";
    seeds.put("configuration", "guest", guest.as_bytes());
    for (name, text) in [
        ("usual", "# Generated\nnameserver 192.0.2.53\nnameserver fe80::1%wlan0\nsearch example\noptions edns0\n"),
        ("stub", "nameserver 127.0.0.53\noptions trust-ad\n"),
        ("odd", "nameserver\t010.0.0.1\r\nnameserver 0.0.0.0\nnameserver 224.0.0.1 # x\n;nameserver 1.1.1.1\n"),
    ] {
        seeds.put("resolv_conf", name, text.as_bytes());
    }
    for (name, text) in [
        ("yes", "100 0 x\n200 0 ipfwd operation succeeded\n"),
        ("no", "400 0 ipfwd operation failed (Operation not permitted)\n"),
        ("wrapper", "Unexpected command: ndc ipfwd\n"),
        ("iptables", "iptables: No chain/target/match by that name.\n"),
    ] {
        seeds.put("netd_words", name, text.as_bytes());
    }
    let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 10";
    seeds.put("process", "odd_name", stat.as_bytes());
    seeds.put("process", "this", sh("cat /proc/self/stat").as_bytes());
}

fn record_of_a_guest() -> String {
    use guestnetd::model::dhcp::Told;
    use guestnetd::model::guest_net::NetnsRef;
    use guestnetd::model::lifeline::Lifelines;
    use guestnetd::spec::{GuestName, GuestSpec, IfName, Mtu};
    use guestnetd::store::{AttachedRecord, Record, UpdateRecord};
    let (name, wlan0) = (GuestName::new("box").unwrap(), IfName::new("wlan0").unwrap());
    let spec = GuestSpec::new(name, wlan0, None, [172, 17, 3, 2].into(), 16, -1).unwrap();
    let (address, mtu) = ([172, 17, 3, 3].into(), Mtu::ETHERNET);
    let attached = AttachedRecord {
        spec: spec.clone(),
        address,
        mtu,
        index: IfIndex::new(7),
        netns: NetnsRef { id: Some(0), handle: Some([255; 16]) },
        lifelines: Lifelines::default(),
        owner_uid: 0,
        attached_at: 1,
        told: Some(Told {
            address,
            prefix: 16,
            gateway: [172, 17, 3, 2].into(),
            mtu,
            metered: false,
        }),
        update: Some(UpdateRecord { spec, address, mtu }),
    };
    let record = serde_json::to_string(&Record { slot: 0, attached: Some(attached) }).unwrap();
    format!("{{\"version\":2,\"boot\":\"boot\",{}", &record[1..])
}

fn of_contract(seeds: &Seeds) {
    use android_system_guestnet::aidl::android::system::guestnet::{
        DeviceState::DeviceState, DiagnoseOptions::DiagnoseOptions, GuestConfig::GuestConfig,
        GuestField::GuestField, GuestTarget::GuestTarget, UplinkInfo::UplinkInfo,
    };
    use binder::__rsbinder::to_bytes;
    let config = GuestConfig {
        name: "box".to_owned(),
        addresses: vec!["172.17.3.3/16".to_owned()],
        uplink: Some("tun0".to_owned()),
        dnsServers: vec!["192.0.2.53".to_owned()],
        segment: Some("s".to_owned()),
        given: vec![GuestField::MTU],
        ..GuestConfig::default()
    };
    let text = |text: &str| to_bytes(text).unwrap();
    let (name, uplink) = (text("box"), text("wlan0"));
    let (config, target) = (to_bytes(&config).unwrap(), to_bytes(&GuestTarget::default()).unwrap());
    let options = to_bytes(&DiagnoseOptions::default()).unwrap();
    let info = to_bytes(&UplinkInfo::default()).unwrap();
    let texts = to_bytes(&vec!["192.0.2.53".to_owned()]).unwrap();
    let both = [config.clone(), target].concat();
    for (number, what) in (1_u32..).zip(METHODS) {
        let arguments = match what {
            "attach" | "plan" | "check" => both.clone(),
            "update" => [name.clone(), config.clone()].concat(),
            "detach" | "get" | "repair" | "status" => name.clone(),
            "dumpTo" => texts.clone(),
            "setDns" => [uplink.clone(), texts.clone()].concat(),
            "diagnose" => [name.clone(), options.clone()].concat(),
            "setUplinkInfo" => [uplink.clone(), info.clone()].concat(),
            "setDeviceState" => to_bytes(&DeviceState::default()).unwrap(),
            // Nothing, or a listener.
            _ => Vec::new(),
        };
        seeds.put("contract", what, &[&u32::to_ne_bytes(number)[..], &arguments].concat());
    }
}
