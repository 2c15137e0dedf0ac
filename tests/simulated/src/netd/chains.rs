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

//! netd's chains as its controllers make them at each start: those of the tables that guestnetd has its own in
//! (tests/src/netd/chains.rs has them all). What it has in `raw` and `mangle` only marks what guests send, and is
//! left out; so are rules that nothing of a guest's comes to.

/// A program and what it reads: one transaction of netd's.
pub type Transaction = (&'static str, String);

/// Which chains of hooks have which of netd's; those that it calls its own it empties first.
const PARENTS: [(bool, &str, &str, bool, &[&str]); 7] = [
    (false, "filter", "INPUT", true, &["oem_in", "bw_INPUT", "fw_INPUT"]),
    (true, "filter", "INPUT", true, &["oem_in", "bw_INPUT", "fw_INPUT"]),
    (false, "filter", "FORWARD", true, &FORWARD),
    (true, "filter", "FORWARD", true, &FORWARD),
    (false, "nat", "PREROUTING", true, &["oem_nat_pre"]),
    (false, "nat", "POSTROUTING", true, &["tetherctrl_nat_POSTROUTING"]),
    (false, "filter", "OUTPUT", false, &["oem_out", "fw_OUTPUT", "st_OUTPUT", "bw_OUTPUT"]),
];
const FORWARD: [&str; 4] = ["oem_fwd", "fw_FORWARD", "bw_FORWARD", "tetherctrl_FORWARD"];

/// What its controllers put there, of either family.
const TETHER: [(bool, &str); 2] = [
    (
        false,
        "*filter\n:tetherctrl_FORWARD -\n-A tetherctrl_FORWARD -j DROP\nCOMMIT\n\
         *nat\n:tetherctrl_nat_POSTROUTING -\nCOMMIT\n",
    ),
    (true, "*filter\n:tetherctrl_FORWARD -\nCOMMIT\n"),
];
const BANDWIDTH: &str =
    "*filter\n:tetherctrl_counters -\n:bw_INPUT -\n:bw_OUTPUT -\n:bw_FORWARD -\n\
    :bw_global_alert -\n-A bw_INPUT -j bw_global_alert\n-A bw_OUTPUT -j bw_global_alert\nCOMMIT\n";

fn program(v6: bool) -> &'static str {
    if v6 {
        "ip6tables-restore"
    } else {
        "iptables-restore"
    }
}

/// All that netd does to the packet filter when it starts. `sixteen`: vendors have a chain in INPUT, as from
/// Android 16 on. `hooked`: the chains that it shares have its jumps already.
pub fn at_start(sixteen: bool, hooked: bool) -> Vec<Transaction> {
    let mut all = Vec::new();
    for (v6, table, name, exclusive, children) in PARENTS {
        let mut text = format!("*{table}\n");
        if exclusive {
            text += &format!(":{name} -\n-F {name}\n");
        }
        for child in children.iter().filter(|child| sixteen || **child != "oem_in") {
            text += &format!(":{child} -\n");
            if exclusive || !hooked {
                text += &format!("-A {name} -j {child}\n");
            }
        }
        all.push((program(v6), text + "COMMIT\n"));
    }
    all.extend(tether_defaults());
    all.extend([false, true].map(|v6| (program(v6), BANDWIDTH.to_owned())));
    all
}

/// What there is while nothing is tethered.
pub fn tether_defaults() -> Vec<Transaction> {
    TETHER.map(|(v6, text)| (program(v6), text.to_owned())).into()
}

/// What a hotspot and its upstream have; its packets are counted elsewhere.
pub fn tether_pair(down: &str, up: &str) -> Vec<Transaction> {
    let v4 = format!(
        "*nat\n-A tetherctrl_nat_POSTROUTING -o {up} -j MASQUERADE\nCOMMIT\n\
         *filter\n-A tetherctrl_FORWARD -j bw_global_alert\n\
         -A tetherctrl_FORWARD -i {up} -o {down} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN\n\
         -A tetherctrl_FORWARD -i {down} -o {up} -m conntrack --ctstate INVALID -j DROP\n\
         -A tetherctrl_FORWARD -i {down} -o {up} -j RETURN\n\
         -D tetherctrl_FORWARD -j DROP\n-A tetherctrl_FORWARD -j DROP\nCOMMIT\n"
    );
    vec![("iptables-restore", v4)]
}
