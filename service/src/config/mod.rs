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

//! The configuration file: each option of the command line is a key, which the command line overrides,
//! and `[guest.NAME]` says what a guest of that name gets. Keys, types, ranges and defaults of options are
//! [`Args`]' own: there is no second list of them. Not on Android, whose tree has no crate for TOML.

mod flags;
mod guests;
mod reload;
mod source;
mod text;

pub use reload::Reloader;

use crate::api::sections::ByName;
use crate::cli::Args;
use clap::{CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use text::{Entries, Wrong};

/// Where it is unless `--config` says something else.
pub const PATH: &str = "/etc/guestnet/guestnetd.toml";

/// What is wrong with a file: the file, the line, the cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {cause}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1 on; none: all of it.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub cause: String,
}

/// Why guestnetd does not know how to run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line, or a wish of its that ends the program: `--help`.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// How guestnetd is to run.
#[derive(Debug)]
pub struct Settings {
    /// The options.
    pub args: Args,
    /// The file.
    pub path: PathBuf,
    /// Whether it is there.
    pub found: bool,
    /// What it says of guests.
    pub sections: ByName,
    /// The options' values as they were said, by their keys.
    values: flags::Values,
}

/// What the command line, whose first word is the program, and the file say together.
pub fn load(words: &[OsString]) -> Result<Settings, ConfigError> {
    let mut command = Args::command();
    let said = command.try_get_matches_from_mut(words)?;
    let asked = Args::from_arg_matches(&said)?;
    let named = asked.check_config.clone().flatten().or(asked.config);
    let path = named.clone().unwrap_or_else(|| PATH.into());
    let wrong = |wrong: Wrong| wrong.of(&path);
    let text = match source::read(&path) {
        Ok(text) => Some(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => None,
        Err(e) => return Err(source::refused(&path, &e).into()),
    };
    let text = text.as_ref().map(source::Text::utf8).transpose().map_err(&wrong)?;
    let found = text.is_some();
    let entries = Entries::of(text.unwrap_or_default()).map_err(&wrong)?;
    let (of_file, sections) = read(&mut command, &entries).map_err(wrong)?;
    let ours = of_file.into_iter().filter(|(key, _)| !flags::is_said(&said, key));
    let program = words.iter().take(1).cloned();
    let all = program.chain(ours.flat_map(|(_, words)| words)).chain(words.iter().skip(1).cloned());
    let matches = command.try_get_matches_from_mut(all)?;
    let args = Args::from_arg_matches(&matches)?;
    let values = flags::values(&command, &matches);
    Ok(Settings { args, path, found, sections, values })
}

/// Keys, and the words of the command line that say the same.
type Words = Vec<(String, Vec<OsString>)>;

/// The words that the keys stand for, and the sections.
fn read(command: &mut clap::Command, entries: &Entries<'_>) -> Result<(Words, ByName), Wrong> {
    let mut of_file = Vec::new();
    let mut sections = None;
    for entry in entries.iter() {
        if entry.key == guests::TABLE {
            sections = Some(guests::read(&entry)?);
        } else {
            of_file.push((entry.key.to_owned(), flags::words(command, &entry)?));
        }
    }
    Ok((of_file, sections.unwrap_or_default()))
}

/// For fuzzers: whether a text can be such a file, or what is wrong with it.
#[cfg(feature = "fuzzing")]
pub fn try_text(text: &str) -> Result<ByName, FileError> {
    let read = || read(&mut Args::command(), &Entries::of(text)?).map(|(_, sections)| sections);
    read().map_err(|wrong| wrong.of(Path::new(PATH)))
}

/// What `--check-config` says of a file that is right.
pub fn praise(settings: &Settings) -> String {
    let path: &Path = &settings.path;
    match (settings.found, settings.sections.len()) {
        (false, _) => format!("{}: is not there; every option has its default", path.display()),
        (true, 1) => format!("{}: is right, with 1 guest", path.display()),
        (true, guests) => format!("{}: is right, with {guests} guests", path.display()),
    }
}

#[cfg(test)]
mod tests;
