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

//! Whether a lockdown VPN is up, as guests that it stops must meet it: what stops them has to be seen to be
//! over, not only to be absent. Pure.
//!
//! netd adds its rule anew when the users of a lockdown change, and a start of netd takes it with all
//! others. Then the framework brings everything back, seconds later: the lockdown, the networks, the
//! default network, in an order of its own.

use super::policy_rules::{self, Rule};
use std::time::{Duration, Instant};

/// The rule is away, and so long at least before it is believed: netd deletes one and adds the next, by
/// two calls of the framework's, each of which waits for the kernel's RTNL.
const FLIP: Duration = Duration::from_secs(1);
/// The same after a start of netd, once there is a default network again: that may come first, and the framework
/// is in no hurry while it comes back itself.
const FRAMEWORK: Duration = Duration::from_secs(60);
/// The same where no lockdown was seen before, which most devices never have: guestnetd starts with netd.
const UNSEEN: Duration = Duration::from_secs(10);

/// What is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lockdown {
    /// There is none.
    #[default]
    Off,
    /// netd's rule is there.
    On {
        /// Whether netd starts, and has not come to it yet.
        started: bool,
    },
    /// It was there, or may have been. It still counts until then; none: until netd has a default network
    /// again.
    Held {
        /// Whether it was seen.
        seen: bool,
        /// Whether netd has started since.
        started: bool,
        /// When it is over.
        until: Option<Instant>,
    },
}

/// What is known at a start of guestnetd of the time before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Whether an earlier guestnetd has seen a lockdown and not its end.
    pub seen: bool,
    /// Whether no rule of ours is left: a start of netd takes all of them, and nothing else tells of one.
    pub lost: bool,
}

impl Lockdown {
    /// What a start of guestnetd makes of the rules: while netd has no default network nobody knows
    /// whether a lockdown comes before it.
    pub fn first(rules: &[Rule], netd_routes: bool, past: Past, now: Instant) -> Self {
        let unknown = netd_routes && policy_rules::default_network(rules).is_empty();
        let was = match past.seen {
            true => Self::Held { seen: true, started: false, until: None },
            false if unknown => Self::Held { seen: false, started: true, until: None },
            false => Self::Off,
        };
        was.after(rules, netd_routes, past.lost, now)
    }

    /// The same after these rules were read. `lost`: none of ours is among them, though some should be. That is all
    /// there is to see of a start of netd whose own rules were back before anybody looked.
    pub fn after(self, rules: &[Rule], netd_routes: bool, lost: bool, now: Instant) -> Self {
        let starting = netd_routes && (lost || policy_rules::netd_starts(rules));
        if policy_rules::lockdown(rules) {
            return Self::On { started: starting };
        }
        let default = !netd_routes || !policy_rules::default_network(rules).is_empty();
        // The lockdown's rule goes before that of the default network, however long netd takes for each.
        let starts = !default || starting;
        let (seen, started, until) = match self {
            Self::Off => return Self::Off,
            Self::On { started } => (true, started || starts, None),
            // It is longer from now on.
            Self::Held { seen, started: false, .. } if starts => (seen, true, None),
            Self::Held { until: Some(at), .. } if default && at <= now => return Self::Off,
            Self::Held { seen, started, until } => (seen, started, until),
        };
        let longer = match (started, seen) {
            (false, _) => FLIP,
            (true, true) => FRAMEWORK,
            (true, false) => UNSEEN,
        };
        let until = default.then(|| until.unwrap_or(now + longer));
        Self::Held { seen, started, until }
    }

    /// Whether one was seen that is not known to be over.
    pub fn was_seen(self) -> bool {
        matches!(self, Self::On { .. } | Self::Held { seen: true, .. })
    }

    /// Whether it stops guests.
    pub fn stops(self) -> bool {
        self != Self::Off
    }

    /// When it has to be looked at though nothing is announced.
    pub fn over_at(self) -> Option<Instant> {
        match self {
            Self::Held { until, .. } => until,
            Self::Off | Self::On { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy_rules::{PROHIBIT, TO_TABLE};
    use super::super::table::TableId;
    use super::*;
    use crate::model::if_index::IfIndex;

    const ON: Lockdown = Lockdown::On { started: false };

    /// As netd has them (`RouteController.cpp`).
    fn rules(lockdown: bool, default: bool) -> Vec<Rule> {
        let own = Rule { input: Some("lo".into()), ..Rule::default() };
        let (mark, table) = ((0xc_0000, 0xd_0000), TableId::own(IfIndex::of(99)));
        let first = Rule { priority: 10000, action: TO_TABLE, mark, table, ..Rule::default() };
        let mut rules = vec![first];
        if lockdown {
            let mark = (0, 0x2_0000);
            rules.push(Rule {
                priority: 14000,
                action: PROHIBIT,
                users: true,
                mark,
                ..own.clone()
            });
        }
        if default {
            let mark = (0, 0xffff);
            rules.push(Rule {
                priority: 31000,
                action: TO_TABLE,
                table: TableId::of_interface(IfIndex::of(2)),
                mark,
                ..own
            });
        }
        rules
    }

    fn after(was: Lockdown, lockdown: bool, default: bool, now: Instant) -> Lockdown {
        was.after(&rules(lockdown, default), true, false, now)
    }

    #[test]
    fn a_rule_that_is_replaced_is_there_all_the_time() {
        let now = Instant::now();
        let on = after(Lockdown::Off, true, true, now);
        assert_eq!(on, ON);
        let away = after(on, false, true, now);
        assert!(away.stops());
        assert_eq!(away.over_at(), Some(now + FLIP));
        assert_eq!(after(away, true, true, now), ON);
        let still = after(away, false, true, now + FLIP / 2);
        assert_eq!(still.over_at(), Some(now + FLIP), "other rules do not prolong it");
        assert_eq!(after(still, false, true, now + FLIP), Lockdown::Off);
    }

    #[test]
    fn a_start_of_netd_does_not_end_it() {
        let now = Instant::now();
        // Its rules go one by one; then there is none of them for as long as the framework takes.
        let mut it = after(ON, false, true, now);
        for second in 0..30 {
            it = after(it, false, false, now + Duration::from_secs(second));
            assert!(it.stops() && it.over_at().is_none(), "{it:?}");
        }
        assert_eq!(after(it, true, false, now), ON, "the lockdown comes first");
        let back = now + Duration::from_secs(30);
        it = after(it, false, true, back);
        assert_eq!(it.over_at(), Some(back + FRAMEWORK), "or the default network does");
        assert!(after(it, false, true, back + FLIP).stops());
        assert_eq!(after(it, false, true, back + FRAMEWORK), Lockdown::Off);
    }

    #[test]
    fn a_start_of_netd_that_takes_its_time_does_not_end_it() {
        let now = Instant::now();
        let mut left = rules(false, true);
        left.remove(0);
        // Each rule by its own: the first, the lockdown's, and much later that of the default network.
        let mut it = ON;
        for tenth in 0..50 {
            it = it.after(&left, true, false, now + Duration::from_millis(100 * tenth));
            assert!(it.stops(), "{tenth}: {it:?}");
        }
        it = after(it, false, false, now + Duration::from_secs(5));
        assert!(it.stops() && it.over_at().is_none(), "{it:?}");
        // It may be seen late that a rule is gone.
        let late = after(ON, false, true, now).after(&left, true, false, now + FLIP);
        assert_eq!(late.over_at(), Some(now + FLIP + FRAMEWORK));
    }

    #[test]
    fn a_start_of_netd_that_nobody_saw_does_not_end_it() {
        let (now, there) = (Instant::now(), rules(false, true));
        let lost = ON.after(&there, true, true, now);
        assert_eq!(lost.over_at(), Some(now + FRAMEWORK), "no rule of ours is left");
        assert_eq!(after(lost, true, true, now), ON);
        assert_eq!(after(lost, false, true, now + FRAMEWORK), Lockdown::Off);
        // Or a rule of netd's was away for a moment, and the lockdown's not yet.
        let on = ON.after(&rules(true, true)[1..], true, false, now);
        assert_eq!(on, Lockdown::On { started: true });
        assert_eq!(after(on, false, true, now).over_at(), Some(now + FRAMEWORK));
        assert_eq!(after(on, true, true, now), ON, "it was there again");
        assert_eq!(ON.after(&there, false, true, now).over_at(), Some(now + FLIP), "no netd");
    }

    #[test]
    fn a_default_network_that_goes_again_is_waited_for_again() {
        let now = Instant::now();
        let it = after(after(ON, false, false, now), false, true, now);
        let gone = after(it, false, false, now + FRAMEWORK);
        assert!(gone.stops() && gone.over_at().is_none());
    }

    #[test]
    fn nothing_is_assumed_of_a_netd_without_a_default_network() {
        let now = Instant::now();
        let none = Past::default();
        let first = |lockdown, default| Lockdown::first(&rules(lockdown, default), true, none, now);
        assert_eq!(first(false, true), Lockdown::Off);
        assert_eq!(first(true, true), ON);
        let unseen = first(false, false);
        assert!(unseen.stops() && unseen.over_at().is_none());
        let there = after(unseen, false, true, now);
        assert_eq!(there.over_at(), Some(now + UNSEEN), "most devices have none");
        assert_eq!(after(there, false, true, now + UNSEEN), Lockdown::Off);
        let late = after(after(there, true, true, now), false, false, now);
        assert_eq!(after(late, false, true, now).over_at(), Some(now + FRAMEWORK), "it was seen");
        assert_eq!(Lockdown::first(&[], false, none, now), Lockdown::Off, "there is no netd");
        let away = ON.after(&[], false, false, now);
        assert_eq!(away.over_at(), Some(now + FLIP), "nor a start of it");
    }
    #[test]
    fn a_lockdown_that_an_earlier_guestnetd_saw_is_waited_for() {
        let now = Instant::now();
        let first = |lockdown, default, lost| {
            Lockdown::first(&rules(lockdown, default), true, Past { seen: true, lost }, now)
        };
        assert_eq!(first(true, true, true), Lockdown::On { started: true });
        assert_eq!(first(true, true, false), ON);
        // It ended while nobody looked; or netd has started, and the framework is late with it.
        assert_eq!(first(false, true, false).over_at(), Some(now + FLIP));
        assert_eq!(first(false, true, true).over_at(), Some(now + FRAMEWORK));
        for lost in [false, true] {
            let late = first(false, false, lost);
            assert!(late.stops() && late.was_seen() && late.over_at().is_none());
            assert_eq!(after(late, false, true, now).over_at(), Some(now + FRAMEWORK));
        }
        let past = Past { seen: true, lost: true };
        let linux = Lockdown::first(&[], false, past, now);
        assert_eq!(linux.over_at(), Some(now + FLIP), "there is no netd");
        assert!(!linux.after(&[], false, true, now + FLIP).was_seen());
    }
}
