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

//! Sets and maps, and what is in them. Pure.

use super::chains::{Element, Set, Value, Verdict};
use super::value::{within, Holds, Registers};

/// What is found of a value.
pub(super) struct InSet<'a> {
    /// Whether it is there.
    pub(super) holds: Holds,
    /// What the map has for it, where that is certain.
    pub(super) value: Option<&'a Value>,
    /// The verdicts that it may have, where that is not.
    pub(super) verdicts: Vec<&'a Verdict>,
}

/// Looks for the value at a place.
pub(super) fn find<'a>(set: &'a Set, registers: &Registers, at: usize) -> InSet<'a> {
    let length = set.elements.iter().map(|element| element.key.len()).max().unwrap_or_default();
    match registers.between(at, length).and_then(|number| number.each(length)) {
        Some(keys) => any_of(set, &keys),
        None => find_key(set, registers.get(at, length)),
    }
}

/// What is found of one of these.
fn any_of<'a>(set: &'a Set, keys: &[Vec<u8>]) -> InSet<'a> {
    let find = |key: &Vec<u8>| {
        let key: Vec<_> = key.iter().copied().map(Some).collect();
        find_key(set, &key)
    };
    let mut found = keys.iter().map(find);
    let Some(mut all) = found.next() else { return open(set.elements.iter()) };
    let verdict = |value: Option<&'a Value>| match value {
        Some(Value::Verdict(verdict)) => Some(verdict),
        _ => None,
    };
    all.verdicts.extend(verdict(all.value));
    for one in found {
        if one.holds != all.holds {
            all.holds = Holds::Perhaps;
        }
        if one.value != all.value {
            all.value = None;
        }
        for verdict in one.verdicts.into_iter().chain(verdict(one.value)) {
            if !all.verdicts.contains(&verdict) {
                all.verdicts.push(verdict);
            }
        }
    }
    if all.holds == Holds::Perhaps {
        all.value = None;
    }
    all
}

fn find_key<'a>(set: &'a Set, key: &[Option<u8>]) -> InSet<'a> {
    let all = || set.elements.iter().find(|element| element.all);
    if set.ranges && set.parts.len() < 2 && set.elements.iter().all(|e| e.last.is_none()) {
        return in_tree(set, key, all());
    }
    let mut possible = Vec::new();
    for element in set.elements.iter().filter(|element| !element.all) {
        match is(set, key, element) {
            Holds::Yes if possible.is_empty() => return sure(set, Some(element)),
            Holds::No => {}
            Holds::Yes | Holds::Perhaps => possible.push(element),
        }
    }
    match possible.is_empty() {
        true => sure(set, all()),
        false => open(possible.into_iter().chain(all())),
    }
}

/// Ranges as the kernel's tree has them: each end is an element of its own, and the next lower one tells.
fn in_tree<'a>(set: &'a Set, key: &[Option<u8>], all: Option<&'a Element>) -> InSet<'a> {
    let Some(key) = key.iter().copied().collect::<Option<Vec<u8>>>() else {
        return open(set.elements.iter().filter(|element| !element.ends));
    };
    let lower = set.elements.iter().filter(|element| !element.all && element.key <= key);
    // Where one range ends and the next begins, the beginning counts.
    let next = lower.max_by(|a, b| a.key.cmp(&b.key).then(b.ends.cmp(&a.ends)));
    sure(set, next.filter(|element| !element.ends).or(all))
}

/// Whether a key is an element, part by part; each part begins at a register of its own.
fn is(set: &Set, key: &[Option<u8>], element: &Element) -> Holds {
    let (low, high) = (&element.key, element.last.as_ref().unwrap_or(&element.key));
    if set.parts.len() < 2 {
        return within(key, low, high);
    }
    let (mut at, mut holds) = (0, Holds::Yes);
    for part in &set.parts {
        let range = at..at + part;
        let (key, low, high) = (key.get(range.clone()), low.get(range.clone()), high.get(range));
        let (Some(key), Some(low), Some(high)) = (key, low, high) else { return Holds::Perhaps };
        holds = holds.min(within(key, low, high));
        at = (at + part).next_multiple_of(4);
    }
    holds
}

fn sure<'a>(set: &'a Set, found: Option<&'a Element>) -> InSet<'a> {
    match found {
        Some(element) if element.doubtful => open([element].into_iter()),
        Some(element) => {
            InSet { holds: Holds::Yes, value: element.value.as_ref(), verdicts: Vec::new() }
        }
        None if set.partly => open(set.elements.iter()),
        None => InSet { holds: Holds::No, value: None, verdicts: Vec::new() },
    }
}

fn open<'a>(possible: impl Iterator<Item = &'a Element>) -> InSet<'a> {
    let mut verdicts = Vec::new();
    for element in possible {
        match &element.value {
            Some(Value::Verdict(verdict)) if !verdicts.contains(&verdict) => verdicts.push(verdict),
            _ => {}
        }
    }
    InSet { holds: Holds::Perhaps, value: None, verdicts }
}
