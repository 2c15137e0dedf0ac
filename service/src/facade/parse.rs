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

use crate::error::{Error, TargetError};
use crate::kernel::target::Named;
use crate::spec::{GuestName, GuestSpec, IfName, SpecError, MAX_TEXT};
use android_system_guestnet::aidl::android::system::guestnet::{
    GuestConfig::GuestConfig, GuestKind::GuestKind, GuestTarget::GuestTarget,
    TargetKind::TargetKind, VpnPolicy::VpnPolicy,
};
use binder::ParcelFileDescriptor;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// What the contract has and this version has not.
pub const UPDATE: &str = "update()";
/// See [`UPDATE`].
pub const OWNER: &str = "an owner";
const BRIDGED: &str = "GuestKind.BRIDGED";
const TAP: &str = "GuestKind.TAP";
const NAMED_TUN: &str = "VpnPolicy.NAMED_TUN";
const BLOCK: &str = "VpnPolicy.BLOCK_UNDER_LOCKDOWN";
const UPLINK: &str = "GuestConfig.uplink";

/// All of it, for `info()`.
pub const UNSUPPORTED: [&str; 7] = [UPDATE, OWNER, BRIDGED, TAP, NAMED_TUN, BLOCK, UPLINK];

/// What a configuration asks for that this version has not.
pub fn unsupported(config: &GuestConfig) -> Option<&'static str> {
    match config.kind {
        GuestKind::BRIDGED => return Some(BRIDGED),
        GuestKind::TAP => return Some(TAP),
        _ => {}
    }
    match config.vpnPolicy {
        VpnPolicy::NAMED_TUN => return Some(NAMED_TUN),
        VpnPolicy::BLOCK_UNDER_LOCKDOWN => return Some(BLOCK),
        _ => {}
    }
    config.uplink.as_ref().map(|_| UPLINK)
}

/// A guest's name.
pub fn name(text: &str) -> Result<GuestName, SpecError> {
    GuestName::new(text).ok_or_else(|| SpecError::Name(start_of(text)))
}

/// As much of a text as helps to know it again.
fn start_of(text: &str) -> String {
    match text.char_indices().nth(80) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

/// A configuration.
pub fn spec(config: &GuestConfig) -> Result<GuestSpec, SpecError> {
    let texts = [&config.name, &config.interfaceName, &config.gateway];
    let optional = config.address.as_ref().map_or(0, String::len);
    let size = texts.iter().map(|t| t.len()).sum::<usize>() + optional;
    if size > MAX_TEXT {
        return Err(SpecError::TooLarge(size));
    }
    let unknown = |what, value| Err(SpecError::Unknown { what, value });
    if config.kind != GuestKind::VETH {
        return unknown("GuestKind", config.kind.0);
    }
    if config.vpnPolicy != VpnPolicy::FOLLOW_UPLINK {
        return unknown("VpnPolicy", config.vpnPolicy.0);
    }
    let address = |what, text: &str| {
        text.parse::<Ipv4Addr>().map_err(|_| SpecError::Address { what, text: start_of(text) })
    };
    let interface = IfName::new(&config.interfaceName)
        .ok_or_else(|| SpecError::Interface(start_of(&config.interfaceName)))?;
    GuestSpec::new(
        name(&config.name)?,
        interface,
        config.address.as_deref().map(|text| address("address", text)).transpose()?,
        address("gateway", &config.gateway)?,
        config.prefixLength,
        config.mtu,
    )
}

/// A target. Its descriptor is our own copy: the caller's goes with the transaction.
pub fn target(target: &GuestTarget) -> Result<Named, Error> {
    match target.kind {
        TargetKind::NETNS => match copy(&target.fd) {
            Some(fd) => Ok(Named::Netns(fd)),
            None => Err(TargetError::NotANetns("no descriptor was passed".into()).into()),
        },
        TargetKind::PIDFD => match copy(&target.fd) {
            Some(fd) => Ok(Named::Pidfd(fd)),
            None => Err(TargetError::NotAPidfd("no descriptor was passed".into()).into()),
        },
        TargetKind::PID => Ok(Named::Pid(target.pid)),
        other => Err(SpecError::Unknown { what: "TargetKind", value: other.0 }.into()),
    }
}

fn copy(fd: &Option<ParcelFileDescriptor>) -> Option<OwnedFd> {
    let raw = fd.as_ref()?.as_raw_fd();
    // SAFETY: the parcel owns the descriptor and outlives this borrow.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    fd.as_fd().try_clone_to_owned().ok()
}
