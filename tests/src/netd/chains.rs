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

//! netd's chains, in its order: the transactions with which it makes them at each start. Left out
//! is what upstream kernels lack, the bpf and quota2 matches, and what nothing leads to: the u32
//! matches that look for cleartext.

use super::Variant;

/// Which of the two programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    V4,
    V6,
}

const V4: &[Family] = &[Family::V4];
const V6: &[Family] = &[Family::V6];
const BOTH: &[Family] = &[Family::V4, Family::V6];

/// A text for iptables-restore --noflush: atomic for each table in it.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub family: Family,
    pub text: String,
}

/// A built-in chain and netd's chains in it.
struct Parent {
    families: &'static [Family],
    table: &'static str,
    name: &'static str,
    children: Vec<&'static str>,
    /// Whatever others put there goes.
    exclusive: bool,
}

/// All that netd does to the packet filter when it starts. `hooked`: the built-in chains that it
/// shares have its jumps already and are not to get them twice.
pub(super) fn at_start(variant: Variant, hooked: bool) -> Vec<Transaction> {
    let mut list = Vec::new();
    for parent in parents(variant) {
        for &family in parent.families {
            list.push(Transaction { family, text: parent.text(hooked) });
        }
    }
    let texts: &[(&[Family], &str)] = &[
        (BOTH, "*filter\n:fw_INPUT -\n:fw_OUTPUT -\n:fw_FORWARD -\nCOMMIT\n"),
        (V6, FIREWALL_V6),
        (V4, TETHER_V4),
        (V6, TETHER_V6),
        (V4, TETHER_MSS),
        (BOTH, "*filter\n:tetherctrl_counters -\nCOMMIT\n"),
        (BOTH, BANDWIDTH_FLUSH),
        (BOTH, STRICT),
    ];
    let mut push = |families: &[Family], text: &str| {
        list.extend(families.iter().map(|&family| Transaction { family, text: text.to_owned() }));
    };
    texts.iter().for_each(|(families, text)| push(families, text));
    if variant.has_connmark() {
        push(BOTH, CONNMARK);
    }
    push(BOTH, BANDWIDTH);
    if variant >= Variant::Android13 {
        push(BOTH, BANDWIDTH_MARKS);
    }
    push(BOTH, BANDWIDTH_RAW);
    list
}

/// What TetherController sets up at its start and when the last downstream goes.
pub(super) fn tether_defaults() -> [Transaction; 2] {
    [(Family::V4, TETHER_V4), (Family::V6, TETHER_V6)]
        .map(|(family, text)| Transaction { family, text: text.to_owned() })
}

/// The rules that count what a pair passes: they stay when it ends, and are not added twice.
pub(super) fn tether_counters(down: &str, up: &str) -> [Transaction; 2] {
    let text = format!(
        "*filter\n-A tetherctrl_counters -i {down} -o {up} -j RETURN\n\
         -A tetherctrl_counters -i {up} -o {down} -j RETURN\nCOMMIT\n"
    );
    [Family::V4, Family::V6].map(|family| Transaction { family, text: text.clone() })
}

/// What TetherController adds for the first downstream and its upstream.
pub(super) fn tether_pair(down: &str, up: &str) -> [Transaction; 2] {
    let v4 = format!(
        "*nat\n-A tetherctrl_nat_POSTROUTING -o {up} -j MASQUERADE\nCOMMIT\n\
         *raw\n\
         -A tetherctrl_raw_PREROUTING -p tcp --dport 21 -i {down} -j CT --helper ftp\n\
         -A tetherctrl_raw_PREROUTING -p tcp --dport 1723 -i {down} -j CT --helper pptp\n\
         COMMIT\n\
         *filter\n-A tetherctrl_FORWARD -j bw_global_alert\n\
         -A tetherctrl_FORWARD -i {up} -o {down} -m state --state ESTABLISHED,RELATED \
         -g tetherctrl_counters\n\
         -A tetherctrl_FORWARD -i {down} -o {up} -m state --state INVALID -j DROP\n\
         -A tetherctrl_FORWARD -i {down} -o {up} -g tetherctrl_counters\n\
         -D tetherctrl_FORWARD -j DROP\n\
         -A tetherctrl_FORWARD -j DROP\n\
         COMMIT\n"
    );
    let v6 = format!(
        "*raw\n-A tetherctrl_raw_PREROUTING -i {down} -m rpfilter --invert ! -s fe80::/64 -j DROP\n\
         COMMIT\n\
         *filter\n-A tetherctrl_FORWARD -j bw_global_alert\n\
         -A tetherctrl_FORWARD -g tetherctrl_counters\nCOMMIT\n"
    );
    [Transaction { family: Family::V4, text: v4 }, Transaction { family: Family::V6, text: v6 }]
}

/// The mark that packets get which arrive for the device itself, one text for each family.
pub(super) fn incoming_mark(
    variant: Variant,
    interface: &str,
    mark: u32,
    add: bool,
) -> [Transaction; 2] {
    let verb = if add { "-A" } else { "-D" };
    let mask = variant.incoming_mask();
    let rule = format!("-i {interface} -j MARK --set-mark {mark:#x}/{mask:#x}");
    let text = format!("*mangle\n{verb} routectrl_mangle_INPUT {rule}\nCOMMIT\n");
    [Family::V4, Family::V6].map(|family| Transaction { family, text: text.clone() })
}

impl Parent {
    fn text(&self, hooked: bool) -> String {
        let Self { table, name, .. } = self;
        let mut text = format!("*{table}\n");
        if self.exclusive {
            text += &format!(":{name} -\n-F {name}\n");
        }
        for child in &self.children {
            text += &format!(":{child} -\n");
            if self.exclusive || !hooked {
                text += &format!("-A {name} -j {child}\n");
            }
        }
        text + "COMMIT\n"
    }
}

fn parents(variant: Variant) -> Vec<Parent> {
    let of = |families, table, name, exclusive, children: &[&'static str]| Parent {
        families,
        table,
        name,
        children: children.to_vec(),
        exclusive,
    };
    let mut input = vec!["wakeupctrl_mangle_INPUT", "routectrl_mangle_INPUT"];
    let connmark = variant.has_connmark();
    if connmark {
        input.insert(0, "connmark_mangle_INPUT");
    }
    let [clat, bw] = ["clat_raw_PREROUTING", "bw_raw_PREROUTING"];
    let [idletimer, tether] = ["idletimer_raw_PREROUTING", "tetherctrl_raw_PREROUTING"];
    let raw: &[_] = match variant {
        Variant::Android12 => &[clat, bw, idletimer, tether],
        _ => &[idletimer, bw, tether],
    };
    let local: &[_] = match variant.has_vendor_input() {
        true => &["oem_in", "bw_INPUT", "fw_INPUT"],
        false => &["bw_INPUT", "fw_INPUT"],
    };
    let forward: &[_] = &["oem_fwd", "fw_FORWARD", "bw_FORWARD", "tetherctrl_FORWARD"];
    let output: &[_] = &["oem_out", "fw_OUTPUT", "st_OUTPUT", "bw_OUTPUT"];
    let post: &[_] = &["oem_mangle_post", "bw_mangle_POSTROUTING", "idletimer_mangle_POSTROUTING"];
    let mut list = vec![
        of(BOTH, "filter", "INPUT", true, local),
        of(BOTH, "filter", "FORWARD", true, forward),
        of(BOTH, "raw", "PREROUTING", true, raw),
        of(BOTH, "mangle", "FORWARD", true, &["tetherctrl_mangle_FORWARD"]),
        of(BOTH, "mangle", "INPUT", true, &input),
    ];
    if connmark {
        list.push(of(BOTH, "mangle", "OUTPUT", true, &["connmark_mangle_OUTPUT"]));
    }
    list.extend([
        of(V4, "nat", "PREROUTING", true, &["oem_nat_pre"]),
        of(V4, "nat", "POSTROUTING", true, &["tetherctrl_nat_POSTROUTING"]),
        of(BOTH, "filter", "OUTPUT", false, output),
        of(BOTH, "mangle", "POSTROUTING", false, post),
    ]);
    list
}

const TETHER_V4: &str = "*filter\n:tetherctrl_FORWARD -\n-A tetherctrl_FORWARD -j DROP\nCOMMIT\n\
    *nat\n:tetherctrl_nat_POSTROUTING -\nCOMMIT\n*raw\n:tetherctrl_raw_PREROUTING -\nCOMMIT\n";
const TETHER_V6: &str =
    "*filter\n:tetherctrl_FORWARD -\nCOMMIT\n*raw\n:tetherctrl_raw_PREROUTING -\nCOMMIT\n";
const TETHER_MSS: &str = "*mangle\n-A tetherctrl_mangle_FORWARD -p tcp --tcp-flags SYN SYN \
    -j TCPMSS --clamp-mss-to-pmtu\nCOMMIT\n";
const BANDWIDTH_FLUSH: &str = "*filter\n:bw_INPUT -\n:bw_OUTPUT -\n:bw_FORWARD -\n\
    :bw_happy_box -\n:bw_penalty_box -\n:bw_data_saver -\n:bw_costly_shared -\n\
    :bw_global_alert -\nCOMMIT\n*raw\n:bw_raw_PREROUTING -\nCOMMIT\n\
    *mangle\n:bw_mangle_POSTROUTING -\nCOMMIT\n";
const BANDWIDTH: &str = "*filter\n-A bw_INPUT -j bw_global_alert\n-A bw_INPUT -p esp -j RETURN\n\
    -A bw_INPUT -m mark --mark 0x100000/0x100000 -j RETURN\n\
    -A bw_INPUT -j MARK --or-mark 0x100000\n-A bw_OUTPUT -j bw_global_alert\n\
    -A bw_costly_shared -j bw_penalty_box\n-A bw_penalty_box -j bw_happy_box\n\
    -A bw_happy_box -j bw_data_saver\n-A bw_data_saver -j RETURN\nCOMMIT\n";
const BANDWIDTH_RAW: &str = "*raw\n-A bw_raw_PREROUTING -i ipsec+ -j RETURN\n\
    -A bw_raw_PREROUTING -m policy --pol ipsec --dir in -j RETURN\nCOMMIT\n";
/// Since 13. The mark is clatd's.
const BANDWIDTH_MARKS: &str = "*raw\n-A bw_raw_PREROUTING -m mark --mark 0xdeadc1a7 -j DROP\n\
    COMMIT\n\
    *mangle\n-A bw_mangle_POSTROUTING -o ipsec+ -j RETURN\n\
    -A bw_mangle_POSTROUTING -m policy --pol ipsec --dir out -j RETURN\n\
    -A bw_mangle_POSTROUTING -j MARK --set-mark 0x0/0x100000\nCOMMIT\n";
const FIREWALL_V6: &str = "*filter\n-A fw_OUTPUT -s ::1/128 ! -o lo -j DROP\nCOMMIT\n";
/// Nothing leads into them by default.
const STRICT: &str = "*filter\n:st_OUTPUT -\n:st_penalty_log -\n:st_penalty_reject -\n\
    :st_clear_caught -\n:st_clear_detect -\n-A st_penalty_log -j CONNMARK --or-mark 0x1000000\n\
    -A st_penalty_log -j NFLOG --nflog-group 0\n\
    -A st_penalty_reject -j CONNMARK --or-mark 0x2000000\n\
    -A st_penalty_reject -j NFLOG --nflog-group 0\n-A st_penalty_reject -j REJECT\n\
    -A st_clear_detect -m connmark --mark 0x2000000/0x2000000 -j REJECT\n\
    -A st_clear_detect -m connmark --mark 0x1000000/0x1000000 -j RETURN\n\
    -A st_clear_detect -m connmark --mark 0x1000000/0x1000000 -j RETURN\n\
    -A st_clear_detect -p udp -j st_clear_caught\nCOMMIT\n";
const CONNMARK: &str = "*mangle\n\
    -A connmark_mangle_INPUT -m connmark --mark 0/0xfffff -j CONNMARK --save-mark \
    --ctmask 0xfffff --nfmask 0xfffff\n\
    -A connmark_mangle_OUTPUT -m connmark --mark 0/0xfffff -j CONNMARK --save-mark \
    --ctmask 0xfffff --nfmask 0xfffff\nCOMMIT\n";
