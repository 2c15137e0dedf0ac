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

//! What all guests share in the kernel, each brought to what the world wants by one function of
//! [`Managed`]'s: the only caller of a resource's writes.

mod connections;
mod forwarding;
mod packet_filter;
mod policy_routing;
mod segments;

pub(crate) use connections::{Connections, Forgetter};
pub(crate) use forwarding::Forwarding;
pub(crate) use packet_filter::PacketFilter;
pub(crate) use policy_routing::PolicyRouting;
pub(crate) use segments::{await_carrier, Segments};

use crate::error::Error;
use crate::model::backoff::{Backoff, Say, REPAIR, RETRY};
use crate::model::change::Change;
use crate::model::world::World;
use std::time::Instant;

/// One thing that all guests share. Its writes are called by [`Managed`] alone.
pub(crate) trait SharedResource {
    /// What it is to be.
    type Want: Clone + PartialEq;
    /// Its name in the log.
    const NAME: &'static str;
    /// How to find who keeps taking it away.
    const FIND: &'static str;

    /// What it is to be in this world. Pure, and no dearer with more guests.
    fn want(world: &World) -> Self::Want;

    /// Why a change has to wait; none when it need not.
    fn waits(_from: Option<&Self::Want>, _to: &Self::Want, _world: &World) -> Option<&'static str> {
        None
    }

    /// The changes from one to the other, for people to read. Pure.
    fn changes(&self, from: Option<&Self::Want>, to: &Self::Want) -> Vec<Change>;

    /// What others have taken from `want` since it was applied; none when nothing.
    fn drift(&mut self, want: &Self::Want, world: &World) -> Result<Option<String>, Error>;

    /// Makes the kernel have `task.to`, whatever it has now.
    fn apply(&mut self, task: &Task<'_, Self::Want>) -> Result<Done, Error>;

    /// Removes all of it that is ours.
    fn clear(&mut self, _: Ending) -> Result<(), Error>;

    /// Whether a failure means that a program hangs: each try costs every caller some seconds.
    fn is_stuck(&self, _failure: &Error) -> bool {
        false
    }
}

/// Something to bring about. Only [`Managed`] makes one, so nobody else can apply a resource.
pub(crate) struct Task<'a, W> {
    /// What was applied last.
    from: Option<&'a W>,
    /// What is wanted.
    to: &'a W,
    /// The world that wants it.
    world: &'a World,
    /// Who waits for it.
    trigger: Trigger,
    /// Whether the last try failed: what is there may be anything between `from` and what was tried.
    failing: bool,
}

/// Nobody needs it any more. Only [`Managed`] makes one.
pub(crate) struct Ending(());

/// Why something is brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// A caller waits, and is told of a failure.
    Call,
    /// A call failed: what it has changed goes back exactly to what it was.
    Undo,
    /// Nobody waits: an announcement, a timer, a retry.
    Event,
}

/// How something was brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It is there.
    Applied,
    /// Somebody was asked for it, and will answer.
    Asked(&'static str),
}

/// What is known of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It is as it was applied last.
    InPlace,
    /// It waits for something.
    Pending(&'static str),
    /// It could not be applied.
    Failing {
        /// Why.
        cause: String,
        /// Whether a program hangs.
        stuck: bool,
    },
}

/// How far a reconcile looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Whether something else is wanted than was applied.
    Wanted,
    /// Whether the kernel still has it, too.
    Kernel,
}

/// What a reconcile has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing was to be done, or it is not time yet.
    Unchanged,
    /// What is wanted now was applied.
    Applied,
    /// What others had taken was put back.
    PutBack,
}

/// What a call would bring a resource to.
pub(crate) struct Planned<R: SharedResource> {
    want: R::Want,
    /// What that changes, for people to read.
    pub(crate) changes: Vec<Change>,
}

/// A resource, what it was brought to, and how that went.
pub(crate) struct Managed<R: SharedResource> {
    resource: R,
    applied: Option<R::Want>,
    /// What was tried last and failed.
    failed: Option<R::Want>,
    health: Health,
    /// Whether a change had to wait that was wanted last.
    held: bool,
    /// What others have taken and could not be put back yet.
    lacks: Option<String>,
    repairs: Backoff,
    retries: Backoff,
}

impl<R: SharedResource> Managed<R> {
    /// Nothing of it was applied; or it was, by an earlier run of guestnetd.
    pub(crate) fn new(resource: R, applied: Option<R::Want>) -> Self {
        Self {
            resource,
            applied,
            failed: None,
            health: Health::InPlace,
            held: false,
            lacks: None,
            repairs: Backoff::new(&REPAIR),
            retries: Backoff::new(&RETRY),
        }
    }

    /// The resource, to ask it.
    pub(crate) fn get(&self) -> &R {
        &self.resource
    }

    /// The same, to read the kernel or to tell it what was announced.
    pub(crate) fn get_mut(&mut self) -> &mut R {
        &mut self.resource
    }

    /// What it was brought to last.
    pub(crate) fn applied(&self) -> Option<&R::Want> {
        self.applied.as_ref()
    }

    /// What is known of it.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Whether it keeps being taken away, and repairs wait.
    pub(crate) fn is_contested(&self) -> bool {
        self.repairs.is_hot()
    }

    /// When what failed is tried again; none while it has to wait for something else.
    pub(crate) fn retry_at(&self, world: &World) -> Option<Instant> {
        // Asked with every call and announcement: what is wanted is looked at only where something fails.
        let waits = || R::waits(self.applied.as_ref(), &R::want(world), world).is_some();
        (self.is_failing() && !waits()).then(|| self.retries.next()).flatten()
    }

    /// When a repair that waits may be made.
    pub(crate) fn repair_at(&self) -> Option<Instant> {
        self.repairs.at()
    }

    /// Whether a repair has waited until now; told once.
    pub(crate) fn is_repair_due(&mut self, now: Instant) -> bool {
        self.repairs.is_due(now)
    }

    /// What a call would bring it to in this world.
    pub(crate) fn plan(&self, world: &World) -> Planned<R> {
        let want = R::want(world);
        let rests = !self.differs(&want) || R::waits(self.applied.as_ref(), &want, world).is_some();
        let changes = match rests {
            true => Vec::new(),
            false => self.resource.changes(self.applied.as_ref(), &want),
        };
        Planned { want, changes }
    }

    /// Brings it there, in the same world, and says what that has changed.
    pub(crate) fn carry_out(
        &mut self,
        planned: Planned<R>,
        world: &World,
    ) -> Result<(Outcome, Vec<Change>), Error> {
        let Planned { want, changes } = planned;
        let outcome = self.reconcile_to(&want, world, Look::Wanted, Trigger::Call)?;
        Ok((outcome, changes))
    }

    /// Brings it to what the world wants.
    pub(crate) fn reconcile(
        &mut self,
        world: &World,
        look: Look,
        trigger: Trigger,
    ) -> Result<Outcome, Error> {
        self.reconcile_to(&R::want(world), world, look, trigger)
    }

    /// The only caller of its writes.
    fn reconcile_to(
        &mut self,
        want: &R::Want,
        world: &World,
        look: Look,
        trigger: Trigger,
    ) -> Result<Outcome, Error> {
        let differs = self.differs(want);
        if !differs && std::mem::take(&mut self.held) {
            // Nobody wants the change any more that had to wait: a call failed, or a guest has gone.
            self.health = Health::InPlace;
        }
        if !differs && look == Look::Wanted {
            return Ok(Outcome::Unchanged);
        }
        if let Some(why) = R::waits(self.applied.as_ref(), want, world) {
            if differs && !self.is_failing() {
                (self.health, self.held) = (Health::Pending(why), true);
            }
            return Ok(Outcome::Unchanged);
        }
        let now = Instant::now();
        if trigger == Trigger::Event && !self.may_try(want, now) {
            return Ok(Outcome::Unchanged);
        }
        if differs {
            self.apply(want, world, trigger)?;
            if let Some(what) = self.lacks.take() {
                log::warn!("{}: put back: {what}", R::NAME);
            }
            return Ok(Outcome::Applied);
        }
        match self.resource.drift(want, world)? {
            Some(what) if self.repairs.may_act(now) => {
                self.put_back(want, what, world).map(|()| Outcome::PutBack)
            }
            _ => Ok(Outcome::Unchanged),
        }
    }

    /// After a call that failed: back to what this world wants. Where a program hangs that is tried
    /// later, as any failure: the caller has waited long enough.
    pub(crate) fn undo(&mut self, world: &World) -> Result<(), Error> {
        match self.health {
            Health::Failing { stuck: true, .. } => Ok(()),
            _ => self.reconcile(world, Look::Wanted, Trigger::Undo).map(drop),
        }
    }

    /// At the end, when nobody needs it.
    pub(crate) fn clear(&mut self) -> Result<(), Error> {
        self.resource.clear(Ending(()))
    }

    /// Somebody who was asked for this has answered. What is wanted may be another by now: that is then still to
    /// be done.
    pub(crate) fn answered(&mut self, asked: R::Want, result: &Result<(), Error>) {
        self.note(result);
        if result.is_ok() {
            self.applied = Some(asked);
        }
    }

    fn differs(&self, want: &R::Want) -> bool {
        self.applied.as_ref() != Some(want) || self.is_failing()
    }

    fn is_failing(&self) -> bool {
        matches!(self.health, Health::Failing { .. })
    }

    /// What failed is tried again when its time has come; what has not been tried is, unless a
    /// program hangs.
    fn may_try(&self, want: &R::Want, now: Instant) -> bool {
        let Health::Failing { stuck, .. } = self.health else { return true };
        let fresh = !stuck && self.failed.as_ref() != Some(want);
        fresh || !matches!(self.retries.next(), Some(at) if now < at)
    }

    fn apply(&mut self, want: &R::Want, world: &World, trigger: Trigger) -> Result<(), Error> {
        let from = self.applied.as_ref();
        let failing = self.is_failing();
        let result = self.resource.apply(&Task { from, to: want, world, trigger, failing });
        let result = result.map(|done| match done {
            Done::Applied => None,
            Done::Asked(why) => Some(why),
        });
        let (result, asked) = match result {
            Ok(asked) => (Ok(()), asked),
            Err(e) => (Err(e), None),
        };
        self.held = false;
        self.note(&result);
        if let Some(why) = asked {
            self.health = Health::Pending(why);
        }
        match &result {
            Ok(()) => self.applied = Some(want.clone()),
            Err(_) => self.failed = Some(want.clone()),
        }
        result
    }

    fn note(&mut self, result: &Result<(), Error>) {
        match result {
            Ok(()) => {
                self.health = Health::InPlace;
                self.failed = None;
                self.retries.reset();
            }
            Err(e) => {
                self.health =
                    Health::Failing { cause: e.to_string(), stuck: self.resource.is_stuck(e) };
                self.retries.acted(Instant::now());
            }
        }
    }

    fn put_back(&mut self, want: &R::Want, what: String, world: &World) -> Result<(), Error> {
        let result = self.apply(want, world, Trigger::Event);
        match self.repairs.acted(Instant::now()) {
            // One who was asked has not answered yet.
            Say::This if self.health == Health::InPlace => {
                log::warn!("{}: put back: {what}", R::NAME);
            }
            Say::This => {}
            say => say.sum(&format!("{}: {what}", R::NAME), R::FIND),
        }
        self.lacks = result.is_err().then_some(what);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// What is wanted is whether netd is awaited: something to switch.
    #[derive(Default)]
    struct Fake {
        /// How often it was written, and with what.
        writes: Vec<bool>,
        /// What others have taken.
        taken: Option<String>,
        fails: bool,
        stuck: bool,
        /// Of each write, whether the one before had failed.
        after_failure: Vec<bool>,
    }

    impl SharedResource for Fake {
        type Want = bool;
        const NAME: &'static str = "fake";
        const FIND: &'static str = "nobody";

        fn want(world: &World) -> bool {
            world.awaits_netd
        }

        fn waits(_from: Option<&bool>, _to: &bool, world: &World) -> Option<&'static str> {
            world.prefixes.is_some().then_some("prefixes")
        }

        fn changes(&self, _from: Option<&bool>, to: &bool) -> Vec<Change> {
            vec![Change::forwarding(*to)]
        }

        fn drift(&mut self, _want: &bool, _world: &World) -> Result<Option<String>, Error> {
            Ok(self.taken.clone())
        }

        fn apply(&mut self, task: &Task<'_, bool>) -> Result<Done, Error> {
            self.writes.push(*task.to);
            self.after_failure.push(task.failing);
            if self.fails {
                let kind = if self.stuck { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
                return Err(Error::Forwarding { switch: "on", cause: kind.into() });
            }
            self.taken = None;
            Ok(Done::Applied)
        }

        fn clear(&mut self, _: Ending) -> Result<(), Error> {
            Ok(())
        }

        fn is_stuck(&self, failure: &Error) -> bool {
            failure.is_unanswered()
        }
    }

    fn on() -> World {
        World { awaits_netd: true, ..World::empty() }
    }

    fn event(it: &mut Managed<Fake>, world: &World, look: Look) -> Option<Outcome> {
        it.reconcile(world, look, Trigger::Event).ok()
    }

    #[test]
    fn an_answer_to_what_nobody_wants_any_more_is_taken_back() {
        let mut it = Managed::new(Fake::default(), Some(false));
        event(&mut it, &on(), Look::Wanted);
        event(&mut it, &World::empty(), Look::Wanted);
        assert_eq!(it.get().writes, [true, false]);
        it.answered(true, &Ok(()));
        for _ in 0..2 {
            event(&mut it, &World::empty(), Look::Wanted);
            assert_eq!(it.get().writes, [true, false, false]);
        }
    }

    #[test]
    fn what_is_wanted_is_applied_once() {
        let mut it = Managed::new(Fake::default(), Some(false));
        assert!(it.plan(&World::empty()).changes.is_empty());
        assert_eq!(it.plan(&on()).changes.len(), 1);
        assert_eq!(event(&mut it, &on(), Look::Wanted), Some(Outcome::Applied));
        assert_eq!(event(&mut it, &on(), Look::Kernel), Some(Outcome::Unchanged));
        assert_eq!((it.applied(), &it.get().writes[..]), (Some(&true), &[true][..]));
    }

    #[test]
    fn what_others_take_is_put_back_when_it_is_looked_for() {
        let mut it = Managed::new(Fake::default(), Some(true));
        it.get_mut().taken = Some("a chain".into());
        assert_eq!(event(&mut it, &on(), Look::Wanted), Some(Outcome::Unchanged));
        assert_eq!(event(&mut it, &on(), Look::Kernel), Some(Outcome::PutBack));
        assert_eq!(it.get().writes, [true]);
        // Again and again: then it waits.
        for _ in 0..20 {
            it.get_mut().taken = Some("a chain".into());
            let _ = event(&mut it, &on(), Look::Kernel);
        }
        assert!(it.is_contested() && it.repair_at().is_some());
        assert!(it.get().writes.len() < 15, "{}", it.get().writes.len());
    }

    #[test]
    fn a_failure_is_kept_and_tried_again_in_its_time() {
        let mut it = Managed::new(Fake { fails: true, ..Fake::default() }, Some(false));
        assert_eq!(event(&mut it, &on(), Look::Wanted), None);
        assert!(matches!(it.health(), Health::Failing { stuck: false, .. }));
        assert_eq!(it.applied(), Some(&false), "what was there before is still known");
        let at = it.retry_at(&on()).unwrap();
        assert!(at > Instant::now());
        // The same is not tried before its time by an event, but by a caller who waits for it.
        assert_eq!(event(&mut it, &on(), Look::Kernel), Some(Outcome::Unchanged));
        assert!(it.reconcile(&on(), Look::Wanted, Trigger::Call).is_err());
        assert_eq!(it.get().writes.len(), 2);
        // Another one is tried at once.
        it.get_mut().fails = false;
        assert_eq!(event(&mut it, &World::empty(), Look::Wanted), Some(Outcome::Applied));
        assert_eq!((it.health(), it.retry_at(&World::empty())), (&Health::InPlace, None));
        assert_eq!(event(&mut it, &on(), Look::Wanted), Some(Outcome::Applied));
        assert_eq!(it.get().after_failure, [false, true, true, false]);
    }

    #[test]
    fn while_a_program_hangs_nothing_is_tried_and_an_undo_waits() {
        let mut it =
            Managed::new(Fake { fails: true, stuck: true, ..Fake::default() }, Some(false));
        assert!(it.reconcile(&on(), Look::Wanted, Trigger::Call).is_err());
        assert_eq!(event(&mut it, &World::empty(), Look::Kernel), Some(Outcome::Unchanged));
        it.undo(&World::empty()).unwrap();
        assert_eq!(it.get().writes.len(), 1);
        assert!(it.retry_at(&World::empty()).is_some(), "what was half done is looked at later");
    }

    #[test]
    fn an_undo_brings_back_what_was_applied_before() {
        let mut it = Managed::new(Fake::default(), Some(false));
        it.reconcile(&on(), Look::Wanted, Trigger::Call).unwrap();
        it.undo(&World::empty()).unwrap();
        assert_eq!((it.applied(), &it.get().writes[..]), (Some(&false), &[true, false][..]));
        // One that failed halfway is brought back, too.
        it.get_mut().fails = true;
        assert!(it.reconcile(&on(), Look::Wanted, Trigger::Call).is_err());
        it.get_mut().fails = false;
        it.undo(&World::empty()).unwrap();
        assert_eq!(it.get().writes, [true, false, true, false]);
        assert_eq!(it.health(), &Health::InPlace);
    }

    #[test]
    fn what_has_to_wait_is_pending_and_no_failure() {
        let mut it = Managed::new(Fake::default(), Some(false));
        let waiting = World { prefixes: Some(Vec::new()), ..on() };
        assert_eq!(event(&mut it, &waiting, Look::Kernel), Some(Outcome::Unchanged));
        assert_eq!(it.health(), &Health::Pending("prefixes"));
        assert!(it.plan(&waiting).changes.is_empty() && it.retry_at(&waiting).is_none());
        assert_eq!(event(&mut it, &on(), Look::Wanted), Some(Outcome::Applied));
    }

    #[test]
    fn what_had_to_wait_and_is_not_wanted_any_more_is_not_pending() {
        let mut it = Managed::new(Fake::default(), Some(false));
        let waiting = |world| World { prefixes: Some(Vec::new()), ..world };
        assert_eq!(event(&mut it, &waiting(on()), Look::Wanted), Some(Outcome::Unchanged));
        assert_eq!(it.health(), &Health::Pending("prefixes"));
        assert_eq!(
            event(&mut it, &waiting(World::empty()), Look::Wanted),
            Some(Outcome::Unchanged)
        );
        assert_eq!((it.health(), it.get().writes.len()), (&Health::InPlace, 0));
    }
}
