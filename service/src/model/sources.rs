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

//! Host ends, each with the address behind it. Pure. To copy them all, to compare two copies and to say
//! in what they differ hardly costs more with more guests: they are kept in parts, which copies share.

use crate::ordered::{IntoOrdered, OrderedMap, OrderedSet};
use crate::spec::IfName;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A host end and the address behind it.
pub type Source = (IfName, Ipv4Addr);

/// A set of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// By the last byte of the address, in which neighbours differ. No part is empty.
    parts: Arc<OrderedMap<u8, Arc<OrderedSet<Source>>>>,
}

impl Sources {
    /// All, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.parts.values().flat_map(|part| part.iter())
    }

    /// One more, unless it is there.
    pub fn insert(&mut self, source: Source) {
        let part = Arc::make_mut(&mut self.parts).entry(part_of(&source)).or_default();
        Arc::make_mut(part).insert(source);
    }

    /// One less, if it is there.
    pub fn remove(&mut self, source: &Source) {
        let key = part_of(source);
        let Some(true) = self.parts.get(&key).map(|part| part.contains(source)) else { return };
        let parts = Arc::make_mut(&mut self.parts);
        let Some(part) = parts.get_mut(&key) else { return };
        Arc::make_mut(part).remove(source);
        if part.is_empty() {
            parts.remove(&key);
        }
    }

    /// What is in these and not in the others.
    pub fn beyond(&self, others: &Self) -> Self {
        if Arc::ptr_eq(&self.parts, &others.parts) {
            return Self::default();
        }
        let unshared = self.parts.iter().filter_map(|(key, part)| match others.parts.get(key) {
            Some(other) if Arc::ptr_eq(part, other) => None,
            Some(other) => Some(part.difference(other).cloned().into_set()),
            None => Some(OrderedSet::clone(part)),
        });
        unshared.flatten().collect()
    }
}

impl FromIterator<Source> for Sources {
    fn from_iter<I: IntoIterator<Item = Source>>(all: I) -> Self {
        let mut sources = Self::default();
        all.into_iter().for_each(|source| sources.insert(source));
        sources
    }
}

fn part_of((_, address): &Source) -> u8 {
    address.octets()[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(slot: u32) -> Source {
        (IfName::host_end(slot), Ipv4Addr::from(0xac11_0303 + slot))
    }

    #[test]
    fn what_two_copies_differ_in_is_found_both_ways() {
        let all: Sources = (0..1000).map(source).collect();
        let mut other = all.clone();
        assert_eq!((other.beyond(&all), all.beyond(&other)), Default::default());
        assert_eq!(all.beyond(&Sources::default()), all);
        other.insert(source(1000));
        other.remove(&source(7));
        other.remove(&source(7));
        assert_eq!(other.beyond(&all), Sources::from_iter([source(1000)]));
        assert_eq!(all.beyond(&other), Sources::from_iter([source(7)]));
        assert_eq!((all.iter().count(), other.iter().count()), (1000, 1000), "it is a copy");
        // One address behind two host ends, as while one guest comes to another's place.
        other.insert((IfName::host_end(5), source(1).1));
        assert_eq!(other.beyond(&all).iter().count(), 2);
    }

    #[test]
    fn one_that_has_come_and_gone_leaves_no_trace() {
        let all: Sources = (0..300).map(source).collect();
        let mut other = all.clone();
        other.insert(source(300));
        assert_ne!(other, all);
        other.remove(&source(300));
        assert_eq!(other, all);
        (0..300).for_each(|slot| other.remove(&source(slot)));
        assert_eq!(other, Sources::default());
    }

    #[test]
    fn a_change_copies_no_part_but_its_own() {
        let all: Sources = (0..1000).map(source).collect();
        let mut other = all.clone();
        other.insert(source(1000));
        let shared = |key| {
            Option::zip(all.parts.get(key), other.parts.get(key))
                .is_some_and(|(a, b)| Arc::ptr_eq(a, b))
        };
        assert_eq!(all.parts.keys().filter(|key| !shared(key)).count(), 1);
    }
}
