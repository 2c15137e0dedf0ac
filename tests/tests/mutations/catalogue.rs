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

//! The rows of `service/MUTATIONS.md`, and how they compare with what was seen.

use std::collections::{BTreeMap, BTreeSet};

/// The catalogue.
pub const TEXT: &str = include_str!("../../../service/MUTATIONS.md");

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What stands in backticks in its first column.
    pub key: String,
    /// The section.
    pub section: String,
    /// How many columns it has.
    pub columns: usize,
}

/// All rows of all tables, in their order.
pub fn rows(text: &str) -> Vec<Row> {
    let (mut rows, mut section) = (Vec::new(), String::new());
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_owned();
        }
        let Some(row) = line.strip_prefix("| `") else { continue };
        if let Some((key, _)) = row.split_once('`') {
            let columns = line.matches('|').count() - 1;
            rows.push(Row { key: key.to_owned(), section: section.clone(), columns });
        }
    }
    rows
}

/// What is wrong between the rows and what was seen: a line of the trace for each key.
pub fn complaints(rows: &[Row], seen: &BTreeMap<String, String>) -> Vec<String> {
    let mut complaints = Vec::new();
    let keys: BTreeSet<_> = rows.iter().map(|row| row.key.as_str()).collect();
    for row in rows {
        if rows.iter().filter(|other| other.key == row.key).count() > 1 {
            complaints.push(format!("`{}` has two rows", row.key));
        }
        if !seen.contains_key(&row.key) {
            complaints.push(format!("`{}` has a row, but nobody has seen it", row.key));
        }
    }
    for (key, line) in seen.iter().filter(|(key, _)| !keys.contains(key.as_str())) {
        complaints.push(format!("`{key}` has no row; it was seen in\n    {line}"));
    }
    complaints
}

/// The first change that was made before one that stands above it, if both are of a start or of an
/// attach. What a thread of its own does may be at any time.
pub fn disorder(rows: &[Row], order: &[String]) -> Option<(String, String)> {
    let in_order = |row: &&Row| {
        let ordered = row.section == "Start" || row.section.ends_with("side");
        ordered && !row.key.starts_with("own netns: ")
    };
    let rows: Vec<_> = rows.iter().filter(in_order).map(|row| row.key.as_str()).collect();
    let at = |key: &String| rows.iter().position(|row| row == key);
    let made: Vec<_> = order.iter().filter_map(at).collect();
    let wrong = made.windows(2).find(|pair| pair[0] > pair[1])?;
    Some((rows[wrong[0]].to_owned(), rows[wrong[1]].to_owned()))
}
