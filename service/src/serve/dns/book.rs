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

//! What became of guests' questions: the server writes it, status and show read it. It outlives the server.

use crate::model::dns::Counts;
use crate::model::if_index::IfIndex;
use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What came of asking, the last times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lately {
    /// Nobody was asked.
    #[default]
    Nothing,
    /// An answer, be it that there is none.
    Answered,
    /// So many in a row were answered by nobody.
    Silent(u32),
    /// So many in a row were refused (REFUSED).
    Refused(u32),
}

/// Of one guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Since its attach.
    pub counts: Counts,
    /// Since whom it asks is another one.
    pub lately: Lately,
}

impl Lately {
    /// This has come after it.
    fn go_on(&mut self, then: Self) {
        *self = match (*self, then) {
            (before, Self::Nothing) => before,
            (Self::Silent(n), Self::Silent(more)) => Self::Silent(n.saturating_add(more)),
            (Self::Refused(n), Self::Refused(more)) => Self::Refused(n.saturating_add(more)),
            (_, after) => after,
        };
    }
}

impl AddAssign for Page {
    /// What has come after it.
    fn add_assign(&mut self, then: Self) {
        self.counts += then.counts;
        self.lately.go_on(then.lately);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Book(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    /// All guests', since guestnetd began.
    counts: Counts,
    /// Of guests that follow the uplink and have no servers of their own, since whom they ask are others.
    followers: Lately,
    /// By the indexes of their host ends.
    guests: HashMap<IfIndex, Page>,
    /// Why the server cannot listen.
    trouble: Option<String>,
}

impl Book {
    /// A guest's, by the index of its host end.
    pub fn of(&self, index: IfIndex) -> Page {
        self.lock().guests.get(&index).copied().unwrap_or_default()
    }

    /// All guests', since guestnetd began.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// What came of asking whom guests ask that follow the uplink and have no servers of their own.
    pub fn followers(&self) -> Lately {
        self.lock().followers
    }

    /// Why no guest can be heard, if so.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// This has come since it was written last.
    pub(super) fn write(
        &self,
        new: &mut HashMap<Option<IfIndex>, Page>,
        follows: impl Fn(IfIndex) -> bool,
    ) {
        if new.is_empty() {
            return;
        }
        let mut pages = self.lock();
        for (index, page) in new.drain() {
            pages.counts += page.counts;
            let Some(index) = index else { continue };
            *pages.guests.entry(index).or_default() += page;
            if follows(index) {
                pages.followers.go_on(page.lately);
            }
        }
    }

    /// Guests that ask others than before, from now on; and whether all that follow the uplink do.
    pub(super) fn turn(&self, guests: impl IntoIterator<Item = IfIndex>, followers: bool) {
        let mut pages = self.lock();
        if followers {
            pages.followers = Lately::Nothing;
        }
        for index in guests {
            pages.guests.entry(index).or_default().lately = Lately::Nothing;
        }
    }

    /// Links that are no guest's any more.
    pub(super) fn forget_others(&self, is_guest: impl Fn(IfIndex) -> bool) {
        self.lock().guests.retain(|index, _| is_guest(*index));
    }

    /// Whether the server can listen.
    pub(super) fn listens(&self, trouble: Option<String>) {
        self.lock().trouble = trouble;
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IfIndex = IfIndex::of(7);
    const TWO: IfIndex = IfIndex::of(8);

    fn page(asked: u64, lately: Lately) -> Page {
        Page { counts: Counts { asked, ..Counts::default() }, lately }
    }

    #[test]
    fn what_comes_in_a_row_is_counted_until_something_else_comes() {
        let book = Book::default();
        let write = |index, lately| {
            let mut new = HashMap::from([(Some(index), page(1, lately))]);
            book.write(&mut new, |index| index == ONE);
        };
        for lately in [Lately::Silent(2), Lately::Nothing, Lately::Silent(1)] {
            write(ONE, lately);
        }
        assert_eq!(book.of(ONE), page(3, Lately::Silent(3)));
        write(TWO, Lately::Answered);
        assert_eq!(book.counts().asked, 4);
        assert_eq!(
            book.followers(),
            Lately::Silent(3),
            "who asks others says nothing of whom these ask"
        );
        write(ONE, Lately::Refused(1));
        assert_eq!(book.of(ONE).lately, Lately::Refused(1));
        book.turn([ONE], false);
        assert_eq!(book.of(ONE), page(4, Lately::Nothing));
        assert_eq!(book.followers(), Lately::Refused(1), "one that joins makes nobody answer");
        book.turn([], true);
        assert_eq!(book.followers(), Lately::Nothing);
        book.forget_others(|index| index == TWO);
        assert_eq!((book.of(ONE), book.counts().asked), (Page::default(), 5));
    }
}
