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

//! The fault table: every write of an operation fails in every way, with both packet filters and where netd
//! is, on the real kernel. Which writes there are is counted in a run without a fault. Prints the table.
//!
//! Without more: each kind of write fails in each way once, in one operation or another, and what
//! tests/faults.md says of the writes is compared with what they are. With `FAULTS=all`
//! (tests/soak/faults): every cell, and tests/faults.md is written. Needs root and the feature `faults`.

mod bed;
mod cells;
mod table;

use bed::{Bed, Operation, Shape};
use cells::{fault, Table};
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

fn operation(name: &str) -> Operation {
    Operation::ALL.into_iter().find(|one| one.name() == name).expect("an operation")
}

fn shape(name: &str) -> Shape {
    Shape::ALL.into_iter().find(|one| one.name() == name).expect("a shape")
}

/// Tries the cells that it is told of, or all: a line for each.
fn work(named: &str, filter: &str) {
    let _behind = bed::enter_a_device(operation(named), shape(filter));
    let dir = std::env::temp_dir().join(format!("guestnetd-faults-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let mut table = Table::new(operation(named), shape(filter), &dir)
        .unwrap_or_else(|e| panic!("{named}, {filter}: {e}"));
    let rows = table.rows.clone();
    for (what, writes) in &rows {
        println!("row\t{what}\t{writes}");
    }
    let told: Vec<_> = std::io::stdin().lock().lines().map_while(Result::ok).collect();
    let all = rows.iter().flat_map(|(what, writes)| {
        let of_one =
            move |nth: usize| cells::FAULTS.map(|(fault, _)| format!("{what}\t{nth}\t{fault}"));
        (0..*writes).flat_map(of_one)
    });
    let wanted = if told.iter().any(|line| line == "all") { all.collect() } else { told };
    for line in wanted {
        let parts: Vec<_> = line.split('\t').collect();
        let [what, nth, named] = parts[..] else { continue };
        if cells::is_an_answer(what, named) {
            continue;
        }
        let result = table.cell(what, nth.parse().expect("a number"), fault(named));
        let said = result.err().unwrap_or_else(|| "ok".into()).replace('\n', " ");
        println!("cell\t{line}\t{said}");
        std::io::stdout().flush().expect("the output");
    }
    drop(table);
    let _ = std::fs::remove_dir_all(&dir);
}

fn main() -> ExitCode {
    // For who looks for the reason of a wrong cell: RUST_LOG=info.
    if std::env::var_os("RUST_LOG").is_some() {
        env_logger::init();
    }
    let words: Vec<_> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker", operation, filter] => work(operation, filter),
        ["victim", named, filter, what, nth, when, dir, netns] => {
            let bed = Bed::of(operation(named), shape(filter), Path::new(dir), Path::new(netns));
            let fault = fault(&format!("killed {when}"));
            cells::victim(bed, what, nth.parse().expect("a number"), fault);
        }
        _ => return table::main(std::env::var("FAULTS").is_ok_and(|all| all == "all")),
    }
    ExitCode::SUCCESS
}
