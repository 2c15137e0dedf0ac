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

//! What is in order, made by little code. Pure. A standard tree is 4 KB of machine code for each type of what is in
//! it, a sorted list is a tenth of that; a look into it takes as long, a walk over it and a copy of it less. What
//! is put into its middle moves what is behind: values of which there may be thousands are small, or boxed.
//!
//! The standard sort is 4 KB for each type, too: [`sort_short`].

use std::borrow::Borrow;
use std::fmt;
use std::ops::{Bound, RangeBounds};

/// Values by their keys, in the order of the keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderedMap<K, V>(Vec<(K, V)>);

/// Things of which each is there once, in their order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderedSet<T>(Vec<T>);

/// The place of a key in a map.
pub struct Entry<'a, K, V> {
    all: &'a mut Vec<(K, V)>,
    key: K,
    /// Where it is, or has to be.
    at: Result<usize, usize>,
}

/// Where something is in a list that is in order, or has to be.
fn search<T, Q: Ord + ?Sized>(
    all: &[T],
    wanted: &Q,
    key: impl Fn(&T) -> &Q,
) -> Result<usize, usize> {
    // What is put together from what is in order comes in order.
    match all.last() {
        Some(last) if key(last) < wanted => Err(all.len()),
        _ => all.binary_search_by(|one| key(one).cmp(wanted)),
    }
}

/// The part of a list that is within these bounds.
fn within<T, Q: Ord>(all: &[T], bounds: impl RangeBounds<Q>, key: impl Fn(&T) -> &Q) -> &[T] {
    let begin = match bounds.start_bound() {
        Bound::Included(first) => all.partition_point(|one| key(one) < first),
        Bound::Excluded(before) => all.partition_point(|one| key(one) <= before),
        Bound::Unbounded => 0,
    };
    let end = match bounds.end_bound() {
        Bound::Included(last) => all.partition_point(|one| key(one) <= last),
        Bound::Excluded(behind) => all.partition_point(|one| key(one) < behind),
        Bound::Unbounded => all.len(),
    };
    all.get(begin..end).unwrap_or_default()
}

impl<'a, K, V> Entry<'a, K, V> {
    /// The value; it is made if there is none.
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> &'a mut V {
        let at = match self.at {
            Ok(at) => at,
            Err(at) => {
                self.all.insert(at, (self.key, make()));
                at
            }
        };
        &mut self.all[at].1
    }

    /// The value; this one if there is none.
    pub fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    /// The value; its type's default if there is none.
    pub fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

impl<K: Ord, V> OrderedMap<K, V> {
    /// An empty one.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        search(&self.0, key, |(key, _)| key.borrow())
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    /// A key as it is there, and its value.
    pub fn get_key_value(&self, key: &K) -> Option<(&K, &V)> {
        self.find(key).ok().map(|at| (&self.0[at].0, &self.0[at].1))
    }

    /// The value of a key, to change it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether a key has a value.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// A key's value from now on; gives the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// A key and its value are out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }

    /// The place of a key.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        let at = self.find(&key);
        Entry { all: &mut self.0, key, at }
    }

    /// Those whose keys are within these bounds.
    pub fn range(
        &self,
        bounds: impl RangeBounds<K>,
    ) -> impl DoubleEndedIterator<Item = (&K, &V)> + '_ {
        within(&self.0, bounds, |(key, _)| key).iter().map(|(key, value)| (key, value))
    }

    /// Those of which this is true stay.
    pub fn retain(&mut self, mut stays: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| stays(key, value));
    }
}

impl<K, V> OrderedMap<K, V> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// None is there any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All, in order.
    pub fn iter(&self) -> Pairs<'_, K, V> {
        Pairs(self.0.iter())
    }

    /// The same, to change the values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// The same, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// The same, and nothing else of the map.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.0.into_iter().map(|(_, value)| value)
    }
}

/// What is in a map, in order.
pub struct Pairs<'a, K, V>(std::slice::Iter<'a, (K, V)>);

impl<K, V> Clone for Pairs<'_, K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<'a, K, V> Iterator for Pairs<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key, value))
    }
}

impl<'a, K, V> DoubleEndedIterator for Pairs<'a, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(key, value)| (key, value))
    }
}

impl<T: Ord> OrderedSet<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn find<Q: Ord + ?Sized>(&self, wanted: &Q) -> Result<usize, usize>
    where
        T: Borrow<Q>,
    {
        search(&self.0, wanted, |one| one.borrow())
    }

    /// Whether it is there.
    pub fn contains<Q: Ord + ?Sized>(&self, wanted: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.find(wanted).is_ok()
    }

    /// It is there from now on; whether it was not before.
    pub fn insert(&mut self, one: T) -> bool {
        let at = self.find(&one);
        if let Err(at) = at {
            self.0.insert(at, one);
        }
        at.is_err()
    }

    /// It is out; whether it was there.
    pub fn remove<Q: Ord + ?Sized>(&mut self, one: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        let at = self.find(one);
        if let Ok(at) = at {
            self.0.remove(at);
        }
        at.is_ok()
    }

    /// The first, which is out.
    pub fn pop_first(&mut self) -> Option<T> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// What is within these bounds.
    pub fn range(&self, bounds: impl RangeBounds<T>) -> impl DoubleEndedIterator<Item = &T> + '_ {
        within(&self.0, bounds, |one| one).iter()
    }

    /// What is here and not there.
    pub fn difference<'a>(&'a self, there: &'a Self) -> impl Iterator<Item = &'a T> {
        self.0.iter().filter(|one| !there.contains(*one))
    }

    /// Whether all of it is there.
    pub fn is_subset(&self, there: &Self) -> bool {
        self.difference(there).next().is_none()
    }

    /// What of it this is true of stays.
    pub fn retain(&mut self, stays: impl FnMut(&T) -> bool) {
        self.0.retain(stays);
    }
}

impl<T> OrderedSet<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// None is there any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The first.
    pub fn first(&self) -> Option<&T> {
        self.0.first()
    }

    /// The last.
    pub fn last(&self) -> Option<&T> {
        self.0.last()
    }
}

impl<K, V> Default for OrderedMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for OrderedSet<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for OrderedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for OrderedSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<K: Ord, V> Extend<(K, V)> for OrderedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, all: I) {
        all.into_iter().for_each(|(key, value)| drop(self.insert(key, value)));
    }
}

impl<T: Ord> Extend<T> for OrderedSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, all: I) {
        for one in all {
            self.insert(one);
        }
    }
}

impl<'a, T: Ord + Copy + 'a> Extend<&'a T> for OrderedSet<T> {
    fn extend<I: IntoIterator<Item = &'a T>>(&mut self, all: I) {
        self.extend(all.into_iter().copied());
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for OrderedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        all.into_iter().into_map()
    }
}

impl<T: Ord> FromIterator<T> for OrderedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        all.into_iter().into_set()
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for OrderedMap<K, V> {
    fn from(all: [(K, V); N]) -> Self {
        all.into_iter().into_map()
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for OrderedSet<T> {
    fn from(all: [T; N]) -> Self {
        all.into_iter().into_set()
    }
}

impl<'a, K, V> IntoIterator for &'a OrderedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Pairs<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        Pairs(self.0.iter())
    }
}

impl<K, V> IntoIterator for OrderedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T> IntoIterator for OrderedSet<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a OrderedSet<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// Maps and sets, made by one insert after another.
pub trait IntoOrdered: Iterator + Sized {
    /// A set.
    fn into_set(self) -> OrderedSet<Self::Item>
    where
        Self::Item: Ord,
    {
        let mut set = OrderedSet::new();
        set.extend(self);
        set
    }

    /// A map; of two values for one key the last.
    fn into_map<K: Ord, V>(self) -> OrderedMap<K, V>
    where
        Self: Iterator<Item = (K, V)>,
    {
        let mut map = OrderedMap::new();
        map.extend(self);
        map
    }
}

impl<I: Iterator> IntoOrdered for I {}

/// Sorts a short list, or one that is nearly sorted; `before` tells whether one must stand before another.
/// What need not stays in its order. It takes the square of its length.
pub fn sort_short<T>(list: &mut [T], before: impl Fn(&T, &T) -> bool) {
    for end in 1..list.len() {
        let mut at = end;
        while at > 0 && before(&list[at], &list[at - 1]) {
            list.swap(at, at - 1);
            at -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn a_list_is_sorted_as_the_standard_library_does_it() {
        let mut next = 1u32;
        for length in 0..40 {
            let one = |at| {
                next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((next >> 24) % 9, at)
            };
            let mut list: Vec<(u32, usize)> = (0..length).map(one).collect();
            let mut standard = list.clone();
            standard.sort_by_key(|(key, _)| *key);
            sort_short(&mut list, |one, other| one.0 < other.0);
            assert_eq!(list, standard);
        }
    }

    #[test]
    fn a_map_is_as_the_standard_librarys() {
        let mut next = 1u32;
        let mut random = |below: u32| {
            next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (next >> 16) % below
        };
        let (mut map, mut standard) = (OrderedMap::new(), BTreeMap::new());
        let (mut set, mut tree) = (OrderedSet::new(), BTreeSet::new());
        for _ in 0..4000 {
            let (key, value) = (random(60), random(1000));
            match random(8) {
                0..=2 => {
                    assert_eq!(map.insert(key, value), standard.insert(key, value));
                    assert_eq!(set.insert(key), tree.insert(key));
                }
                3 | 4 => {
                    assert_eq!(map.remove(&key), standard.remove(&key));
                    assert_eq!(set.remove(&key), tree.remove(&key));
                }
                5 => {
                    *map.entry(key).or_default() += value;
                    *standard.entry(key).or_default() += value;
                }
                6 => assert_eq!(set.pop_first(), tree.pop_first()),
                _ => {
                    map.retain(|key, value| (*key + *value) % 5 != 0);
                    standard.retain(|key, value| (*key + *value) % 5 != 0);
                }
            }
            let bound = random(60);
            assert!(map.iter().eq(&standard) && set.iter().eq(&tree));
            assert!(map.range(..=bound).eq(standard.range(..=bound)));
            assert!(map.range(bound..).eq(standard.range(bound..)));
            assert!(set.range(key..key + 9).eq(tree.range(key..key + 9)));
            assert_eq!(map.get(&key), standard.get(&key));
            assert_eq!(map.get_key_value(&key), standard.get_key_value(&key));
            assert_eq!((map.len(), set.contains(&key)), (standard.len(), tree.contains(&key)));
            assert_eq!(format!("{map:?} {set:?}"), format!("{standard:?} {tree:?}"));
        }
    }

    #[test]
    fn of_two_values_for_one_key_the_last_is_kept() {
        let map = [(3, 'a'), (1, 'b'), (3, 'c'), (2, 'd')].into_iter().into_map();
        assert!(map.into_iter().eq([(1, 'b'), (2, 'd'), (3, 'c')]));
    }

    #[test]
    fn sets_are_compared_by_what_is_in_them() {
        let (small, large) = (OrderedSet::from([4, 2]), OrderedSet::from([1, 2, 3, 4]));
        assert!(small.is_subset(&large) && !large.is_subset(&small));
        assert!(large.difference(&small).eq(&[1, 3]));
        assert_eq!(small, [2, 4, 2].into_iter().collect());
    }
}
