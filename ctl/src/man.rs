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

//! Manual pages from what clap knows: one of guestnetctl, one of each command. For who packs guestnetctl.

use clap::Command;
use clap_mangen::{roff, Man};
use std::io::{self, Write};
use std::path::Path;

/// Writes all of them into a directory.
pub fn write(command: Command, directory: &Path) -> io::Result<()> {
    let mut command = command.disable_help_subcommand(true);
    // Gives commands their full names and the options of all.
    command.build();
    page(&command, directory)?;
    let mut shown = command.get_subcommands().filter(|one| !one.is_hide_set());
    shown.try_for_each(|one| page(one, directory))
}

fn page(command: &Command, directory: &Path) -> io::Result<()> {
    let man = Man::new(command.clone())
        .manual("guestnetd")
        .source(concat!("guestnetd ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    if let Some(after) = command.get_after_help() {
        more(&after.to_string(), &mut text)?;
    }
    std::fs::write(directory.join(man.get_filename()), text)
}

/// What `--help` ends with: columns and examples, whose lines stay as they are.
fn more(text: &str, to: &mut dyn Write) -> io::Result<()> {
    let mut page = roff::Roff::new();
    page.control("SH", ["MORE"]).control("nf", []);
    for line in text.lines() {
        page.text([roff::roman(line)]);
    }
    page.control("fi", []).to_writer(to)
}
