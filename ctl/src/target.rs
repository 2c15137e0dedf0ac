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

//! From the command line to the contract's GuestConfig and GuestTarget. Opens what the user
//! names; judges nothing: guestnetd does, and its words are the ones the user sees.

use crate::cli::{Answers, Command, ConfigArgs, GuestArgs, LivesBy, TargetArgs};
use crate::dns_mode::Dns;
use crate::exit::{Exit, Failure};
use crate::vpn::Vpn;
use android_system_guestnet::aidl::android::system::guestnet::{
    Guest::Guest, GuestConfig::GuestConfig, GuestField::GuestField, GuestKind::GuestKind,
    GuestTarget::GuestTarget, TargetKind::TargetKind,
};
use binder::ParcelFileDescriptor;
use nix::libc;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The configuration: the contract's defaults, but for what was given.
pub fn config(name: &str, args: &ConfigArgs) -> GuestConfig {
    let default = GuestConfig::default();
    let said = Vpn::said(args.vpn.as_ref(), args.no_uplink);
    let (vpn, tun) = said.map_or((default.vpnPolicy, default.uplink), |vpn| vpn.wire());
    let (dns, servers) =
        args.dns_mode.as_ref().map_or((default.dns, default.dnsServers), Dns::wire);
    GuestConfig {
        name: name.to_owned(),
        interfaceName: args.interface.clone().unwrap_or(default.interfaceName),
        addresses: args.address.iter().cloned().collect(),
        gateway: args.gateway.clone().unwrap_or(default.gateway),
        prefixLength: args.prefix.unwrap_or(default.prefixLength),
        mtu: args.mtu.unwrap_or(default.mtu),
        kind: if args.segment.is_some() { GuestKind::BRIDGED } else { default.kind },
        vpnPolicy: vpn,
        uplink: tun,
        keep: args.keep,
        lifeline: args.lifeline.map_or(default.lifeline, LivesBy::wire),
        leaseMillis: args.lease.map_or(default.leaseMillis, millis),
        dhcp: args.dhcp.map_or(default.dhcp, Answers::wire),
        dns,
        dnsServers: servers,
        queues: default.queues,
        given: given(args),
        segment: args.segment.clone(),
    }
}

/// What is said on the command line is so, also where it says the default: guestnetd's file has no say then.
fn given(args: &ConfigArgs) -> Vec<GuestField> {
    let all = [
        (GuestField::INTERFACE_NAME, args.interface.is_some()),
        (GuestField::ADDRESSES, args.address.is_some()),
        (GuestField::GATEWAY, args.gateway.is_some()),
        (GuestField::PREFIX_LENGTH, args.prefix.is_some()),
        (GuestField::MTU, args.mtu.is_some()),
        (GuestField::VPN_POLICY, args.vpn.is_some() || args.no_uplink),
        (GuestField::DNS, args.dns_mode.is_some()),
        (GuestField::KEEP, args.keep),
        (GuestField::LIFELINE, args.lifeline.is_some()),
        (GuestField::LEASE, args.lease.is_some()),
        (GuestField::DHCP, args.dhcp.is_some()),
        (GuestField::SEGMENT, args.segment.is_some()),
    ];
    all.into_iter().filter_map(|(field, is)| is.then_some(field)).collect()
}

/// Of seconds; guestnetd judges the number.
fn millis(seconds: i64) -> i64 {
    seconds.saturating_mul(1000)
}

/// All of what a live guest should have: what it has, but for what was given.
pub fn updated(
    has: &Guest,
    address: Option<&str>,
    mtu: Option<i32>,
    vpn: Option<&Vpn>,
    dns: Option<&Dns>,
    lease: Option<i64>,
    dhcp: Option<Answers>,
) -> GuestConfig {
    // Every address that guestnetd tells has it.
    let length = has.addresses.first().and_then(|text| text.split_once('/')?.1.parse().ok());
    let (policy, tun) = vpn.map_or((has.vpnPolicy, has.uplink.clone()), Vpn::wire);
    let (dns, servers) = dns.map_or_else(|| Dns::of(has), Dns::wire);
    GuestConfig {
        name: has.name.clone(),
        kind: has.kind,
        interfaceName: has.interfaceName.clone(),
        // None: the one that it has.
        addresses: address.map(str::to_owned).into_iter().collect(),
        gateway: has.gateway.clone(),
        prefixLength: length.unwrap_or(GuestConfig::default().prefixLength),
        mtu: mtu.unwrap_or(has.configuredMtu),
        vpnPolicy: policy,
        uplink: tun,
        keep: has.keep,
        lifeline: has.lifeline,
        leaseMillis: lease.map_or(has.leaseMillis, millis),
        dhcp: dhcp.map_or(has.dhcp, Answers::wire),
        dns,
        dnsServers: servers,
        queues: has.queues,
        given: GuestField::enum_values().to_vec(),
        segment: has.segment.clone(),
    }
}

/// The same, where what can change and the command does not say is for guestnetd's file to say.
pub fn left_to_section(config: GuestConfig, command: &Command) -> GuestConfig {
    let Command::Update { address, mtu, vpn, no_uplink, dns_mode, lease, dhcp, .. } = command
    else {
        return config;
    };
    let default = GuestConfig::default();
    let mut left = config;
    let mut leave = |field, said: bool, reset: &dyn Fn(&mut GuestConfig)| {
        if !said {
            reset(&mut left);
            left.given.retain(|one| *one != field);
        }
    };
    leave(GuestField::ADDRESSES, address.is_some(), &|_| ());
    leave(GuestField::MTU, mtu.is_some(), &|config| config.mtu = default.mtu);
    leave(GuestField::VPN_POLICY, vpn.is_some() || *no_uplink, &|config| {
        (config.vpnPolicy, config.uplink) = (default.vpnPolicy, None);
    });
    leave(GuestField::KEEP, false, &|config| config.keep = default.keep);
    leave(GuestField::LEASE, lease.is_some(), &|config| config.leaseMillis = default.leaseMillis);
    leave(GuestField::DHCP, dhcp.is_some(), &|config| config.dhcp = default.dhcp);
    leave(GuestField::DNS, dns_mode.is_some(), &|config| {
        (config.dns, config.dnsServers) = (default.dns, Vec::new());
    });
    left
}

/// What attach, plan and check are asked about.
pub fn asked(guest: &GuestArgs) -> Result<(GuestConfig, GuestTarget), Failure> {
    let config = config(guest.name.get(), &guest.config);
    if guest.target.tap {
        let queues = guest.queues.unwrap_or(config.queues);
        let target = GuestTarget { kind: TargetKind::NONE, ..GuestTarget::default() };
        let mut given = config.given.clone();
        given.extend(guest.queues.map(|_| GuestField::QUEUES));
        return Ok((GuestConfig { kind: GuestKind::TAP, queues, given, ..config }, target));
    }
    Ok((config, target(&guest.target)?))
}

/// The target that was given; clap sees to it that it is exactly one.
pub fn target(args: &TargetArgs) -> Result<GuestTarget, Failure> {
    match (&args.netns, args.pid) {
        (Some(path), _) => of_netns(path),
        (None, Some(pid)) => Ok(of_pid(pid)),
        (None, None) => Err(Failure::new(Exit::Usage, "give --pid, --netns or --tap")),
    }
}

/// A process, by a pidfd, so that no other process can come to its pid. Where none can be had
/// (a kernel without pidfd_open, a pid of nobody), by its number: guestnetd names the cause.
pub fn of_pid(pid: i32) -> GuestTarget {
    match pidfd_open(pid) {
        Ok(fd) => {
            GuestTarget { kind: TargetKind::PIDFD, fd: Some(ParcelFileDescriptor::new(fd)), pid }
        }
        Err(_) => GuestTarget { kind: TargetKind::PID, fd: None, pid },
    }
}

/// Where ip-netns(8) keeps the namespaces that have names.
const NAMED: &str = "/run/netns";

/// A word without a slash is a name, as ip-netns(8) means it.
fn file_of(named: &Path) -> PathBuf {
    let is_name = !named.as_os_str().as_encoded_bytes().contains(&b'/');
    if is_name {
        Path::new(NAMED).join(named)
    } else {
        named.to_owned()
    }
}

fn of_netns(named: &Path) -> Result<GuestTarget, Failure> {
    let path = file_of(named);
    let file = OpenOptions::new()
        .read(true)
        // A FIFO without a writer would hold us for good.
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .map_err(|e| {
            let step = "give a name that `ip netns` lists, or a file such as /proc/PID/ns/net";
            Failure::new(Exit::BadInput, format!("--netns {}: {e}; {step}", path.display()))
        })?;
    let fd = Some(ParcelFileDescriptor::new(OwnedFd::from(file)));
    Ok(GuestTarget { kind: TargetKind::NETNS, fd, pid: 0 })
}

fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match RawFd::try_from(fd) {
        // SAFETY: the kernel has just given us this descriptor; nobody else has it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use android_system_guestnet::aidl::android::system::guestnet::{
        Dhcp::Dhcp, DnsMode::DnsMode, Lifeline::Lifeline, VpnPolicy::VpnPolicy,
    };
    use std::os::fd::AsRawFd;

    #[test]
    fn what_is_given_replaces_the_default_and_nothing_else() {
        let plain = config("demo", &ConfigArgs::default());
        let expected = GuestConfig { name: "demo".to_owned(), ..GuestConfig::default() };
        assert_eq!(format!("{plain:?}"), format!("{expected:?}"));
        let args = ConfigArgs {
            interface: Some("eth7".to_owned()),
            address: Some("10.0.0.3".to_owned()),
            gateway: Some("10.0.0.1".to_owned()),
            prefix: Some(24),
            mtu: Some(1400),
            vpn: Some(Vpn::Tun("tun0".to_owned())),
            no_uplink: false,
            keep: true,
            lifeline: Some(LivesBy::Namespace),
            lease: Some(60),
            dhcp: Some(Answers::Off),
            dns_mode: Some(Dns::Servers(vec!["9.9.9.9".to_owned()])),
            segment: Some("cockpit".to_owned()),
        };
        let expected = GuestConfig {
            name: "demo".to_owned(),
            kind: GuestKind::BRIDGED,
            segment: Some("cockpit".to_owned()),
            interfaceName: "eth7".to_owned(),
            addresses: vec!["10.0.0.3".to_owned()],
            gateway: "10.0.0.1".to_owned(),
            prefixLength: 24,
            mtu: 1400,
            vpnPolicy: VpnPolicy::NAMED_TUN,
            uplink: Some("tun0".to_owned()),
            keep: true,
            lifeline: Lifeline::NAMESPACE,
            leaseMillis: 60_000,
            dhcp: Dhcp::OFF,
            dns: DnsMode::SERVERS,
            dnsServers: vec!["9.9.9.9".to_owned()],
            given: given(&args),
            ..GuestConfig::default()
        };
        assert_eq!(format!("{:?}", config("demo", &args)), format!("{expected:?}"));
    }

    #[test]
    fn an_update_keeps_what_is_not_given() {
        let has = Guest {
            name: "demo".to_owned(),
            interfaceName: "eth7".to_owned(),
            gateway: "10.0.0.1".to_owned(),
            addresses: vec!["10.0.0.3/24".to_owned()],
            mtu: 1500,
            configuredMtu: -1,
            vpnPolicy: VpnPolicy::NAMED_TUN,
            uplink: Some("tun0".to_owned()),
            dns: DnsMode::FORWARD,
            ..Guest::default()
        };
        let kept = || GuestConfig {
            name: "demo".to_owned(),
            interfaceName: "eth7".to_owned(),
            gateway: "10.0.0.1".to_owned(),
            prefixLength: 24,
            vpnPolicy: VpnPolicy::NAMED_TUN,
            uplink: Some("tun0".to_owned()),
            dns: DnsMode::FORWARD,
            given: GuestField::enum_values().to_vec(),
            ..GuestConfig::default()
        };
        let same = |ours: GuestConfig, wanted: GuestConfig| {
            assert_eq!(format!("{ours:?}"), format!("{wanted:?}"));
        };
        same(updated(&has, None, None, None, None, None, None), kept());
        let off = GuestConfig { dhcp: Dhcp::OFF, ..kept() };
        same(updated(&has, None, None, None, None, None, Some(Answers::Off)), off);
        let auto = Dns::Mode(DnsMode::AUTO);
        let dns = DnsMode::AUTO;
        let config = GuestConfig { dns, ..kept() };
        same(updated(&has, None, None, None, Some(&auto), None, None), config);
        same(
            updated(&has, None, Some(1400), None, None, None, None),
            GuestConfig { mtu: 1400, ..kept() },
        );
        let moved = updated(&has, Some("10.0.0.9"), None, Some(&Vpn::Block), None, None, None);
        let policy = VpnPolicy::BLOCK_UNDER_LOCKDOWN;
        let addresses = vec!["10.0.0.9".to_owned()];
        same(moved, GuestConfig { addresses, vpnPolicy: policy, uplink: None, ..kept() });
    }

    #[test]
    fn what_an_update_leaves_to_the_section_is_not_given() {
        let line = "guestnetctl update demo --section --vpn follow --address 10.0.0.9";
        let cli = <crate::cli::Cli as clap::Parser>::try_parse_from(line.split(' ')).unwrap();
        let has =
            Guest { name: "demo".to_owned(), configuredMtu: 1300, keep: true, ..Guest::default() };
        let asked = updated(&has, Some("10.0.0.9"), None, Some(&Vpn::Follow), None, None, None);
        let left = left_to_section(asked, &cli.command);
        assert_eq!((left.mtu, left.keep), (-1, false));
        for field in GuestField::enum_values() {
            use GuestField as F;
            let open = [F::MTU, F::KEEP, F::LEASE, F::DHCP, F::DNS].contains(&field);
            assert_eq!(left.given.contains(&field), !open, "{field:?}");
        }
    }

    #[test]
    fn a_tap_has_no_target() {
        for (given, queues) in [(None, 1), (Some(2), 2), (Some(17), 17)] {
            let target = TargetArgs { tap: true, ..TargetArgs::default() };
            let args = GuestArgs { target, queues: given, ..GuestArgs::default() };
            let (config, target) = asked(&args).unwrap();
            assert_eq!((config.kind, config.queues), (GuestKind::TAP, queues));
            assert_eq!(target.kind, TargetKind::NONE);
        }
    }

    #[test]
    fn a_live_pid_becomes_a_pidfd_and_no_pid_stays_a_number() {
        let own = i32::try_from(std::process::id()).unwrap();
        let target = of_pid(own);
        assert_eq!((target.kind, target.pid), (TargetKind::PIDFD, own));
        let fd = target.fd.unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
        assert!(link.to_string_lossy().contains("pidfd"), "{link:?}");
        for pid in [0, -1, i32::MIN, i32::MAX] {
            let target = of_pid(pid);
            assert_eq!((target.kind, target.pid), (TargetKind::PID, pid));
            assert!(target.fd.is_none());
        }
    }

    #[test]
    fn a_netns_is_opened_and_a_missing_one_named() {
        let args = |path: &str| TargetArgs { netns: Some(path.into()), ..TargetArgs::default() };
        let target = target(&args("/proc/self/ns/net")).unwrap();
        assert_eq!(target.kind, TargetKind::NETNS);
        assert!(target.fd.is_some());
        let at = |named: &str| file_of(Path::new(named)).display().to_string();
        assert_eq!(at("lab"), "/run/netns/lab");
        assert_eq!(at("./lab"), "./lab");
        assert_eq!(at("/proc/1/ns/net"), "/proc/1/ns/net");
        let failure = super::target(&args("/nonexistent/ns")).unwrap_err();
        assert_eq!(failure.exit, Exit::BadInput);
        let message =
            "--netns /nonexistent/ns: No such file or directory (os error 2); give a name that";
        assert!(failure.message.starts_with(message), "{failure}");
    }
}
