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

use std::collections::BTreeSet;

/// What a transport without uids reports (rsbinder), and never a user: nobody.
pub const NOBODY: u32 = u32::MAX;

/// Root.
const ROOT: u32 = 0;
/// AID_SYSTEM (android_filesystem_config.h); elsewhere 1000 is an ordinary user.
const AID_SYSTEM: u32 = 1000;
/// AID_SHELL, as which dumpsys and dumpstate run.
const AID_SHELL: u32 = 2000;

/// The uids that may call.
#[derive(Clone, Debug)]
pub struct Allowed(BTreeSet<u32>);

impl Allowed {
    /// The platform's own, and these.
    pub fn new(more: impl IntoIterator<Item = u32>) -> Self {
        Self::on(cfg!(target_os = "android"), more)
    }

    fn on(android: bool, more: impl IntoIterator<Item = u32>) -> Self {
        let platform = if android { vec![ROOT, AID_SYSTEM] } else { vec![ROOT] };
        Self(platform.into_iter().chain(more).filter(|uid| *uid != NOBODY).collect())
    }

    /// Why this uid may not call; nothing if it may.
    pub fn refuse(&self, uid: u32) -> Option<String> {
        if self.0.contains(&uid) {
            return None;
        }
        if uid == NOBODY {
            return Some("a caller without a uid may not use guestnetd".into());
        }
        Some(format!("uid {uid} may not use guestnetd; start it with --allow-uid {uid}"))
    }

    /// Why this uid may not have a dump; nothing if it may.
    pub fn refuse_dump(&self, uid: u32) -> Option<String> {
        let shell = cfg!(target_os = "android") && uid == AID_SHELL;
        self.refuse(uid).filter(|_| !shell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platform_decides_who_is_trusted() {
        let (linux, android) = (Allowed::on(false, [1234]), Allowed::on(true, []));
        for (allowed, uid, yes) in [
            (&linux, 0, true),
            (&linux, 1000, false),
            (&linux, 1234, true),
            (&android, 0, true),
            (&android, 1000, true),
            (&android, 1234, false),
            (&android, 10123, false),
        ] {
            assert_eq!(allowed.refuse(uid).is_none(), yes, "{uid}");
        }
    }

    #[test]
    fn nobody_is_never_allowed() {
        assert!(Allowed::on(false, [NOBODY]).refuse(NOBODY).is_some());
        assert!(Allowed::on(true, [u32::MAX]).refuse(u32::MAX).is_some());
    }
}
