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

//! How many connections there are, and whose: what keeps a crowd of silent or greedy clients
//! from the threads, and the others from waiting behind it.
//!
//! A connection takes a place when it is accepted and gives it back when its socket is closed.
//! While it has not finished the handshake it is a stranger's: when the places run out, the
//! oldest stranger of the user with most strangers makes room. Connections that have finished it
//! are never cut. No user but root and the server's own holds more than half of the places, and
//! all such users together leave an eighth of them free.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a newcomer waits for the place of a stranger that was cut; far more than it takes.
const HAND_OVER: Duration = Duration::from_millis(200);

/// Refusals with less than this between them are one burst, and said once.
const BURST: Duration = Duration::from_secs(10);

/// What can be cut short from another thread.
pub(crate) trait Cut: Send + Sync {
    /// Ends the connection; its owner sees the end and gives the place back.
    fn cut(&self);
}

struct Seat {
    uid: u32,
    stranger: bool,
    cut: bool,
    line: Weak<dyn Cut>,
}

#[derive(Default)]
struct Table {
    next: u64,
    seats: BTreeMap<u64, Seat>,
    closed: bool,
    refused: Option<Instant>,
}

/// All places of one server.
pub(crate) struct Places {
    total: usize,
    own_uid: u32,
    table: Mutex<Table>,
    freed: Condvar,
}

/// One place, given back on drop.
pub(crate) struct Place {
    places: Arc<Places>,
    id: u64,
}

impl Places {
    pub(crate) fn new(total: usize, own_uid: u32) -> Arc<Self> {
        let table = Mutex::new(Table::default());
        Arc::new(Self { total: total.max(1), own_uid, table, freed: Condvar::new() })
    }

    /// A place for a new connection of this user, or none; a stranger may have to leave for it.
    pub(crate) fn take(self: &Arc<Self>, uid: u32, line: Weak<dyn Cut>) -> Option<Place> {
        let deadline = Instant::now() + HAND_OVER;
        let mut table = self.table();
        loop {
            if table.closed {
                return None;
            }
            let own = table.count(|seat| seat.uid == uid);
            let share_used = own >= self.share(uid);
            // Root can always come in.
            let trusted = self.is_trusted(uid);
            let others = table.count(|seat| !self.is_trusted(seat.uid));
            let all_used = !trusted && others >= self.total - self.total / 8;
            if !share_used && !all_used && table.seats.len() < self.total {
                table.next += 1;
                let id = table.next;
                table.seats.insert(id, Seat { uid, stranger: true, cut: false, line });
                return Some(Place { places: Arc::clone(self), id });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let whose = |other| match share_used {
                true => other == uid,
                false => trusted || !self.is_trusted(other),
            };
            if left.is_zero() || !table.make_room(whose) {
                table.say_refused(uid, own, self.total);
                return None;
            }
            table = match self.freed.wait_timeout(table, left) {
                Ok((table, _)) => table,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Gives out no more places, cuts every connection, and waits for them to be gone; false if
    /// some are not in time.
    pub(crate) fn close(&self, patience: Duration) -> bool {
        let mut table = self.table();
        table.closed = true;
        for seat in table.seats.values() {
            if let Some(line) = seat.line.upgrade() {
                line.cut();
            }
        }
        match self.freed.wait_timeout_while(table, patience, |table| !table.seats.is_empty()) {
            Ok((_, waited)) => !waited.timed_out(),
            Err(_) => false,
        }
    }

    fn is_trusted(&self, uid: u32) -> bool {
        uid == 0 || uid == self.own_uid
    }

    fn share(&self, uid: u32) -> usize {
        if self.is_trusted(uid) {
            self.total
        } else {
            self.total.div_ceil(2)
        }
    }

    /// The table is consistent between any two statements, so a panic elsewhere does not spoil it.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn count(&self, which: impl Fn(&Seat) -> bool) -> usize {
        self.seats.values().filter(|seat| which(seat)).count()
    }

    /// Cuts one stranger, of that of these users who has most of them; false if there is none.
    fn make_room(&mut self, whose: impl Fn(u32) -> bool) -> bool {
        let Some(uid) = self.uid_with_most_strangers(whose) else {
            return false;
        };
        // One at a time: the one that was cut is about to leave.
        if self.seats.values().any(|seat| seat.uid == uid && seat.cut) {
            return true;
        }
        let Some(seat) = self.seats.values_mut().find(|s| s.uid == uid && s.stranger) else {
            return false;
        };
        seat.cut = true;
        if let Some(line) = seat.line.upgrade() {
            line.cut();
        }
        true
    }

    fn uid_with_most_strangers(&self, whose: impl Fn(u32) -> bool) -> Option<u32> {
        let mut strangers = BTreeMap::new();
        for seat in self.seats.values().filter(|seat| seat.stranger && whose(seat.uid)) {
            *strangers.entry(seat.uid).or_insert(0usize) += 1;
        }
        strangers.into_iter().max_by_key(|(_, count)| *count).map(|(uid, _)| uid)
    }

    fn say_refused(&mut self, uid: u32, own: usize, total: usize) {
        let now = Instant::now();
        let said = self.refused.replace(now).is_some_and(|last| now - last < BURST);
        if !said {
            log::warn!(
                "connection of uid {uid} closed: {} of {total} places taken, {own} of them by it",
                self.seats.len()
            );
        }
    }
}

impl Place {
    /// The handshake is done: this connection is not cut for another any more.
    pub(crate) fn keep(&self) {
        if let Some(seat) = self.places.table().seats.get_mut(&self.id) {
            seat.stranger = false;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table().seats.remove(&self.id);
        self.places.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Cut for Nobody {
        fn cut(&self) {}
    }

    #[test]
    fn users_among_themselves_keep_nobody_out_but_each_other() {
        let places = Places::new(16, 1000);
        let line: Arc<dyn Cut> = Arc::new(Nobody);
        let take = |uid| {
            let place = places.take(uid, Arc::downgrade(&line));
            place.inspect(Place::keep)
        };
        let held: Vec<_> = (0..40).filter_map(|n| take(2000 + n % 2)).collect();
        assert_eq!(held.len(), 14);
        assert!(take(2002).is_none(), "a third one");
        let own: Vec<_> = [0, 1000, 0].into_iter().map(take).collect();
        assert!(own[0].is_some() && own[1].is_some() && own[2].is_none(), "there are 16");
        drop(held);
        assert!(take(2002).is_some());
    }
}
