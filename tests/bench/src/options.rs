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

//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Measures guestnetd beside its rivals and the floor, and writes the report.
///
/// Everything happens in network namespaces that it makes and removes. tests/bench/run builds what
/// it needs and starts it.
#[derive(Clone, Debug, Parser)]
#[command(name = "guestnet_bench")]
pub struct Options {
    /// Few rounds: to see that it works; the figures are coarse
    #[arg(long)]
    pub quick: bool,

    /// Only this table; may be given again
    #[arg(long, value_name = "TABLE")]
    pub only: Vec<String>,

    /// Rounds of every comparison
    #[arg(short = 'n', long, value_name = "ROUNDS")]
    pub rounds: Option<usize>,

    /// Only attach and detach beside the floor; fails when one takes over 3x (floor + null call)
    #[arg(long)]
    pub check: bool,

    /// The folder with guestnetd
    #[arg(long, value_name = "DIR")]
    pub bin: PathBuf,

    /// The folder with guestnetd of an earlier build, which is measured beside; may be given again.
    /// It stands in the tables under the folder's name
    #[arg(long, value_name = "DIR")]
    pub before: Vec<PathBuf>,

    /// tests/bench: where the rivals and the pictures are
    #[arg(long, value_name = "DIR")]
    pub home: PathBuf,

    /// The report whose tables are replaced; none is written without
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

impl Options {
    /// How often to measure what takes milliseconds: `--quick` takes a tenth, `-n` decides.
    pub fn rounds(&self, usual: usize) -> usize {
        match (self.rounds, self.quick) {
            (Some(rounds), _) => rounds.max(1),
            (None, true) => (usual / 10).max(3),
            (None, false) => usual,
        }
    }

    /// Whether this table is asked for.
    pub fn wants(&self, table: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == table)
    }
}
