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

//! What attached guests live by, watched: the process that was named, the owner's process after a
//! restart, a lease. Whichever ends has its guest detached, and nothing else.
//!
//! All pidfds are in one epoll instance, which the thread that follows waits for: 1000 guests cost no
//! thread. A pidfd holds nothing of the guest's namespace.

use crate::daemon::Daemon;
use crate::effects::kernel::netns::{self, handle};
use crate::effects::kernel::process;
use crate::model::guest_net::NetnsRef;
use crate::model::guest_table::Attached;
use crate::model::if_index::IfIndex;
use crate::model::lifeline::EndCause;
use crate::ordered::OrderedMap;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

/// How long until a guest whose link could not be deleted is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is watched, by the index of the guest's host end: no other link gets that while it lives.
#[derive(Debug)]
pub(in crate::daemon) struct Lifelines {
    epoll: Arc<Epoll>,
    /// Closed, and so taken out of the epoll instance, when they have ended or their guest has gone.
    processes: HashMap<IfIndex, Vec<(EndCause, OwnedFd)>>,
    /// What ends by the clock: leases, and what is tried again.
    times: OrderedMap<IfIndex, (Instant, EndCause)>,
    /// Guests that are being detached, and why.
    ending: HashMap<IfIndex, EndCause>,
    /// Guests that are being detached because somebody asked for it, and what has ended meanwhile.
    ended: HashMap<IfIndex, EndCause>,
}

/// Rings when a process that a guest lives by has ended.
pub(in crate::daemon) struct Knell(AsyncFd<Fd>);

struct Fd(Arc<Epoll>);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0 .0.as_raw_fd()
    }
}

impl Knell {
    /// Waits for the first that nothing was done about yet.
    pub(in crate::daemon) async fn rings(&self) {
        if let Ok(mut guard) = self.0.readable().await {
            guard.clear_ready();
        }
    }
}

impl Lifelines {
    pub(in crate::daemon) fn new() -> io::Result<Self> {
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        let (processes, times, ending, ended) = Default::default();
        Ok(Self { epoll, processes, times, ending, ended })
    }

    /// To be called on a tokio runtime.
    pub(in crate::daemon) fn knell(&self) -> io::Result<Knell> {
        // Android 16's tokio has no newer name for it.
        #[allow(deprecated)]
        AsyncFd::with_interest(Fd(Arc::clone(&self.epoll)), Interest::READABLE).map(Knell)
    }

    /// A guest goes with this process.
    pub(in crate::daemon) fn hold(
        &mut self,
        index: IfIndex,
        cause: EndCause,
        pidfd: OwnedFd,
    ) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, index.get().into());
        self.epoll.add(&pidfd, event)?;
        self.processes.entry(index).or_default().push((cause, pidfd));
        Ok(())
    }

    /// A guest's lease ends then; none: it has none.
    pub(in crate::daemon) fn lease(&mut self, index: IfIndex, until: Option<Duration>) {
        // What has ended already ends the guest, whatever lease it has from now on.
        let is_over = |(_, cause): &(Instant, EndCause)| *cause != EndCause::LeaseEnded;
        if self.times.get(&index).is_some_and(is_over) {
            return;
        }
        match until {
            Some(until) => {
                let left = until.saturating_sub(process::monotonic());
                self.times.insert(index, (Instant::now() + left, EndCause::LeaseEnded));
            }
            None => drop(self.times.remove(&index)),
        }
    }

    /// When the first is due.
    pub(in crate::daemon) fn next(&self) -> Option<Instant> {
        self.times.values().map(|(at, _)| *at).min()
    }

    /// Those that have ended, each once.
    fn ended(&mut self, now: Instant) -> Vec<(IfIndex, EndCause)> {
        let mut ended = Vec::new();
        let mut events = [EpollEvent::empty(); 64];
        while let Ok(count @ 1..) = self.epoll.wait(&mut events, 0u8) {
            for event in events.iter().take(count) {
                let Some(index) = IfIndex::new(event.data()) else { continue };
                ended.extend(self.process_over(index).map(|cause| (index, cause)));
                // Dropped in any case: what is left in there would ring for ever.
                self.processes.remove(&index);
            }
        }
        let due = |(_, (at, _)): &(&IfIndex, &(Instant, EndCause))| *at <= now;
        let due: Vec<_> = self.times.iter().filter(due).map(|(i, (_, why))| (*i, *why)).collect();
        for (index, cause) in due {
            self.times.remove(&index);
            ended.push((index, cause));
        }
        ended
    }

    /// Whether a process that a guest lives by has ended.
    fn process_over(&self, index: IfIndex) -> Option<EndCause> {
        let processes = self.processes.get(&index)?;
        let over = processes.iter().find(|(_, pidfd)| process::has_ended(pidfd.as_fd()));
        over.map(|(cause, _)| *cause)
    }

    /// Why a guest is being detached that nobody asked to detach.
    pub(in crate::daemon) fn ending_of(&self, index: IfIndex) -> Option<EndCause> {
        self.ending.get(&index).copied()
    }

    /// A guest that was to go stays. One of which something that it lives by has ended is due again.
    fn stays(&mut self, index: IfIndex, now: Instant) {
        if let Some(cause) = self.ending.remove(&index).or(self.ended.remove(&index)) {
            self.times.insert(index, (now + AGAIN, cause));
        }
    }

    /// A guest is gone.
    pub(in crate::daemon) fn forget(&mut self, index: IfIndex) {
        self.processes.remove(&index);
        self.times.remove(&index);
        self.ending.remove(&index);
        self.ended.remove(&index);
    }
}

impl Daemon {
    /// Detaches the guests of which something that they live by has ended.
    pub(in crate::daemon) fn lifelines_ended(&mut self) {
        self.take_in();
        for (index, cause) in self.lifelines.ended(Instant::now()) {
            self.end_guest(index, cause);
        }
    }

    /// Has an attached guest's link deleted. One that is leaving already has its reason; it needs this one if its
    /// link stays.
    pub(in crate::daemon) fn end_guest(&mut self, index: IfIndex, cause: EndCause) {
        let Some(guest) = self.world.guests.by_index(index) else {
            if self.world.guests.has_link(index) {
                self.lifelines.ended.insert(index, cause);
            }
            return;
        };
        let name = guest.name().clone();
        log::info!("{name}: {cause}: detached");
        self.world.guests.leave(&name);
        self.lifelines.ending.insert(index, cause);
        self.kernel.deleter.delete(index);
        self.shut_out();
    }

    /// Its link could not be deleted: a guest of which something that it lives by has ended is tried again.
    pub(in crate::daemon) fn did_not_end(&mut self, index: IfIndex) {
        self.lifelines.stays(index, Instant::now());
    }

    /// Why a link is gone that nobody detached, and that nothing it lived by had detached.
    pub(in crate::daemon) fn why_gone(&self, guest: &Attached) -> EndCause {
        if let Some(cause) = self.lifelines.process_over(guest.index) {
            return cause;
        }
        if !guest.net.kind.has_inside() {
            return EndCause::TapClosed;
        }
        if self.namespace_is_there(guest) {
            EndCause::LinkDeleted
        } else {
            EndCause::NamespaceGone
        }
    }

    fn namespace_is_there(&self, gone: &Attached) -> bool {
        let NetnsRef { id, handle } = &gone.netns;
        if let Some(handle) = handle {
            return handle::open(self.kernel.home.as_fd(), handle).is_ok();
        }
        let Some(id) = *id else { return true };
        // The number of a namespace that has ended goes to the next one.
        let reused = |other: &Attached| other.index != gone.index && other.netns.id == Some(id);
        if self.world.guests.attached().any(reused) {
            return false;
        }
        netns::id_is_known(&self.kernel.netlink, id)
    }

    /// A guest of an earlier guestnetd: what it lives by is found again. What has ended since rings.
    pub(in crate::daemon) fn find_lifelines(&mut self) {
        self.end_closed();
        let guests: Vec<Attached> = self.world.guests.attached().cloned().collect();
        for guest in guests {
            let (index, lines) = (guest.index, guest.lifelines);
            self.lifelines.lease(index, lines.lease_until);
            let all =
                [(EndCause::ProcessExited, lines.process), (EndCause::OwnerDied, lines.owner)];
            for (cause, process) in all {
                let Some(process) = process else { continue };
                match process::open_again(&process) {
                    Ok(Some(pidfd)) => {
                        if let Err(e) = self.lifelines.hold(index, cause, pidfd) {
                            log::error!("{}: its process is not watched: {e}", guest.name());
                        }
                    }
                    Ok(None) => self.end_guest(index, cause),
                    Err(e) => log::error!("{}: its process is not watched: {e}", guest.name()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_ends_a_guest_that_stays() {
        let (mut lines, now) = (Lifelines::new().unwrap(), Instant::now());
        let [asked, ended, both] = [1, 2, 3].map(IfIndex::of);
        lines.ended.insert(ended, EndCause::ProcessExited);
        lines.ending.insert(both, EndCause::LeaseEnded);
        lines.ended.insert(both, EndCause::OwnerDied);
        [asked, ended, both].into_iter().for_each(|index| lines.stays(index, now));
        assert!(lines.ended(now).is_empty());
        let due = lines.ended(now + AGAIN);
        assert_eq!(due, [(ended, EndCause::ProcessExited), (both, EndCause::LeaseEnded)]);
        // An update, or a lease that is asked for meanwhile, changes nothing.
        lines.stays(asked, now);
        lines.ending.insert(asked, EndCause::ProcessExited);
        lines.stays(asked, now);
        lines.lease(asked, None);
        lines.lease(asked, Some(Duration::MAX));
        assert_eq!(lines.ended(now + AGAIN), [(asked, EndCause::ProcessExited)]);
        // One that goes after all is no more of anybody's concern.
        lines.ended.insert(ended, EndCause::ProcessExited);
        lines.forget(ended);
        lines.stays(ended, now);
        assert_eq!(lines.next(), None);
    }
}
