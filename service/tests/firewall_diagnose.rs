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

//! What of others stops guests' packets is named, and what does not is not: rules as the programs write
//! them, read from the kernel. Whether real packets go the same way, tests/tests/others_filters.rs says.

mod firewall_cases;
mod firewall_rig;

use firewall_cases::{open, ruleset, wlan0};
use firewall_rig::{in_netns, run, sh};
use guestnetd::effects::firewall::diagnose::device::{Device, Member, Onward};
use guestnetd::effects::firewall::diagnose::journey::Guest;
use guestnetd::effects::firewall::diagnose::packet::Link;
use guestnetd::effects::firewall::diagnose::{findings, read, Finding, Findings, Kernel, Shared};
use guestnetd::effects::firewall::Choice;
use guestnetd::effects::kernel::netlink::attr::{Request, Writer};
use guestnetd::effects::kernel::netlink::Netlink;
use guestnetd::model::fault::Cause;
use guestnetd::model::if_index::IfIndex;
use std::net::Ipv4Addr;
use std::sync::Arc;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);

fn guest() -> Guest {
    let link = |name: &str, index, address: [u8; 4]| Link {
        name: name.to_owned(),
        index: IfIndex::new(index),
        group: if index == 7 { 0x676e_6574 } else { 0 },
        kind: if index == 7 { "veth".to_owned() } else { String::new() },
        address: Some(address.into()),
        any: false,
    };
    Guest {
        link: Arc::new(link("vm_wlan", 7, [172, 17, 3, 2])),
        address: Ipv4Addr::new(172, 17, 3, 3),
        gateway: GATEWAY,
        uplink: Arc::new(link("wlan0", 2, [192, 0, 2, 2])),
        known: 4,
    }
}

/// A device with one uplink. What is marked 0x7 is routed by tun0, and 0x8 nowhere.
struct Plain;

impl Device for Plain {
    fn towards(&self, address: Ipv4Addr, mark: u32) -> Option<Link> {
        match (address == guest().address, mark) {
            (true, _) => Some((*guest().link).clone()),
            (false, 0x8) => None,
            (false, _) => Some((*guest().uplink).clone()),
        }
    }
    fn onward(&self, _: Ipv4Addr, to: Ipv4Addr, _: &Link, mark: u32) -> Onward {
        let tun0 = Link { name: "tun0".to_owned(), index: IfIndex::new(9), ..Link::default() };
        match mark {
            _ if to == GATEWAY => Onward::Here,
            0x7 => Onward::By(tun0),
            0x8 => Onward::Nowhere,
            _ if to == guest().address => Onward::By((*guest().link).clone()),
            _ => Onward::By((*guest().uplink).clone()),
        }
    }
    fn address_type(&self, address: Ipv4Addr) -> u8 {
        if address == GATEWAY {
            libc::RTN_LOCAL
        } else {
            libc::RTN_UNICAST
        }
    }
    fn listens(&self, _: u8, port: u16) -> bool {
        port == 3128
    }
    fn in_set(&self, set: u16, member: &Member) -> Option<bool> {
        Kernel { netlink: &Netlink::open().unwrap(), expected: None }.in_set(set, member)
    }
}

fn judged() -> Findings {
    let filters = read();
    assert_eq!(filters.unread, Vec::<String>::new());
    let findings = findings(&filters, &Plain, &guest());
    // What is said of all guests is true of each.
    assert_eq!(Shared::new(filters).findings(&Plain, &guest(), &any_guest()), findings);
    findings
}

/// One that stands for all of the subnet.
fn any_guest() -> Guest {
    let link = Link { any: true, ..(*guest().link).clone() };
    Guest { link: Arc::new(link), known: 2, ..guest() }
}

#[test]
fn what_is_the_same_for_all_guests_is_gone_through_once() {
    in_netns(|| {
        let mut nftables = open(Choice::Nftables);
        nftables.apply(&wlan0()).unwrap();
        for (commands, same) in [
            ("true", true),
            ("$i -P FORWARD DROP; $i -A FORWARD -i vm_wlan+ -j ACCEPT; $i -A FORWARD -o vm_wlan+ -j ACCEPT", true),
            ("$i -A FORWARD -s 172.17.0.0/16 -j ACCEPT; $i -A FORWARD -d 172.16.0.0/12 -j ACCEPT; $i -P FORWARD DROP", true),
            ("$i -A FORWARD -s 192.168.0.0/16 -j DROP; $i -A FORWARD -i docker0 -j DROP", true),
            ("$i -t raw -A PREROUTING -m rpfilter --invert -j DROP", true),
            ("$i -A FORWARD -i vm_wlan3 -j DROP", false),
            ("$i -A FORWARD -s 172.17.9.0/24 -j DROP", false),
            ("$i -t mangle -A PREROUTING -i vm_wlan+ -j MARK --set-mark 1", true),
        ] {
            others(&format!("i=iptables-nft; {commands}"));
            let shared = Shared::new(read());
            for _ in 0..3 {
                let found = shared.findings(&Plain, &guest(), &any_guest());
                assert_eq!(found, Findings::default(), "{commands}");
            }
            assert_eq!(shared.walks(), if same { 1 } else { 4 }, "{commands}");
            assert_eq!(judged(), Findings::default(), "{commands}");
        }
    });
}

/// Puts aside what was there, and runs these.
fn others(commands: &str) {
    sh("while read -r table; do
            echo \"*$table\"
            case $table in raw) c='PREROUTING OUTPUT' ;; nat) c='PREROUTING INPUT OUTPUT POSTROUTING' ;;
                mangle) c='PREROUTING INPUT FORWARD OUTPUT POSTROUTING' ;; *) c='INPUT FORWARD OUTPUT' ;; esac
            printf ':%s ACCEPT\\n' $c; echo COMMIT
        done </proc/net/ip_tables_names | iptables-legacy-restore
        nft list tables | grep -v guestnet | sed 's/^/delete /' | nft -f -");
    sh(&format!("set -e; {commands}"));
}

/// Puts rules into a table of nf_tables; tells whether this kernel knows them.
fn nft(rules: &str) -> bool {
    others("true");
    run(&format!("nft -f - <<'N'\ntable inet t {{\n{rules}\n}}\nN")).0
}

/// Nothing is in the way.
const FINE: &str = "";

/// Rules in FORWARD of x_tables ($i), and what is said of them where ours are in nf_tables.
const IN_FORWARD: &[(&str, &str)] = &[
    ("true", FINE),
    ("$i -P FORWARD DROP", "the policy of the chain FORWARD in * drops what guests send via wlan0"),
    ("$i -P FORWARD DROP; $i -A FORWARD -i vm_wlan+ -j ACCEPT", "drops what guests are answered via wlan0"),
    ("$i -P FORWARD DROP; $i -A FORWARD -i vm_wlan+ -j ACCEPT; $i -A FORWARD -o vm_w+ -j ACCEPT", FINE),
    (
        "$i -P FORWARD DROP; $i -A FORWARD -s 172.16.0.0/12 -j ACCEPT
         $i -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        FINE,
    ),
    ("$i -P FORWARD DROP; $i -A FORWARD -m state --state NEW,ESTABLISHED -j ACCEPT", FINE),
    // New connections are let out, and what follows is not.
    (
        "$i -P FORWARD DROP; $i -A FORWARD -o vm_wlan+ -j ACCEPT
         $i -A FORWARD -i vm_wlan+ -m conntrack --ctstate NEW -j ACCEPT",
        "drops what guests send via wlan0",
    ),
    ("$i -P FORWARD DROP; $i -A FORWARD -p tcp -j ACCEPT", "drops guests' pings via wlan0"),
    ("$i -P FORWARD DROP; $i -A FORWARD -i vm_wlan3 -j ACCEPT", "drops what guests send"),
    ("$i -P FORWARD DROP; $i -N a; $i -A a -j ACCEPT; $i -A FORWARD -p icmp -j a", "guests' TCP connections"),
    ("$i -A FORWARD -p tcp -j DROP", "rule 1 of the chain FORWARD in * drops guests' TCP connections"),
    ("$i -A FORWARD -p tcp -m multiport --dports 22,25,137:139 -j DROP", FINE),
    ("$i -A FORWARD -p tcp -m multiport ! --dports 22,25,137:139 -j DROP", "guests' TCP connections"),
    ("$i -A FORWARD -p tcp --dport 25 -j REJECT", FINE),
    ("$i -A FORWARD -p tcp ! --syn -m conntrack --ctstate NEW -j DROP", FINE),
    ("$i -A FORWARD -p tcp --tcp-flags SYN,ACK SYN,ACK -j DROP", "the answers to guests' TCP connections"),
    ("$i -A FORWARD -p icmp --icmp-type echo-reply -j DROP", "the answers to guests' pings"),
    ("$i -A FORWARD -i vm_wlan3 -j DROP", FINE),
    ("$i -A FORWARD -m limit --limit 5/s -j DROP", "may drop what guests send"),
    // Five packets in a minute, of all that guests send.
    ("$i -A FORWARD -m limit --limit 5/min -j DROP", FINE),
    ("$i -A FORWARD -m limit --limit 5/min -j ACCEPT; $i -A FORWARD -j DROP", "drops what guests send"),
    ("$i -A FORWARD -m limit --limit 5/min -j LOG", FINE),
    (
        "$i -A FORWARD -m hashlimit --hashlimit-above 9/s --hashlimit-mode srcip --hashlimit-name h -j DROP",
        FINE,
    ),
    (
        "$i -A FORWARD -m hashlimit --hashlimit-upto 9/s --hashlimit-mode srcip --hashlimit-name h -j ACCEPT
         $i -P FORWARD DROP",
        "asks for a rate",
    ),
    ("$i -A FORWARD -p tcp -m connlimit --connlimit-above 9 -j DROP", FINE),
    ("$i -A FORWARD -m statistic --mode random --probability 0.5 -j DROP", "asks for chance"),
    ("$i -A FORWARD -m string --string x --algo bm -j DROP", "asks for the packets' content"),
    // Whichever way it goes, it passes.
    ("$i -N a; $i -A a -m limit --limit 5/min -j ACCEPT; $i -A a -j RETURN; $i -A FORWARD -j a", FINE),
    ("$i -A FORWARD -s 172.17.3.0/24 -j DROP", "drops what guests send"),
    ("$i -A FORWARD -s 172.17.9.0/24 -j DROP; $i -A FORWARD -d 10.0.0.0/8 -j DROP", FINE),
    ("$i -A FORWARD -m iprange --src-range 172.17.3.3-172.17.3.9 -j DROP", "drops what guests send"),
    ("$i -A FORWARD -m iprange ! --src-range 172.17.3.1-172.17.3.9 -i vm_wlan -j DROP", FINE),
    ("$i -A FORWARD -m conntrack --ctstate INVALID -j DROP", FINE),
    ("$i -A FORWARD -m conntrack ! --ctstate ESTABLISHED,RELATED,NEW -j DROP", FINE),
    ("$i -A FORWARD -m conntrack --ctdir REPLY -j DROP", "are answered"),
    ("$i -A FORWARD -m conntrack --ctorigsrc 172.17.0.0/16 --ctdir REPLY -j DROP", "are answered"),
    ("$i -P FORWARD DROP; $i -A FORWARD -m conntrack --ctorigsrc 172.17.0.0/16 -j ACCEPT", FINE),
    ("$i -A FORWARD -m addrtype --dst-type LOCAL,MULTICAST -j DROP", FINE),
    ("$i -A FORWARD -m addrtype ! --dst-type LOCAL -i vm_wlan+ -j DROP", "drops what guests send"),
    ("$i -A FORWARD -m pkttype --pkt-type multicast -j DROP", FINE),
    ("$i -A FORWARD -m devgroup --src-group 0x676e6574 -j DROP", "drops what guests send"),
    ("$i -A FORWARD -m devgroup ! --src-group 0 -j ACCEPT; $i -P FORWARD DROP", "are answered"),
    ("$i -A FORWARD -m physdev --physdev-is-bridged -j DROP", FINE),
    ("$i -A FORWARD -m physdev ! --physdev-is-bridged -j DROP", "drops what guests send"),
    ("$i -A FORWARD -m policy --dir in --pol ipsec -j DROP", FINE),
    ("$i -A FORWARD -m policy --dir in --pol none -j DROP", "drops what guests send"),
    ("$i -A FORWARD -m mark --mark 0x1/0x1 -j DROP", FINE),
    ("$i -A FORWARD -m mark ! --mark 0x1/0x1 -j DROP", "drops what guests send"),
    ("$i -A FORWARD -j MARK --set-mark 1; $i -A FORWARD -m mark --mark 1 -j DROP", "rule 2"),
    ("$i -A FORWARD -m ttl --ttl-lt 3 -j DROP", FINE),
    ("$i -A FORWARD -f -j DROP", FINE),
    ("$i -A FORWARD -i docker0 -j DROP; $i -A FORWARD ! -o wlan0 -i vm_wlan+ -j DROP", FINE),
    ("$i -A FORWARD ! -i docker0 -o wlan0 -j DROP", "rule 1 of the chain FORWARD in * drops what guests send"),
    ("$i -A FORWARD -j LOG; $i -A FORWARD -d 172.17.0.0/16 -j REJECT", "rule 2 of the chain FORWARD in * rejects what guests are answered"),
    ("$i -A FORWARD -m comment --comment closed -j DROP -c 7 99", "(7 packets so far, from any sender)"),
    (
        "$i -N a; $i -N b; $i -A a -p udp -j RETURN; $i -A a -g b; $i -A b -i v+ -j DROP; $i -A FORWARD -j a",
        "rule 1 of the chain b in * drops what guests send",
    ),
    ("$i -N a; $i -A a -j RETURN; $i -A a -j DROP; $i -A FORWARD -j a", FINE),
    // What is gone to does not come back: the policy is next.
    ("$i -N a; $i -A FORWARD -g a; $i -A FORWARD -j DROP", FINE),
    ("$i -N a; $i -A FORWARD -g a; $i -A FORWARD -j ACCEPT; $i -P FORWARD DROP", "the policy"),
    ("$i -A FORWARD -j NFQUEUE --queue-num 3", "may drop"),
    // libvirt's, and Kubernetes'.
    (
        "$i -N LIBVIRT_FWI; $i -A FORWARD -j LIBVIRT_FWI
         $i -A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
         $i -A LIBVIRT_FWI -o virbr0 -j REJECT",
        FINE,
    ),
    (
        "$i -N KUBE-FORWARD; $i -A FORWARD -j KUBE-FORWARD
         $i -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
         $i -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
         $i -A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        FINE,
    ),
    // Docker's.
    (
        "$i -P FORWARD DROP
         for c in DOCKER-USER DOCKER-FORWARD DOCKER-CT DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2 DOCKER; do $i -N $c; done
         $i -A FORWARD -j DOCKER-USER; $i -A FORWARD -j DOCKER-FORWARD
         $i -A DOCKER-FORWARD -j DOCKER-CT; $i -A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
         $i -A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
         $i -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
         $i -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
         $i -A DOCKER-FORWARD -i docker0 -j ACCEPT; $i -A DOCKER ! -i docker0 -o docker0 -j DROP",
        "-I DOCKER-USER -i vm_wlan+ -j ACCEPT",
    ),
    (
        "$i -N ufw-before-forward; $i -N ufw-user-forward; $i -P FORWARD DROP
         $i -A FORWARD -j ufw-before-forward
         $i -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
         $i -A ufw-before-forward -p icmp --icmp-type 8 -j ACCEPT
         $i -A ufw-before-forward -j ufw-user-forward",
        "ufw route allow in on vm_wlan+",
    ),
    (
        "for c in oem_fwd fw_FORWARD bw_FORWARD tetherctrl_FORWARD; do
             $i -N $c; $i -A FORWARD -j $c
         done
         $i -A tetherctrl_FORWARD -j DROP",
        "use --firewall iptables",
    ),
];

/// Where our rules are not in front of them, whichever way ours are written.
const ELSEWHERE: &[(&str, &str)] = &[
    ("$i -t mangle -A FORWARD -o wlan0 -j DROP", "chain FORWARD in *table *mangle"),
    ("$i -t mangle -P FORWARD DROP", "policy of the chain FORWARD in *table *mangle"),
    ("$i -t raw -A PREROUTING -i vm_wlan+ -j DROP", "chain PREROUTING in *table *raw"),
    ("$i -t raw -A PREROUTING -i wlan0 -j DROP", "what guests are answered"),
    ("$i -t mangle -A POSTROUTING -s 172.17.0.0/16 -j DROP", "-t mangle -I POSTROUTING -s 172.17.3.3 -j ACCEPT"),
    ("$i -t mangle -A POSTROUTING -o vm_wlan+ -j DROP", "what guests are answered"),
    ("$i -t raw -A PREROUTING -m rpfilter --invert -j DROP", FINE),
    ("$i -t mangle -A PREROUTING -m rpfilter --validmark --invert -j DROP", FINE),
    ("$i -t mangle -A PREROUTING -m rpfilter -j DROP", "drops what guests send"),
    // Rules before conntrack take everything for invalid.
    ("$i -t raw -A PREROUTING -m conntrack --ctstate INVALID -j DROP", "drops what guests send"),
    ("$i -t mangle -A PREROUTING -m conntrack --ctstate INVALID -j DROP", FINE),
    ("$i -t raw -A PREROUTING -j CT --notrack", "-t raw -I PREROUTING -i vm_wlan+ -j ACCEPT"),
    ("$i -t raw -A PREROUTING -i wlan0 -p tcp -j CT --notrack", "keeps the answers to guests' TCP connections"),
    ("$i -t raw -A PREROUTING -i wlan0 -j CT --zone 7", "into different zones"),
    ("$i -t raw -A PREROUTING -j CT --zone 7", FINE),
    ("$i -t raw -A PREROUTING -p tcp --dport 8080 -j CT --notrack", FINE),
    ("$i -t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp", FINE),
    ("$i -t mangle -A PREROUTING -i vm_wlan+ -j MARK --set-mark 7", "the mark 0x7, and with that the device sends it via tun0"),
    ("$i -t mangle -A PREROUTING -i vm_wlan+ -j MARK --set-mark 8", "sends it nowhere"),
    ("$i -t mangle -A PREROUTING -i vm_wlan+ -j MARK --set-mark 0x10/0xff", FINE),
    (
        "$i -t mangle -A PREROUTING -i vm_wlan+ -j CONNMARK --set-mark 7
         $i -t mangle -A PREROUTING -i wlan0 -j CONNMARK --restore-mark",
        "the mark 0x7, and with that the device sends it via tun0",
    ),
    (
        "$i -t mangle -A POSTROUTING -j MARK --set-mark 3; $i -t mangle -A POSTROUTING -j CONNMARK --save-mark
         $i -t mangle -A PREROUTING -m connmark --mark 3 -j DROP",
        "what guests are answered",
    ),
    ("$i -t mangle -A PREROUTING -p tcp -j TPROXY --on-port 3128 --tproxy-mark 1", "hands guests' TCP connections"),
    ("$i -t nat -I PREROUTING -p tcp --dport 443 -j REDIRECT --to-ports 3128", "sends guests' TCP connections"),
    ("$i -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 3128", FINE),
    ("$i -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DNAT --to 10.0.0.9", FINE),
];

/// nf_tables' own.
const NFT: &[(&str, &str)] = &[
    ("chain f { type filter hook forward priority 10; policy drop; }", "the policy of the chain f in the nftables table inet t drops what guests send"),
    ("chain f { type filter hook forward priority 10; policy drop; }", "nft insert rule inet t f iifname \"vm_wlan*\" accept; nft insert rule inet t f oifname \"vm_wlan*\" accept"),
    ("chain f { type filter hook forward priority 10; policy drop; iifname \"vm_wlan*\" accept; oifname \"vm_wlan*\" accept; }", FINE),
    ("chain f { type filter hook forward priority 10; policy drop; iifname { \"vm_wlan*\", \"docker0\" } accept; ct state established,related accept; }", FINE),
    ("chain f { type filter hook forward priority 10; policy drop; ct state vmap { established : accept, related : accept, invalid : drop }; iifname \"vm_wlan\" accept; }", FINE),
    ("chain f { type filter hook forward priority 10; ct state invalid drop; ct status dnat accept; meta iifgroup 0x676e6574 drop; }", "rule 3"),
    ("chain f { type filter hook forward priority 10; iif 2 drop; }", "are answered"),
    ("chain f { type filter hook forward priority 10; iif 7 oif 2 drop; }", "guests send"),
    ("chain f { type filter hook forward priority 10; ip saddr { 172.17.3.1-172.17.3.9, 10.0.0.0/8 } drop; }", "guests send"),
    ("chain f { type filter hook forward priority 10; ip saddr { 172.17.3.4-172.17.3.9, 10.0.0.0/8 } drop; }", FINE),
    ("chain f { type filter hook forward priority 10; policy drop; ip saddr != { 10.0.0.0/8, 192.168.0.0/16 } ct state new accept; ct state established accept; }", FINE),
    ("map m { type ifname : verdict; elements = { \"vm_wlan\" : jump in, \"eth9\" : drop }; }
      chain in { ip protocol tcp drop; }
      chain f { type filter hook forward priority 10; iifname vmap @m; }", "rule 1 of the chain in in the nftables table inet t drops guests' TCP connections"),
    ("map m { type ipv4_addr . inet_service : verdict; flags interval; elements = { 172.17.0.0/16 . 0-1023 : drop }; }
      chain f { type filter hook forward priority 10; ip saddr . tcp dport vmap @m; }", "guests' TCP connections"),
    ("set s { type ifname . ipv4_addr; flags interval; elements = { \"vm_wlan\" . 172.17.0.0/16 }; }
      chain f { type filter hook forward priority 10; iifname . ip saddr @s drop; }", "guests send"),
    ("set s { type ipv4_addr; flags timeout; elements = { 172.17.3.3 timeout 1h }; }
      chain f { type filter hook forward priority 10; ip saddr @s drop; }", "guests send"),
    ("set s { type ipv4_addr; flags timeout; elements = { 172.17.3.9 timeout 1h }; }
      chain f { type filter hook forward priority 10; ip saddr @s drop; }", FINE),
    ("set s { type ipv4_addr; flags dynamic; size 99; }
      chain f { type filter hook forward priority 10; ct state new add @s { ip saddr ct count over 20 } drop; }", FINE),
    ("set s { type ipv4_addr; flags dynamic; size 99; }
      chain f { type filter hook forward priority 10; ct state new update @s { ip saddr limit rate over 9/second } drop; }", FINE),
    // What a rule has put there, the next one finds.
    ("set s { type ipv4_addr; flags dynamic; size 99; }
      chain f { type filter hook forward priority 10; iifname \"vm_wlan\" add @s { ip saddr }; ip saddr @s drop; }", "guests send"),
    ("set s { type ipv4_addr; flags dynamic; size 99; }
      chain f { type filter hook forward priority 10; tcp dport 22 add @s { ip saddr }; ip saddr @s drop; }", FINE),
    ("set s { type ipv4_addr; flags dynamic; size 99; }
      chain f { type filter hook forward priority 10; iifname \"vm_wlan\" add @s { ip saddr }; ip daddr @s drop; }", "are answered"),
    ("chain f { type filter hook forward priority 10; limit rate over 9/second drop; }", FINE),
    ("chain f { type filter hook forward priority 10; policy drop; limit rate 9/second accept; }", "asks for a rate"),
    ("chain f { type filter hook forward priority 10; meta length > 900 drop; }", "asks for a packet's length"),
    ("chain f { type filter hook forward priority 10; meta hour 1:00-2:00 drop; }", "asks for the time"),
    ("chain f { type filter hook forward priority 10; numgen random mod 2 0 drop; }", "may drop"),
    ("chain f { type filter hook forward priority 10; tcp flags syn tcp option maxseg size set rt mtu; }", FINE),
    ("chain f { type filter hook forward priority 10; meta l4proto { tcp, udp } th dport { 22, 80, 443 } drop; }", "guests' TCP connections"),
    ("chain f { type filter hook forward priority 10; meta skuid 0 drop; meta mark 7 drop; ip ttl < 3 drop; ip frag-off & 0x1fff != 0 drop; }", FINE),
    ("chain f { type filter hook forward priority 10; meta nfproto ipv6 drop; ip6 saddr ::/0 drop; meta protocol ip6 drop; }", FINE),
    ("chain f { type filter hook forward priority 10; queue num 3; }", "may drop"),
    ("chain f { type filter hook forward priority 10; queue num 3 bypass; }", "may drop"),
    ("chain p { type filter hook prerouting priority -300; iifname != \"lo\" drop; }", "drops what guests send"),
    ("chain p { type filter hook prerouting priority -300; fib saddr . iif oif missing drop; }", FINE),
    ("chain p { type filter hook prerouting priority -300; fib saddr . mark . iif oif 0 drop; }", FINE),
    ("chain p { type filter hook prerouting priority -300; fib saddr . iif oif exists drop; }", "drops what guests send"),
    ("chain p { type filter hook prerouting priority -150; fib daddr type local drop; fib daddr . iif type != { local, unicast } drop; }", "guests' questions for names"),
    ("chain p { type filter hook prerouting priority -300; ct state invalid drop; }", "drops what guests send"),
    ("chain p { type filter hook prerouting priority -150; ct state invalid drop; }", FINE),
    ("chain p { type filter hook prerouting priority -300; meta pkttype != { broadcast, multicast } notrack; }", "from connection tracking"),
    ("chain p { type filter hook prerouting priority -150; iifname \"vm_wlan*\" meta mark set meta mark or 0x7; }", "via tun0"),
    ("chain p { type filter hook prerouting priority -150; meta mark set ip saddr map { 172.17.3.3 : 0x8 }; }", "sends it nowhere"),
    ("chain p { type filter hook prerouting priority -150; ct mark set meta mark; meta mark set ct mark; }", FINE),
    ("chain p { type filter hook prerouting priority -150; meta l4proto tcp tproxy ip to :3128 meta mark set 1 accept; }", "hands guests' TCP connections"),
    ("chain p { type filter hook prerouting priority -150; meta l4proto tcp tproxy ip to :3129 meta mark set 7 accept; }", FINE),
    ("chain p { type nat hook prerouting priority -110; tcp dport 443 redirect to :3128; }", "sends guests' TCP connections"),
    ("chain p { type nat hook postrouting priority 90; ip saddr 172.16.0.0/12 return; }", FINE),
    ("chain p { type nat hook postrouting priority 90; ip saddr 172.16.0.0/12 accept; }", FINE),
    ("chain p { type filter hook postrouting priority 200; ip saddr 172.17.3.3 drop; }", FINE),
    ("chain p { type filter hook postrouting priority 50; ip saddr 172.16.0.0/12 drop; }", "drops what guests send"),
    // A chain of a table that sleeps.
    ("flags dormant; chain f { type filter hook forward priority 10; policy drop; }", FINE),
    ("chain a { ct mark 0 accept; }; chain f { type filter hook forward priority 10; jump a; drop; }", FINE),
    ("chain f { type filter hook forward priority 10; ct original ip saddr 172.17.3.3 ct direction reply drop; }", "are answered"),
    ("counter c { }; chain f { type filter hook forward priority 10; counter name c; ct helper \"ftp\" drop; }", FINE),
    ("chain f { type filter hook forward priority 10; meta secpath exists drop; rt ipsec exists drop; }", FINE),
    ("chain i { type filter hook input priority 0; policy drop; ct state established accept; }", "guests' questions for names to their gateway"),
    ("chain i { type filter hook input priority 0; policy drop; iifname \"vm_wlan*\" udp dport 53 accept; }", FINE),
    ("chain o { type filter hook output priority 0; policy drop; }", "the answers to guests' questions for names"),
];

/// What a kernel may have been built without.
const NOT_EVERYWHERE: &[&str] = &["queue", "tproxy", "ct helper"];

/// Whether a text has these parts, which a `*` divides.
fn has(text: &str, parts: &str) -> bool {
    let mut rest = Some(text);
    for part in parts.split('*') {
        rest = rest.and_then(|text| text.split_once(part)).map(|(_, rest)| rest);
    }
    rest.is_some()
}

#[track_caller]
fn assert_said(commands: &str, findings: &Findings, parts: &str) {
    let Findings { internet, names, .. } = findings;
    let finding = internet.as_ref().or(names.as_ref());
    match finding {
        None => assert!(parts == FINE, "{commands}: nothing is said"),
        Some(Finding { fault, sure, .. }) => {
            let said = fault.to_string();
            assert!(parts != FINE && has(&said, parts), "{commands}: {said}");
            assert_eq!(*sure, !said.contains(" may "), "{commands}: {said}");
        }
    }
}

#[test]
fn what_is_behind_our_accept_is_asked_as_well_in_nftables() {
    in_netns(|| {
        let mut nftables = open(Choice::Nftables);
        nftables.apply(&wlan0()).unwrap();
        for program in ["iptables-legacy", "iptables-nft"] {
            for (commands, parts) in IN_FORWARD {
                others(&format!("i={program}; {commands}"));
                assert_said(&format!("{program}: {commands}"), &judged(), parts);
            }
        }
    });
}

#[test]
fn what_is_behind_our_accept_in_iptables_is_not() {
    in_netns(|| {
        let mut iptables = open(Choice::Iptables);
        for (commands, _) in IN_FORWARD {
            others(&format!("i=iptables-legacy; {commands}"));
            iptables.apply(&wlan0()).unwrap();
            assert_eq!(judged(), Findings::default(), "{commands}");
        }
    });
}

#[test]
fn what_is_elsewhere_is_named_by_either() {
    in_netns(|| {
        for choice in [Choice::Nftables, Choice::Iptables] {
            let mut firewall = open(choice);
            for program in ["iptables-legacy", "iptables-nft"] {
                for (commands, parts) in ELSEWHERE {
                    others(&format!("i={program}; {commands}"));
                    firewall.apply(&wlan0()).unwrap();
                    let what = format!("{choice:?}, {program}: {commands}");
                    assert_said(&what, &judged(), parts);
                }
            }
            if run("iptables-legacy -t security -S").0 {
                others("iptables-legacy -t security -A FORWARD -j DROP");
                firewall.apply(&wlan0()).unwrap();
                assert_said("security", &judged(), "table security");
            }
            firewall.clear().unwrap();
        }
    });
}

#[test]
fn nftables_rules_are_understood() {
    in_netns(|| {
        let mut nftables = open(Choice::Nftables);
        nftables.apply(&wlan0()).unwrap();
        for (rules, parts) in NFT {
            match nft(rules) {
                true => assert_said(rules, &judged(), parts),
                false => assert!(NOT_EVERYWHERE.iter().any(|word| rules.contains(word)), "{rules}"),
            }
        }
    });
}

/// What somebody translates first is theirs to say; ours comes behind it.
#[test]
fn source_nat_that_others_decide_before_ours_is_named() {
    in_netns(|| {
        let mut iptables = open(Choice::Iptables);
        others("true");
        iptables.apply(&wlan0()).unwrap();
        sh("iptables-legacy -t nat -I POSTROUTING -s 172.16.0.0/12 -j RETURN");
        let finding = judged().internet.unwrap();
        assert_eq!((finding.sure, finding.fault.cause), (true, Cause::WrongSource));
        assert!(
            has(&finding.fault.text, "rule 1 of the chain POSTROUTING*172.17.3.3"),
            "{finding:?}"
        );
        let step = finding.fault.next_step.unwrap();
        sh(&step);
        assert_eq!(judged(), Findings::default(), "{step}");
    });
}

/// Each advice is a command that somebody can copy, and opens the way: one for each thing in it.
#[track_caller]
fn follow(rules: &str) {
    for _ in 0..5 {
        let Findings { internet, names, .. } = judged();
        let Some(finding) = internet.or(names) else { return };
        let step = finding.fault.next_step.clone().unwrap_or_default();
        // ufw is not here, and netd's chains are passed by another option.
        if step.starts_with("ufw") || step.starts_with("use ") {
            return;
        }
        let (done, said) = run(&step);
        assert!(done && !step.is_empty(), "{rules}: {finding:?}: {said}");
    }
    let Findings { internet, names, .. } = judged();
    panic!("{rules}: {:?}", internet.or(names));
}

#[test]
fn what_is_opened_as_advised_is_open() {
    in_netns(|| {
        let mut nftables = open(Choice::Nftables);
        nftables.apply(&wlan0()).unwrap();
        let all = IN_FORWARD.iter().chain(ELSEWHERE).filter(|(_, parts)| *parts != FINE);
        for (commands, _) in all {
            for program in ["iptables-legacy", "iptables-nft"] {
                others(&format!("i={program}; {commands}"));
                follow(commands);
            }
        }
        for (rules, _) in NFT.iter().filter(|(_, parts)| *parts != FINE) {
            if nft(rules) {
                follow(rules);
            }
        }
    });
}

/// No table appears because it was asked for, and who may not read says so.
#[test]
fn reading_changes_nothing() {
    in_netns(|| {
        let before = sh("cat /proc/net/ip_tables_names; nft list ruleset");
        assert_eq!(read().tables.len(), 0);
        assert_eq!(sh("cat /proc/net/ip_tables_names; nft list ruleset"), before);
    });
}

/// A guest that leaves by another link than ours expect is ours to stop, and nobody else's fault.
#[test]
fn what_our_own_rules_drop_is_not_others_doing() {
    in_netns(|| {
        let mut nftables = open(Choice::Nftables);
        others("true");
        nftables
            .apply(&ruleset("uplink rmnet0\nsubnet 172.17.0.0/16 gateway 172.17.3.2\n"))
            .unwrap();
        assert_eq!(judged(), Findings::default());
    });
}

/// A set of the kernel's with one member: an address, and a TCP port if it has one.
fn ipset(name: &str, kind: &str, address: [u8; 4], port: Option<u16>) {
    const IN_ORDER: u16 = 1 << 14;
    let netlink = Netlink::open_netfilter().unwrap();
    let name = [name.as_bytes(), &[0]].concat();
    let ask = |command: u16, more: &dyn Fn(Writer) -> Writer| {
        // NFNL_SUBSYS_IPSET; IPSET_ATTR_PROTOCOL, _SETNAME
        let body = Writer::after(&[libc::AF_INET as u8, 0, 0, 0]).with(1, &[7]).with(2, &name);
        netlink.test(&Request { kind: 6 << 8 | command, body: more(body) }).unwrap();
    };
    let revision = u8::from(port.is_some());
    // IPSET_CMD_CREATE: _TYPENAME, _REVISION, _FAMILY, _DATA
    ask(2, &|body| {
        let kind = [kind.as_bytes(), &[0]].concat();
        let family = [libc::NFPROTO_IPV4 as u8];
        body.with(3, &kind).with(4, &[revision]).with(5, &family).with_nested(7, &Writer::default())
    });
    // IPSET_CMD_ADD: _IP, _PORT, _PROTO
    ask(9, &|body| {
        let address = Writer::default().with(1 | IN_ORDER, &address);
        let mut member = Writer::default().with_nested(1, &address);
        if let Some(port) = port {
            let tcp = [libc::IPPROTO_TCP as u8];
            member = member.with(4 | IN_ORDER, &port.to_be_bytes()).with(7, &tcp);
        }
        body.with_nested(7, &member)
    });
}

#[test]
fn ipsets_are_asked() {
    in_netns(|| {
        let mut nftables = open(Choice::Nftables);
        nftables.apply(&wlan0()).unwrap();
        ipset("here", "hash:ip", [172, 17, 3, 3], None);
        ipset("there", "hash:ip", [192, 0, 2, 99], None);
        ipset("net", "hash:net", [172, 17, 3, 3], None);
        ipset("web", "hash:ip,port", [93, 184, 215, 14], Some(443));
        ipset("mail", "hash:ip,port", [93, 184, 215, 14], Some(25));
        for (commands, parts) in [
            ("$i -A FORWARD -m set --match-set here src -j DROP", "drops what guests send"),
            ("$i -A FORWARD -m set --match-set here dst -j DROP", "are answered"),
            ("$i -A FORWARD -m set ! --match-set here src -i vm_wlan+ -j DROP", FINE),
            ("$i -A FORWARD -m set --match-set net src -j DROP", "drops what guests send"),
            ("$i -A FORWARD -m set --match-set there src -j DROP", FINE),
            ("$i -A FORWARD -m set --match-set there src -j ACCEPT; $i -P FORWARD DROP", "policy"),
            (
                "$i -A FORWARD -p tcp -m set --match-set web dst,dst -j DROP",
                "connections to port 443",
            ),
            ("$i -A FORWARD -p tcp -m set --match-set web src,src -j DROP", "the answers to"),
            ("$i -A FORWARD -p tcp -m set --match-set mail dst,dst -j DROP", FINE),
            ("$i -A FORWARD -m set --match-set mail dst,dst -j DROP", "asks for an ipset"),
            (
                "$i -A FORWARD -m set --match-set there src --packets-gt 5 -j DROP",
                "asks for an ipset",
            ),
        ] {
            for program in ["iptables-legacy", "iptables-nft"] {
                others(&format!("i={program}; {commands}"));
                assert_said(&format!("{program}: {commands}"), &judged(), parts);
            }
        }
    });
}
