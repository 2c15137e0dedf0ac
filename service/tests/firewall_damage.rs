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

//! What others do to our rules in the kernel: it is seen, said and mended; or, where a table has an
//! owner, it cannot be done.

mod firewall_cases;
mod firewall_rig;

use firewall_cases::{cases, open, ruleset, wlan0};
use firewall_rig::{in_netns, listed_by_nft, run, sh};
use guestnetd::effects::firewall::nftables::Nftables;
use guestnetd::effects::firewall::{Choice, Firewall, Ruleset};

/// Others break it, one way after the other: it is seen, said, and mended.
fn is_seen_and_mended(wanted: &Ruleset, mut fresh: impl FnMut() -> Firewall, damages: &[&str]) {
    for damage in damages {
        let mut firewall = fresh();
        firewall.clear().unwrap();
        firewall.apply(wanted).unwrap();
        sh(&format!("{HANDLE}{damage}"));
        match firewall.drift(wanted).unwrap() {
            Some(what) => assert!(what.contains("table"), "{damage}: {what}"),
            None => panic!("{damage}: it is not seen"),
        }
        firewall.apply(wanted).unwrap();
        assert_eq!(firewall.drift(wanted).unwrap(), None, "{damage}");
    }
}

#[test]
fn iptables_damage_is_seen_and_mended() {
    in_netns(|| {
        is_seen_and_mended(
            &wlan0(),
            || open(Choice::Iptables),
            &[
                "iptables-legacy -D oem_guestnet_fwd 1",
                "iptables-legacy -D oem_guestnet_fwd -i vm_wlan+ -j DROP",
                "iptables-legacy -D oem_guestnet_in -i vm_wlan+ -j DROP",
                "iptables-legacy -D FORWARD -j oem_guestnet_fwd",
                "iptables-legacy -D INPUT -j oem_guestnet_in",
                "iptables-legacy -t nat -D POSTROUTING -j oem_guestnet_post",
                "ip6tables-legacy -D INPUT 1",
                "ip6tables-legacy -D FORWARD 1",
                "iptables-legacy -F oem_guestnet_fwd",
                "iptables-legacy -F FORWARD",
                "iptables-legacy -F; iptables-legacy -X",
                "iptables-legacy -t nat -F; iptables-legacy -t nat -X",
                "ip6tables-legacy -F; ip6tables-legacy -X",
                "iptables-legacy -I oem_guestnet_fwd -j ACCEPT",
                "iptables-legacy -A oem_guestnet_fwd -j ACCEPT",
                "iptables-legacy -I oem_guestnet_fwd 3 -i vm_wlan+ -o eth0 -j ACCEPT",
                "iptables-legacy -I FORWARD -j ACCEPT",
                "iptables-legacy -A FORWARD -j oem_guestnet_fwd",
                "iptables-legacy -N oem_guestnet_fwd_b",
                "iptables-legacy -R oem_guestnet_fwd 1 -i wlan0 -o vm_wlan+ -j ACCEPT",
                "iptables-legacy -R oem_guestnet_fwd 1 -i wlan0 -o vm_wlan+ -m conntrack \
                    --ctstate NEW,ESTABLISHED,RELATED -j ACCEPT",
                "iptables-legacy -R oem_guestnet_fwd 1 -i wlan0 -o vm_wlan+ -m conntrack \
                    ! --ctstate ESTABLISHED,RELATED -j ACCEPT",
                "iptables-legacy -R oem_guestnet_fwd 5 ! -i vm_wlan+ -j DROP",
                "iptables-legacy -R oem_guestnet_fwd 5 -i vm_wlan -j DROP",
                "iptables-legacy -R oem_guestnet_fwd 5 -i vm_wlan+ -p tcp -j DROP",
                "iptables-legacy -R oem_guestnet_fwd 5 -i vm_wlan+ -j RETURN",
                "iptables-legacy -R oem_guestnet_in 3 -s 172.17.0.0/16 -d 172.17.3.2/32 \
                    -i vm_wlan+ -p udp -m udp --dport 53:5353 -j ACCEPT",
                "iptables-legacy -R oem_guestnet_in 2 -i vm_wlan+ -p icmp -j ACCEPT",
                "iptables-legacy -t nat -R oem_guestnet_post 1 -s 172.17.0.0/16 -o wlan0 \
                    -j MASQUERADE --random",
            ],
        );
    });
}

/// What sends questions elsewhere, and what lets a guest out by another way.
#[test]
fn iptables_damage_to_a_resolver_and_a_way_out_is_seen_and_mended() {
    in_netns(|| {
        let pre = "iptables-legacy -t nat -R oem_guestnet_pre 1 -s 172.17.0.0/16 -d 172.17.3.2/32 \
                   -i vm_wlan+ -p udp -m udp --dport 53 -j DNAT --to-destination";
        let damages = [
            format!("{pre} 192.0.2.54"),
            format!("{pre} 192.0.2.53:53"),
            format!("{pre} 192.0.2.53-192.0.2.54"),
            format!("{pre} 192.0.2.53 --random"),
            format!("{pre} 192.0.2.53 --persistent"),
            "iptables-legacy -t nat -R oem_guestnet_pre 1 -j ACCEPT".to_owned(),
            "iptables-legacy -t nat -D PREROUTING 1".to_owned(),
            "iptables-legacy -t nat -I PREROUTING -j ACCEPT".to_owned(),
            "iptables-legacy -t nat -F; iptables-legacy -t nat -X".to_owned(),
            "iptables-legacy -R oem_guestnet_fwd 1 -s 172.17.0.0/16 -i vm_wlan+ -o tun0 \
                -m conntrack --ctstate NEW,RELATED,ESTABLISHED -j ACCEPT"
                .to_owned(),
            "iptables-legacy -D oem_guestnet_fwd -i vm_wlan1 -j DROP".to_owned(),
            "iptables-legacy -R oem_guestnet_fwd 6 -i vm_wlan+ -j DROP".to_owned(),
        ];
        let damages: Vec<&str> = damages.iter().map(String::as_str).collect();
        is_seen_and_mended(&all_kinds(), || open(Choice::Iptables), &damages);
    });
}

/// With every kind of rule.
fn all_kinds() -> Ruleset {
    let mut all = two();
    let more = ruleset(
        "resolver 192.0.2.53\nguest vm_wlan1 by tun0\nguest vm_wlan2 by tun1\n\
         resolver 198.51.100.53 behind tun0\nforwarded vm_wlan3\n",
    );
    (all.resolver, all.exits) = (more.resolver, more.exits);
    (all.tun_resolvers, all.forwarded) = (more.tun_resolvers, more.forwarded);
    all
}

/// What can be done to a table that is nobody's.
const NFT_DAMAGES: &[&str] = &[
    "nft delete table inet guestnet",
    "nft flush ruleset",
    "nft flush table inet guestnet",
    "nft flush chain inet guestnet forward",
    "nft flush chain inet guestnet postrouting; nft delete chain inet guestnet postrouting",
    "nft insert rule inet guestnet forward accept",
    "nft add rule inet guestnet input counter accept",
    "nft add rule inet guestnet postrouting oifname eth0 masquerade random",
    "nft add chain inet guestnet another",
    "nft add chain inet guestnet early '{ type filter hook forward priority -5; policy drop; }'",
    "nft chain inet guestnet forward '{ policy drop; }'",
    "nft add table inet guestnet '{ flags dormant; }'",
    "nft delete rule inet guestnet forward handle $(handle forward saddr.*established)",
    "nft replace rule inet guestnet forward handle $(handle forward saddr.*established) \
        oifname wlan0 ip saddr 172.17.0.0/16 accept",
    "nft replace rule inet guestnet forward handle $(handle forward established,related) \
        iifname wlan0 meta nfproto ipv4 ct state established,related,new accept",
    "nft replace rule inet guestnet forward handle $(handle forward established,related) \
        iifname wlan0 meta nfproto ipv4 ct state != established,related accept",
    "nft replace rule inet guestnet forward handle $(handle forward saddr.*established) \
        oifname 'wlan0*' ip saddr 172.17.0.0/16 ct state established,related,new accept",
    "nft replace rule inet guestnet forward handle $(handle forward saddr.*established) \
        oifname wlan0 ip saddr 172.16.0.0/15 ct state established,related,new accept",
    "nft replace rule inet guestnet input handle $(handle input udp.dport.53.accept) \
        ip saddr 172.17.0.0/16 ip daddr 172.17.3.2 udp sport 53 accept",
    "nft replace rule inet guestnet input handle $(handle input echo-request) \
        icmp type echo-reply accept",
    "nft replace rule inet guestnet postrouting handle $(handle postrouting masquerade) \
        iifname 'vm_wlan*' meta nfproto ipv4 masquerade random",
    "nft replace rule inet guestnet postrouting handle $(handle postrouting masquerade) \
        oifname wlan0 meta nfproto ipv4 masquerade",
    "nft replace rule inet guestnet postrouting handle $(handle postrouting masquerade) \
        iifname 'vm_wlan*' snat ip to 192.0.2.2",
];

/// Shell: the handle of the rule in a chain of ours that has this word.
const HANDLE: &str =
    "handle() { nft -a list chain inet guestnet $1 | sed -n \"/$2/s/.*handle //p\"; }\n";

/// What can be done to its sets.
const SET_DAMAGES: &[&str] = &[
    "nft flush set inet guestnet subnets20",
    "nft flush set inet guestnet gateways20",
    "nft delete element inet guestnet subnets20 '{ 10.20.48.0 }'",
    "nft add element inet guestnet subnets20 '{ 10.20.64.0 }'",
    "nft add element inet guestnet gateways20 '{ 10.20.48.0 . 192.0.2.2 }'",
    "nft flush set inet guestnet guests",
    "nft add element inet guestnet guests '{ vm_wlan . 172.17.3.4 }'",
    "nft add element inet guestnet addresses '{ 192.0.2.2 }'",
    "nft add set inet guestnet subnets8 '{ type ipv4_addr; }'",
    "nft add set inet guestnet another '{ type ipv4_addr; }'",
    "nft add set inet guestnet subnets24 '{ type ipv4_addr; flags interval; }'",
    "nft add map inet guestnet subnets24 '{ type ipv4_addr : verdict; }'",
    "nft add set inet guestnet subnets24 '{ type ipv4_addr; timeout 1h; }'",
];

#[test]
fn damage_to_a_set_is_seen_and_mended() {
    in_netns(|| {
        is_seen_and_mended(&two(), || Nftables::unowned().unwrap().into(), SET_DAMAGES);
        let case = cases().into_iter().find(|case| case.name == "two_subnets").unwrap();
        assert_eq!(listed_by_nft(), case.nftables);
    });
}

/// The original's subnet and another.
fn two() -> Ruleset {
    ruleset(
        "uplink wlan0\naddress vm_wlan 172.17.3.3\nsubnet 172.17.0.0/16 gateway 172.17.3.2\n\
         subnet 10.20.48.0/20 gateway 10.20.48.1\n",
    )
}

#[test]
fn nftables_damage_is_seen_and_mended() {
    in_netns(|| {
        is_seen_and_mended(&wlan0(), || Nftables::unowned().unwrap().into(), NFT_DAMAGES);
        // A foreign chain goes with the repair: the whole table is ours.
        let case = cases().into_iter().find(|case| case.name == "wlan0").unwrap();
        assert_eq!(listed_by_nft(), case.nftables);
    });
}

/// A rule of somebody else's that is bit for bit ours is ours; with one word changed it is not.
#[test]
fn one_word_makes_another_rule() {
    in_netns(|| {
        let wanted = all_kinds();
        let mut firewall = Firewall::from(Nftables::unowned().unwrap());
        firewall.apply(&wanted).unwrap();
        let out = "ct state established,new ct status confirmed accept";
        let ours = [
            (
                "forward",
                "^..iifname..wlan0..meta",
                "iifname wlan0 meta nfproto ipv4 ct state established,related accept".to_owned(),
            ),
            (
                "forward",
                "wlan0.*172.17.*established",
                format!("oifname wlan0 ip saddr 172.17.0.0/16 {out}"),
            ),
            (
                "forward",
                "wlan0.*subnets20.*established",
                format!("oifname wlan0 ip saddr & 255.255.240.0 @subnets20 {out}"),
            ),
            (
                "forward",
                "wlan0.*172.17.*ct.state.new",
                "iifname vm_wlan* oifname wlan0 ip saddr 172.17.0.0/16 ct state new accept"
                    .to_owned(),
            ),
            (
                "forward",
                "wlan[*].*wlan0.*ct.state.related",
                "iifname vm_wlan* oifname wlan0 meta nfproto ipv4 ct state related \
                 iifname . ct original ip saddr @guests accept"
                    .to_owned(),
            ),
            ("from_guest", "dropped", "add @dropped { iifname counter }".to_owned()),
            ("to_guest", "^..drop", "drop".to_owned()),
            (
                "ingress",
                "guests",
                "iifname . ip saddr != @guests counter goto from_guest".to_owned(),
            ),
            (
                "ingress",
                "frag-off",
                "ip frag-off & 0x3fff != 0 update @fragments { ip saddr \
                 limit rate over 40/second burst 128 packets } counter goto from_guest"
                    .to_owned(),
            ),
            (
                "egress",
                "172.17",
                "ip saddr 172.17.0.0/16 iifname . ip saddr @guests counter goto from_guest"
                    .to_owned(),
            ),
            (
                "input",
                "addresses",
                "iifname != lo ip daddr @addresses ct state new counter drop".to_owned(),
            ),
            (
                "forward",
                "^..oifname..vm_wlan[*]",
                "oifname vm_wlan* counter goto to_guest".to_owned(),
            ),
            (
                "forward",
                "iifname..vm_wlan1.*172.17.*established",
                format!("iifname vm_wlan1 oifname tun0 ip saddr 172.17.0.0/16 {out}"),
            ),
            (
                "forward",
                "iifname..vm_wlan1.*goto",
                "iifname vm_wlan1 meta nfproto ipv4 counter goto from_guest".to_owned(),
            ),
            (
                "prerouting",
                "vm_wlan[*].*gateways20.udp",
                "iifname vm_wlan* ip saddr & 255.255.240.0 . ip daddr @gateways20 udp dport 53 \
                 dnat ip to 192.0.2.53"
                    .to_owned(),
            ),
            (
                "prerouting",
                "vm_wlan[*].*172.17.*tcp",
                "iifname vm_wlan* ip saddr 172.17.0.0/16 ip daddr 172.17.3.2 tcp dport 53 \
                 dnat ip to 192.0.2.53"
                    .to_owned(),
            ),
            (
                "prerouting",
                "vm_wlan1.*172.17.*tcp",
                "iifname vm_wlan1 ip saddr 172.17.0.0/16 ip daddr 172.17.3.2 tcp dport 53 \
                 dnat ip to 198.51.100.53"
                    .to_owned(),
            ),
            (
                "prerouting",
                "vm_wlan2.*172.17.*tcp",
                "iifname vm_wlan2 ip saddr 172.17.0.0/16 ip daddr 172.17.3.2 tcp dport 53 accept"
                    .to_owned(),
            ),
            (
                "prerouting",
                "exceptions.*172.17.*udp",
                "iifname @exceptions ip saddr 172.17.0.0/16 ip daddr 172.17.3.2 udp dport 53 \
                 dnat to :30053"
                    .to_owned(),
            ),
            (
                "input",
                "172.17.*tcp.dport.30053",
                "iifname vm_wlan* ip saddr 172.17.0.0/16 ip daddr 172.17.3.2 tcp dport 30053 \
                 ct original proto-dst 53 accept"
                    .to_owned(),
            ),
            (
                "postrouting",
                "masquerade",
                "iifname vm_wlan* meta nfproto ipv4 masquerade".to_owned(),
            ),
        ];
        let words = [
            ("drop", "accept"),
            ("accept", "drop"),
            ("accept", "return"),
            ("counter ", ""),
            ("established,related", "new"),
            ("established,related", "established,related,invalid"),
            ("established,related", "established,related,untracked"),
            ("established,new", "established,related,new"),
            ("established,new", "new"),
            (" ct status confirmed", ""),
            ("status confirmed", "status assured"),
            ("new accept", "new,established accept"),
            ("original ip", "reply ip"),
            ("40/second", "41/second"),
            ("128", "129"),
            (" over", ""),
            ("0x3fff", "0x1fff"),
            ("@guests", "@gateways20"),
            ("!= @guests", "@guests"),
            ("!= lo", "!= eth0"),
            ("ct state", "ct state !="),
            ("ct state", "ct original protocol 6 ct state"),
            ("ipv4", "ipv6"),
            ("meta nfproto ipv4 ", ""),
            ("vm_wlan*", "vm_wlan"),
            ("vm_wlan*", "vm_*"),
            ("oifname", "iifname"),
            ("iifname", "oifname"),
            ("wlan0", "wlan1"),
            ("saddr", "daddr"),
            ("daddr", "saddr"),
            ("/16", "/15"),
            ("/16", ""),
            ("240.0", "224.0"),
            (" @", " != @"),
            ("dport", "sport"),
            ("53", "54"),
            ("masquerade", "masquerade random"),
            ("masquerade", "masquerade persistent"),
            ("masquerade", "counter masquerade"),
            ("vm_wlan1", "vm_wlan*"),
            ("vm_wlan1", "vm_wlan11"),
            ("tun0", "wlan0"),
            ("192.0.2.53", "192.0.2.54"),
            (":30053", ":30054"),
            (":30053", ":30053 random"),
            ("to :30053", "ip to 172.17.3.2:30053"),
            ("dnat to :30053", "redirect to :30053"),
            ("dport 30053", "dport 30054"),
            (" ct original proto-dst 53", ""),
            ("original proto-dst 53", "original proto-dst 54"),
            ("original proto-dst 53", "reply proto-dst 53"),
            ("original proto-dst 53", "original proto-src 53"),
            ("192.0.2.53", "192.0.2.53:53"),
            ("192.0.2.53", "192.0.2.53-192.0.2.54"),
            ("192.0.2.53", "192.0.2.53 random"),
            ("192.0.2.53", "192.0.2.53 persistent"),
            ("dnat ip to 192.0.2.53", "redirect"),
            ("tcp", "udp"),
        ];
        let mut changed = 0;
        for (chain, word, rule) in ours {
            let mut replaced_by = |by: &str| {
                firewall.apply(&wanted).unwrap();
                sh(&format!(
                    "{HANDLE} h=$(handle {chain} {word})
                     nft add rule inet guestnet {chain} position $h '{by}'
                     nft delete rule inet guestnet {chain} handle $h"
                ));
                firewall.drift(&wanted).unwrap()
            };
            assert_eq!(replaced_by(&rule), None, "{rule}");
            for (from, to) in words.iter().filter(|(from, _)| rule.contains(from)) {
                let other = rule.replacen(from, to, 1);
                assert!(replaced_by(&other).is_some(), "{other}");
                changed += 1;
            }
        }
        assert!(changed > 80, "{changed}");
    });
}

#[test]
fn an_owned_table_cannot_be_damaged() {
    in_netns(|| {
        let mut firewall = open(Choice::Nftables);
        firewall.apply(&wlan0()).unwrap();
        if !sh("nft list table inet guestnet").contains("flags owner") {
            eprintln!("this kernel knows no ownership of tables");
            return;
        }
        for damage in NFT_DAMAGES {
            let (_, said) = run(&format!("{HANDLE}{damage}"));
            assert_eq!(firewall.drift(&wlan0()).unwrap(), None, "{damage}: {said}");
        }
    });
}
