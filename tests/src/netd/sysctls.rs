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

//! The settings that Android's init and netd make at boot, where the kernel has them.

use std::path::{Path, PathBuf};

use crate::InNetns;

/// What init sets for the device, and netd for the interfaces to come.
const AT_BOOT: &[(&str, &str)] = &[
    ("net/ipv4/fwmark_reflect", "1"),
    ("net/ipv6/fwmark_reflect", "1"),
    ("net/ipv4/tcp_fwmark_accept", "1"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/ping_group_range", "0 2147483647"),
    ("net/ipv6/conf/default/accept_ra", "2"),
    ("net/ipv6/conf/default/accept_ra_rt_table", "-1000"),
    ("net/ipv6/conf/default/accept_ra_rt_info_min_plen", "48"),
    ("net/ipv6/conf/default/accept_ra_rt_info_max_plen", "64"),
    ("net/ipv6/conf/default/optimistic_dad", "1"),
    ("net/ipv6/conf/default/use_optimistic", "1"),
    ("net/ipv6/conf/default/use_oif_addrs_only", "1"),
];

/// The forwarding switch off, and with it no redirects: netd's first act.
const FORWARDING_OFF: &[(&str, &str)] = &[
    ("net/ipv4/ip_forward", "0"),
    ("net/ipv6/conf/all/forwarding", "0"),
    ("net/ipv4/conf/all/accept_redirects", "0"),
    ("net/ipv6/conf/all/accept_redirects", "0"),
    ("net/ipv4/conf/default/accept_redirects", "0"),
    ("net/ipv6/conf/default/accept_redirects", "0"),
];

/// What netd sets for an interface, and what else has no default in a namespace that is not the
/// kernel's first.
const OF_INTERFACE: &[(&str, &str)] = &[
    ("net/ipv4/neigh/IFACE/base_reachable_time_ms", "15000"),
    ("net/ipv6/neigh/IFACE/base_reachable_time_ms", "15000"),
    ("net/ipv4/conf/IFACE/accept_redirects", "0"),
    ("net/ipv6/conf/IFACE/accept_redirects", "0"),
];

/// As netd's InterfaceController does it for all interfaces.
pub(super) fn of_interface(netns: &impl InNetns, name: &str) {
    let own: Vec<_> =
        OF_INTERFACE.iter().map(|(key, value)| (key.replace("IFACE", name), *value)).collect();
    let own: Vec<_> = own.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    write(netns, &own);
}

/// As after init, before netd.
pub(super) fn at_boot(netns: &impl InNetns) {
    write(netns, AT_BOOT);
}

/// As netd's TetherController does it at its start.
pub(super) fn forwarding_off(netns: &impl InNetns) {
    write(netns, FORWARDING_OFF);
}

fn write(netns: &impl InNetns, list: &[(&str, &str)]) {
    let there = |key: &str| -> PathBuf { Path::new("/proc/sys").join(key) };
    netns.enter(|| {
        for (key, value) in list {
            let path = there(key);
            if path.exists() {
                std::fs::write(&path, value).unwrap_or_else(|e| panic!("{key}={value}: {e}"));
            }
        }
    });
}
