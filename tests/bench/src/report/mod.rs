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

//! What becomes of figures: a table in the report, and its pictures.

pub mod cells;
pub mod markdown;
pub mod picture;
pub mod table;

use std::fs;
use std::path::Path;

use crate::error::{Doing, Error, Result};
use crate::machine::Machine;
use table::Table;

/// Writes a table into its place in the report and draws its pictures beside. All else in the report is
/// written by people and stays.
pub fn put(report: &Path, pictures: &Path, machine: &Machine, table: &Table) -> Result<()> {
    let before = fs::read_to_string(report).doing(report.display())?;
    let shown = relative(report, pictures);
    let section = format!("{}\n{}\n", markdown::section(table, &shown), machine.line());
    let after = placed(&before, &table.id, &section)
        .ok_or_else(|| Error::new(format!("{}: no place for {}", report.display(), table.id)))?;
    fs::create_dir_all(pictures).doing(pictures.display())?;
    for picture in &table.pictures {
        let file = pictures.join(format!("{}.svg", picture.id()));
        let drawn = picture::draw(picture).map_err(|e| Error::new(e.to_string()))?;
        fs::write(&file, drawn).doing(file.display())?;
    }
    fs::write(report, after).doing(report.display())
}

/// The report with another section between the two comments that mark the place of one.
fn placed(report: &str, id: &str, section: &str) -> Option<String> {
    let (begin, end) =
        (format!("<!-- {id}: by tests/bench/run -->\n"), format!("<!-- {id}: end -->"));
    let (head, rest) = report.split_once(&begin)?;
    let (_, tail) = rest.split_once(&end)?;
    Some(format!("{head}{begin}{section}{end}{tail}"))
}

/// The folder as the report names it.
fn relative(report: &Path, folder: &Path) -> String {
    let beside = report.parent().and_then(|parent| folder.strip_prefix(parent).ok());
    beside.unwrap_or(folder).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_its_own_only() {
        let text = "# B\n<!-- a: by tests/bench/run -->\nold\n<!-- a: end -->\nby hand\n\
                    <!-- b: by tests/bench/run -->\n<!-- b: end -->\n";
        let new = placed(text, "a", "new\n").unwrap();
        assert_eq!(new, text.replace("old", "new"));
        let both = placed(&new, "b", "also\n").unwrap();
        assert!(both.contains("run -->\nalso\n<!-- b: end"), "{both}");
        assert_eq!(placed(text, "c", "new"), None);
    }
}
