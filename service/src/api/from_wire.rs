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

//! From the wire to types that cannot hold a bad value.

use super::sections::{Section, FIELDS};
use crate::doctor::targets::Targets;
use crate::effects::kernel::netns::target::Named;
use crate::error::{Error, TargetError};
use crate::spec::{
    asked, portal, resolver, DeviceState, Dns, GuestName, GuestSpec, IfName, Kind, Queues,
    SegmentName, SpecError, UplinkInfo, VpnPolicy, MAX_TEXT, MOST_RESOLVERS,
};
use android_system_guestnet::aidl::android::system::guestnet::{
    DeviceState::DeviceState as WireDeviceState, Dhcp::Dhcp, DiagnoseOptions::DiagnoseOptions,
    DnsMode::DnsMode, GuestConfig::GuestConfig, GuestField::GuestField, GuestKind::GuestKind,
    GuestTarget::GuestTarget, Lifeline::Lifeline, TargetKind::TargetKind,
    UplinkInfo::UplinkInfo as WireUplinkInfo, VpnPolicy::VpnPolicy as Wire,
};
use binder::ParcelFileDescriptor;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

// What the contract has and this version has not.
const IPV6: &str = "an IPv6 address (GuestConfig.addresses)";
const SECOND: &str = "a second address (GuestConfig.addresses)";
// A VM's own side cannot be seen.
const KEPT_TAP: &str = "GuestConfig.keep with GuestKind.TAP";

/// All of it, for `info()`.
pub const UNSUPPORTED: [&str; 3] = [IPV6, SECOND, KEPT_TAP];

/// What a configuration asks for that this version has not.
pub fn unsupported(config: &GuestConfig) -> Option<&'static str> {
    match config.kind {
        GuestKind::TAP if config.keep => Some(KEPT_TAP),
        _ if config.addresses.iter().any(|text| parsed(text).is_some_and(is_ipv6)) => Some(IPV6),
        _ if config.addresses.len() > 1 => Some(SECOND),
        _ => None,
    }
}

/// What is said of that.
pub fn not_supported(what: &str) -> String {
    format!("{what} is not supported by this version of guestnetd")
}

/// The address of "ADDRESS" or "ADDRESS/LENGTH", and its length.
fn parsed(text: &str) -> Option<(IpAddr, Option<&str>)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    Some((address.parse().ok()?, length))
}

fn is_ipv6((address, _): (IpAddr, Option<&str>)) -> bool {
    address.is_ipv6()
}

/// The guest's address, where one is asked for.
fn address(config: &GuestConfig) -> Result<Option<Ipv4Addr>, SpecError> {
    let Some(text) = config.addresses.first() else { return Ok(None) };
    let Some((IpAddr::V4(address), length)) = parsed(text) else {
        return Err(SpecError::Address { what: "address", text: start_of(text) });
    };
    match length {
        Some(length) if length != config.prefixLength.to_string() => {
            Err(SpecError::Length { text: start_of(text), subnet: config.prefixLength })
        }
        _ => Ok(Some(address)),
    }
}

/// A guest's name.
pub fn name(text: &str) -> Result<GuestName, SpecError> {
    GuestName::new(text).ok_or_else(|| SpecError::Name(start_of(text)))
}

/// Where probes go.
pub fn targets(options: &DiagnoseOptions) -> Result<Targets, SpecError> {
    let targets = Targets::new(&options.targets, &options.url, &options.name)?;
    Ok(Targets { trace: options.trace, ..targets })
}

/// As much of a text as helps to know it again.
fn start_of(text: &str) -> String {
    match text.char_indices().nth(80) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

/// What a guest of this name is that nothing is said of but in a section, or why there can be none.
pub fn section(name: &GuestName, section: &Section) -> Result<GuestSpec, Error> {
    let bare = GuestConfig { name: name.as_str().to_owned(), ..GuestConfig::default() };
    let (config, _) = section.complete(&bare);
    match unsupported(&config) {
        Some(what) => Err(Error::Unsupported(not_supported(what))),
        None => Ok(spec(&config, 0)?),
    }
}

/// A configuration of a caller's with this uid.
pub fn spec(config: &GuestConfig, uid: u32) -> Result<GuestSpec, SpecError> {
    let texts = [&config.name, &config.interfaceName, &config.gateway];
    let given = texts.into_iter().chain(&config.addresses).chain(&config.uplink);
    let given = given.chain(&config.segment);
    let given = given.chain(&config.dnsServers);
    let size = given.map(|text| text.len()).sum::<usize>();
    if size > MAX_TEXT {
        return Err(SpecError::TooLarge(size));
    }
    let unknown = |what, value| Err(SpecError::Unknown { what, value });
    let kind = match (config.kind, Queues::new(config.queues)) {
        (GuestKind::VETH | GuestKind::BRIDGED, Some(Queues::ONE)) => Kind::Veth,
        (GuestKind::TAP, Some(queues)) => Kind::Tap { queues, owner: uid },
        (GuestKind::VETH | GuestKind::BRIDGED | GuestKind::TAP, _) => {
            return Err(SpecError::Queues(config.queues))
        }
        (other, _) => return unknown("GuestKind", other.0),
    };
    if let Some(field) = config.given.iter().find(|field| !is_field(**field)) {
        return unknown("GuestField", field.0);
    }
    let vpn = vpn_policy(config.vpnPolicy, config.uplink.as_deref())?;
    let outlives_process = match config.lifeline {
        Lifeline::TARGET => false,
        Lifeline::NAMESPACE => true,
        other => return unknown("Lifeline", other.0),
    };
    let dhcp = match config.dhcp {
        Dhcp::AUTO => true,
        Dhcp::OFF => false,
        other => return unknown("Dhcp", other.0),
    };
    let gateway = config
        .gateway
        .parse()
        .map_err(|_| SpecError::Address { what: "gateway", text: start_of(&config.gateway) })?;
    let interface = IfName::new(&config.interfaceName)
        .ok_or_else(|| SpecError::Interface(start_of(&config.interfaceName)))?;
    let spec = GuestSpec::new(
        name(&config.name)?,
        interface,
        address(config)?,
        gateway,
        config.prefixLength,
        config.mtu,
    )?
    .under(vpn)?
    .lives(outlives_process, config.leaseMillis)?
    .on(segment(config)?)
    .connected(kind)?;
    Ok(spec.kept(config.keep).asks(dns(config)?).with_dhcp(dhcp))
}

fn is_field(field: GuestField) -> bool {
    FIELDS.iter().any(|(one, _)| *one == field)
}

/// The segment that a guest of this kind is on.
fn segment(config: &GuestConfig) -> Result<Option<SegmentName>, SpecError> {
    match (config.kind, config.segment.as_deref()) {
        (GuestKind::BRIDGED, None) => Err(SpecError::SegmentKind("BRIDGED")),
        (GuestKind::VETH, Some(_)) => Err(SpecError::SegmentKind("VETH")),
        (_, None) => Ok(None),
        (_, Some(text)) => match SegmentName::new(text) {
            Some(name) => Ok(Some(name)),
            None => Err(SpecError::Segment(start_of(text))),
        },
    }
}

/// Where a guest's questions for names go, and the servers that belong to one of these.
fn dns(config: &GuestConfig) -> Result<Dns, SpecError> {
    let servers = &config.dnsServers;
    if servers.len() > MOST_RESOLVERS {
        return Err(SpecError::TooManyResolvers(servers.len()));
    }
    match (config.dns, servers.is_empty()) {
        (DnsMode::AUTO, true) => Ok(Dns::Auto),
        (DnsMode::DNAT, true) => Ok(Dns::Dnat),
        (DnsMode::FORWARD, true) => Ok(Dns::Forward),
        (DnsMode::SERVERS, false) => {
            let one = |text: &String| {
                asked(text).map_err(|why| SpecError::Resolver { text: start_of(text), why })
            };
            Ok(Dns::Servers(servers.iter().map(one).collect::<Result<_, _>>()?))
        }
        (DnsMode::AUTO | DnsMode::DNAT | DnsMode::FORWARD | DnsMode::SERVERS, _) => {
            Err(SpecError::Servers)
        }
        (other, _) => Err(SpecError::Unknown { what: "DnsMode", value: other.0 }),
    }
}

/// A policy, and the way out that belongs to one of them.
fn vpn_policy(policy: Wire, uplink: Option<&str>) -> Result<VpnPolicy, SpecError> {
    let stray = |text: &str| Err(SpecError::StrayTun(start_of(text)));
    match (policy, uplink) {
        (Wire::NAMED_TUN, Some(text)) => {
            IfName::new(text).map(VpnPolicy::NamedTun).ok_or_else(|| SpecError::Tun(start_of(text)))
        }
        (Wire::NAMED_TUN, None) => Err(SpecError::NoTun),
        (Wire::FOLLOW_UPLINK | Wire::BLOCK_UNDER_LOCKDOWN | Wire::NO_UPLINK, Some(text)) => {
            stray(text)
        }
        (Wire::NO_UPLINK, None) => Ok(VpnPolicy::NoUplink),
        (Wire::FOLLOW_UPLINK, None) => Ok(VpnPolicy::FollowUplink),
        (Wire::BLOCK_UNDER_LOCKDOWN, None) => Ok(VpnPolicy::BlockUnderLockdown),
        (other, _) => Err(SpecError::Unknown { what: "VpnPolicy", value: other.0 }),
    }
}

/// The interface whose resolvers are named.
pub fn uplink(text: &str) -> Result<IfName, SpecError> {
    let name = IfName::new(text).filter(IfName::leads_out);
    name.ok_or_else(|| SpecError::Uplink(start_of(text)))
}

/// What is known of an uplink.
pub fn uplink_info(info: &WireUplinkInfo) -> Result<UplinkInfo, SpecError> {
    let portal = |text: &String| {
        portal(text).map_err(|why| SpecError::CaptivePortal { text: start_of(text), why })
    };
    let WireUplinkInfo { metered, captivePortalUrl, validated } = info;
    let portal = captivePortalUrl.as_ref().map(portal).transpose()?;
    Ok(UplinkInfo { metered: *metered, portal, validated: *validated })
}

/// What is known of the device.
pub fn device_state(state: &WireDeviceState) -> DeviceState {
    let WireDeviceState { idle } = state;
    DeviceState { idle: *idle }
}

/// Resolvers, the one in use first.
pub fn resolvers(texts: &[String]) -> Result<Vec<Ipv4Addr>, SpecError> {
    if texts.len() > MOST_RESOLVERS {
        return Err(SpecError::TooManyResolvers(texts.len()));
    }
    let one = |text: &String| {
        resolver(text).map_err(|why| SpecError::Resolver { text: start_of(text), why })
    };
    texts.iter().map(one).collect()
}

/// The target of a guest of this kind; none: it is a TAP.
pub fn target(target: &GuestTarget, kind: Kind) -> Result<Option<Named>, Error> {
    match (kind, target.kind) {
        (Kind::Tap { .. }, TargetKind::NONE) => Ok(None),
        (Kind::Veth, TargetKind::NONE) => Err(TargetError::Missing.into()),
        (Kind::Veth, _) => named(target).map(Some),
        (Kind::Tap { .. }, TargetKind::NETNS | TargetKind::PIDFD | TargetKind::PID) => {
            Err(TargetError::Stray.into())
        }
        (Kind::Tap { .. }, other) => Err(unknown_target(other)),
    }
}

fn unknown_target(kind: TargetKind) -> Error {
    SpecError::Unknown { what: "TargetKind", value: kind.0 }.into()
}

/// A namespace. Its descriptor is our own copy: the caller's goes with the transaction.
fn named(target: &GuestTarget) -> Result<Named, Error> {
    match target.kind {
        TargetKind::NETNS => match copy(&target.fd)? {
            Some(fd) => Ok(Named::Netns(fd)),
            None => Err(TargetError::NotANetns("no descriptor was passed".into()).into()),
        },
        TargetKind::PIDFD => match copy(&target.fd)? {
            Some(fd) => Ok(Named::Pidfd(fd)),
            None => Err(TargetError::NotAPidfd("no descriptor was passed".into()).into()),
        },
        TargetKind::PID => Ok(Named::Pid(target.pid)),
        other => Err(unknown_target(other)),
    }
}

fn copy(fd: &Option<ParcelFileDescriptor>) -> Result<Option<OwnedFd>, Error> {
    let Some(fd) = fd else { return Ok(None) };
    // SAFETY: the parcel owns the descriptor and outlives this borrow.
    let fd = unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) };
    match fd.try_clone_to_owned() {
        Ok(copy) => Ok(Some(copy)),
        Err(e) => Err(Error::kernel("copy the target's descriptor", e)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::error_codes;
    use super::*;
    use android_system_guestnet::aidl::android::system::guestnet::IGuestNet as wire;

    fn config(policy: Wire, uplink: Option<&str>) -> GuestConfig {
        GuestConfig {
            name: "g".into(),
            vpnPolicy: policy,
            uplink: uplink.map(str::to_owned),
            ..GuestConfig::default()
        }
    }

    /// Of root's.
    fn spec(config: &GuestConfig) -> Result<GuestSpec, SpecError> {
        super::spec(config, 0)
    }

    fn code<T>(result: Result<T, SpecError>) -> i32 {
        result.map_or_else(|e| error_codes::code(&e.into()), |_| 0)
    }

    #[test]
    fn each_policy_is_taken() {
        let vpn = |policy, uplink| spec(&config(policy, uplink)).unwrap().vpn;
        assert_eq!(vpn(Wire::FOLLOW_UPLINK, None), VpnPolicy::FollowUplink);
        assert_eq!(vpn(Wire::BLOCK_UNDER_LOCKDOWN, None), VpnPolicy::BlockUnderLockdown);
        let tun0 = IfName::new("tun0").unwrap();
        assert_eq!(vpn(Wire::NAMED_TUN, Some("tun0")), VpnPolicy::NamedTun(tun0));
        for policy in Wire::enum_values() {
            assert_eq!(unsupported(&config(policy, None)), None);
        }
    }

    #[test]
    fn a_policy_and_an_uplink_that_do_not_belong_together() {
        let no = wire::ERROR_BAD_VPN_POLICY;
        for (policy, uplink, expected) in [
            (Wire::NAMED_TUN, None, no),
            (Wire::NAMED_TUN, Some(""), no),
            (Wire::NAMED_TUN, Some("lo"), no),
            (Wire::NAMED_TUN, Some("vm_wlan"), no),
            (Wire::NAMED_TUN, Some("vm_wlan3"), no),
            (Wire::NAMED_TUN, Some("tun*"), no),
            (Wire::NAMED_TUN, Some("default"), no),
            (Wire::NAMED_TUN, Some("sixteen-bytes-xx"), no),
            (Wire::FOLLOW_UPLINK, Some("tun0"), no),
            (Wire::FOLLOW_UPLINK, Some(""), no),
            (Wire::BLOCK_UNDER_LOCKDOWN, Some("tun0"), no),
            (Wire::NO_UPLINK, Some("tun0"), no),
            (Wire(4), None, wire::ERROR_BAD_ENUM),
            (Wire(4), Some("tun0"), wire::ERROR_BAD_ENUM),
            (Wire(-1), None, wire::ERROR_BAD_ENUM),
        ] {
            assert_eq!(code(spec(&config(policy, uplink))), expected, "{policy:?} {uplink:?}");
        }
        let megabyte = "a".repeat(1 << 20);
        let large = spec(&config(Wire::NAMED_TUN, Some(&megabyte)));
        assert_eq!(code(large), wire::ERROR_CONFIG_TOO_LARGE);
    }

    #[test]
    fn a_mode_has_its_servers_and_no_other_has() {
        let with = |dns, servers: &[&str]| GuestConfig {
            dns,
            dnsServers: servers.iter().map(|text| (*text).to_owned()).collect(),
            ..config(Wire::FOLLOW_UPLINK, None)
        };
        for (mode, dns) in [
            (DnsMode::AUTO, Dns::Auto),
            (DnsMode::DNAT, Dns::Dnat),
            (DnsMode::FORWARD, Dns::Forward),
        ] {
            assert_eq!(spec(&with(mode, &[])).unwrap().dns, dns);
            assert_eq!(code(spec(&with(mode, &["9.9.9.9"]))), wire::ERROR_BAD_DNS);
        }
        let both = spec(&with(DnsMode::SERVERS, &["2620:fe::fe", "9.9.9.9"])).unwrap().dns;
        let [first, second] = ["2620:fe::fe", "9.9.9.9"].map(|text| text.parse().unwrap());
        assert_eq!(both, Dns::Servers(vec![first, second]));
        assert_eq!(code(spec(&with(DnsMode::SERVERS, &[]))), wire::ERROR_BAD_DNS);
        assert_eq!(code(spec(&with(DnsMode(4), &[]))), wire::ERROR_BAD_ENUM);
        for bad in ["", "::1", "::", "ff02::fb", "127.0.0.53", "::ffff:9.9.9.9", "dns.example"] {
            let bad = spec(&with(DnsMode::SERVERS, &["9.9.9.9", bad]));
            assert_eq!(code(bad), wire::ERROR_BAD_ADDRESS);
        }
        let many = spec(&with(DnsMode::SERVERS, &["9.9.9.9"; MOST_RESOLVERS + 1]));
        assert_eq!(code(many), wire::ERROR_CONFIG_TOO_LARGE);
    }

    #[test]
    fn addresses_are_a_list_with_or_without_the_subnets_length() {
        let with = |addresses: &[&str]| GuestConfig {
            addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
            ..config(Wire::FOLLOW_UPLINK, None)
        };
        assert_eq!(spec(&with(&[])).unwrap().address(), None);
        for good in ["172.17.3.9", "172.17.3.9/16"] {
            assert_eq!(unsupported(&with(&[good])), None);
            let asked = spec(&with(&[good])).unwrap();
            assert_eq!(asked.addresses, [IpAddr::V4(Ipv4Addr::new(172, 17, 3, 9))]);
        }
        for bad in ["", "/16", "172.17.3", "172.17.3.9 ", " 172.17.3.9", "localhost", "fd00::zz"] {
            assert_eq!(unsupported(&with(&[bad])), None, "{bad}");
            assert_eq!(code(spec(&with(&[bad]))), wire::ERROR_BAD_ADDRESS, "{bad}");
        }
        for length in ["24", "016", "+16", "", "16 ", "-1", "16/16"] {
            let bad = with(&[&format!("172.17.3.9/{length}")]);
            assert_eq!(code(spec(&bad)), wire::ERROR_BAD_PREFIX, "{length}");
        }
        for ipv6 in [&["fd00::3"][..], &["::ffff:172.17.3.9"], &["172.17.3.9", "fd00::3/64"]] {
            assert_eq!(unsupported(&with(ipv6)), Some(IPV6), "{ipv6:?}");
        }
        assert_eq!(unsupported(&with(&["172.17.3.9", "172.17.3.10"])), Some(SECOND));
        let many = with(&["172.17.3.9"; 1000]);
        assert_eq!(code(spec(&many)), wire::ERROR_CONFIG_TOO_LARGE);
    }

    #[test]
    fn a_tap_has_queues_and_no_target() {
        let with = |kind, queues| GuestConfig { kind, queues, ..config(Wire::FOLLOW_UPLINK, None) };
        let of = |kind, queues| super::spec(&with(kind, queues), 10_123).map(|spec| spec.kind);
        let tap = |queues| Kind::Tap { queues: Queues::new(queues).unwrap(), owner: 10_123 };
        for queues in [1, 2, 16] {
            assert_eq!(of(GuestKind::TAP, queues), Ok(tap(queues)));
        }
        assert_eq!(of(GuestKind::VETH, 1), Ok(Kind::Veth));
        for (kind, queues) in
            [(GuestKind::TAP, 0), (GuestKind::TAP, 17), (GuestKind::TAP, 257), (GuestKind::VETH, 2)]
        {
            assert_eq!(code(of(kind, queues)), wire::ERROR_BAD_QUEUES, "{kind:?} {queues}");
        }
        assert_eq!(code(of(GuestKind(3), 1)), wire::ERROR_BAD_ENUM);
        let on = |kind, segment: Option<&str>| {
            let segment = segment.map(str::to_owned);
            let config = GuestConfig { segment, ..with(kind, 1) };
            super::spec(&config, 10_123).map(|spec| spec.segment.map(String::from))
        };
        let cockpit = || Some("cockpit".to_owned());
        assert_eq!(on(GuestKind::BRIDGED, Some("cockpit")), Ok(cockpit()));
        assert_eq!(on(GuestKind::TAP, Some("cockpit")), Ok(cockpit()));
        assert_eq!((on(GuestKind::TAP, None), on(GuestKind::VETH, None)), (Ok(None), Ok(None)));
        for (kind, segment) in [
            (GuestKind::BRIDGED, None),
            (GuestKind::BRIDGED, Some("")),
            (GuestKind::BRIDGED, Some("a b")),
            (GuestKind::TAP, Some("a\nb")),
            (GuestKind::VETH, Some("cockpit")),
        ] {
            assert_eq!(code(on(kind, segment)), wire::ERROR_BAD_SEGMENT, "{kind:?} {segment:?}");
        }
        let long = "a".repeat(64);
        assert_eq!(code(on(GuestKind::BRIDGED, Some(&long))), wire::ERROR_BAD_SEGMENT);
        let longer = "a".repeat(5000);
        assert_eq!(code(on(GuestKind::BRIDGED, Some(&longer))), wire::ERROR_CONFIG_TOO_LARGE);
        let kept = GuestConfig { keep: true, ..with(GuestKind::TAP, 1) };
        assert_eq!(unsupported(&kept), Some(KEPT_TAP));
        let target = |kind, target| {
            let named = super::target(&GuestTarget { kind: target, ..Default::default() }, kind);
            named.map_or_else(|e| error_codes::code(&e), |named| i32::from(named.is_some()))
        };
        assert_eq!(target(tap(1), TargetKind::NONE), 0);
        assert_eq!(target(Kind::Veth, TargetKind::PID), 1);
        assert_eq!(target(Kind::Veth, TargetKind::NONE), wire::ERROR_TARGET_KIND);
        for stray in [TargetKind::NETNS, TargetKind::PIDFD, TargetKind::PID] {
            assert_eq!(target(tap(1), stray), wire::ERROR_TARGET_KIND);
        }
        for kind in [tap(1), Kind::Veth] {
            assert_eq!(target(kind, TargetKind(4)), wire::ERROR_BAD_ENUM);
        }
    }

    #[test]
    fn an_uplink_is_an_interface_that_leads_out() {
        for good in ["wlan0", "v4-wlan0", "rmnet_data0", "vm_wlan0"] {
            assert_eq!(uplink(good).unwrap().as_str(), good);
        }
        let long = "w".repeat(1 << 20);
        for bad in
            ["", "lo", "vm_wlan", "vm_wlan12", "default", "wlan*", "wlan0,eth0", "a b", &long]
        {
            assert_eq!(code(uplink(bad)), wire::ERROR_BAD_INTERFACE_NAME);
            assert!(uplink(bad).unwrap_err().to_string().len() < 200);
        }
    }

    #[test]
    fn resolvers_in_order_and_no_more_than_the_contract_says() {
        let parse = |texts: &[&str]| {
            resolvers(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        let [first, second] = [Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(1, 1, 1, 1)];
        assert_eq!(parse(&["9.9.9.9", "1.1.1.1"]), Ok(vec![first, second]));
        assert_eq!(parse(&[]), Ok(vec![]));
        assert_eq!(MOST_RESOLVERS, usize::try_from(wire::MAX_DNS_SERVERS).unwrap());
        assert!(parse(&["9.9.9.9"; MOST_RESOLVERS]).is_ok());
        let many = parse(&["9.9.9.9"; MOST_RESOLVERS + 1]);
        assert_eq!(code(many), wire::ERROR_CONFIG_TOO_LARGE);
        for bad in ["", "::1", "127.0.0.53", "0.0.0.0", "224.0.0.251", "255.255.255.255"] {
            assert_eq!(code(parse(&["9.9.9.9", bad])), wire::ERROR_BAD_ADDRESS, "{bad}");
        }
        let long = resolvers(&["9".repeat(1 << 20)]).unwrap_err().to_string();
        assert!(long.len() < 200, "{long}");
        assert_eq!(
            parse(&["127.0.0.53"]).unwrap_err().to_string(),
            "\"127.0.0.53\" cannot be a resolver: it is a loopback address; \
             name the server that the local resolver asks"
        );
    }
}
