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

//! Why a layer is not as it should be: the fact, the words for it, and the next step. Whoever tells of
//! it (status, attach, check, log, dump) has it from one place, in the same words. Pure.

use std::fmt;

/// The fact: the contract's `Cause`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing is wrong.
    Healthy,
    /// It could not be read.
    Unreadable,
    /// The link does not exist any more.
    LinkGone,
    /// The device's end is down.
    LinkDown,
    /// The guest's end is down.
    GuestLinkDown,
    /// Somebody else changed the device's end, and it cannot be put back.
    LinkChanged,
    /// One end of the link does not find the other by ARP, or is not found by it.
    NeighbourWrong,
    /// The device's end has lost its address.
    AddressMissing,
    /// A network of the device's has addresses in common with the guest's subnet.
    SubnetConflict,
    /// The device has no route to the guest.
    GuestRouteMissing,
    /// The device sends the guest's packets where they may not leave.
    VpnCaptures,
    /// Somebody else's route or rule takes the answers.
    AnswersElsewhere,
    /// The default route leads into an interface that leads nowhere.
    KillSwitch,
    /// The reverse-path filter drops the guest's packets.
    RpFilter,
    /// A rule of ours is missing.
    RuleMissing,
    /// Somebody else's rule comes before ours.
    RuleShadowed,
    /// A lockdown VPN is up, and the guest's policy stops it.
    Lockdown,
    /// Forwarding is off.
    ForwardingOff,
    /// Forwarding is on for others only.
    ForwardingNotOurs,
    /// netd has not answered yet.
    NetdUnanswered,
    /// The packet filter could not be set.
    FilterProgramFailed,
    /// The program that sets it hangs.
    FilterProgramStuck,
    /// Our rules were changed by somebody else.
    FilterChanged,
    /// Somebody else's chain drops what guests send.
    ForwardDropped,
    /// netd's tetherctrl_FORWARD drops what guests send.
    NetdTetherctrlDrop,
    /// Somebody else's chain drops what guests ask of the device.
    InputDropped,
    /// Our source NAT is not in place.
    MasqueradeMissing,
    /// Packets leave with another address than the uplink's.
    WrongSource,
    /// Connections are not tracked, so they are not translated.
    NotTracked,
    /// The table of connections is full, or nearly so.
    ConntrackFull,
    /// No resolver is known.
    DnsNone,
    /// No resolver answers.
    DnsSilent,
    /// The resolver refuses.
    DnsRefused,
    /// The resolver is behind another interface.
    DnsElsewhere,
    /// The forwarder's port is another program's.
    DnsPortTaken,
    /// No interface that may be the uplink exists.
    UplinkMissing,
    /// The uplink is down or has no carrier.
    NoCarrier,
    /// The uplink has no address.
    UplinkNoAddress,
    /// There is no default route.
    NoDefaultRoute,
    /// The default route leaves by another interface.
    DefaultRouteElsewhere,
    /// The guest's tun does not exist.
    TunMissing,
    /// The guest's tun is down.
    TunDown,
    /// The uplink has IPv6 alone.
    UplinkIpv6Only,
    /// The network wants a sign-in first.
    CaptivePortal,
    /// Large packets are lost on the way.
    MtuBlackhole,
    /// The device itself gets no answer.
    UpstreamDown,
    /// The platform has not reached the internet by the uplink.
    NotValidated,
    /// The guest has lost its address.
    GuestAddressLost,
    /// The guest has lost its default route.
    GuestRouteLost,
    /// The guest's own set-up keeps it from its resolver.
    GuestResolver,
    /// The guest's own packet filter, or a setting of its own, drops.
    GuestFirewall,
    /// Packets without a checksum are lost.
    TxChecksum,
    /// Something of the guest's place in its segment is missing.
    SegmentBroken,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The fact.
    pub cause: Cause,
    /// What is wrong, in one sentence; no remedy.
    pub text: String,
    /// What to do about it, as a command where there is one.
    pub next_step: Option<String>,
}

impl Fault {
    /// A fault that nobody but guestnetd can do anything about, or that passes by itself.
    pub fn new(cause: Cause, text: impl Into<String>) -> Self {
        Self { cause, text: text.into(), next_step: None }
    }

    /// The next hop behind a way out does not answer ARP: packets that wait for that leave by no interface.
    pub fn deaf_router(router: impl fmt::Display, way: impl fmt::Display, asked: &str) -> Self {
        let text = format!("{router}, the next hop behind {way}, does not answer {asked}");
        Self::new(Cause::UpstreamDown, text).with_step("connect the device again")
    }

    /// The same with a remedy.
    pub fn with_step(self, next_step: impl Into<String>) -> Self {
        Self { next_step: Some(next_step.into()), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.next_step {
            Some(next_step) => write!(f, "{}; {next_step}", self.text),
            None => f.write_str(&self.text),
        }
    }
}
