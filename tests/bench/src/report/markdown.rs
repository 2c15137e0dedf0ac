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

//! Tables as Markdown. Pure.

use std::fmt::Write;

use super::cells::text;
use super::table::{Row, Table, Target};

/// A table as a section of the report. Pictures are named relative to `folder`.
pub fn section(table: &Table, folder: &str) -> String {
    let mut out = format!("## {}\n", table.title);
    // Writing to a String does not fail.
    if !table.targets.is_empty() {
        out += "\n| number | wanted | measured | |\n|---|---|---|---|\n";
        for target in &table.targets {
            let Target { what, wanted, measured, .. } = target;
            let _ = writeln!(out, "| {what} | {wanted} | {measured} | {} |", mark(target));
        }
    }
    for paragraph in &table.method {
        let _ = write!(out, "\n{paragraph}\n");
    }
    out.push('\n');
    out += &grid(table);
    for note in &table.notes {
        let _ = write!(out, "\n{note}\n");
    }
    for picture in &table.pictures {
        let _ = write!(out, "\n![{0}]({folder}/{0}.svg)\n", picture.id());
    }
    out
}

/// The rows alone.
pub fn grid(table: &Table) -> String {
    let mut out = format!("| {} |\n|---|", table.columns.join(" | "));
    out += &"---:|".repeat(table.columns.len().saturating_sub(1));
    out.push('\n');
    for row in &table.rows {
        out += &line(row, table.columns.len());
    }
    out
}

fn line(row: &Row, columns: usize) -> String {
    let subject = escaped(&row.subject);
    if let Some(why) = &row.skipped {
        let empty = " |".repeat(columns.saturating_sub(2));
        return format!("| {subject} | not measured: {} |{empty}\n", escaped(why));
    }
    let cells: Vec<String> = row.cells.iter().map(|cell| escaped(&text(cell))).collect();
    format!("| {subject} | {} |\n", cells.join(" | "))
}

/// Whether a target was reached.
pub fn mark(target: &Target) -> &'static str {
    match target.met {
        Some(true) => "reached",
        Some(false) => "**missed**",
        None => "",
    }
}

fn escaped(text: &str) -> String {
    text.trim().replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::super::table::{Bars, Cell, Picture};
    use super::*;

    #[test]
    fn a_section_has_everything() {
        let mut table = Table::new("attach", "Attach", &["", "median", "ratio"]);
        table.row("guestnetd", vec![Cell::Micros(420.0), Cell::Ratio(1.25)]);
        table.row("a|b", vec![Cell::Micros(45_000.0), Cell::Empty]);
        table.skipped("netavark", "/usr/bin/netavark\nis not installed");
        table.target("attach", "at most 1.5x", Some(("1.25x".into(), true)));
        table.target("detach", "under 1.5 ms", Some(("2 ms".into(), false)));
        table.target("scale", "at most 1.6x", None);
        table.method.push("30 rounds.".into());
        table.notes.push("A note.".into());
        table.pictures.push(Picture::Bars(Bars { id: "attach".into(), ..Bars::default() }));
        assert_eq!(
            section(&table, "results"),
            "\
## Attach

| number | wanted | measured | |
|---|---|---|---|
| attach | at most 1.5x | 1.25x | reached |
| detach | under 1.5 ms | 2 ms | **missed** |
| scale | at most 1.6x | not measured |  |

30 rounds.

|  | median | ratio |
|---|---:|---:|
| guestnetd | 420 us | 1.25x |
| a\\|b | 45.0 ms |  |
| netavark | not measured: /usr/bin/netavark is not installed | |

A note.

![attach](results/attach.svg)
"
        );
    }
}
