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

//! The contract's number for each cause.

use crate::error::{Error, TargetError};
use crate::spec::SpecError;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet as wire;

/// One of the contract's `ERROR_`.
pub fn code(error: &Error) -> i32 {
    match error {
        Error::Spec(e) => spec(e),
        Error::Target(e) => target(e),
        Error::NameInUse(_) => wire::ERROR_NAME_IN_USE,
        Error::GuestInterfaceExists(_) => wire::ERROR_GUEST_INTERFACE_EXISTS,
        Error::AddressInUse { .. } => wire::ERROR_ADDRESS_IN_USE,
        Error::SubnetOverlap { .. } => wire::ERROR_SUBNET_OVERLAP,
        Error::NoSuchGuest(_) => wire::ERROR_NO_SUCH_GUEST,
        Error::NoFreeSlot(_) | Error::TooManyGuests { .. } => wire::ERROR_NO_FREE_SLOT,
        Error::HostInterfaceExists(_) => wire::ERROR_HOST_INTERFACE_EXISTS,
        Error::TooManyListeners(_) => wire::ERROR_TOO_MANY_LISTENERS,
        Error::NoDescriptors(_) => wire::ERROR_NO_DESCRIPTORS,
        Error::NoVeth { .. } => wire::ERROR_NO_VETH,
        Error::NoTap { .. } => wire::ERROR_NO_TAP,
        Error::NoSegments { .. } => wire::ERROR_NO_SEGMENTS,
        Error::SegmentClash(_) | Error::SegmentInUse(_) | Error::SegmentTwice { .. } => {
            wire::ERROR_SEGMENT_CLASH
        }
        // Which is no code, but an exception of its own.
        Error::Unsupported(_) => 0,
        Error::Kernel { cause, .. } if cause.errno == libc::EPERM => wire::ERROR_NO_CAPABILITY,
        Error::Kernel { .. } => wire::ERROR_KERNEL,
        Error::Firewall(_) => wire::ERROR_FIREWALL,
        Error::Forwarding { .. } => wire::ERROR_FORWARDING,
        Error::Verify(_) => wire::ERROR_VERIFY,
        Error::GuestRouteExists(_) => wire::ERROR_GUEST_ROUTE_EXISTS,
        Error::NoSuchTun(_) => wire::ERROR_NO_SUCH_TUN,
        Error::FieldNotUpdatable(_) => wire::ERROR_FIELD_NOT_UPDATABLE,
        Error::GuestLeaving(_) => wire::ERROR_GUEST_LEAVING,
        Error::UpdateRunning(_) => wire::ERROR_UPDATE_RUNNING,
        Error::GuestGone(_) => wire::ERROR_GUEST_GONE,
        Error::GuestInterfaceMoved { .. } => wire::ERROR_GUEST_INTERFACE_MOVED,
        Error::Store { .. }
        | Error::StateDir { .. }
        | Error::StateUnreadable { .. }
        | Error::BootId(_)
        | Error::StateInUse(_) => wire::ERROR_STORE,
        Error::Ending => wire::ERROR_UNAVAILABLE,
        Error::Undo { first, .. } => code(first),
        Error::AttachedAlready { found, .. } => code(found),
        Error::OfSection { cause, .. } => code(cause),
        Error::BadFile(_) => wire::ERROR_BAD_FILE,
    }
}

fn spec(error: &SpecError) -> i32 {
    match error {
        SpecError::Name(_) => wire::ERROR_BAD_NAME,
        SpecError::Interface(_) | SpecError::Uplink(_) => wire::ERROR_BAD_INTERFACE_NAME,
        SpecError::Address { .. } | SpecError::Resolver { .. } => wire::ERROR_BAD_ADDRESS,
        SpecError::Outside { .. } => wire::ERROR_ADDRESS_OUTSIDE_SUBNET,
        SpecError::Reserved { .. } => wire::ERROR_ADDRESS_RESERVED,
        SpecError::Prefix(_) | SpecError::Length { .. } => wire::ERROR_BAD_PREFIX,
        SpecError::Servers => wire::ERROR_BAD_DNS,
        SpecError::Lease(_) => wire::ERROR_BAD_LEASE,
        SpecError::Mtu(_) | SpecError::TapMtu(_) => wire::ERROR_BAD_MTU,
        SpecError::Queues(_) => wire::ERROR_BAD_QUEUES,
        SpecError::Segment(_) | SpecError::SegmentKind(_) => wire::ERROR_BAD_SEGMENT,
        SpecError::TooLarge(_) | SpecError::TooManyResolvers(_) => wire::ERROR_CONFIG_TOO_LARGE,
        SpecError::CaptivePortal { .. } => wire::ERROR_BAD_CAPTIVE_PORTAL,
        SpecError::ProbeTarget { .. } => wire::ERROR_BAD_PROBE_TARGET,
        SpecError::Unknown { .. } => wire::ERROR_BAD_ENUM,
        SpecError::Tun(_) | SpecError::NoTun | SpecError::StrayTun(_) => wire::ERROR_BAD_VPN_POLICY,
    }
}

fn target(error: &TargetError) -> i32 {
    match error {
        TargetError::BadPid(_) => wire::ERROR_BAD_PID,
        TargetError::NoSuchProcess(_) | TargetError::PidfdEnded => wire::ERROR_NO_SUCH_PROCESS,
        TargetError::KernelThread(_) => wire::ERROR_KERNEL_THREAD,
        TargetError::ProcessExited(_) => wire::ERROR_PROCESS_EXITED,
        TargetError::NotANetns(_) => wire::ERROR_NOT_A_NETNS,
        TargetError::NotAPidfd(_) => wire::ERROR_NOT_A_PIDFD,
        TargetError::OwnNetns => wire::ERROR_OWN_NETNS,
        TargetError::InitialNetns => wire::ERROR_INITIAL_NETNS,
        TargetError::Missing | TargetError::Stray => wire::ERROR_TARGET_KIND,
        TargetError::NoDescriptors(_) => wire::ERROR_NO_DESCRIPTORS,
        TargetError::NotAccessible { .. } => wire::ERROR_NETNS_NOT_ACCESSIBLE,
    }
}
