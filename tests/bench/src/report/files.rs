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

//! The results folder: a JSON file for each table, its pictures beside it, and the report that is
//! made of all that are there.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::table::Table;
use super::{markdown, svg};
use crate::error::{Doing, Result};
use crate::machine::Machine;

/// What a results file holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Where and when it was measured.
    pub machine: Machine,
    /// What.
    pub table: Table,
}

/// Writes a table and its pictures.
pub fn write(folder: &Path, machine: &Machine, table: &Table) -> Result<()> {
    fs::create_dir_all(folder).doing(folder.display())?;
    let results = Results { machine: machine.clone(), table: table.clone() };
    let json = serde_json::to_string_pretty(&results).doing("JSON")? + "\n";
    put(&folder.join(format!("{}.json", table.id)), &json)?;
    for picture in &table.pictures {
        put(&folder.join(format!("{}.svg", picture.id())), &svg::draw(picture))?;
    }
    Ok(())
}

/// Writes the report from the results files of these tables, as far as they are there. `notes` holds
/// texts that are pasted in; `shown` is the results folder as the report sees it.
pub fn report(
    file: &Path,
    tables: &[&str],
    folder: &Path,
    notes: &Path,
    shown: &str,
) -> Result<()> {
    let mut out = String::from(HEAD);
    for id in tables {
        let path = folder.join(format!("{id}.json"));
        let Ok(json) = fs::read_to_string(&path) else { continue };
        let results: Results = serde_json::from_str(&json).doing(path.display())?;
        out.push('\n');
        out += &markdown::section(&results.table, shown);
        out += &format!("\n{}\n", results.machine.line());
        if let Ok(note) = fs::read_to_string(notes.join(format!("{id}.md"))) {
            out += &format!("\n{}\n", note.trim());
        }
    }
    if let Ok(note) = fs::read_to_string(notes.join("tried.md")) {
        out += &format!("\n{}\n", note.trim());
    }
    put(file, &out)
}

const HEAD: &str = "\
# Benchmarks

`tests/bench/run` measures all of this and writes this file; `tests/bench/run --only TABLE` measures
one table anew. Each figure stands beside its rivals' from the same run, in which everybody took
turns: compare within a table, not between machines. The floor is the least that any program must
do for the same final state: raw netlink, kept sockets, nothing else.
";

fn put(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).doing(file.display())
}
