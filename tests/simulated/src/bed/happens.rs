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

//! One step of a history: what goes wrong meanwhile, and what happens, by its name.

use super::guests::spec;
use super::{Bed, Known, Outcome, MS};
use crate::device;
use crate::history::{self, Op, Step};
use crate::schedule::{inside, schedule};
use crate::segments;
use crate::world::{world, Hearing};

impl Bed {
    /// Does one step.
    pub fn step(&mut self, step: &Step) -> Outcome<()> {
        self.say(|| format!("{step:?}"));
        if let Op::Chance(number) = step.op {
            schedule().seed = history::chance(number);
            return Ok(());
        }
        if !matches!(step.op, Op::Rest) {
            world().expect(step.fault.clone());
            if step.hearing != Hearing::Late && !matches!(step.op, Op::Status(_)) {
                inside(|| world().hear_late());
            }
            if !matches!(step.op, Op::Status(_)) {
                world().hearing = step.hearing;
            }
        }
        self.happens(&step.op)?;
        if !world().killed {
            self.pass(3 * MS);
        }
        self.alive()
    }

    fn happens(&mut self, op: &Op) -> Outcome<()> {
        let device = world().device;
        match *op {
            Op::Attach(guest) => drop(self.attach(guest)?),
            Op::Detach(guest) => drop(self.detach(guest)?),
            Op::AttachAndDetach(one, other) => self.attach_and_detach(one, other)?,
            Op::Update(guest, mtu, moves) => self.update(guest, mtu, moves)?,
            Op::Status(guest) => self.ask_status(guest)?,
            Op::List => self.list()?,
            Op::GuestDies(guest) => self.guest_dies(guest),
            Op::Killed => self.kill(),
            Op::Down(ref then) => {
                self.kill();
                self.happens(then)?;
            }
            Op::Restarted => self.ends()?,
            Op::OtherFilter => {
                self.ends()?;
                self.change_filter();
            }
            Op::Chance(_) => {}
            Op::Time(ms) => self.pass(ms * MS),
            Op::Rest => self.rest()?,
            Op::UplinkGoes => self.uplink_goes(),
            Op::UplinkComes => {
                self.uplink_comes();
                inside(|| self.others_routes());
            }
            Op::NoDefaultRoute => self.default_route_goes(),
            Op::UplinkDown => drop(inside(|| device::set_up(device, "wlan0", false))),
            Op::Rule(number, gone) => self.others_rule(number, gone),
            Op::Route(number, gone) => self.others_route(number, gone),
            Op::Table(number, gone) => self.others_filter(number, gone),
            Op::NoForwarding => self.no_forwarding(),
            Op::FilterGoes => self.filter_goes(),
            Op::FilterRuleGoes(chain) => self.filter_rule_goes(chain),
            Op::Rename(guest) => self.to_host_end(guest, |name| {
                device::set_up(device, name, false);
                device::rename(device, name, "renamed");
            }),
            Op::Relabel(guest) => self.to_host_end(guest, |name| {
                device::relabel(device, name, "others");
            }),
            Op::HostEndDown(guest) => self.to_host_end(guest, |name| {
                device::set_up(device, name, false);
            }),
            Op::NoHostAddress(guest) => self.to_host_end(guest, |name| {
                let gateway = spec(guest, -1).gateway.to_string();
                device::address(device, name, &gateway, 32, true);
            }),
            Op::HostEndGoes(guest) => {
                if let Some(name) = self.host_end(guest) {
                    inside(|| device::delete(device, &name));
                    self.known[guest] = Known::Detached;
                }
            }
            Op::Netd(ref doing) => self.netd_does(doing),
            Op::NoFilters(guest) => {
                self.disturb();
                self.to_host_end(guest, |name| {
                    if let Some(link) = device::link(device, name) {
                        segments::no_filters(device, link.index as u32);
                    }
                });
            }
            Op::Segment(segment, damage) => {
                self.disturb();
                inside(|| segments::damage(segment, damage));
            }
            Op::Cast(cast) => self.play(cast),
        }
        Ok(())
    }
}
