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

//! Who may call. By uid: the transport proves it (the driver, or SO_PEERCRED).

use crate::model::ruleset::{GuestSubnet, Network};
use crate::ordered::{IntoOrdered, OrderedMap};
use crate::spec::GuestSpec;
use std::collections::BTreeSet;
use std::str::FromStr;

/// What a transport without uids reports (rsbinder), and never a user: nobody.
pub const NOBODY: u32 = u32::MAX;

/// Root.
const ROOT: u32 = 0;
/// AID_SYSTEM (android_filesystem_config.h); elsewhere 1000 is an ordinary user.
const AID_SYSTEM: u32 = 1000;
/// AID_SHELL, as which dumpsys and dumpstate run.
const AID_SHELL: u32 = 2000;

/// How many guests a uid with [`Scope::Own`] may have at a time: one user cannot take all slots.
pub const OWN_GUESTS: usize = 128;

/// What a uid that may call is let to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything: it is an administrator of the device's network.
    All,
    /// Name processes of its own, and see and change the guests that it attached.
    Own,
}

/// A uid of `--allow-uid`: "1234", or "1234:own".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedUid {
    uid: u32,
    scope: Scope,
}

impl FromStr for AllowedUid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, scope) = match text.split_once(':') {
            None => (text, Scope::All),
            Some((number, "own")) => (number, Scope::Own),
            Some((_, other)) => {
                return Err(format!("{other:?} is not a scope: use UID, or UID:own"));
            }
        };
        match number.parse() {
            Ok(uid) if uid != NOBODY => Ok(Self { uid, scope }),
            _ => Err(format!("{number:?} is not a uid: use a number from 0 to 4294967294")),
        }
    }
}

/// The uids that may call.
#[derive(Clone, Debug)]
pub struct Allowed(OrderedMap<u32, Scope>);

impl Allowed {
    /// The platform's own, and these.
    pub fn new(more: impl IntoIterator<Item = AllowedUid>) -> Self {
        Self::on(cfg!(target_os = "android"), more)
    }

    fn on(android: bool, more: impl IntoIterator<Item = AllowedUid>) -> Self {
        let platform = if android { vec![ROOT, AID_SYSTEM] } else { vec![ROOT] };
        let mut uids = platform.into_iter().map(|uid| (uid, Scope::All)).into_map();
        for AllowedUid { uid, scope } in more {
            // Of two the wider counts.
            if scope == Scope::All || !uids.contains_key(&uid) {
                uids.insert(uid, scope);
            }
        }
        uids.remove(&NOBODY);
        Self(uids)
    }

    /// All of them.
    pub fn uids(&self) -> BTreeSet<u32> {
        self.0.keys().copied().collect()
    }

    /// What this uid may do, or why it may not call.
    pub fn scope(&self, uid: u32) -> Result<Scope, String> {
        match self.0.get(&uid) {
            Some(scope) => Ok(*scope),
            None if uid == NOBODY => Err("a caller without a uid may not use guestnetd".into()),
            None => {
                Err(format!("uid {uid} may not use guestnetd; start it with --allow-uid {uid}"))
            }
        }
    }

    /// Why this uid may not have a dump; nothing if it may.
    pub fn refuse_dump(&self, uid: u32) -> Option<String> {
        let shell = cfg!(target_os = "android") && uid == AID_SHELL;
        match self.scope(uid) {
            Ok(Scope::All) => None,
            Ok(Scope::Own) => Some(own_guests_only(uid)),
            Err(why) => Some(why).filter(|_| !shell),
        }
    }
}

/// Why a uid with [`Scope::Own`] may not do what is about all guests.
pub fn own_guests_only(uid: u32) -> String {
    format!("uid {uid} may only use guests of its own; start guestnetd with --allow-uid {uid}")
}

/// Why a uid with [`Scope::Own`] may not have a guest with this specification: what the device's programs
/// send to a guest's address or a gateway's reaches the guest or the device itself, not the host that had it.
pub fn other_subnet(uid: u32, spec: &GuestSpec) -> Option<String> {
    let usual = GuestSubnet::original()?;
    let is_usual = (spec.subnet, spec.gateway) == (usual.subnet, usual.gateway);
    let only = Network::from(usual.subnet);
    (!is_usual).then(|| {
        format!(
            "uid {uid} may only use addresses of {only} with the gateway {}; start guestnetd with \
             --allow-uid {uid}",
            usual.gateway
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(text: &str) -> AllowedUid {
        text.parse().unwrap()
    }

    #[test]
    fn the_platform_decides_who_is_trusted() {
        let (linux, android) = (Allowed::on(false, [uid("1234")]), Allowed::on(true, []));
        for (allowed, uid, yes) in [
            (&linux, 0, true),
            (&linux, 1000, false),
            (&linux, 1234, true),
            (&android, 0, true),
            (&android, 1000, true),
            (&android, 1234, false),
            (&android, 10123, false),
        ] {
            assert_eq!(allowed.scope(uid).is_ok(), yes, "{uid}");
            assert_eq!(allowed.uids().contains(&uid), yes, "{uid}");
        }
    }

    #[test]
    fn a_uid_may_be_limited_to_its_own_and_the_wider_counts() {
        let allowed = Allowed::on(false, ["7:own", "8:own", "8", "9", "9:own", "0:own"].map(uid));
        for (uid, scope) in [(0, Scope::All), (7, Scope::Own), (8, Scope::All), (9, Scope::All)] {
            assert_eq!(allowed.scope(uid), Ok(scope), "{uid}");
        }
        assert!(allowed.refuse_dump(7).is_some() && allowed.refuse_dump(8).is_none());
    }

    #[test]
    fn what_is_no_uid_is_said() {
        for bad in ["", "own", ":own", "7:", "7:all", "7:own:own", "-1", "4294967295", "7 :own"] {
            assert!(bad.parse::<AllowedUid>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_is_never_allowed() {
        let nobody = AllowedUid { uid: NOBODY, scope: Scope::All };
        assert!(Allowed::on(false, [nobody]).scope(NOBODY).is_err());
        assert!(Allowed::on(true, [nobody]).scope(u32::MAX).is_err());
    }
}
