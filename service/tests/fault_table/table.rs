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

//! The table: which cells there are, who tries them, and how it is printed and kept.

use crate::bed::{Operation, Shape};
use crate::cells::{is_an_answer, FAULTS};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

/// An operation on a device of some shape.
type Of = (&'static str, &'static str);

#[derive(Clone, Debug, Default)]
struct Row {
    /// How many such writes it makes.
    writes: usize,
    /// What came of its cells, by the fault's name.
    cells: BTreeMap<String, Vec<Result<(), String>>>,
}

/// By the operation, in the table's order, and by what is written to.
type Rows = BTreeMap<(Of, String), Row>;

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/faults.md")
}

fn operations() -> impl Iterator<Item = Of> {
    Operation::ALL.into_iter().flat_map(|one| Shape::ALL.map(|shape| (one.name(), shape.name())))
}

pub fn main(all: bool) -> ExitCode {
    let kept = std::fs::read_to_string(document()).unwrap_or_default();
    let expected = read(&kept);
    let told = if all { BTreeMap::new() } else { representative(&expected) };
    let (found, mut wrong) = try_all(all, &told);
    let written = print(&found, all);
    println!("{written}");
    let tried: usize = found.values().flat_map(|row| row.cells.values()).map(Vec::len).sum();
    let right = |result: &&Result<(), String>| result.is_ok();
    let ok = found.values().flat_map(|row| row.cells.values()).flatten().filter(right).count();
    println!("{ok} of {tried} cells are right");
    for ((of, what), row) in &found {
        for (fault, results) in &row.cells {
            for e in results.iter().filter_map(|result| result.as_ref().err()) {
                wrong.push(format!("{}, {}: {what}, {fault}: {e}", of.0, of.1));
            }
        }
    }
    if all {
        std::fs::write(document(), HEAD.to_owned() + &written).expect("tests/faults.md");
    } else {
        let counts = |rows: &Rows| -> BTreeMap<_, _> {
            rows.iter().map(|(key, row)| (key.clone(), row.writes)).collect()
        };
        let (expected, found) = (counts(&expected), counts(&found));
        let keys: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
        for key in keys.into_iter().filter(|key| expected.get(*key) != found.get(*key)) {
            let (was, is) = (expected.get(key), found.get(key));
            wrong.push(format!(
                "tests/faults.md says {was:?} and not {is:?} of {key:?}: tests/soak/faults writes it again"
            ));
        }
    }
    wrong.iter().for_each(|e| println!("WRONG {e}"));
    if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Each kind of write with each fault once: in one operation after the other, and at one write after the
/// other of those that it makes.
fn representative(rows: &Rows) -> BTreeMap<Of, Vec<String>> {
    let kinds: BTreeSet<_> = rows.keys().map(|(_, what)| what).collect();
    let mut told: BTreeMap<Of, Vec<String>> = BTreeMap::new();
    for (number, what) in kinds.into_iter().enumerate() {
        let those: Vec<_> = rows.iter().filter(|((_, one), _)| one == what).collect();
        for (at, (fault, _)) in FAULTS.iter().enumerate() {
            let turn = number + at;
            let ((of, _), row) = those[turn % those.len()];
            if is_an_answer(what, fault) {
                continue;
            }
            let nth = (turn / those.len()) % row.writes.max(1);
            told.entry(*of).or_default().push(format!("{what}\t{nth}\t{fault}"));
        }
    }
    told
}

/// A process for each operation on each device, some at a time.
fn try_all(all: bool, told: &BTreeMap<Of, Vec<String>>) -> (Rows, Vec<String>) {
    // Attaches take the longest.
    let todo = Mutex::new(operations());
    let (count, begun) = (operations().count(), Instant::now());
    let done = AtomicUsize::new(0);
    // Its lock is not held by who works.
    let next = || todo.lock().expect("the list").next();
    let found = Mutex::new((Rows::new(), Vec::new()));
    // They wait, most of the time.
    let workers = 3 * thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(of) = next() {
                    let cells = if all {
                        "all".to_owned()
                    } else {
                        told.get(&of).map(|cells| cells.join("\n")).unwrap_or_default()
                    };
                    let result = try_one(of, &cells);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    let (operation, device) = of;
                    let seconds = begun.elapsed().as_secs();
                    eprintln!("   {done} of {count}: {operation}, {device}, after {seconds} s");
                    let mut found = found.lock().expect("the table");
                    match result {
                        Ok(rows) => found.0.extend(rows),
                        Err(e) => found.1.push(format!("{}, {}: {e}", of.0, of.1)),
                    }
                }
            });
        }
    });
    found.into_inner().expect("the table")
}

fn try_one(of: Of, cells: &str) -> Result<Rows, String> {
    let failed = |e: std::io::Error| e.to_string();
    let program = std::env::current_exe().map_err(failed)?;
    let mut worker = Command::new(program)
        .args(["worker", of.0, of.1])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // Fewer bytes than a pipe holds.
    worker.stdin.take().expect("a pipe").write_all(cells.as_bytes()).map_err(failed)?;
    let mut rows = Rows::new();
    for line in BufReader::new(worker.stdout.take().expect("a pipe")).lines() {
        let line = line.map_err(failed)?;
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["row", what, writes] => {
                let writes = writes.parse().map_err(|_| line.clone())?;
                rows.insert((of, what.to_owned()), Row { writes, ..Row::default() });
            }
            ["cell", what, nth, fault, said] => {
                let result = match said {
                    "ok" => Ok(()),
                    e => {
                        // Others go on for long.
                        eprintln!("{}, {}: {what} {nth}, {fault}: {e}", of.0, of.1);
                        Err(format!("write {nth}: {e}"))
                    }
                };
                let row = rows.entry((of, what.to_owned())).or_default();
                row.cells.entry(fault.to_owned()).or_default().push(result);
            }
            _ => {}
        }
    }
    let status = worker.wait().map_err(failed)?;
    if status.success() {
        Ok(rows)
    } else {
        Err(format!("it ended with {status}"))
    }
}

const HEAD: &str = "\
# The fault table

Every write of every operation fails in every way, on the real kernel, with both packet filters and on a device that netd
shapes. `tests/soak/faults` tries every cell and writes this page.

A tick: the fault was reached at each of these writes; the call failed with a code of its own and all was as before, or it
had done what it was asked for all the same; the same call succeeded afterwards, and nothing was left of the way back.
What others have in the device, and guestnetd's records, are compared each time.

* *lost*: the write is made, and nobody answers; *timeout*: it is not made, and nobody answers.
* *torn*: it is made, and the answer cannot be read; of a file, half is written.
* *killed before, after*: SIGKILL there, and another start.
* A dash: ENOENT for a rule that is to go is no fault, but the answer that it is gone.
* `nft`, `ipt`, `netd`: how many such writes the operation makes with each packet filter, and by netd's wrappers. Each of
  them is a cell for each fault.

";

/// A row for what all devices have.
fn print(rows: &Rows, all: bool) -> String {
    let mut text = "| operation | write | nft | ipt | netd |".to_owned();
    FAULTS.iter().for_each(|(fault, _)| write!(text, " {fault} |").expect("a string"));
    text += &format!("\n|---|---|---|---|---|{}\n", "---|".repeat(FAULTS.len()));
    for operation in Operation::ALL.map(Operation::name) {
        let kinds: BTreeSet<_> =
            rows.keys().filter(|(of, _)| of.0 == operation).map(|(_, what)| what).collect();
        for what in kinds {
            let of = |filter| rows.get(&((operation, filter), what.clone()));
            let each = Shape::ALL.map(|shape| of(shape.name()));
            let writes = each.map(|row| row.map_or("-".into(), |row| row.writes.to_string()));
            write!(text, "| {operation} | {what} | {} |", writes.join(" | ")).expect("a string");
            for (fault, _) in FAULTS {
                let results: Vec<_> = each
                    .into_iter()
                    .flatten()
                    .filter_map(|row| row.cells.get(fault))
                    .flatten()
                    .collect();
                let cells: usize = each.iter().flatten().map(|row| row.writes).sum();
                let mark = if is_an_answer(what, fault) {
                    "-"
                } else if results.iter().any(|result| result.is_err()) {
                    "WRONG"
                } else if results.len() == cells {
                    "✓"
                } else if all {
                    "HOLE"
                } else if results.is_empty() {
                    ""
                } else {
                    "✓"
                };
                write!(text, " {mark} |").expect("a string");
            }
            text.push('\n');
        }
    }
    text
}

/// The rows of the page.
fn read(text: &str) -> Rows {
    let mut rows = Rows::new();
    for line in text.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", operation, what, nft, ipt, netd, ..] = cells[..] else { continue };
        for (shape, writes) in Shape::ALL.into_iter().zip([nft, ipt, netd]) {
            let of = operations().find(|of| *of == (operation, shape.name()));
            let (Some(of), Ok(writes)) = (of, writes.parse()) else { continue };
            rows.insert((of, what.to_owned()), Row { writes, ..Row::default() });
        }
    }
    rows
}
