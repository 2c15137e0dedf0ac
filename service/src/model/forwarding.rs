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

//! Whether `net.ipv4.ip_forward` may go back to 0 when the last guest is gone. Pure.
//!
//! The kernel has one switch and no owner for it. A second writer of 1 leaves no trace, so the
//! switch goes back only where nothing suggests that there is one.

use serde::{Deserialize, Serialize};

/// What the kernel changes beside the switch, as it was before (`inet_forward_change()`): without
/// this, switching on and off again would leave other values than there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// `conf/all/accept_redirects`.
    pub accept_redirects: bool,
    /// The entries of `conf/` but `all` whose `forwarding` was 1 of its own.
    pub forwarding: Vec<String>,
}

/// Whose forwarding switch is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The kernel's, written; what else changes by it was like this before.
    Sysctl(Before),
    /// netd's, which counts who needs it, and is asked.
    Netd,
}

/// What is known when the last guest is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether guestnetd wrote the 1, since this boot.
    pub ours: bool,
    /// Whether the kernel announced another change since.
    pub contested: bool,
    /// Whether the user asked to keep it (`--keep-forwarding`).
    pub keep: bool,
    /// Names of bridges that are not guestnetd's.
    pub bridges: Vec<String>,
    /// Names of links to other network namespaces that are neither guestnetd's nor the uplink.
    pub elsewhere: Vec<String>,
    /// A rule of somebody else about forwarded packets, in words.
    pub rule: Option<String>,
}

/// Nothing if it may go back to 0; else why it stays.
pub fn why_it_stays(facts: &Facts) -> Option<String> {
    let name = |names: &[String]| names.first().cloned();
    if !facts.ours {
        Some("guestnetd did not switch it on".into())
    } else if facts.keep {
        Some("--keep-forwarding was given".into())
    } else if facts.contested {
        Some("something else has written it since".into())
    } else if let Some(bridge) = name(&facts.bridges) {
        Some(format!("the bridge {bridge} may need it"))
    } else if let Some(link) = name(&facts.elsewhere) {
        Some(format!("the link {link} to another network namespace may need it"))
    } else {
        facts.rule.as_ref().map(|rule| format!("{rule} may need it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_back_only_when_nothing_speaks_against_it() {
        let alone = Facts { ours: true, ..Facts::default() };
        assert_eq!(why_it_stays(&alone), None);
        let one = || vec!["x0".to_owned()];
        for (facts, word) in [
            (Facts::default(), "did not"),
            (Facts { keep: true, ..alone.clone() }, "--keep-forwarding"),
            (Facts { contested: true, ..alone.clone() }, "since"),
            (Facts { bridges: one(), ..alone.clone() }, "bridge x0"),
            (Facts { elsewhere: one(), ..alone.clone() }, "link x0"),
            (Facts { rule: Some("a rule".into()), ..alone }, "a rule"),
        ] {
            assert!(why_it_stays(&facts).is_some_and(|why| why.contains(word)), "{facts:?}");
        }
    }
}
