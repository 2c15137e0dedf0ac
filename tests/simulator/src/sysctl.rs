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

//! Files under /proc/sys/net and /sys/class/net, as a process in the namespace sees them, and what is
//! announced of them (net/ipv4/devinet.c: `devinet_sysctl_forward()`, `devinet_conf_proc()`).

use crate::announce::{Cause, GROUP_NETCONF};
use crate::conf::{Conf, FORWARDING, NAMES, RP_FILTER};
use crate::kernel::Kernel;
use crate::space::Netns;
use crate::wire::Writer;
use libc::*;
use std::collections::BTreeMap;

const NEWNETCONF: u16 = 80;
const DELNETCONF: u16 = 81;
const IFINDEX: u16 = 1;
const ALL: u32 = -1i32 as u32;
const DEFAULT: u32 = -2i32 as u32;
const ACCEPT_REDIRECTS: usize = 4;
const IPV4: &str = "/proc/sys/net/ipv4/";
const IPV6: &str = "/proc/sys/net/ipv6/conf/";
const LINKS: &str = "/sys/class/net/";

/// Each setting that is announced, and its attribute (linux/netconf.h).
const TOLD: [(usize, u16); 6] = [(FORWARDING, 2), (RP_FILTER, 3), (2, 4), (32, 8), (3, 5), (29, 6)];

/// Files that hold what they are written, from the beginning.
pub fn files() -> BTreeMap<String, String> {
    [
        ("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999"),
        ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "1024"),
        ("/proc/sys/net/netfilter/nf_conntrack_count", "0"),
        ("/proc/sys/net/netfilter/nf_conntrack_max", "65536"),
        ("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", "30"),
        ("/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream", "120"),
        ("/proc/sys/net/netfilter/nf_log/2", "NONE"),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into()
}

/// Whose setting a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    All,
    Default,
    Link(u32),
}

impl Kernel {
    fn conf_of(&self, netns: Netns, name: &str) -> Option<Of> {
        match name {
            "all" => Some(Of::All),
            "default" => Some(Of::Default),
            _ => {
                let links = self.space(netns).links.values();
                let link = links.filter(|link| link.ipv4).find(|link| link.name == name)?;
                Some(Of::Link(link.index))
            }
        }
    }

    fn conf_file(&self, netns: Netns, path: &str) -> Option<(Of, usize)> {
        if path == "/proc/sys/net/ipv4/ip_forward" {
            return Some((Of::All, FORWARDING));
        }
        let (name, key) = path.strip_prefix(IPV4)?.strip_prefix("conf/")?.split_once('/')?;
        let number = NAMES.iter().find(|(other, _)| *other == key)?.1;
        Some((self.conf_of(netns, name)?, number))
    }

    fn no_ipv6_file(&self, netns: Netns, path: &str) -> Option<Of> {
        let (name, key) = path.strip_prefix(IPV6)?.split_once('/')?;
        match (key, name) {
            ("disable_ipv6", "all") => Some(Of::All),
            ("disable_ipv6", "default") => Some(Of::Default),
            ("disable_ipv6", _) => {
                let index = self.space(netns).by_name(name)?;
                let link = self.link(netns, index).ok()?;
                link.ipv6.then_some(Of::Link(index))
            }
            _ => None,
        }
    }

    fn conf(&self, netns: Netns, of: Of) -> &Conf {
        let space = self.space(netns);
        match of {
            Of::All => &space.conf_all,
            Of::Default => &space.conf_default,
            Of::Link(index) => &space.links[&index].conf,
        }
    }

    fn conf_mut(&mut self, netns: Netns, of: Of) -> &mut Conf {
        match of {
            Of::All => &mut self.space_mut(netns).conf_all,
            Of::Default => &mut self.space_mut(netns).conf_default,
            Of::Link(index) => &mut self.link_mut(netns, index).conf,
        }
    }

    /// What a file holds, or an error number.
    pub fn read(&self, netns: Netns, path: &str) -> Result<Vec<u8>, i32> {
        let line = |text: &dyn std::fmt::Display| Ok(format!("{text}\n").into_bytes());
        if let Some((of, number)) = self.conf_file(netns, path) {
            return line(&self.conf(netns, of).get(number));
        }
        if let Some(of) = self.no_ipv6_file(netns, path) {
            let space = self.space(netns);
            return line(&u8::from(match of {
                Of::All => space.no_ipv6.0,
                Of::Default => space.no_ipv6.1,
                Of::Link(index) => space.links[&index].no_ipv6,
            }));
        }
        if let Some(text) = self.space(netns).files.get(path) {
            return line(text);
        }
        let (name, key) = path.strip_prefix(LINKS).and_then(|p| p.split_once('/')).ok_or(ENOENT)?;
        let links = self.space(netns).links.values();
        let link = links.filter(|link| link.born).find(|link| link.name == name).ok_or(ENOENT)?;
        match key {
            "ifindex" => line(&link.index),
            "mtu" => line(&link.mtu),
            "carrier" if !link.is_up() => Err(EINVAL),
            "carrier" => line(&u8::from(link.carrier)),
            "address" => line(&link.mac.map(|byte| format!("{byte:02x}")).join(":")),
            _ => Err(ENOENT),
        }
    }

    /// Writes a file, as root.
    pub fn write(&mut self, netns: Netns, path: &str, data: &[u8]) -> Result<(), i32> {
        let text = String::from_utf8_lossy(data).trim().to_owned();
        if let Some((of, number)) = self.conf_file(netns, path) {
            let value: i32 = text.parse().map_err(|_| EINVAL)?;
            self.set_conf(netns, of, number, value as u32);
            return Ok(());
        }
        if let Some(of) = self.no_ipv6_file(netns, path) {
            let value: i32 = text.parse().map_err(|_| EINVAL)?;
            self.set_no_ipv6(netns, of, value != 0);
            return Ok(());
        }
        match self.space_mut(netns).files.get_mut(path) {
            Some(own) => *own = text,
            None => return Err(ENOENT),
        }
        Ok(())
    }

    /// The names in a directory.
    pub fn list(&self, netns: Netns, path: &str) -> Result<Vec<String>, i32> {
        let links = self.space(netns).links.values();
        let names = links.filter(|link| link.born).map(|link| link.name.clone());
        match path.trim_end_matches('/') {
            "/proc/sys/net/ipv4/conf" | "/proc/sys/net/ipv6/conf" => {
                Ok(["all", "default"].map(String::from).into_iter().chain(names).collect())
            }
            "/sys/class/net" => Ok(names.collect()),
            _ => Err(ENOENT),
        }
    }

    fn set_conf(&mut self, netns: Netns, of: Of, number: usize, value: u32) {
        let before = self.conf(netns, of).get(number);
        self.conf_mut(netns, of).set(number, value);
        if number == FORWARDING {
            if before == value {
                return;
            }
            match of {
                Of::All => self.forward_all(netns, value),
                Of::Default => self.tell_conf(netns, FORWARDING, DEFAULT, value),
                Of::Link(index) => self.tell_conf(netns, FORWARDING, index, value),
            }
            return;
        }
        if of == Of::Default {
            // devinet_copy_dflt_conf()
            for link in self.space_mut(netns).links.values_mut() {
                if !link.conf.is_own(number) {
                    link.conf.values[number] = value;
                }
            }
        }
        // What is announced of those that the kernel has it for.
        let told = [RP_FILTER, 32, 3, 29];
        if before != value && told.contains(&number) {
            let index = match of {
                Of::All => ALL,
                Of::Default => DEFAULT,
                Of::Link(index) => index,
            };
            self.tell_conf(netns, number, index, value);
        }
    }

    /// `inet_forward_change()`.
    fn forward_all(&mut self, netns: Netns, value: u32) {
        let space = self.space_mut(netns);
        space.conf_all.values[ACCEPT_REDIRECTS] = u32::from(value == 0);
        space.conf_default.values[FORWARDING] = value;
        self.tell_conf(netns, FORWARDING, ALL, value);
        self.tell_conf(netns, FORWARDING, DEFAULT, value);
        let links: Vec<u32> =
            self.space(netns).links.values().filter(|l| l.ipv4).map(|l| l.index).collect();
        for index in links {
            self.link_mut(netns, index).conf.set(FORWARDING, value);
            self.tell_conf(netns, FORWARDING, index, value);
        }
    }

    fn set_no_ipv6(&mut self, netns: Netns, of: Of, value: bool) {
        let space = self.space_mut(netns);
        match of {
            Of::All => {
                space.no_ipv6 = (value, value);
                space.links.values_mut().for_each(|link| link.no_ipv6 = value);
            }
            Of::Default => space.no_ipv6.1 = value,
            Of::Link(index) => self.link_mut(netns, index).no_ipv6 = value,
        }
    }

    fn tell_conf(&mut self, netns: Netns, number: usize, index: u32, value: u32) {
        let attribute = TOLD.iter().find(|(other, _)| *other == number).map(|(_, kind)| *kind);
        let Some(attribute) = attribute else { return };
        self.announce(netns, GROUP_NETCONF, NEWNETCONF, Cause::default(), |_| {
            let mut out = body(index);
            out.u32(attribute, value);
            out
        });
    }

    /// An interface has IPv4 now (`__devinet_sysctl_register()`).
    pub(crate) fn netconf_comes(&mut self, netns: Netns, index: u32) {
        self.rules_find(netns, index);
        self.announce(netns, GROUP_NETCONF, NEWNETCONF, Cause::default(), |kernel| {
            let mut out = body(index);
            if let Ok(link) = kernel.link(netns, index) {
                TOLD.iter().for_each(|(number, kind)| out.u32(*kind, link.conf.get(*number)));
            }
            out
        });
    }

    /// It has it no longer.
    pub(crate) fn netconf_goes(&mut self, netns: Netns, index: u32) {
        self.announce(netns, GROUP_NETCONF, DELNETCONF, Cause::default(), |_| body(index));
    }
}

/// `struct netconfmsg` and the interface.
fn body(index: u32) -> Writer {
    let mut out = Writer::after(&[AF_INET as u8]);
    out.u32(IFINDEX, index);
    out
}
