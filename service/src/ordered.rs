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

//! What is in order, made by little code. Pure. `collect()` into a tree sorts first, and the standard sort
//! is 4 KB of machine code for each type of what is sorted: for two dozen of them, for lists that are short.

use std::collections::{BTreeMap, BTreeSet};

/// Trees, made by one insert after another.
pub trait IntoTree: Iterator + Sized {
    /// A set.
    fn into_set(self) -> BTreeSet<Self::Item>
    where
        Self::Item: Ord,
    {
        let mut set = BTreeSet::new();
        set.extend(self);
        set
    }

    /// A map; of two values for one key the last.
    fn into_map<K: Ord, V>(self) -> BTreeMap<K, V>
    where
        Self: Iterator<Item = (K, V)>,
    {
        let mut map = BTreeMap::new();
        map.extend(self);
        map
    }
}

impl<I: Iterator> IntoTree for I {}

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
    fn a_tree_has_what_collect_makes_of_it() {
        let pairs = || [(3, 'a'), (1, 'b'), (3, 'c'), (2, 'd')].into_iter();
        assert_eq!(pairs().into_set(), pairs().collect());
        assert_eq!(pairs().into_map(), pairs().collect());
    }
}
