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

//! What is below routes and packet filters: neighbours, queues and filters of tc, IPsec's policies, on the
//! device and in the guest. Each is put in a guest's way; what flows, what status says and what its next
//! step opens are compared. What this machine's kernel does not have is left out, and said.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause, GuestStatus::GuestStatus, Layer::Layer, Verdict::Verdict,
};
use guestnet_tests::bed::{eventually, Bed, GATEWAY};
use guestnet_tests::resolver::resolve;
use guestnet_tests::xdp::{self, Does};
use guestnet_tests::{Guest, InNetns, Internet, Probe};

guestnet_tests::with_both_backends!(names_that_a_policy_blocks_are_named);

/// At a time: most of it is waiting for what does not come.
const AT_A_TIME: usize = 5;

/// Where it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Device,
    Guest,
}
use At::{Device, Guest as Inside};

/// What is put there; the layer and the cause that are to blame; words of what is said. `|` separates
/// commands; what the kernel may lack comes last.
const IN_THE_WAY: [(At, &str, Layer, Cause, &str); 30] = [
    (
        Device,
        "ip neigh replace 172.17.3.3 lladdr 02:00:00:00:00:99 dev vm_wlan nud permanent",
        Layer::LINK,
        Cause::NEIGHBOUR_WRONG,
        "172.17.3.3 has the wrong link-layer address on vm_wlan, 02:00:00:00:00:99",
    ),
    (
        Inside,
        "ip neigh replace 172.17.3.2 lladdr 02:00:00:00:00:99 dev wlan0 nud permanent",
        Layer::LINK,
        Cause::NEIGHBOUR_WRONG,
        "in the guest, 172.17.3.2 has the wrong link-layer address on wlan0",
    ),
    (
        Device,
        "ip link set vm_wlan arp off",
        Layer::LINK,
        Cause::NEIGHBOUR_WRONG,
        "vm_wlan finds no neighbours",
    ),
    (
        Inside,
        "ip link set wlan0 arp off",
        Layer::LINK,
        Cause::NEIGHBOUR_WRONG,
        "in the guest, wlan0 finds no neighbours",
    ),
    (
        Device,
        "ip link set wlan0 arp off",
        Layer::UPLINK,
        Cause::NEIGHBOUR_WRONG,
        "such as its router 192.0.2.1",
    ),
    (
        Device,
        "ip neigh replace 192.0.2.1 lladdr 02:00:00:00:00:99 dev wlan0 nud permanent",
        Layer::UPLINK,
        Cause::NEIGHBOUR_WRONG,
        "whose router 192.0.2.1 has a link-layer address that was set by hand",
    ),
    (
        Device,
        "sysctl -qw net.ipv4.conf.vm_wlan.arp_ignore=8 | ip neigh flush dev vm_wlan",
        Layer::LINK,
        Cause::NEIGHBOUR_WRONG,
        "net.ipv4.conf.vm_wlan.arp_ignore is 8",
    ),
    (
        Device,
        "sysctl -qw net.ipv4.conf.all.arp_ignore=8 | ip neigh flush dev vm_wlan",
        Layer::LINK,
        Cause::NEIGHBOUR_WRONG,
        "net.ipv4.conf.all.arp_ignore is 8",
    ),
    (
        Device,
        "tc qdisc replace dev wlan0 root pfifo limit 0",
        Layer::FIREWALL,
        Cause::FORWARD_DROPPED,
        "wlan0's queue (pfifo) lets nothing out: it has room for no packet",
    ),
    (
        Device,
        "tc qdisc replace dev vm_wlan root pfifo limit 0",
        Layer::FIREWALL,
        Cause::FORWARD_DROPPED,
        "vm_wlan's queue (pfifo)",
    ),
    (
        Device,
        "tc qdisc replace dev wlan0 root tbf rate 8bit burst 10b limit 20b",
        Layer::FIREWALL,
        Cause::FORWARD_DROPPED,
        "wlan0's queue (tbf)",
    ),
    (
        Device,
        "tc qdisc replace dev vm_wlan root netem loss 100%",
        Layer::FIREWALL,
        Cause::FORWARD_DROPPED,
        "vm_wlan's queue (netem) lets nothing out: it loses everything",
    ),
    (
        Inside,
        "tc qdisc replace dev wlan0 root pfifo limit 0",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "in the guest, wlan0's queue (pfifo)",
    ),
    (
        Device,
        "tc qdisc add dev vm_wlan clsact | tc filter add dev vm_wlan ingress bpf da bytecode DROP",
        Layer::FIREWALL,
        Cause::FORWARD_DROPPED,
        "a filter of tc's at vm_wlan (ingress, pref 49152, bpf) drops everything",
    ),
    (
        Device,
        "tc qdisc add dev wlan0 clsact | tc filter add dev wlan0 egress bpf da bytecode DROP",
        Layer::FIREWALL,
        Cause::FORWARD_DROPPED,
        "a filter of tc's at wlan0 (egress, pref 49152, bpf) drops everything",
    ),
    (
        Device,
        "tc qdisc add dev vm_wlan clsact | tc filter add dev vm_wlan egress matchall action drop",
        Layer::FIREWALL,
        Cause::FORWARD_DROPPED,
        "(egress, pref 49152, matchall) drops everything",
    ),
    (
        Inside,
        "tc qdisc add dev wlan0 clsact | tc filter add dev wlan0 egress bpf da bytecode DROP",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "in the guest, a filter of tc's at wlan0 (egress",
    ),
    (
        Device,
        "ip xfrm policy add dir fwd src 172.17.0.0/16 dst 0.0.0.0/0 action block",
        Layer::FIREWALL,
        Cause::FORWARD_DROPPED,
        "IPsec's policy dir fwd src 172.17.0.0/16 dst 0.0.0.0/0 (priority 0) blocks what guests send",
    ),
    (
        Device,
        "ip xfrm policy add dir out src 0.0.0.0/0 dst 172.17.3.3/32 action block",
        Layer::FIREWALL,
        Cause::FORWARD_DROPPED,
        "blocks what guests are answered",
    ),
    (
        Device,
        "ip xfrm policy setdefault fwd block",
        Layer::FIREWALL,
        Cause::FORWARD_DROPPED,
        "IPsec's default, to block what no policy is about (fwd), blocks what guests send",
    ),
    (
        Inside,
        "ip xfrm policy add dir out src 0.0.0.0/0 dst 0.0.0.0/0 action block",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "in the guest, IPsec's policy dir out",
    ),
    (
        Inside,
        "iptables-legacy -P OUTPUT DROP",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "in the guest, the policy of the chain OUTPUT in iptables' table filter drops what it sends",
    ),
    (
        Inside,
        "iptables-legacy -P INPUT DROP",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "the policy of the chain INPUT in iptables' table filter drops what it is answered",
    ),
    (
        Inside,
        "nft add table inet g | nft add chain inet g o { type filter hook output priority 0 ; policy drop ; }",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "in the guest, the policy of the chain o in the nftables table inet g drops what it sends",
    ),
    (
        Inside,
        "nft add table inet g | nft add chain inet g i { type filter hook input priority 0 ; policy drop ; }",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "the policy of the chain i in the nftables table inet g drops what it is answered",
    ),
    (
        Inside,
        "nft add table ip g | nft add chain ip g s { type nat hook postrouting priority 100 ; } | \
         nft add rule ip g s snat to 10.9.9.9",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "in the guest, rule 1 of the chain s in the nftables table ip g sends what it sends with the address \
         10.9.9.9, which may come from 172.17.3.3 only",
    ),
    (
        Inside,
        "iptables-legacy -t nat -A POSTROUTING -p tcp --dport 80 -j SNAT --to-source 172.17.3.77",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "table nat sends its TCP connections to port 80 with the address 172.17.3.77",
    ),
    (
        Inside,
        "iptables-legacy -t mangle -A OUTPUT -p tcp -j TTL --ttl-set 1",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "table mangle gives its TCP connections a time to live that ends on the device",
    ),
    (
        Inside,
        "nft add table ip g | nft add chain ip g t { type filter hook output priority 0 ; } | \
         nft add rule ip g t ip ttl set 1",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "the nftables table ip g gives what it sends a time to live that ends on the device",
    ),
    (
        Inside,
        "sysctl -w net.ipv4.ip_default_ttl=1",
        Layer::FIREWALL,
        Cause::GUEST_FIREWALL,
        "in the guest, net.ipv4.ip_default_ttl is 1: what it sends ends on the device",
    ),
];

/// What looks alike, and lets a guest's packets pass.
const NOT_IN_THE_WAY: [(At, &str); 16] = [
    (
        Inside,
        "nft add table ip g | nft add chain ip g s { type nat hook postrouting priority 100 ; } | \
         nft add rule ip g s snat to numgen inc mod 1 map { 0 : 172.17.3.3 }",
    ),
    (Inside, "iptables-legacy -t nat -A POSTROUTING -o wlan0 -j MASQUERADE"),
    (Inside, "iptables-legacy -t nat -A POSTROUTING -o wlan0 -j SNAT --to-source 172.17.3.3"),
    (Inside, "iptables-legacy -t mangle -A OUTPUT -p tcp -j TTL --ttl-set 9"),
    (Device, "tc qdisc replace dev wlan0 root pfifo limit 100"),
    (Device, "tc qdisc replace dev wlan0 root tbf rate 10mbit burst 20kb limit 200kb"),
    (Device, "tc qdisc add dev vm_wlan clsact | tc filter add dev vm_wlan ingress bpf da bytecode PASS"),
    (Device, "ip xfrm policy add dir fwd src 10.0.0.0/8 dst 0.0.0.0/0 action block"),
    (
        Device,
        "ip xfrm policy add dir fwd src 172.17.0.0/16 dst 0.0.0.0/0 action block priority 9 | \
         ip xfrm policy add dir fwd src 0.0.0.0/0 dst 0.0.0.0/0 priority 2",
    ),
    (Device, "ip neigh replace 172.17.3.9 lladdr 02:00:00:00:00:99 dev vm_wlan nud permanent"),
    (Device, "sysctl -qw net.ipv4.conf.all.arp_ignore=1 | ip neigh flush dev vm_wlan"),
    (Device, "sysctl -qw net.ipv4.conf.all.arp_filter=1 | ip neigh flush dev vm_wlan"),
    (
        Inside,
        "iptables-legacy -P INPUT DROP | \
         iptables-legacy -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    ),
    (Inside, "iptables-legacy -A INPUT -p tcp --dport 22 -j DROP"),
    (Inside, "iptables-legacy -P FORWARD DROP"),
    (
        Inside,
        "nft add table inet g | nft add chain inet g i { type filter hook input priority 0 ; policy drop ; } | \
         nft add rule inet g i ct state established,related accept",
    ),
];

/// Runs commands; false where the kernel lacks something that they need.
fn put(at: At, bed: &Bed, guest: &Guest, commands: &str) -> bool {
    commands.split(" | ").all(|line| {
        // A program of one instruction is one argument.
        let mut words = Vec::new();
        for word in line.split_whitespace() {
            words.push(match word {
                "DROP" if line.contains("bytecode") => "1,6 0 0 2",
                "PASS" => "1,6 0 0 0",
                word => word,
            });
        }
        let (program, arguments) = words.split_first().expect("a command");
        let mut command = match at {
            Device => bed.device.command(program),
            Inside => guest.command(program),
        };
        let status = command.args(arguments).stderr(Stdio::null()).status().expect(program);
        if !status.success() {
            println!("not here: {line}");
        }
        status.success()
    })
}

#[track_caller]
fn status(bed: &Bed) -> GuestStatus {
    let status = bed.service.status(Some("box"));
    let status = status.unwrap_or_else(|e| panic!("{e}\n{}", bed.daemon.log()));
    status.guests.into_iter().next().expect("a guest")
}

fn blamed(of: &GuestStatus) -> Option<(Layer, Cause)> {
    of.reason.as_ref().map(|reason| (reason.layer, reason.cause))
}

fn flows(guest: &Guest) -> bool {
    guest.tcp(Internet::TCP, "x").is_ok() && resolve(guest, GATEWAY).is_ok()
}

/// Each of them on a device of its own; gives how many could be tried.
fn each<T: Sync>(rows: &[T], row: impl Fn(&T) -> bool + Sync) -> usize {
    let (next, tried) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(one) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            tried.fetch_add(usize::from(row(one)), Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
    tried.into_inner()
}

/// What is below the packet filter is the same with each.
#[test]
fn what_is_in_a_guests_way_is_named_and_opened() {
    let tried = each(&IN_THE_WAY, |(at, commands, layer, cause, words)| {
        let bed = Bed::new("nftables");
        let guest = Guest::new();
        bed.attach("box", &guest);
        eventually("it is well", || flows(&guest) && blamed(&status(&bed)).is_none());
        if !put(*at, &bed, &guest, commands) {
            return false;
        }
        // What was found before would do for a while.
        guest.run("ip neigh flush all");
        assert!(!flows(&guest), "{commands}");
        // At the uplink it shows by the resolver's silence.
        eventually(commands, || blamed(&status(&bed)) == Some((*layer, *cause)));
        let of = status(&bed);
        assert_eq!(of.verdict, Verdict::NO_INTERNET, "{of:?}");
        let reason = of.reason.expect("a reason");
        assert!(reason.text.contains(words), "{commands}: {reason:?}");
        let step = reason.nextStep.expect("a next step");
        assert!(open(&bed, &guest, &step), "{step}");
        eventually(&step, || flows(&guest));
        eventually(&step, || status(&bed).verdict == Verdict::INTERNET);
        true
    });
    assert!(tried > 12, "{tried}");
}

/// What drops ARP, and how it is undone; words of what is said.
const ARP_DROPPED: [(At, &str, &str, &str); 6] = [
    (
        Device,
        "nft add table arp x | nft add chain arp x i { type filter hook input priority 0 ; } | \
         nft add rule arp x i iifname \"vm_wlan*\" drop",
        "nft delete table arp x",
        "172.17.3.",
    ),
    (
        Device,
        "nft add table arp x | nft add chain arp x o { type filter hook output priority 0 ; } | \
         nft add rule arp x o oifname != \"wlan0\" drop",
        "nft delete table arp x",
        "in the guest, nobody answers ARP for its gateway 172.17.3.2 on wlan0",
    ),
    (
        Device,
        "arptables-nft -A OUTPUT ! -o wlan0 -j DROP",
        "nft delete table arp filter",
        "in the guest, nobody answers ARP for its gateway 172.17.3.2 on wlan0",
    ),
    (
        Inside,
        "nft add table arp x | nft add chain arp x i { type filter hook input priority 0 ; policy drop ; }",
        "nft delete table arp x",
        "in the guest, nobody answers ARP for its gateway 172.17.3.2 on wlan0",
    ),
    (
        Inside,
        "sysctl -qw net.ipv4.neigh.wlan0.mcast_solicit=0 net.ipv4.neigh.wlan0.ucast_solicit=0",
        "sysctl -qw net.ipv4.neigh.wlan0.mcast_solicit=3",
        "in the guest, nobody answers ARP for its gateway 172.17.3.2 on wlan0",
    ),
    // The guest knows its gateway, and the device does not find the guest.
    (
        Inside,
        "nft add table arp x | nft add chain arp x o { type filter hook output priority 0 ; policy drop ; } | \
         ip neigh replace 172.17.3.2 lladdr GATEWAY dev wlan0 nud permanent",
        "nft delete table arp x",
        "the guest's answer to who has its address 172.17.3.3 (ARP) does not come in at vm_wlan",
    ),
];

/// Nothing shows it but that one end does not find the other.
#[test]
fn arp_that_is_dropped_is_named() {
    let tried = each(&ARP_DROPPED, |(at, commands, undo, words)| {
        let bed = Bed::new("nftables");
        let guest = Guest::new();
        bed.attach("box", &guest);
        eventually("it is well", || flows(&guest) && blamed(&status(&bed)).is_none());
        let link = bed.device.run("ip -o link show vm_wlan");
        let mac = link.split("link/ether ").nth(1).and_then(|mac| mac.split(' ').next());
        let commands = commands.replace("GATEWAY", mac.expect("its MAC"));
        guest.run("ip neigh flush all");
        if !put(*at, &bed, &guest, &commands) {
            return false;
        }
        bed.device.run("ip neigh flush dev vm_wlan");
        assert!(!flows(&guest), "{commands}");
        let wanted = Some((Layer::LINK, Cause::NEIGHBOUR_WRONG));
        eventually(&commands, || blamed(&status(&bed)) == wanted);
        let of = status(&bed);
        assert_eq!(of.verdict, Verdict::NO_INTERNET, "{of:?}");
        let reason = of.reason.expect("a reason");
        assert!(reason.text.contains(words), "{commands}: {reason:?}");
        let step = reason.nextStep.expect("a next step");
        assert!(step.contains("nft list tables arp"), "{step}");
        assert!(put(*at, &bed, &guest, undo), "{undo}");
        eventually(undo, || flows(&guest));
        assert_eq!(blamed(&status(&bed)), None, "{undo}");
        true
    });
    assert!(tried > 3, "{tried}");
}

/// By what was set on it there is nothing wrong with an uplink whose router is gone.
#[test]
fn a_router_that_answers_no_more_is_named() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    bed.attach("box", &guest);
    eventually("it is well", || flows(&guest) && blamed(&status(&bed)).is_none());
    let far = bed.device.internet.run("ip -o link show type veth");
    let far = far.split(": ").nth(1).and_then(|name| name.split('@').next()).expect("its end");
    bed.device.internet.run(&format!("ip link set {far} arp off"));
    bed.device.run("ip neigh flush dev wlan0");
    assert!(!flows(&guest));
    assert_router_is_named(&bed, "192.0.2.1, the next hop behind wlan0, does not answer ARP");
    bed.device.internet.run(&format!("ip link set {far} arp on"));
    eventually("it is back", || flows(&guest) && status(&bed).verdict == Verdict::INTERNET);
}

/// Soon the uplink's router is to blame, in these words.
#[track_caller]
fn assert_router_is_named(bed: &Bed, text: &str) {
    let wanted = Some((Layer::UPLINK, Cause::UPSTREAM_DOWN));
    eventually("it is named", || blamed(&status(bed)) == wanted);
    let of = status(bed);
    assert_eq!(of.verdict, Verdict::NO_INTERNET, "{of:?}");
    assert_eq!(of.reason.expect("a reason").text, text);
}

/// A route of IPv4 by a router that has IPv6 alone (RFC 5549).
#[test]
fn a_router_of_ipv6_that_answers_no_more_is_named() {
    let device = guestnet_tests::Device::new();
    device.internet.run("ip -6 addr add fe80::1/64 dev device nodad");
    // Nothing is on the link.
    device.run("ip addr flush dev wlan0 scope global");
    device.run("ip addr add 192.0.2.2/32 dev wlan0");
    device.run("ip -4 route add default via inet6 fe80::1 dev wlan0");
    let bed = Bed::on(device).args("--firewall nftables --dns 192.0.2.1").build();
    let guest = Guest::new();
    bed.attach("box", &guest);
    eventually("it is well", || flows(&guest) && blamed(&status(&bed)).is_none());
    let chain = "{ type filter hook ingress device \"device\" priority 0; }";
    bed.device.internet.run("nft add table netdev deaf");
    bed.device.internet.run(&format!("nft add chain netdev deaf i {chain}"));
    bed.device.internet.run("nft add rule netdev deaf i meta protocol ip6 drop");
    bed.device.run("ip -6 neigh flush dev wlan0");
    assert!(!flows(&guest));
    let text = "fe80::1, the next hop behind wlan0, does not answer neighbour discovery";
    assert_router_is_named(&bed, text);
    bed.device.internet.run("nft delete table netdev deaf");
    eventually("it is back", || flows(&guest) && status(&bed).verdict == Verdict::INTERNET);
}

#[test]
fn what_is_in_nobodys_way_is_not_named() {
    let tried = each(&NOT_IN_THE_WAY, |(at, commands)| {
        let bed = Bed::new("nftables");
        let guest = Guest::new();
        bed.attach("box", &guest);
        if !put(*at, &bed, &guest, commands) {
            return false;
        }
        eventually(commands, || flows(&guest));
        let of = status(&bed);
        assert_eq!((of.verdict, blamed(&of)), (Verdict::INTERNET, None), "{commands}: {of:?}");
        true
    });
    assert!(tried > 6, "{tried}");
}

/// What an XDP program does nobody can tell; that it is there is said, and it is blamed for what does not come.
#[test]
fn a_program_that_sees_packets_first_is_named() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    bed.attach("box", &guest);
    let well = || flows(&guest) && status(&bed).verdict == Verdict::INTERNET;
    eventually("it is well", well);
    let rows = [
        (Device, "vm_wlan", Cause::FORWARD_DROPPED, "but vm_wlan's XDP program ("),
        (Inside, "wlan0", Cause::GUEST_FIREWALL, "but in the guest, wlan0's XDP program ("),
    ];
    for (at, link, cause, words) in rows {
        let put = |does| match at {
            Device => xdp::attach(&bed.device, link, does),
            Inside => xdp::attach(&guest, link, does),
        };
        let Some(program) = put(Does::Passes) else { return };
        eventually("it is seen", || status(&bed).verdict == Verdict::UNSURE);
        let of = status(&bed);
        assert_eq!(blamed(&of), Some((Layer::FIREWALL, cause)), "{of:?}");
        let reason = of.reason.expect("a reason");
        assert!(reason.text.contains(words), "{reason:?}");
        assert!(reason.nextStep.expect("a step").contains(&format!("`ip link show {link}`")));
        assert!(flows(&guest));
        drop(program);
        eventually("it is gone", well);
        let program = put(Does::Drops).expect("another one");
        assert!(!flows(&guest));
        assert_ne!(status(&bed).verdict, Verdict::INTERNET);
        guest.run("ip neigh flush all");
        assert!(!flows(&guest));
        eventually("it is blamed for the silence", || {
            let of = status(&bed);
            let text = of.reason.as_ref().map_or("", |reason| &reason.text);
            blamed(&of) == Some((Layer::LINK, Cause::NEIGHBOUR_WRONG))
                && text.contains(&format!("{link}'s XDP program ("))
        });
        assert_eq!(status(&bed).verdict, Verdict::NO_INTERNET);
        drop(program);
        eventually("it is gone", well);
    }
}

/// At the uplink it is named once nobody answers for names.
#[test]
fn a_program_at_the_uplink_is_blamed_for_silence_alone() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    bed.attach("box", &guest);
    let well = || flows(&guest) && status(&bed).verdict == Verdict::INTERNET;
    eventually("it is well", well);
    let Some(program) = xdp::attach(&bed.device, "wlan0", Does::Passes) else { return };
    assert!(well(), "{:?}", status(&bed));
    drop(program);
    let program = xdp::attach(&bed.device, "wlan0", Does::Drops).expect("another one");
    assert!(!flows(&guest));
    eventually("it is blamed", || {
        let of = status(&bed);
        let reason = of.reason.as_ref();
        reason.is_some_and(|reason| {
            reason.text.contains("wlan0's XDP program (")
                && reason.nextStep.as_ref().is_some_and(|step| step.contains("ip link show wlan0"))
        })
    });
    drop(program);
    eventually("it is gone", well);
}

/// A next step, where it is to be done.
fn open(bed: &Bed, guest: &Guest, step: &str) -> bool {
    let unquoted = step.replace('"', "");
    match unquoted.strip_prefix("in the guest: ") {
        Some(step) => put(Inside, bed, guest, step),
        None => put(Device, bed, guest, &unquoted),
    }
}

/// The questions of guests go to their gateway: a policy about that takes nothing but names.
fn names_that_a_policy_blocks_are_named(firewall: &str) {
    let bed = Bed::new(firewall);
    let guest = Guest::new();
    bed.attach("box", &guest);
    let policy = "ip xfrm policy add dir fwd src 0.0.0.0/0 dst 172.17.0.0/16 action block";
    if !put(Device, &bed, &guest, policy) {
        return;
    }
    assert!(guest.tcp(Internet::TCP, "x").is_ok());
    assert!(resolve(&guest, GATEWAY).is_err());
    let of = status(&bed);
    assert_eq!(blamed(&of), Some((Layer::DNS, Cause::INPUT_DROPPED)), "{of:?}");
    assert_eq!(of.verdict, Verdict::NO_NAMES);
}
