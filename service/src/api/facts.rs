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

//! The facts of a report as the contract numbers them: causes, verdicts, operations.

use crate::daemon;
use crate::doctor::probe::Outcome;
use crate::model::change::KernelOp;
use crate::model::{fault, timeline};
use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause, Operation::Operation, ProbeOutcome::ProbeOutcome, Verdict::Verdict,
};

/// Why a layer is as it is.
pub fn cause(cause: fault::Cause) -> Cause {
    use fault::Cause as From;
    match cause {
        From::Healthy => Cause::HEALTHY,
        From::Unreadable => Cause::UNREADABLE,
        From::LinkGone => Cause::LINK_GONE,
        From::LinkDown => Cause::LINK_DOWN,
        From::GuestLinkDown => Cause::GUEST_LINK_DOWN,
        From::LinkChanged => Cause::LINK_CHANGED,
        From::NeighbourWrong => Cause::NEIGHBOUR_WRONG,
        From::AddressMissing => Cause::ADDRESS_MISSING,
        From::SubnetConflict => Cause::SUBNET_CONFLICT,
        From::GuestRouteMissing => Cause::GUEST_ROUTE_MISSING,
        From::VpnCaptures => Cause::VPN_CAPTURES,
        From::AnswersElsewhere => Cause::ANSWERS_ELSEWHERE,
        From::KillSwitch => Cause::KILL_SWITCH,
        From::RpFilter => Cause::RP_FILTER,
        From::RuleMissing => Cause::RULE_MISSING,
        From::RuleShadowed => Cause::RULE_SHADOWED,
        From::Lockdown => Cause::LOCKDOWN,
        From::ForwardingOff => Cause::FORWARDING_OFF,
        From::ForwardingNotOurs => Cause::FORWARDING_NOT_OURS,
        From::NetdUnanswered => Cause::NETD_UNANSWERED,
        From::FilterProgramFailed => Cause::FILTER_PROGRAM_FAILED,
        From::FilterProgramStuck => Cause::FILTER_PROGRAM_STUCK,
        From::FilterChanged => Cause::FILTER_CHANGED,
        From::ForwardDropped => Cause::FORWARD_DROPPED,
        From::NetdTetherctrlDrop => Cause::NETD_TETHERCTRL_DROP,
        From::InputDropped => Cause::INPUT_DROPPED,
        From::MasqueradeMissing => Cause::MASQUERADE_MISSING,
        From::WrongSource => Cause::WRONG_SOURCE,
        From::NotTracked => Cause::NOT_TRACKED,
        From::ConntrackFull => Cause::CONNTRACK_FULL,
        From::DnsNone => Cause::DNS_NONE,
        From::DnsSilent => Cause::DNS_SILENT,
        From::DnsRefused => Cause::DNS_REFUSED,
        From::DnsElsewhere => Cause::DNS_ELSEWHERE,
        From::DnsPortTaken => Cause::DNS_PORT_TAKEN,
        From::UplinkMissing => Cause::UPLINK_MISSING,
        From::NoCarrier => Cause::NO_CARRIER,
        From::UplinkNoAddress => Cause::UPLINK_NO_ADDRESS,
        From::NoDefaultRoute => Cause::NO_DEFAULT_ROUTE,
        From::DefaultRouteElsewhere => Cause::DEFAULT_ROUTE_ELSEWHERE,
        From::TunMissing => Cause::TUN_MISSING,
        From::TunDown => Cause::TUN_DOWN,
        From::UplinkIpv6Only => Cause::UPLINK_IPV6_ONLY,
        From::CaptivePortal => Cause::CAPTIVE_PORTAL,
        From::MtuBlackhole => Cause::MTU_BLACKHOLE,
        From::UpstreamDown => Cause::UPSTREAM_DOWN,
        From::NotValidated => Cause::NOT_VALIDATED,
        From::GuestAddressLost => Cause::GUEST_ADDRESS_LOST,
        From::GuestRouteLost => Cause::GUEST_ROUTE_LOST,
        From::GuestResolver => Cause::GUEST_RESOLVER,
        From::GuestFirewall => Cause::GUEST_FIREWALL,
        From::TxChecksum => Cause::TX_CHECKSUM,
        From::SegmentBroken => Cause::SEGMENT_BROKEN,
    }
}

/// What the layers come to.
pub fn verdict(verdict: daemon::Verdict) -> Verdict {
    match verdict {
        daemon::Verdict::Internet => Verdict::INTERNET,
        daemon::Verdict::NoNames => Verdict::NO_NAMES,
        daemon::Verdict::NoInternet => Verdict::NO_INTERNET,
        daemon::Verdict::Waiting => Verdict::WAITING,
        daemon::Verdict::Unsure => Verdict::UNSURE,
        daemon::Verdict::NoUplink => Verdict::NO_UPLINK,
    }
}

/// What became of a probe.
pub fn outcome(outcome: Outcome) -> ProbeOutcome {
    match outcome {
        Outcome::NotMade => ProbeOutcome::NOT_MADE,
        Outcome::Ok => ProbeOutcome::OK,
        Outcome::Silent => ProbeOutcome::SILENT,
        Outcome::Refused => ProbeOutcome::REFUSED,
        Outcome::NotSent => ProbeOutcome::NOT_SENT,
        Outcome::TooLarge => ProbeOutcome::TOO_LARGE,
        Outcome::Portal => ProbeOutcome::PORTAL,
        Outcome::Odd => ProbeOutcome::ODD,
    }
}

/// What is done.
pub fn operation(operation: timeline::Operation) -> Operation {
    use timeline::Operation as From;
    match operation {
        From::Kernel(operation) => kernel_op(operation),
        From::OpenTarget => Operation::OPEN_TARGET,
        From::ChooseSlot => Operation::CHOOSE_SLOT,
        From::EnterNetns => Operation::ENTER_NETNS,
        From::Observe => Operation::OBSERVE,
        From::ReadBack => Operation::READ_BACK,
        From::Store => Operation::STORE,
        From::LeaveNetns => Operation::LEAVE_NETNS,
    }
}

/// What is done to a kernel.
pub fn kernel_op(operation: KernelOp) -> Operation {
    match operation {
        KernelOp::AddLink => Operation::ADD_LINK,
        KernelOp::DeleteLink => Operation::DELETE_LINK,
        KernelOp::SetLinkUp => Operation::SET_LINK_UP,
        KernelOp::SetLinkDown => Operation::SET_LINK_DOWN,
        KernelOp::SetMtu => Operation::SET_MTU,
        KernelOp::SetAlias => Operation::SET_ALIAS,
        KernelOp::AddAddress => Operation::ADD_ADDRESS,
        KernelOp::DeleteAddress => Operation::DELETE_ADDRESS,
        KernelOp::AddRoute => Operation::ADD_ROUTE,
        KernelOp::DeleteRoute => Operation::DELETE_ROUTE,
        KernelOp::AddRule => Operation::ADD_RULE,
        KernelOp::DeleteRule => Operation::DELETE_RULE,
        KernelOp::SetSysctl => Operation::SET_SYSCTL,
        KernelOp::SetForwarding => Operation::SET_FORWARDING,
        KernelOp::SetPacketFilter => Operation::SET_PACKET_FILTER,
        KernelOp::ForgetConnections => Operation::FORGET_CONNECTIONS,
        KernelOp::SetSegment => Operation::SET_SEGMENT,
    }
}
