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

//! What netd and the framework do in a history, by chance.

use super::{
    default_to, framework_returns, hotspot, lockdown, lockdown_again, netd, restarts, vpn,
};
use crate::schedule::inside;
use crate::seed::Seed;

/// One thing that they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// netd starts again, with so many milliseconds between its steps; the framework is not back yet.
    Restarts(u64),
    /// The framework is back; the lockdown comes last, so many milliseconds later, or first.
    Returns(Option<u64>),
    /// The default network is mobile data, or Wi-Fi.
    Mobile(bool),
    /// A VPN comes, or goes.
    Vpn(bool),
    /// A lockdown begins, or ends.
    Lockdown(bool),
    /// Its users change, with so many milliseconds between the old rule and the new one.
    LockdownAgain(u64),
    /// The hotspot is switched on, or off.
    Hotspot(bool),
}

/// One of them.
pub fn some(seed: &mut Seed) -> Doing {
    let yes = seed.once_in(2);
    match seed.below(20) {
        0..=4 => Doing::Restarts([0, 1, 15, 120][seed.below(4)]),
        5..=7 => returns(seed),
        8..=10 => Doing::Mobile(yes),
        11..=13 => Doing::Vpn(yes),
        14..=16 => Doing::Lockdown(seed.below(3) != 0),
        17 => Doing::LockdownAgain([0, 1, 400][seed.below(3)]),
        _ => Doing::Hotspot(yes),
    }
}

/// The framework comes back, the lockdown first or late.
pub fn returns(seed: &mut Seed) -> Doing {
    Doing::Returns([None, None, Some(10), Some(2_000), Some(30_000)][seed.below(5)])
}

impl Doing {
    /// Whether guests may lose their way by it.
    pub fn breaks(&self) -> bool {
        !matches!(self, Self::Hotspot(_) | Self::LockdownAgain(_) | Self::Returns(_))
    }

    /// Does it, on a device with netd.
    pub fn happens(&self) {
        if netd().is_none() {
            return;
        }
        // Whatever it asks of netd, the framework has come back first.
        if !matches!(self, Self::Restarts(_) | Self::Returns(_)) {
            framework_returns(None, 1);
        }
        match *self {
            Self::Restarts(pause) => restarts(pause),
            Self::Returns(late) => framework_returns(late, 3),
            Self::Mobile(yes) => inside(|| default_to(if yes { "rmnet0" } else { "wlan0" })),
            Self::Vpn(up) => inside(|| vpn(up)),
            Self::Lockdown(on) => inside(|| lockdown(on)),
            Self::LockdownAgain(pause) => lockdown_again(pause),
            Self::Hotspot(on) => inside(|| hotspot(on)),
        }
    }
}
