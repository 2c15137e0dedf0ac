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

//! The command line.

use crate::api::{Allowed, AllowedUid};
use crate::daemon::Config;
use crate::effects::firewall;
use crate::effects::platform::ndc::Ndc;
use crate::model::uplink;
use crate::serve::dns::{self, Zone};
use clap::Parser;
use guestnet_platform::Endpoint;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the state is kept: a tmpfs on Linux; Android has none for services, so there the boot id
/// in every file does what a tmpfs would.
const STATE_DIR: &str =
    if cfg!(target_os = "android") { "/data/misc/guestnet" } else { "/run/guestnet" };

/// The zone of guests' own names. A device's own names are the platform's matter.
const GUEST_ZONE: &str = if cfg!(target_os = "android") { "none" } else { "guest" };

/// Where the device says which resolvers it uses; Android says it to nobody but netd.
const RESOLV_CONF: Option<&str> =
    if cfg!(target_os = "android") { None } else { Some("/etc/resolv.conf") };

/// Gives guests (LXC containers, VMs) their network: a link, addresses, NAT, forwarding.
///
/// Ends on SIGTERM; guests keep their network, and the next start takes them over.
#[derive(Debug, Parser)]
#[command(
    name = "guestnetd",
    version,
    about,
    after_help = "Clients: guestnetctl, or the Binder interface android.system.guestnet.IGuestNet."
)]
pub struct Args {
    /// The configuration file: these options are its keys, without dashes in front, and [guest.NAME] says
    /// what a guest of that name gets [default: /etc/guestnet/guestnetd.toml, which need not be there]
    #[cfg(not(target_os = "android"))]
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    pub config: Option<PathBuf>,

    /// Check a configuration file, and start nothing [default: that of --config]
    #[cfg(not(target_os = "android"))]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub check_config: Option<Option<PathBuf>>,

    /// Where to listen: unix://PATH, or binder:// for the kernel driver
    #[arg(long, value_name = "URI", default_value_t = Endpoint::platform_default())]
    pub listen: Endpoint,

    /// The device's way out: an interface, the first of a list (wlan0,rmnet*) that carries a default
    /// route, or "default": the one that the kernel routes packets to the internet through
    #[arg(long, value_name = "NAMES", default_value = "wlan0")]
    pub uplink: uplink::Choice,

    /// How to program the packet filter: auto, nftables or iptables
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub firewall: firewall::Choice,

    /// The iptables to use, such as Android's wrapper; ip6tables is expected beside it [default: iptables
    /// of PATH; on Android iptables-wrapper-1.0, or iptables where that may be run]
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    pub iptables: Option<PathBuf>,

    /// Where to keep what must survive a restart of guestnetd
    #[arg(long, value_name = "DIR", default_value = STATE_DIR, value_parser = absolute)]
    pub state_dir: PathBuf,

    /// A uid that may call, beside root (on Android: and system); may be given again. UID may do
    /// everything: give any process of the device a network, and remove any guest's. UID:own may
    /// only name processes and network namespaces of its own, and see and change its own guests
    /// [default: nobody else]
    #[arg(long, value_name = "UID[:own]")]
    pub allow_uid: Vec<AllowedUid>,

    /// Leave net.ipv4.ip_forward on when the last guest is gone [default: give it back]
    #[arg(long)]
    pub keep_forwarding: bool,

    /// Ask netd for forwarding through this program, instead of writing net.ipv4.ip_forward [default: on
    /// Android ndc-wrapper-1.0 or ndc; none elsewhere]
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    pub ndc: Option<PathBuf>,

    /// Where netd's resolver listens: asked for guests' names on a device that netd routes
    #[arg(long, value_name = "SOCKET", default_value = dns::netd::SOCKET, value_parser = absolute)]
    pub dnsproxyd: PathBuf,

    /// The zone of guests' own names, where guestnetd's forwarder answers: BOX.guest and its PTR, for BOX
    /// itself, and _gateway.guest; none: there is no such zone
    #[arg(long, value_name = "ZONE", default_value = GUEST_ZONE, value_parser = zone)]
    pub guest_zone: std::option::Option<Zone>,

    /// A resolver for guests' questions where none is known for the uplink; may be given again
    /// [default: none]
    #[arg(long, value_name = "ADDRESS", value_parser = resolver)]
    pub dns: Vec<Ipv4Addr>,

    /// The file that names the device's own resolvers [default: /etc/resolv.conf; none on Android]
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    pub resolv_conf: Option<PathBuf>,

    /// Entries that one guest may have in conntrack, with what it opens in a second; 0: no limit
    #[arg(long, value_name = "NUMBER", default_value_t = 4096)]
    pub guest_connections: u32,

    /// Compare everything with what it should be this often while there are guests, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60",
          value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub check_every: u64,
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let complain = || format!("{text:?} is not an absolute path");
    path.is_absolute().then_some(path).ok_or_else(complain)
}

fn zone(text: &str) -> Result<Option<Zone>, String> {
    match text {
        "none" => Ok(None),
        zone => zone.parse().map(Some),
    }
}

fn resolver(text: &str) -> Result<Ipv4Addr, String> {
    let unusable = |a: &Ipv4Addr| {
        a.is_loopback() || a.is_unspecified() || a.is_multicast() || a.is_broadcast()
    };
    text.parse().ok().filter(|address| !unusable(address)).ok_or_else(|| {
        format!("{text:?} is not an IPv4 address of a resolver that guests can reach")
    })
}

impl Args {
    /// Whether programs are run that change to a domain of their own, as Android's wrappers do.
    pub fn runs_wrappers(&self) -> bool {
        self.iptables.is_some() || self.ndc.is_some() || Ndc::of_the_platform().is_some()
    }

    /// Who may call.
    pub fn allowed(&self) -> Allowed {
        Allowed::new(self.allow_uid.iter().copied())
    }

    /// How the owner is to run.
    pub fn config(&self) -> Config {
        Config {
            uplink: self.uplink.clone(),
            firewall: firewall::Options { choice: self.firewall, iptables: self.iptables.clone() },
            state_dir: self.state_dir.clone(),
            keep_forwarding: self.keep_forwarding,
            ndc: self.ndc.clone().or_else(|| Some(Ndc::of_the_platform()?.0)),
            dnsproxyd: self.dnsproxyd.clone(),
            guest_zone: self.guest_zone.clone(),
            resolvers: self.dns.clone(),
            resolv_conf: self.resolv_conf.clone().or(RESOLV_CONF.map(PathBuf::from)),
            connections: self.guest_connections,
            check_every: Duration::from_secs(self.check_every),
        }
    }
}
