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

//! Whether nf_tables can do here what is needed. Leaves nothing behind.

use super::batch::Batch;
use super::dump::genid;
use super::layout::{lines, sets, Able};
use super::socket::Refusal;
use super::{chain_of, unavailable, Nftables, ATTEMPTS, OWNERSHIP};
use crate::effects::firewall::{FirewallError, GuestSubnet, Hook, Ruleset};
use crate::model::ruleset::Forwarded;
use crate::ordered::IntoOrdered;
use crate::spec::{IfName, IfPattern, Subnet};
use std::net::Ipv4Addr;

/// What a check is done under: it is never there for others to see.
const CHECKED: &str = "guestnet-check";

/// What a kernel of today can do.
const ALL: Able = Able { forgets: true, tells: true };
/// What one without modules beside the counting can.
const NOTHING: Able = Able { forgets: false, tells: false };

impl Nftables {
    /// Finds out whether nf_tables can do all that is needed. Leaves nothing behind.
    pub fn open() -> Result<Self, FirewallError> {
        kernel_is_new_enough()?;
        Self::that(|this| {
            let all = this.owned_or_not(true, ALL);
            all.or_else(|why| {
                let silent = this.owned_or_not(true, Able { tells: false, ..ALL });
                let less = silent.or_else(|_| this.remembers()).or_else(|_| this.is_unlimited());
                less.map_err(|_| why)
            })
        })
    }

    /// The same with a table that anybody may change, as it is on kernels before 6.9.
    pub fn unowned() -> Result<Self, FirewallError> {
        Self::that(|this| this.tried(0, true, ALL))
    }

    /// The same where closed connections stay as long as everybody's, as it is on kernels without
    /// CONFIG_NF_CONNTRACK_TIMEOUT.
    pub fn remembering() -> Result<Self, FirewallError> {
        Self::that(Self::remembers)
    }

    /// The same without counting connections, as it is on kernels without nft_connlimit.
    pub fn unlimited() -> Result<Self, FirewallError> {
        Self::that(Self::is_unlimited)
    }

    /// One that a kernel takes. Its sockets are open before anything is tried: that one cannot be opened for
    /// now (EMFILE) says nothing of what the kernel can do.
    fn that(
        tries: impl FnOnce(&mut Self) -> Result<(), FirewallError>,
    ) -> Result<Self, FirewallError> {
        let mut this = Self::connected().map_err(unavailable)?;
        tries(&mut this)?;
        Ok(this)
    }

    pub(super) fn connected() -> Result<Self, Refusal> {
        let mut this = Self::unchecked()?;
        // It opens the reader's.
        genid(&mut this.reader)?;
        Ok(this)
    }

    fn remembers(&mut self) -> Result<(), FirewallError> {
        let forgets = false;
        let tells = self.owned_or_not(true, Able { forgets, ..ALL });
        tells.or_else(|_| self.owned_or_not(true, NOTHING))
    }

    fn is_unlimited(&mut self) -> Result<(), FirewallError> {
        self.owned_or_not(false, NOTHING)
    }

    /// Older kernels know no ownership; everything else works without it.
    fn owned_or_not(&mut self, counts: bool, able: Able) -> Result<(), FirewallError> {
        self.tried(OWNERSHIP, counts, able).or_else(|_| self.tried(0, counts, able))
    }

    fn tried(&mut self, ownership: u32, counts: bool, able: Able) -> Result<(), FirewallError> {
        (self.ownership, self.counts, self.able) = (ownership, counts, able);
        let Err(refusal) = self.check(|_| true) else { return Ok(()) };
        Err(lacking(refusal, || self.check(|hook| !hook.is_nat())))
    }

    /// Whether the kernel would take such a table with every kind of rule that we have. Others
    /// never see it: it is made and removed in one transaction. One that was given up half-way
    /// would do as well, but there the kernel waits for every packet on its way: 20 ms.
    fn check(&mut self, of: impl Fn(Hook) -> bool) -> Result<(), Refusal> {
        let mut refusal = None;
        let sample = self.possible(&sample()).into_owned();
        for _ in 0..ATTEMPTS {
            match self.check_once(&sample, &of) {
                Err(e) if e.may_pass() => refusal = Some(e),
                result => return result,
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    fn check_once(&mut self, sample: &Ruleset, of: impl Fn(Hook) -> bool) -> Result<(), Refusal> {
        let genid = genid(&mut self.reader)?;
        let mut batch = Batch::begin(&mut self.writer, genid).of_table(CHECKED);
        batch.table(self.ownership);
        if self.able.forgets {
            batch.closed();
        }
        for set in sets(sample).keys() {
            batch.set(set);
        }
        batch.chains_of_drops();
        batch.drops();
        for line in lines(sample, self.able).iter().filter(|line| of(line.hook)) {
            batch.chain(chain_of(line.hook));
            batch.rule(line);
        }
        batch.delete_table();
        batch.commit(&self.writer)
    }
}

/// What is missing where all rules together were refused; `rest` checks those without NAT.
fn lacking(refusal: Refusal, rest: impl FnOnce() -> Result<(), Refusal>) -> FirewallError {
    // It says nothing of NAT, and the rest may have had more luck.
    if refusal.may_pass() {
        return unavailable(refusal);
    }
    match rest() {
        Ok(()) => FirewallError::NoNat(refusal.to_string()),
        Err(e) => unavailable(e),
    }
}

/// An older kernel takes the rule of the masquerade, but does not say at POSTROUTING where a packet
/// came in: it would leave with the guest's own address.
fn kernel_is_new_enough() -> Result<(), FirewallError> {
    const OLDEST: (u32, u32) = (5, 7);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let version = numbers.next().and_then(Result::ok).zip(numbers.next().and_then(Result::ok));
    match version {
        Some(version) if version < OLDEST => Err(FirewallError::Unavailable(format!(
            "nf_tables of Linux {} cannot do it: Linux 5.7 or later, or --firewall iptables",
            release.trim_end()
        ))),
        _ => Ok(()),
    }
}

/// A ruleset that has every kind of rule.
fn sample() -> Ruleset {
    let gateway = Ipv4Addr::new(192, 0, 2, 1);
    let other = Subnet::containing(gateway, 24).map(|subnet| GuestSubnet { subnet, gateway });
    let subnets = GuestSubnet::original().into_iter().chain(other).into_set();
    let uplinks = IfPattern::new("wlan0").into_iter().into_set();
    let forwarded = Forwarded { all: false, but: [IfName::host_end(0)].into_iter().into_set() };
    let (connections, nat_ports) = (Some(1), Some((1024, u16::MAX)));
    Ruleset {
        uplinks,
        subnets,
        resolver: Some(gateway),
        forwarded,
        connections,
        crowd: Subnet::containing(gateway, 16),
        nat_ports,
        ..Ruleset::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn only_a_refusal_that_stays_says_that_nat_is_missing() {
        let lacks_nat = |whole: Errno, rest: Result<(), Errno>| {
            let error = lacking(whole.into(), || rest.map_err(Refusal::from));
            matches!(error, FirewallError::NoNat(_))
        };
        assert!(lacks_nat(Errno::ENOENT, Ok(())));
        assert!(!lacks_nat(Errno::ENOENT, Err(Errno::ENOENT)));
        for passing in [Errno::ENOBUFS, Errno::ENOMEM, Errno::ERESTART] {
            assert!(!lacks_nat(passing, Ok(())), "{passing}");
        }
    }
}
