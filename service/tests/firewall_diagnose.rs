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

//! What of others drops guests' packets is named, and what does not is not.

mod firewall_cases;
mod firewall_rig;

use firewall_cases::{open, ruleset, wlan0};
use firewall_rig::{in_netns, run, sh};
use guestnetd::firewall::diagnose::refusing;
use guestnetd::firewall::{Backend, Choice, Ruleset};

/// Rules of others in FORWARD, and what is said of them where ours are in nf_tables; nothing is said
/// where ours are in the same FORWARD, in front of them.
const IN_FORWARD: &[(&str, &[&str])] = &[
    ("true", &[]),
    ("$i -P FORWARD DROP", &["the policy of the chain FORWARD", "drops what guests send by wlan0"]),
    (
        "printf '*filter\\n:FORWARD DROP [5:500]\\nCOMMIT\\n' | $i-restore -c",
        &["the policy of the chain FORWARD in iptables' table filter", "5 packets"],
    ),
    (
        "$i -P FORWARD DROP; $i -A FORWARD -i vm_wlan+ -j ACCEPT",
        &["the policy", "drops what guests are answered by wlan0"],
    ),
    (
        "$i -P FORWARD DROP; $i -A FORWARD -i vm_wlan+ -j ACCEPT; $i -A FORWARD -o vm_w+ -j ACCEPT",
        &[],
    ),
    (
        "$i -P FORWARD DROP; $i -A FORWARD -s 172.16.0.0/12 -j ACCEPT
         $i -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        &[],
    ),
    // A name that is one guest's only, a protocol, a rate, and whatever else is asked for.
    ("$i -P FORWARD DROP; $i -A FORWARD -p tcp -j ACCEPT", &["the policy", "may drop"]),
    ("$i -P FORWARD DROP; $i -A FORWARD -i vm_wlan3 -j ACCEPT", &["the policy", "may drop"]),
    (
        "$i -P FORWARD DROP; $i -N a; $i -A a -j ACCEPT; $i -A FORWARD -p tcp -j a",
        &["the policy of the chain FORWARD", "may drop"],
    ),
    ("$i -A FORWARD -p tcp -j DROP", &[]),
    ("$i -A FORWARD -i vm_wlan3 -j DROP", &[]),
    ("$i -A FORWARD -m limit --limit 5/min -j DROP", &[]),
    ("$i -A FORWARD -s 172.17.3.0/24 -j DROP", &[]),
    ("$i -A FORWARD -m conntrack --ctstate INVALID -j DROP", &[]),
    ("$i -A FORWARD -i docker0 -j DROP; $i -A FORWARD ! -o wlan0 -i vm_wlan+ -j DROP", &[]),
    (
        "$i -A FORWARD ! -i docker0 -o wlan0 -j DROP",
        &["rule 1 of the chain FORWARD", "guests send"],
    ),
    ("$i -A FORWARD -j LOG; $i -A FORWARD -d 172.17.0.0/16 -j REJECT", &["rule 2", "are answered"]),
    (
        "$i -A FORWARD -m comment --comment closed -j DROP -c 7 99",
        &["rule 1 of the chain FORWARD", "7 packets"],
    ),
    (
        "$i -N a; $i -N b; $i -A a -p udp -j RETURN; $i -A a -g b; $i -A b -i v+ -j DROP
         $i -A FORWARD -j a",
        &["rule 1 of the chain b", "may drop"],
    ),
    ("$i -N a; $i -A a -j RETURN; $i -A a -j DROP; $i -A FORWARD -j a", &[]),
    ("$i -N a; $i -A a -j DROP; $i -A FORWARD -p icmp -j a", &[]),
    // A way that ends where it was sent from.
    ("$i -N a; $i -A FORWARD -g a; $i -A FORWARD -j DROP", &[]),
    (
        "for c in oem_fwd fw_FORWARD bw_FORWARD tetherctrl_FORWARD; do
             $i -N $c; $i -A FORWARD -j $c
         done
         $i -A tetherctrl_FORWARD -j DROP",
        &["rule 1 of the chain tetherctrl_FORWARD", "use --firewall iptables"],
    ),
];

/// Where our rules are not in front of them, wherever they are.
const ELSEWHERE: &[(&str, &str)] = &[
    ("$i -t mangle -A FORWARD -o wlan0 -j DROP", "chain FORWARD in iptables' table mangle"),
    ("$i -t mangle -P FORWARD DROP", "policy of the chain FORWARD in iptables' table mangle"),
    ("$i -t raw -A PREROUTING -i vm_wlan+ -j DROP", "chain PREROUTING in iptables' table raw"),
    (
        "$i -t mangle -A POSTROUTING -s 172.17.0.0/16 -j DROP",
        "POSTROUTING in iptables' table mangle",
    ),
    ("$i -t security -A FORWARD -j DROP", "table security"),
    (
        "nft add table inet theirs
         nft add chain inet theirs f '{ type filter hook forward priority 10; policy drop; }'",
        "the nftables chain theirs f",
    ),
];

fn others(commands: &str) {
    sh("for t in filter mangle raw security; do
            iptables-legacy -t $t -F; iptables-legacy -t $t -X
            for c in FORWARD PREROUTING POSTROUTING; do iptables-legacy -t $t -P $c ACCEPT; done
        done 2>/dev/null
        nft delete table inet theirs 2>/dev/null; true");
    sh(&format!("set -e; i=iptables-legacy; {commands}"));
}

#[test]
fn what_is_behind_our_accept_is_asked_as_well_in_nftables() {
    in_netns(|| {
        let mut nftables = open(Choice::Nftables);
        nftables.apply(&wlan0()).unwrap();
        for (commands, parts) in IN_FORWARD {
            others(commands);
            let said = refusing(Backend::Nftables, &wlan0()).map(|fault| fault.to_string());
            match &said {
                None => assert!(parts.is_empty(), "{commands}: nothing is said"),
                Some(text) => {
                    assert!(!parts.is_empty(), "{commands}: {text}");
                    assert!(parts.iter().all(|part| text.contains(part)), "{commands}: {text}");
                }
            }
        }
    });
}

#[test]
fn what_is_behind_our_accept_in_iptables_is_not() {
    in_netns(|| {
        let mut iptables = open(Choice::Iptables);
        for (commands, _) in IN_FORWARD {
            others(commands);
            iptables.apply(&wlan0()).unwrap();
            assert_eq!(refusing(Backend::Iptables, &wlan0()), None, "{commands}");
        }
    });
}

#[test]
fn what_is_elsewhere_is_named_by_either() {
    in_netns(|| {
        let security = run("iptables-legacy -t security -S").0;
        for (choice, backend) in
            [(Choice::Nftables, Backend::Nftables), (Choice::Iptables, Backend::Iptables)]
        {
            let mut firewall = open(choice);
            for (commands, part) in ELSEWHERE {
                if commands.contains("security") && !security {
                    continue;
                }
                others(commands);
                firewall.apply(&wlan0()).unwrap();
                let said = refusing(backend, &wlan0()).expect(commands).to_string();
                assert!(said.contains(part), "{commands}: {said:?}");
                assert!(said.contains("accept what comes in or goes out via vm_wlan*"), "{said}");
            }
        }
    });
}

/// What cannot pass in any case is dropped by nobody else; and of several ways out each is asked for.
#[test]
fn it_is_asked_for_each_way_out() {
    in_netns(|| {
        others("$i -A FORWARD -o rmnet1 -j DROP; $i -A FORWARD -i eth+ -j DROP");
        let by = |uplinks: &str| {
            let ruleset = ruleset(&format!("{uplinks}subnet 172.17.0.0/16 gateway 172.17.3.2\n"));
            refusing(Backend::Nftables, &ruleset).map(|fault| fault.text)
        };
        assert_eq!(refusing(Backend::Nftables, &Ruleset::default()), None);
        assert_eq!(by(""), None);
        assert_eq!(by("uplink wlan0\nuplink rmnet*\n"), None);
        assert!(by("uplink rmnet1\n").unwrap().contains("guests send by rmnet1"));
        assert!(by("uplink wlan0\nuplink eth*\n").unwrap().contains("are answered by eth*"));
    });
}
