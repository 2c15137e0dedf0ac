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

//! Writes guestnetd's manual page to standard output: `cargo run --example guestnetd-man`.

use clap::CommandFactory;
use guestnetd::cli::Args;
use std::io;

fn main() -> io::Result<()> {
    let version = concat!("guestnetd ", env!("CARGO_PKG_VERSION"));
    let page = clap_mangen::Man::new(Args::command()).section("8").source(version);
    page.manual("guestnetd").render(&mut io::stdout())
}
