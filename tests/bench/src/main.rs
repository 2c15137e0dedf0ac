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

//! Measures guestnetd beside its rivals and the floor: `tests/bench/run` builds what it needs and
//! starts it. No figure is asserted anywhere but in `--check`, which compares with the floor.

mod attach;
mod before;
mod build;
mod command;
mod concurrent;
mod contract;
mod cpu;
mod crowd;
mod cycle;
mod datapath;
mod end;
mod error;
mod events;
mod first_packet;
mod floor;
mod hostile;
mod in_use;
mod machine;
mod measure;
mod memory;
mod mtu;
mod names;
mod options;
mod progress;
mod report;
mod scale;
mod segment;
mod servers;
mod service;
mod settle;
mod start;
mod status;
mod subject;
mod timeline;

use std::process::ExitCode;

use clap::Parser;

use error::{Error, Result};
use machine::Machine;
use options::Options;
use report::markdown;
use report::table::Table;

fn main() -> ExitCode {
    let options = Options::parse();
    let done = if options.check { attach::check(&options) } else { measure(&options) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            progress::say(&format!("bench: {e}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    let known = names();
    if let Some(only) = options.only.iter().find(|only| !known.contains(&only.as_str())) {
        return Err(Error::new(format!("no table {only}; there are: {}", known.join(", "))));
    }
    let words = std::env::var("BENCH_COMMAND").unwrap_or_else(|_| "guestnet_bench".to_owned());
    let machine = Machine::here(words);
    let keep = |table: Table| {
        println!("\n## {}\n\n{}", table.title, markdown::grid(&table));
        for target in &table.targets {
            let report::table::Target { what, wanted, measured, .. } = target;
            println!("   {what}: {wanted}; measured: {measured} {}", markdown::mark(target));
        }
        match &options.report {
            Some(file) => report::put(file, &options.home.join("pictures"), &machine, &table),
            None => Ok(()),
        }
    };
    if options.wants("attach") || options.wants("detach") {
        let run = attach::run(options)?;
        keep(run.attach())?;
        keep(run.detach())?;
    }
    for (id, run) in TABLES {
        // It compares with nobody else: without an earlier build its place in the report stays.
        let alone = id == "before" && options.before.is_empty();
        if options.wants(id) && !alone {
            keep(run(options)?)?;
        }
    }
    Ok(())
}

/// Makes a table.
type Run = fn(&Options) -> Result<Table>;

/// All others, by name, in the order of the report.
const TABLES: [(&str, Run); 16] = [
    ("scale", scale::run),
    ("segment", segment::run),
    ("concurrent", concurrent::run),
    ("first-packet", first_packet::run),
    ("datapath", datapath::run),
    ("names", names::run),
    ("servers", servers::run),
    ("events", events::run),
    ("start", start::run),
    ("before", before::run),
    ("mtu", mtu::run),
    ("status", status::run),
    ("command", command::run),
    ("end", end::run),
    ("hostile", hostile::run),
    ("memory", memory::run),
];

/// The names of all tables, in the order of the report.
fn names() -> Vec<&'static str> {
    ["attach", "detach"].into_iter().chain(TABLES.map(|(name, _)| name)).collect()
}
