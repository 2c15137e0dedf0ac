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

//! netd's start, step by step in its order, and its restart in the middle of everything.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::networks::Network;
use super::{chains, rules, sysctls, NetdDevice};
use crate::InNetns;

/// What the framework brings back first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The lockdown, as a rule.
    Lockdown,
    /// The networks and the default one; the lockdown 2 s later.
    Default,
}

/// One thing that the framework brings back, each on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The lockdown, if there was one.
    Lockdown,
    /// A network that netd had, by its interface.
    Network(&'a str),
    /// Which network is the default one.
    Default(&'a str),
    /// The hotspot.
    Hotspot,
}

impl NetdDevice {
    /// netd ends and starts again, with `pace` between its steps; then the networks come back, the
    /// hotspot does not: who asked for it is gone as well. Gives the instant of the last change.
    /// There are about forty steps: with 100 ms, ndc waits for almost as long as it ever does.
    ///
    /// Left as they are: links, addresses, the routes of all tables, and whatever others have in
    /// chains of their own. Lost: all that is in netd's chains and in the built-in ones that it
    /// calls its own, all routing rules but that of `local`, and who asked for forwarding.
    pub fn netd_restarts(&self, pace: Duration) -> Instant {
        self.netd_restarts_alone(pace);
        self.framework_returns(pace, First::Lockdown)
    }

    /// netd alone: the framework brings nothing back yet, which takes it 10 to 30 s on a device.
    pub fn netd_restarts_alone(&self, pace: Duration) {
        self.netd_starts(true, pace);
        let mut state = self.state();
        if std::mem::take(&mut state.hotspot) {
            self.run("ip link del ap0");
        }
        state.counted.clear();
    }

    /// The framework brings back one thing after the other, with `pace` before each. What is not
    /// among them is lost.
    pub fn framework_returns_with(&self, pace: Duration, pieces: &[Piece]) {
        let former = {
            let mut state = self.state();
            state.default = None;
            std::mem::take(&mut state.networks)
        };
        for piece in pieces {
            sleep(pace);
            match piece {
                Piece::Lockdown if self.state().lockdown => self.add_rules(&[rules::lockdown()]),
                Piece::Lockdown => {}
                Piece::Network(name) => {
                    let network = former.iter().find(|network| network.name == *name);
                    let network = network.expect("a network of that name");
                    self.bring_back(network, Duration::ZERO);
                    let mut state = self.state();
                    if network.is_vpn() {
                        self.add_rules(&self.left_to_default(&state, network.net_id));
                    }
                    state.networks.push(network.clone());
                }
                Piece::Default(name) => self.default_to(name),
                Piece::Hotspot => self.hotspot(true),
            }
        }
    }

    fn bring_back(&self, network: &Network, pace: Duration) {
        self.add_rules(&network.rules);
        sleep(pace);
        self.add_mark(network);
        if !network.is_vpn() {
            self.add_clsact(&network.name);
        }
        sleep(pace);
        self.fill_table(network);
        sleep(pace);
    }

    /// The framework brings back what it wants of a netd that has started again. Gives the instant of
    /// the last change.
    pub fn framework_returns(&self, pace: Duration, first: First) -> Instant {
        let mut state = self.state();
        let lockdown = if state.lockdown { vec![rules::lockdown()] } else { Vec::new() };
        if first == First::Lockdown {
            self.add_rules(&lockdown);
        }
        let networks = state.networks.clone();
        for network in &networks {
            self.bring_back(network, pace);
        }
        let default = state.default.take();
        self.switch_default(&mut state, default.as_deref());
        if first == First::Default {
            sleep(Duration::from_secs(2));
            self.add_rules(&lockdown);
        }
        Instant::now()
    }

    /// Everything up to the moment when netd can be called.
    pub(super) fn netd_starts(&self, again: bool, pace: Duration) {
        // Held as long as nobody can call it.
        let _gone = self.directory.netd_dies();
        sysctls::forwarding_off(self);
        for network in &self.state().networks {
            self.remove_clsact(&network.name);
        }
        sleep(pace);
        for transaction in chains::at_start(self.variant, again) {
            self.restore(&transaction);
            sleep(pace);
        }
        for family in [4, 6] {
            // As netd does: all but those of priority 0. It tells each rule by its number.
            self.run(&format!("ip -{family} rule flush"));
            sleep(pace);
        }
        for rule in rules::at_start(rules::table(self.ifindex(rules::DUMMY))) {
            self.add_rules(&[rule]);
            sleep(pace);
        }
    }
}
