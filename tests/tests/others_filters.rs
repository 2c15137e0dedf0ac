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

//! What status says of others' packet filters is what becomes of a guest's packets: rules of all kinds are
//! put beside guestnetd's, and each time the guest's traffic and the verdict are compared.

use std::thread;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::Verdict::Verdict;
use guestnet_tests::bed::{eventually, Bed, GATEWAY};
use guestnet_tests::resolver::{resolve, Resolver, Says};
use guestnet_tests::{Guest, InNetns, Internet, Probe};

guestnet_tests::with_both_backends!(
    status_says_what_becomes_of_packets,
    status_computes_what_rules_ask_for,
    names_that_the_device_itself_answers_are_followed_to_its_input,
);

/// Shapes that are all right, and shapes that are not; `$i` is one of iptables' variants.
const SHAPES: &[&str] = &[
    "true",
    // Distributions' firewalls.
    "nft 'table inet firewalld {
        chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept;
            ct state established,related accept; ct status dnat accept; iifname \"lo\" accept
            ct state invalid drop; jump filter_FORWARD_POLICIES; reject with icmpx type admin-prohibited; }
        chain filter_FORWARD_POLICIES { iifname \"vm_wlan*\" goto filter_FWD_trusted; iifname \"eth9\" goto filter_FWD_public; }
        chain filter_FWD_trusted { accept; }
        chain filter_FWD_public { return; }; }'",
    "nft 'table inet firewalld {
        chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept;
            ct state { established, related } accept; ct status dnat accept; ct state invalid drop
            reject with icmpx type admin-prohibited; }; }'",
    "nft 'table inet firewalld { chain raw_PREROUTING { type filter hook prerouting priority raw + 10;
            icmpv6 type nd-neighbor-solicit accept; meta nfproto ipv6 fib saddr . mark . iif oif missing drop; }; }'",
    "$i -N ufw-before-forward; $i -N ufw-user-forward; $i -P FORWARD DROP; $i -A FORWARD -j ufw-before-forward
     $i -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
     $i -A ufw-before-forward -p icmp --icmp-type 8 -j ACCEPT; $i -A ufw-before-forward -j ufw-user-forward",
    "$i -N ufw-user-forward; $i -P FORWARD DROP; $i -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
     $i -A FORWARD -j ufw-user-forward; $i -A ufw-user-forward -i vm_wlan+ -j ACCEPT",
    // Docker's, libvirt's, Kubernetes'.
    "$i -P FORWARD DROP; for c in DOCKER-USER DOCKER-FORWARD DOCKER-CT; do $i -N $c; done
     $i -A FORWARD -j DOCKER-USER; $i -A FORWARD -j DOCKER-FORWARD; $i -A DOCKER-FORWARD -j DOCKER-CT
     $i -A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
     $i -A DOCKER-FORWARD -i docker0 -j ACCEPT",
    "$i -P FORWARD DROP; $i -N DOCKER-USER; $i -A FORWARD -j DOCKER-USER
     $i -A DOCKER-USER -i vm_wlan+ -j ACCEPT; $i -A DOCKER-USER -o vm_wlan+ -j ACCEPT",
    "$i -N LIBVIRT_FWI; $i -A FORWARD -j LIBVIRT_FWI; $i -A LIBVIRT_FWI -o virbr0 -j REJECT
     $i -t nat -A POSTROUTING -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE",
    "$i -N KUBE-FORWARD; $i -A FORWARD -j KUBE-FORWARD; $i -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
     $i -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT; $i -t nat -N KUBE-POSTROUTING
     $i -t nat -A POSTROUTING -j KUBE-POSTROUTING; $i -t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
     $i -t nat -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000; $i -t nat -A KUBE-POSTROUTING -j MASQUERADE",
    // Every hook.
    "$i -t raw -A PREROUTING -i vm_wlan+ -j DROP",
    "$i -t raw -A PREROUTING -i vm_wlan+ -p tcp -j DROP",
    "$i -t raw -A PREROUTING -j NOTRACK",
    "$i -t raw -A PREROUTING -i wlan0 -j NOTRACK",
    "$i -t raw -A PREROUTING -p tcp --dport 8080 -j NOTRACK",
    "$i -t raw -A PREROUTING -m rpfilter --invert -j DROP",
    "$i -t raw -A PREROUTING -m conntrack --ctstate INVALID -j DROP",
    "$i -t mangle -A PREROUTING -m conntrack --ctstate INVALID -j DROP",
    "$i -t mangle -A FORWARD -o vm_wlan+ -j DROP",
    "$i -t mangle -A POSTROUTING -s 172.17.0.0/16 -j DROP",
    "$i -t mangle -A POSTROUTING -p icmp --icmp-type echo-reply -j DROP",
    "$i -A INPUT -i vm_wlan+ -j DROP",
    "$i -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 3128",
    // Sent where nobody is; what lives too short, and what does not.
    "$i -t nat -A PREROUTING -i vm_wlan+ -p tcp -j DNAT --to-destination 203.0.113.99",
    "$i -t mangle -A PREROUTING -i vm_wlan+ -j TTL --ttl-set 1",
    "$i -t mangle -A PREROUTING -i vm_wlan+ -j TTL --ttl-dec 63",
    "$i -t mangle -A PREROUTING -i vm_wlan+ -j TTL --ttl-dec 3",
    "$i -t mangle -A PREROUTING -i wlan0 -j TTL --ttl-set 1",
    "$i -t mangle -A PREROUTING -j TTL --ttl-set 64",
    "nft 'table ip other { chain p { type filter hook prerouting priority mangle; iifname \"vm_wlan*\" ip ttl set 1; }; }'",
    "nft 'table ip other { chain p { type filter hook prerouting priority mangle; ip ttl set 65; }; }'",
    "$i -t mangle -A PREROUTING -i vm_wlan+ -j MARK --set-mark 0x77; ip rule add fwmark 0x77 pref 90 blackhole",
    "$i -t mangle -A PREROUTING -i vm_wlan+ -j MARK --set-mark 0x78",
    "$i -t mangle -A FORWARD -p tcp --syn -j TCPMSS --clamp-mss-to-pmtu",
    "$i -A FORWARD -p udp -j DROP",
    "$i -A FORWARD -p icmp -j DROP",
    "$i -A FORWARD -p tcp -m multiport --dports 22,25 -j DROP",
    "$i -A FORWARD -m iprange --src-range 172.17.3.2-172.17.3.200 -j DROP",
    "$i -A FORWARD -m addrtype --dst-type LOCAL -j DROP",
    "$i -A FORWARD -m physdev --physdev-is-bridged -j DROP",
    "$i -A FORWARD -m pkttype --pkt-type broadcast -j DROP",
    "$i -A FORWARD -m conntrack --ctstate NEW -j ACCEPT; $i -P FORWARD DROP",
    // nf_tables' own.
    "nft 'table inet t { chain p { type filter hook prerouting priority raw; iifname != \"lo\" drop; }; }'",
    "nft 'table ip t { chain p { type filter hook prerouting priority raw; notrack; }; }'",
    "nft 'table inet t { chain p { type filter hook prerouting priority raw; fib saddr . iif oif missing drop; }; }'",
    "nft 'table inet t { chain p { type filter hook prerouting priority raw; ct state invalid drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; policy drop; ct state vmap { established : accept, related : accept, invalid : drop }; iifname . oifname { \"vm_wlan\" . \"wlan0\" } accept; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; policy drop; ct state vmap { established : accept, invalid : drop }; ip saddr { 172.16.0.0-172.17.3.2 } accept; }; }'",
    "nft 'table inet t { map v { type ifname : verdict; elements = { \"vm_wlan\" : goto g, \"eth9\" : drop }; }; chain g { meta l4proto tcp reject with tcp reset; accept; }; chain f { type filter hook forward priority 0; iifname vmap @v; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta iifgroup 0 accept; meta oifgroup 0 drop; }; }'",
    "nft 'table inet t { set s { type ipv4_addr; flags timeout; elements = { 172.17.3.3 timeout 1h }; }; chain f { type filter hook forward priority 0; ip saddr @s drop; }; }'",
    "nft 'table inet t { flags dormant; chain f { type filter hook forward priority 0; policy drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta nfproto ipv6 drop; meta skuid 0 drop; ip ttl < 2 drop; ip frag-off & 0x1fff != 0 drop; tcp flags & (fin|syn|rst|ack) == 0 drop; }; }'",
    "nft 'table inet t { set s { type ipv4_addr; flags dynamic; size 999; }; chain f { type filter hook forward priority 0; ct state new add @s { ip saddr ct count over 500 } drop; limit rate over 5000/second burst 5000 packets drop; }; }'",
    "nft 'table netdev t { chain i { type filter hook ingress device wlan0 priority 0; ip protocol icmp drop; }; }'",
    "nft 'table netdev t { chain i { type filter hook ingress device vm_wlan priority 0; ip daddr != 172.17.3.2 drop; }; }'",
    "nft 'table ip t { chain p { type nat hook postrouting priority 90; ip saddr 172.16.0.0/12 accept; }; }'",
    "nft 'table ip t { chain p { type filter hook postrouting priority 200; oifname \"wlan0\" ip saddr 172.16.0.0/12 drop; }; }'",
    "nft 'table ip t { chain p { type filter hook prerouting priority -150; ct mark set 0x5; meta mark set ct mark; }; chain f { type filter hook forward priority 0; meta mark != 0x5 drop; ct mark != 0x5 drop; }; }'",
    "nft 'table ip t { chain p { type filter hook prerouting priority -50; ct status snat drop; ct direction reply ct original ip saddr != 172.17.3.3 drop; }; }'",
    // What asks more than one packet tells, and is certain all the same.
    "nft 'table inet t { chain p { type filter hook prerouting priority raw; iifname \"vm_wlan*\" ct zone set 5; }; }'",
    "nft 'table inet t { chain p { type filter hook prerouting priority raw; ct zone set iifname map { \"vm_wlan\" : 3, \"wlan0\" : 4 }; }; }'",
    "nft 'table inet t { chain p { type filter hook prerouting priority raw; ct zone set 7; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; iifname \"vm_wlan*\" limit rate over 1/hour burst 1 packets drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; iifname \"vm_wlan*\" ct state new add @s { ip saddr ct count over 0 } drop; }; set s { type ipv4_addr; flags dynamic; size 999; }; }'",
    "$i -t raw -A PREROUTING -i vm_wlan+ -j CT --zone 9",
    "$i -t raw -A PREROUTING -j CT --zone 9",
    "$i -A FORWARD -i vm_wlan+ -m limit --limit 1/hour --limit-burst 1 -j ACCEPT; $i -A FORWARD -i vm_wlan+ -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m limit --limit 3/min --limit-burst 10 -j LOG",
    "$i -A FORWARD -i vm_wlan+ -m hashlimit --hashlimit-above 1/hour --hashlimit-burst 1 --hashlimit-name t -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m statistic --mode random --probability 1.0 -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m connlimit --connlimit-above 0 -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m recent --name t --set -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m length --length 20:1500 -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m realm --realm 0 -j DROP",
    "$i -t mangle -A POSTROUTING -m cgroup --cgroup 1 -j DROP",
    // Rules that ask for ports, and for the mark that somebody gives.
    "ip rule add pref 90 iif vm_wlan ipproto tcp blackhole",
    "ip rule add pref 90 iif vm_wlan ipproto tcp dport 9999 blackhole",
    "ip rule add pref 90 iif vm_wlan ipproto tcp dport 80 prohibit",
    "nft 'table inet t { chain p { type filter hook prerouting priority mangle; iifname \"vm_wlan*\" meta mark set 7; }; }'; ip rule add pref 90 not fwmark 7 iif vm_wlan blackhole",
];

/// Matches and expressions that ask for more than addresses, ports and states: what they come to is certain,
/// either way.
const COMPUTED: &[&str] = &[
    // Bytes and programs.
    "$i -A FORWARD -i vm_wlan+ -m u32 --u32 '6&0xFF=1,6,17' -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m u32 --u32 '6&0xFF=47' -j DROP",
    "$i -A FORWARD -m u32 --u32 '6&0xFF=6 && 0>>22&0x3C@0&0xFFFF=80,443' -j DROP",
    "$i -A FORWARD -m u32 ! --u32 '0>>28=4' -j DROP",
    "$i -A FORWARD -m u32 --u32 '0&0xFFFF=1501:65535' -j DROP",
    "$i -A FORWARD -m u32 --u32 '4&0x1FFF=1:0x1FFF' -j DROP",
    "$i -A FORWARD -m bpf --bytecode '1,6 0 0 65535' -j DROP",
    "$i -A FORWARD -m bpf --bytecode '1,6 0 0 0' -j DROP",
    "$i -A FORWARD -m bpf --bytecode '4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0' -j DROP",
    "$i -A FORWARD -m bpf --bytecode '4,48 0 0 9,21 0 1 47,6 0 0 1,6 0 0 0' -j DROP",
    "$i -A FORWARD -m bpf --bytecode '4,128 0 0 0,37 0 1 1500,6 0 0 1,6 0 0 0' -j DROP",
    "$i -A FORWARD -m bpf --bytecode '7,48 0 0 9,21 0 3 6,177 0 0 0,72 0 0 2,21 1 0 80,6 0 0 0,6 0 0 1' -j DROP",
    // Lengths, lifetimes, classes, segments.
    "$i -A FORWARD -m length --length 1501:65535 -j DROP",
    "$i -A FORWARD -m length ! --length 0:1500 -j DROP",
    "$i -A FORWARD -p tcp -m length --length 40:60 -j DROP",
    "$i -A FORWARD -m ttl --ttl-lt 10 -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m ttl --ttl-eq 63 -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m dscp --dscp 0 -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m dscp ! --dscp 0 -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m ecn --ecn-ip-ect 0 -j DROP",
    "$i -A FORWARD -i vm_wlan+ -m ecn --ecn-ip-ect 3 -j DROP",
    "$i -A FORWARD -p tcp -m ecn --ecn-tcp-cwr -j DROP",
    "$i -A FORWARD -p tcp --syn -m tcpmss --mss 536:65535 -j DROP",
    "$i -A FORWARD -p tcp --syn -m tcpmss --mss 1:500 -j DROP",
    "$i -A FORWARD -p tcp --tcp-option 2 -j DROP",
    "$i -A FORWARD -p tcp ! --tcp-option 2 -j DROP",
    "$i -A FORWARD -p tcp -m multiport --ports 79:81,443 -j DROP",
    "$i -A FORWARD -p tcp -m multiport --ports 22,25 -j DROP",
    "$i -A FORWARD -p tcp -m multiport ! --ports 79:81,443 -j DROP",
    "$i -A FORWARD -p tcp -m conntrack --ctreplsrcport 80 -j DROP",
    "$i -A FORWARD -p tcp -m conntrack --ctorigsrcport 1:1023 -j DROP",
    // What went before.
    "$i -A FORWARD -m connbytes --connbytes 0: --connbytes-dir both --connbytes-mode packets -j DROP",
    "$i -A FORWARD -m connbytes --connbytes 1:1 --connbytes-dir original --connbytes-mode packets -j DROP",
    "$i -A FORWARD -m connbytes --connbytes 2000: --connbytes-dir both --connbytes-mode avgpkt -j DROP",
    "$i -A FORWARD -m quota --quota 100000000 -j ACCEPT; $i -A FORWARD -j DROP",
    "$i -A FORWARD -m quota --quota 0 -j ACCEPT; $i -A FORWARD -j DROP",
    // The device's own.
    "$i -A FORWARD -m time --timestart 00:00 --timestop 23:59:59 -j DROP",
    "$i -A FORWARD -m time --datestop 2001-01-01 -j DROP",
    "$i -A FORWARD -m time --datestart 2001-01-01 --weekdays Mon,Tue,Wed,Thu,Fri,Sat,Sun -j DROP",
    "$i -A FORWARD -m time --monthdays 31 --datestart 2001-02-01 --datestop 2001-02-28 -j DROP",
    "$i -A FORWARD -m cpu ! --cpu 9999 -j DROP",
    "$i -A FORWARD -m cpu --cpu 9999 -j DROP",
    "$i -A FORWARD -j NFQUEUE --queue-num 3",
    "$i -A FORWARD -j NFQUEUE --queue-num 3 --queue-bypass",
    "$i -t mangle -A FORWARD -j NFQUEUE --queue-balance 3:5 --queue-bypass",
    "$i -t mangle -A POSTROUTING -o vm_wlan+ -m owner --uid-owner 0-4294967294 -j DROP",
    "$i -t mangle -A POSTROUTING -m owner ! --uid-owner 0-4294967294 -j DROP",
    "$i -t mangle -A POSTROUTING -o vm_wlan+ -m owner --socket-exists -j DROP",
    "$i -t mangle -A POSTROUTING -o vm_wlan+ -m owner ! --socket-exists -j DROP",
    // nf_tables' own.
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta length > 1500 drop; ip length > 1500 drop; udp length > 1480 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta length 40-84 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; tcp flags syn meta length < 100 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; numgen inc mod 1 0 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; numgen random mod 4 <= 3 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; numgen inc mod 4 offset 5 > 8 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; numgen inc mod 2 vmap { 0 : drop, 1 : drop }; }; }'",
    "nft 'table inet t { chain a { return; }; chain f { type filter hook forward priority 0; numgen inc mod 2 vmap { 0 : accept, 1 : jump a }; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; jhash ip saddr mod 1 0 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; jhash ip saddr . ip daddr mod 4 > 3 drop; symhash mod 4 > 3 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta time > \"2020-01-01 00:00:00\" drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta time < \"2020-01-01 00:00:00\" drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta day { Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday } drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta hour \"00:00\"-\"23:59:59\" drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta cpu 0-1023 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta cpu 1023 drop; meta cgroup 0 drop; meta skgid 0 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; quota over 0 bytes drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; policy drop; quota 100 mbytes accept; }; }'",
    "nft 'table inet t { quota q { over 0 bytes; }; chain f { type filter hook forward priority 0; quota name \"q\" drop; }; }'",
    "nft 'table inet t { quota q { over 100 mbytes; }; chain f { type filter hook forward priority 0; quota name \"q\" drop; }; }'",
    "nft 'table inet t { limit l { rate over 1/hour burst 1 packets; }; chain f { type filter hook forward priority 0; iifname \"vm_wlan*\" limit name \"l\" drop; }; }'",
    "nft 'table inet t { set s { type ipv4_addr; flags dynamic; size 99; }; chain f { type filter hook forward priority 0; iifname \"vm_wlan*\" add @s { ip saddr }; ip saddr @s drop; }; }'",
    "nft 'table inet t { set s { type ipv4_addr; flags dynamic; size 99; }; chain f { type filter hook forward priority 0; tcp dport 22 add @s { ip saddr }; ip saddr @s drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; ct bytes > 0 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; ct avgpkt > 1500 drop; ct original packets < 1 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; ct reply packets 0 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; tcp option maxseg exists drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; tcp option maxseg size 1-100 drop; tcp option sack exists tcp flags syn drop; ip option ra exists drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; tcp option maxseg size 500-1460 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; @nh,72,8 6 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; @nh,0,4 6 drop; @nh,16,16 > 1500 drop; @nh,51,13 > 0 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta mark set 0x34; meta mark set meta mark << 8; meta mark 0x3400 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; meta mark set 0x1200; ct mark set meta mark >> 8; ct mark 0x12 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; ct zone 5 drop; ct helper \"ftp\" drop; meta priority 5 drop; }; }'",
    "nft 'table inet t { chain f { type filter hook forward priority 0; ct zone 0 drop; }; }'",
    "nft 'table inet t { chain p { type filter hook postrouting priority 0; oifname \"vm_wlan*\" meta skuid >= 0 drop; }; }'",
    // Written over, past conntrack: before it and behind it, before NAT and behind it, there and back.
    "nft 'table ip t { chain p { type filter hook prerouting priority -350; iifname \"vm_wlan\" ip daddr set 203.0.113.200; }; }'",
    "nft 'table ip t { chain p { type filter hook prerouting priority -350; iifname \"vm_wlan\" udp dport 53 ip daddr set 203.0.113.200; }; }'",
    "nft 'table ip t { chain p { type filter hook prerouting priority -350; iifname \"vm_wlan\" udp dport 53 ip daddr set 192.0.2.1; }; }'",
    "nft 'table ip t { chain p { type filter hook prerouting priority -350; iifname \"vm_wlan\" ip saddr set 172.17.3.3; }; }'",
    "nft 'table ip t { chain p { type filter hook prerouting priority -350; iifname \"vm_wlan\" ip saddr set 172.17.3.77; }; }'",
    "nft 'table ip t { chain f { type filter hook forward priority 0; iifname \"vm_wlan\" ip saddr set 10.9.9.9; }; }'",
    "nft 'table ip t { chain f { type filter hook forward priority 0; iifname \"vm_wlan\" tcp dport set 81; }; }'",
    "nft 'table ip t { chain f { type filter hook forward priority 0; iifname \"vm_wlan\" tcp dport 9999 tcp dport set 81; ip dscp set cs1; }; }'",
    "nft 'table ip t { chain f { type filter hook forward priority 0; oifname \"vm_wlan\" udp sport set 54; }; }'",
    "nft 'table ip t { chain f { type filter hook forward priority 0; oifname \"vm_wlan\" ip saddr set 203.0.113.99; }; }'",
    "nft 'table ip t { chain p { type filter hook postrouting priority 300; oifname \"wlan0\" ip saddr set 10.9.9.9; }; }'",
    "nft 'table ip t { chain p { type filter hook postrouting priority 300; oifname \"wlan0\" tcp dport set 81; }; }'",
    "nft 'table ip t { chain p { type filter hook prerouting priority -350; iifname \"wlan0\" ip daddr set 192.0.2.99; }; }'",
];

/// Rules that somebody puts before guestnetd's own; the first four do not matter to a guest.
const BEFORE_OURS: &[&str] = &[
    "-I FORWARD -m physdev --physdev-is-bridged -j DROP",
    "-t nat -I POSTROUTING -s 172.17.0.0/16 -o wlan0 -j MASQUERADE --random-fully",
    "-I INPUT -i vm_wlan+ -p tcp --dport 22 -j REJECT",
    "-t nat -I POSTROUTING -m mark --mark 0x4000/0x4000 -j RETURN",
    "-I FORWARD -i vm_wlan+ -j DROP",
    "-I FORWARD -p icmp -j DROP",
    "-t nat -I POSTROUTING -s 172.16.0.0/12 -j RETURN",
    "-I INPUT -i vm_wlan+ -p udp --dport 53 -j DROP",
];

/// All that is not guestnetd's goes; what iptables-legacy-save said before comes back.
fn clean(device: &impl InNetns, saved: &str) {
    const CLEAN: &str = "{
        while read -r table; do
            ! grep -qx \"\\*$table\" saved || continue
            case $table in raw) c='PREROUTING OUTPUT' ;; nat) c='PREROUTING INPUT OUTPUT POSTROUTING' ;;
                mangle) c='PREROUTING INPUT FORWARD OUTPUT POSTROUTING' ;; *) c='INPUT FORWARD OUTPUT' ;; esac
            echo \"*$table\"; printf ':%s ACCEPT\\n' $c; echo COMMIT
        done </proc/net/ip_tables_names
        cat saved; } | iptables-legacy-restore
        nft list tables | sed '/guestnet/d; s/^/delete /' | nft -f -
        ip rule del pref 90 2>/dev/null || true";
    sh(device, &format!("cat >saved <<'S'\n{saved}\nS\n{CLEAN}"));
}

#[track_caller]
fn sh(device: &impl InNetns, script: &str) {
    let folder = tempfile::tempdir().expect("a directory");
    let mut shell = device.command("sh");
    let out = shell.args(["-ec", script]).current_dir(&folder).output().expect("sh");
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
}

/// What goes through: a page, an echo, a name.
fn flows(guest: &Guest) -> [bool; 3] {
    thread::scope(|scope| {
        let web = scope.spawn(|| guest.tcp(Internet::TCP, "x").is_ok());
        let ping = scope.spawn(|| guest.ping(Internet::ADDRESS));
        let name = scope.spawn(|| resolve(guest, GATEWAY).is_ok());
        [web.join(), ping.join(), name.join()].map(|done| done.expect("a probe"))
    })
}

/// The verdict is what the traffic is; a resolver that was asked before may have to be asked again.
#[track_caller]
fn compare(bed: &Bed, guest: &Guest, shape: &str) {
    let [web, ping, name] = flows(guest);
    let expected = match (web && ping, name) {
        (true, true) => Verdict::INTERNET,
        (true, false) => Verdict::NO_NAMES,
        (false, _) => Verdict::NO_INTERNET,
    };
    let until = Instant::now() + Duration::from_secs(3);
    loop {
        let status = bed.service.status(Some("demo")).expect("status").guests.remove(0);
        if status.verdict == expected {
            return;
        }
        let seen = format!("web {web}, ping {ping}, name {name}");
        assert!(Instant::now() < until, "{shape}: {seen}: {:?}", status.reason);
        thread::sleep(Duration::from_millis(50));
    }
}

fn status_says_what_becomes_of_packets(firewall: &str) {
    goes_as_status_says(firewall, SHAPES);
}

fn status_computes_what_rules_ask_for(firewall: &str) {
    goes_as_status_says(firewall, COMPUTED);
}

fn goes_as_status_says(firewall: &str, shapes: &[&str]) {
    let bed = Bed::on(guestnet_tests::Device::new())
        // It would put its rules back amid the shapes, and what was saved is as they were before.
        .args(&format!("--firewall {firewall} --check-every 3600 --dns {}", Internet::ADDRESS))
        .build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let saved = bed.device.run("iptables-legacy-save");
    for shape in shapes {
        let variants: &[&str] = match shape.contains("$i") {
            true => &["iptables-nft", "iptables-legacy"],
            false => &[""],
        };
        for variant in variants {
            sh(&bed.device, &format!("i={variant}\n{shape}"));
            compare(&bed, &guest, &format!("{variant}: {shape}"));
            clean(&bed.device, &saved);
        }
    }
    eventually("all is as before", || flows(&guest) == [true; 3]);
}

/// Only with iptables can somebody come first; the firewall layer says so either way.
#[test]
fn rules_before_ours_are_judged_by_what_they_do() {
    let bed = Bed::on(guestnet_tests::Device::new())
        .args(&format!("--firewall iptables --check-every 3600 --dns {}", Internet::ADDRESS))
        .build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let saved = bed.device.run("iptables-legacy-save");
    for shape in BEFORE_OURS {
        sh(&bed.device, &format!("iptables-legacy {shape}"));
        compare(&bed, &guest, shape);
        let status = bed.service.status(Some("demo")).expect("status").guests.remove(0);
        let firewall = status.layers.iter().find(|layer| layer.layer == Layer::FIREWALL);
        let text = &firewall.expect("a firewall layer").text;
        assert!(text.contains("is not the first rule of"), "{shape}: {text}");
        clean(&bed.device, &saved);
    }
}

fn names_that_the_device_itself_answers_are_followed_to_its_input(firewall: &str) {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("resolv.conf");
    std::fs::write(&file, "nameserver 127.0.0.1\n").expect("a file");
    let device = guestnet_tests::Device::new();
    let resolver = Resolver::start(&device, "0.0.0.0".parse().expect("an address"), Says::All);
    let bed = Bed::on(device)
        .args(&format!("--firewall {firewall} --resolv-conf {}", file.display()))
        .build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let basics =
        "-A INPUT -i lo -j ACCEPT; $i -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        $i -A INPUT -p icmp -j ACCEPT; $i -A INPUT -p tcp --dport 22 -j ACCEPT";
    let saved = bed.device.run("iptables-legacy-save");
    for shape in [
        "true".to_owned(),
        format!("$i -P INPUT DROP; $i {basics}"),
        format!("$i -P INPUT DROP; $i {basics}; $i -A INPUT -i vm_wlan+ -p udp --dport 53 -j ACCEPT"),
        "$i -t mangle -A INPUT -p udp --dport 53 -j DROP".to_owned(),
        "$i -A OUTPUT -p udp --sport 53 -j REJECT".to_owned(),
        "$i -A OUTPUT -o vm_wlan+ -m owner --uid-owner 0 -j REJECT".to_owned(),
        "$i -A OUTPUT -o vm_wlan+ -m owner --uid-owner 10000-19999 -j REJECT".to_owned(),
        "$i -t mangle -A POSTROUTING -s 172.17.3.2 -j DROP".to_owned(),
        "$i -t raw -A PREROUTING -p udp --dport 53 -j NOTRACK".to_owned(),
        "nft 'table inet t { chain i { type filter hook input priority 10; policy drop; ct state established accept; iif \"lo\" accept; iifname \"vm_wlan*\" meta l4proto { tcp, udp } th dport 53 accept; }; }'".to_owned(),
        "nft 'table inet t { chain i { type filter hook input priority 10; ip saddr 172.16.0.0/12 drop; }; }'".to_owned(),
    ] {
        for variant in ["iptables-nft", "iptables-legacy"] {
            sh(&bed.device, &format!("i={variant}\n{shape}"));
            compare(&bed, &guest, &format!("{variant}: {shape}"));
            clean(&bed.device, &saved);
        }
    }
    drop(resolver);
}
