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

//! Deletes links on threads of its own. A delete is seen after half a millisecond and acknowledged
//! after 15 to 20 (rcu_barrier in netdev_run_todo()); nobody must wait for the latter.
//!
//! Until a delete is seen it holds the RTNL, for which every other change of a link waits. So only
//! one at a time is in that part, and none begins while an attach is under way: 100 detaches cost
//! an attach the wait for one.

use super::group_delete;
use crate::effects::kernel::link;
use crate::effects::kernel::netlink::Netlink;
use crate::error::KernelError;
use crate::model::if_index::IfIndex;
use crate::ordered::OrderedSet;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// What became of a delete.
#[derive(Debug)]
pub struct Deleted {
    /// Index of the link.
    pub index: IfIndex,
    /// The kernel's word.
    pub result: Result<(), KernelError>,
}

/// The threads and what waits for them.
#[derive(Clone, Debug)]
pub struct Deleter {
    shared: Arc<Shared>,
    done: UnboundedSender<Deleted>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// For a thread that gets no socket of its own: an attach that failed because no descriptor is
    /// left is undone, too.
    spare: Mutex<Netlink>,
}

#[derive(Debug, Default)]
struct Queue {
    /// What is to be deleted, and since when; several links at once by their group.
    waiting: VecDeque<(Vec<IfIndex>, Instant)>,
    /// What somebody waits for.
    urgent: VecDeque<(IfIndex, Failure)>,
    /// Links of a delete that has begun and has not been seen yet.
    unseen: OrderedSet<IfIndex>,
    /// Attaches under way.
    held: usize,
    threads: usize,
    idle: usize,
}

/// Where who waits for a delete is told why it failed.
type Failure = Arc<OnceLock<KernelError>>;

/// Most threads. Each sleeps for some 20 ms in its delete, of which a new one can begin every
/// millisecond.
const THREADS: usize = 32;
/// How long a thread waits for the next delete before it ends, so that bursts make few threads
/// and an idle guestnetd has none.
const LINGER: Duration = Duration::from_secs(1);
/// How long a delete waits for attaches, of which there may be no end.
const FAIR: Duration = Duration::from_millis(20);
/// Most links in one delete by group, each of which holds the RTNL for a third of a millisecond.
pub const MASS: usize = 256;

impl Deleter {
    /// Results go to `done`, in the order in which the kernel answers.
    ///
    /// # Errors
    /// Why no socket can be had: without one, a failed attach could not be undone.
    pub fn new(done: UnboundedSender<Deleted>) -> std::io::Result<Self> {
        let spare = Mutex::new(Netlink::open()?);
        let (queue, changed) = (Mutex::default(), Condvar::new());
        Ok(Self { shared: Arc::new(Shared { queue, changed, spare }), done })
    }

    /// Has a link deleted. Returns at once.
    pub fn delete(&self, index: IfIndex) {
        self.push(vec![index]);
    }

    /// Has a link deleted, whatever is under way. Returns when it cannot be seen any more; the kernel's
    /// slow part goes on.
    ///
    /// # Errors
    /// Why it could not be deleted. `done` is told as well, and may have it tried again.
    pub fn delete_now(&self, netlink: &Netlink, index: IfIndex) -> Result<(), KernelError> {
        let failure = Failure::default();
        let mut queue = self.shared.queue();
        queue.urgent.push_back((index, Arc::clone(&failure)));
        self.man(queue);
        // 5000 looks, each a millisecond after the one before.
        for _ in 0..5000 {
            if link::by_index(netlink, index)?.is_none() {
                return Ok(());
            }
            if let Some(cause) = failure.get() {
                return Err(cause.clone());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(KernelError {
            errno: libc::ETIMEDOUT,
            text: Some("it is still there after 5 s".into()),
        })
    }

    /// Has links deleted, many by one message. Returns at once.
    pub fn delete_all(&self, indexes: &[IfIndex]) {
        for part in indexes.chunks(MASS) {
            self.push(part.to_vec());
        }
    }

    /// No delete begins until this is dropped.
    pub fn hold(&self) -> Hold {
        self.shared.queue().held += 1;
        Hold(Arc::clone(&self.shared))
    }

    /// Whether an attach is under way.
    pub fn is_held(&self) -> bool {
        self.shared.queue().held > 0
    }

    /// A link was seen to be gone.
    pub fn seen(&self, index: IfIndex) {
        let mut queue = self.shared.queue();
        if queue.unseen.remove(&index) && queue.unseen.is_empty() {
            self.shared.changed.notify_one();
        }
    }

    fn push(&self, indexes: Vec<IfIndex>) {
        let mut queue = self.shared.queue();
        queue.waiting.push_back((indexes, Instant::now()));
        self.man(queue);
    }

    /// Sees to it that there is a thread for what waits.
    fn man(&self, mut queue: MutexGuard<'_, Queue>) {
        if queue.idle >= queue.waiting.len() + queue.urgent.len() || queue.threads == THREADS {
            self.shared.changed.notify_one();
            return;
        }
        queue.threads += 1;
        drop(queue);
        let (shared, done) = (Arc::clone(&self.shared), self.done.clone());
        let spawned =
            std::thread::Builder::new().name("delete".into()).spawn(move || run(&shared, &done));
        if let Err(e) = spawned {
            let mut queue = self.shared.queue();
            queue.threads -= 1;
            if queue.threads > 0 {
                return; // one of them will come to it
            }
            let cause = KernelError { errno: e.raw_os_error().unwrap_or(libc::EAGAIN), text: None };
            let waiting = std::mem::take(&mut queue.waiting).into_iter().flat_map(|(all, _)| all);
            let urgent = std::mem::take(&mut queue.urgent).into_iter().map(|(index, failure)| {
                let _ = failure.set(cause.clone());
                index
            });
            for index in waiting.chain(urgent) {
                let _ = self.done.send(Deleted { index, result: Err(cause.clone()) });
            }
        }
    }
}

/// An attach is under way.
#[derive(Debug)]
pub struct Hold(Arc<Shared>);

impl Drop for Hold {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.held -= 1;
        if queue.held == 0 && !queue.waiting.is_empty() {
            self.0.changed.notify_one();
        }
    }
}

impl Shared {
    /// The queue is consistent between any two statements.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delete_by_spare(&self, indexes: &[IfIndex]) -> Result<(), KernelError> {
        delete(&self.spare.lock().unwrap_or_else(PoisonError::into_inner), indexes)
    }

    /// What this thread is to delete next, and who is told if that fails; none when it is to end.
    fn next(&self) -> Option<(Vec<IfIndex>, Option<Failure>)> {
        let mut queue = self.queue();
        loop {
            if let Some((index, failure)) = queue.urgent.pop_front() {
                return Some((vec![index], Some(failure)));
            }
            let since = queue.waiting.front().map(|(_, since)| since.elapsed());
            let may = queue.unseen.is_empty() && (queue.held == 0 || since >= Some(FAIR));
            if let Some((indexes, _)) = may.then(|| queue.waiting.pop_front()).flatten() {
                queue.unseen.extend(&indexes);
                return Some((indexes, None));
            }
            let nothing = since.is_none();
            let time = if nothing { LINGER } else { FAIR };
            queue.idle += 1;
            let timed_out;
            (queue, timed_out) = match self.changed.wait_timeout(queue, time) {
                Ok((queue, waited)) => (queue, waited.timed_out()),
                Err(poisoned) => (poisoned.into_inner().0, false),
            };
            queue.idle -= 1;
            if timed_out && nothing && queue.waiting.is_empty() && queue.urgent.is_empty() {
                queue.threads -= 1;
                return None;
            }
        }
    }
}

/// One thread.
fn run(shared: &Shared, done: &UnboundedSender<Deleted>) {
    let netlink = Netlink::open();
    while let Some((indexes, failure)) = shared.next() {
        let result = match &netlink {
            Ok(netlink) => delete(netlink, &indexes),
            Err(_) => shared.delete_by_spare(&indexes),
        };
        let mut queue = shared.queue();
        for index in &indexes {
            queue.unseen.remove(index);
        }
        let again = result.is_err() && indexes.len() > 1;
        if again {
            queue.waiting.extend(indexes.iter().map(|index| (vec![*index], Instant::now())));
        }
        drop(queue);
        if let (Some(failure), Err(cause)) = (failure, &result) {
            let _ = failure.set(cause.clone());
        }
        shared.changed.notify_one();
        if let (true, Err(e)) = (again, &result) {
            log::warn!("{} links are deleted one by one: {e}", indexes.len());
            continue;
        }
        for index in indexes {
            let _ = done.send(Deleted { index, result: result.clone() });
        }
    }
}

fn delete(netlink: &Netlink, indexes: &[IfIndex]) -> Result<(), KernelError> {
    let [index] = indexes else { return group_delete::delete(netlink, indexes) };
    match link::delete(netlink, *index) {
        // A link that is gone already is what was asked for.
        Err(e) if e.errno == libc::ENODEV => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::testing::in_a_netns;

    #[test]
    fn who_waits_for_a_delete_that_fails_is_told_why_at_once() {
        in_a_netns(|netlink| {
            let (done, mut deleted) = tokio::sync::mpsc::unbounded_channel();
            let deleter = Deleter::new(done).unwrap();
            let loopback = IfIndex::LOOPBACK;
            let refused = deleter.delete_now(netlink, loopback).unwrap_err();
            assert_eq!(refused.errno, libc::EOPNOTSUPP);
            let told = deleted.blocking_recv().unwrap();
            assert_eq!((told.index, told.result), (loopback, Err(refused)));
        });
    }
}
