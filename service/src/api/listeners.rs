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

//! Those who want to be told. Each has a queue and a thread of its own, so that one who stands
//! still delays nobody: not the owner, not a caller, not another listener. One that takes
//! nothing while its queue grows is dropped.

use super::to_wire;
use crate::daemon::{Notice, Whose};
use crate::error::Error;
use crate::model::alloc::slots;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNetListener::IGuestNetListener;
use binder::{DeathRecipient, IBinder, SpIBinder, Strong};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Most listeners at a time.
pub const MOST: usize = 32;
/// Most of one uid that sees its own guests only, and of all such: they must not keep others from listening.
const MOST_OF_ONE: usize = 8;
const MOST_OF_SUCH: usize = MOST - MOST_OF_ONE;
/// Notices that may wait for one listener that takes none of them.
const QUEUE: usize = 64;
/// How long a listener may take for one notice when that many wait.
const PATIENCE: Duration = Duration::from_secs(1);
/// Notices that may wait for one listener: one for each guest there can be, so that all of them
/// may go at once, and some.
const MOST_WAITING: usize = slots::SLOTS as usize + QUEUE;

/// The listeners there are.
#[derive(Clone, Default)]
pub struct Listeners(Arc<Mutex<Vec<Entry>>>);

struct Entry {
    binder: SpIBinder,
    /// What it is told of.
    whose: Whose,
    queue: Sender<Notice>,
    progress: Arc<Progress>,
    // Dropping it unlinks.
    _death: DeathRecipient,
}

/// How a listener gets on with what it is told.
struct Progress {
    waiting: AtomicUsize,
    /// When it last took a notice, or had none.
    moved: Mutex<Instant>,
}

impl Progress {
    fn stands_still(&self) -> bool {
        let waiting = self.waiting.load(Ordering::Relaxed);
        waiting >= MOST_WAITING || waiting >= QUEUE && self.moved().elapsed() > PATIENCE
    }

    fn queued(&self) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            *self.moved() = Instant::now();
        }
    }

    fn taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        *self.moved() = Instant::now();
    }

    fn moved(&self) -> MutexGuard<'_, Instant> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listeners {
    /// Adds one, which is told of these guests; again is no error and has no effect.
    pub fn add(&self, listener: &Strong<dyn IGuestNetListener>, whose: Whose) -> Result<(), Error> {
        let mut binder = listener.as_binder();
        let shared = Arc::downgrade(&self.0);
        let dead = binder.clone();
        let mut death = DeathRecipient::new(move || {
            log::info!("a listener died");
            forget(&shared, &dead);
        });
        {
            let entries = self.entries();
            if entries.iter().any(|e| e.binder == binder) {
                return Ok(());
            }
            refuse_too_many(&entries, whose)?;
        }
        // Not with the lock held: it may call into Binder. One that cannot be linked (its process
        // is gone, or its transport has no way back) is found out by the first notice.
        if let Err(e) = binder.link_to_death(&mut death) {
            log::warn!("a listener's death will not be seen: {e:?}");
        }
        let (queue, notices) = channel();
        let (shared, told) = (Arc::downgrade(&self.0), listener.clone());
        let moved = Mutex::new(Instant::now());
        let progress = Arc::new(Progress { waiting: AtomicUsize::new(0), moved });
        let its = Arc::clone(&progress);
        std::thread::Builder::new()
            .name("listener".into())
            .spawn(move || tell_all(&told, &notices, &its, &shared))
            .map_err(|e| Error::kernel("start a thread for the listener", e))?;
        let mut entries = self.entries();
        refuse_too_many(&entries, whose)?;
        if entries.iter().any(|e| e.binder == binder) {
            return Ok(());
        }
        entries.push(Entry { binder, whose, queue, progress, _death: death });
        Ok(())
    }

    /// Removes one; one that is not there is no error.
    pub fn remove(&self, binder: &SpIBinder) {
        forget(&Arc::downgrade(&self.0), binder);
    }

    /// Queues a notice for all. Never waits.
    pub fn tell(&self, notice: &Notice) {
        let mut dropped = Vec::new();
        let mut entries = self.entries();
        let mut at = 0;
        while let Some(entry) = entries.get(at) {
            if matches!(notice, Notice::Guest(_, guest) if !entry.whose.has(guest)) {
                at += 1;
                continue;
            }
            if entry.progress.stands_still() {
                log::warn!("a listener that does not take its notices is dropped");
                dropped.push(entries.swap_remove(at));
                continue;
            }
            entry.progress.queued();
            match entry.queue.send(notice.clone()) {
                Ok(()) => at += 1,
                // Its thread has ended.
                Err(_) => dropped.push(entries.swap_remove(at)),
            }
        }
        drop(entries);
        if !dropped.is_empty() {
            // Letting go of a binder may call its process, which stands still: not on this thread,
            // which is the owner's, and not with the lock held. Without a thread they are leaked.
            let kept = std::mem::ManuallyDrop::new(dropped);
            let _ = std::thread::Builder::new()
                .name("listener".into())
                .spawn(move || drop(std::mem::ManuallyDrop::into_inner(kept)));
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refuse_too_many(entries: &[Entry], whose: Whose) -> Result<(), Error> {
    if entries.len() >= MOST {
        return Err(Error::TooManyListeners(MOST));
    }
    let same = entries.iter().filter(|entry| entry.whose == whose).count();
    let such = entries.iter().filter(|entry| entry.whose != Whose::Everyones).count();
    match whose {
        Whose::Of(_) if same >= MOST_OF_ONE => Err(Error::TooManyListeners(MOST_OF_ONE)),
        Whose::Of(_) if such >= MOST_OF_SUCH => Err(Error::TooManyListeners(MOST_OF_SUCH)),
        _ => Ok(()),
    }
}

fn forget(shared: &Weak<Mutex<Vec<Entry>>>, binder: &SpIBinder) {
    let Some(shared) = shared.upgrade() else { return };
    let mut entries = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let found = entries.iter().position(|e| e.binder == *binder);
    let gone = found.map(|at| entries.swap_remove(at));
    drop(entries);
    drop(gone); // Not with the lock held.
}

/// One listener's thread: until its queue is closed, or it takes no more.
fn tell_all(
    listener: &Strong<dyn IGuestNetListener>,
    notices: &Receiver<Notice>,
    progress: &Progress,
    shared: &Weak<Mutex<Vec<Entry>>>,
) {
    while let Ok(notice) = notices.recv() {
        let told = match &notice {
            Notice::Guest(event, guest) => {
                let guest = to_wire::after(*event, guest);
                listener.onGuest(to_wire::event(*event), &guest)
            }
            Notice::Uplink { previous, current, gap } => {
                let (previous, current) = (to_wire::uplink(previous), to_wire::uplink(current));
                // What is not told may be all that has changed.
                if format!("{previous:?}") == format!("{current:?}") {
                    Ok(())
                } else {
                    listener.onUplink(&previous, &current, i64::try_from(*gap).unwrap_or(i64::MAX))
                }
            }
        };
        progress.taken();
        if let Err(e) = told {
            log::warn!("a listener cannot be told and is dropped: {e:?}");
            forget(shared, &listener.as_binder());
            return;
        }
    }
}
