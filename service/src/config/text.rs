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

//! From text to keys and values that know their lines. Pure.

use super::FileError;
use crate::ordered::{IntoOrdered, OrderedMap};
use std::path::Path;
use toml::de::{DeInteger, DeTable, DeValue};
use toml::Spanned;

/// What is wrong, on which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    line: Option<usize>,
    cause: String,
}

impl Wrong {
    pub(super) fn on(line: usize, cause: impl Into<String>) -> Self {
        Self { line: Some(line), cause: cause.into() }
    }

    /// The same, of this file.
    pub(super) fn of(self, path: &Path) -> FileError {
        FileError { path: path.to_owned(), line: self.line, cause: self.cause }
    }
}

/// A key with its value.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a DeValue<'a>,
    /// The line of the key.
    pub(super) line: usize,
    text: &'a str,
}

impl<'a> Entry<'a> {
    /// What is wrong here.
    pub(super) fn wrong(&self, cause: impl Into<String>) -> Wrong {
        Wrong::on(self.line, cause)
    }

    /// What is in it, in the order of the file; none: it is no table.
    pub(super) fn entries(&self) -> Option<impl Iterator<Item = Entry<'a>>> {
        self.value.as_table().map(|table| in_order(table, self.text))
    }

    pub(super) fn bool(&self) -> Result<bool, Wrong> {
        self.value.as_bool().ok_or_else(|| self.needs("true or false", self.value))
    }

    pub(super) fn str(&self) -> Result<&'a str, Wrong> {
        self.value.as_str().ok_or_else(|| self.needs("a string in quotes", self.value))
    }

    /// A whole number, in decimal digits.
    pub(super) fn number(&self) -> Result<String, Wrong> {
        let number = self.value.as_integer().ok_or_else(|| self.needs("a number", self.value));
        decimal(number?).ok_or_else(|| self.wrong(format!("{}: the number is too large", self.key)))
    }

    /// A string or a whole number, or a list of these.
    pub(super) fn words(&self) -> Result<Vec<String>, Wrong> {
        let one = |value: &DeValue<'_>| match (value.as_str(), value.as_integer()) {
            (Some(text), _) => Ok(text.to_owned()),
            (None, Some(number)) => decimal(number).ok_or_else(|| self.needs("less", value)),
            (None, None) => Err(self.needs("strings in quotes, [\"...\", \"...\"]", value)),
        };
        match self.value.as_array() {
            Some(list) => list.iter().map(|value| one(value.get_ref())).collect(),
            None => Ok(vec![one(self.value)?]),
        }
    }

    fn needs(&self, what: &str, found: &DeValue<'_>) -> Wrong {
        self.wrong(format!("{} needs {what}, and this is of type {}", self.key, found.type_str()))
    }
}

fn decimal(number: &DeInteger<'_>) -> Option<String> {
    i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
}

/// All that a file says.
pub(super) struct Entries<'a> {
    table: Spanned<DeTable<'a>>,
    text: &'a str,
}

impl<'a> Entries<'a> {
    pub(super) fn of(text: &'a str) -> Result<Self, Wrong> {
        let table = DeTable::parse(text).map_err(|e| {
            let line = e.span().map(|span| line_of(text, span.start));
            Wrong { line, cause: e.message().lines().collect::<Vec<_>>().join(", ") }
        })?;
        Ok(Self { table, text })
    }

    /// In the order of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        in_order(self.table.get_ref(), self.text)
    }
}

fn in_order<'a>(table: &'a DeTable<'a>, text: &'a str) -> impl Iterator<Item = Entry<'a>> {
    let placed = table.iter().map(|(key, value)| {
        let (key, start) = (key.get_ref().as_ref(), key.span().start);
        (start, Entry { key, value: value.get_ref(), line: line_of(text, start), text })
    });
    let placed: OrderedMap<usize, Entry<'a>> = placed.into_map();
    placed.into_values()
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// `unknown key "uplnk": the nearest is "uplink"`
pub(super) fn unknown<'a>(
    what: &str,
    key: &str,
    known: impl Iterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    let near = known.map(|one| (strsim::osa_distance(one, key), one));
    let near = near.filter(|(far, one)| *far <= 1 + one.len().min(key.len()) / 4).min();
    match near {
        Some((_, near)) => format!("unknown {what} {key:?}: the nearest is {near:?}"),
        None => format!("unknown {what} {key:?}: {otherwise}"),
    }
}
