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

//! Keys that are options of the command line: each becomes the words that say the same there, and clap
//! judges them.

use super::text::{unknown, Entry, Wrong};
use crate::ordered::OrderedMap;
use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::any::TypeId;
use std::error::Error;
use std::ffi::OsString;

/// The options' values as they were said, by their keys; with the defaults.
pub(super) type Values = OrderedMap<String, Vec<OsString>>;

/// Options that are not keys: they name the file, or start nothing.
const NOT_KEYS: [&str; 4] = ["config", "check-config", "help", "version"];

/// The options that are keys.
pub(super) fn keys(command: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let all = command.get_arguments().filter_map(|arg| Some((arg.get_long()?, arg)));
    all.filter(|(key, _)| !NOT_KEYS.contains(key))
}

/// Whether the command line itself says it.
pub(super) fn is_said(matches: &ArgMatches, key: &str) -> bool {
    let source = matches.value_source(&id(key));
    source == Some(ValueSource::CommandLine)
}

/// clap's id of an option: its field's name.
fn id(key: &str) -> String {
    key.replace('-', "_")
}

/// All values there are.
pub(super) fn values(command: &Command, matches: &ArgMatches) -> Values {
    let mut values = Values::new();
    for (key, arg) in keys(command) {
        let raw = matches.get_raw(arg.get_id().as_str());
        let raw = raw.map(|raw| raw.map(ToOwned::to_owned).collect()).unwrap_or_default();
        values.insert(key.to_owned(), raw);
    }
    values
}

/// The words that say the same on the command line.
pub(super) fn words(command: &mut Command, entry: &Entry<'_>) -> Result<Vec<OsString>, Wrong> {
    let arg = keys(command).find(|(key, _)| *key == entry.key).map(|(_, arg)| arg.clone());
    let Some(arg) = arg else {
        let known = keys(command).map(|(key, _)| key).chain([super::guests::TABLE]);
        let help = "guestnetd --help lists the options, which are the keys";
        return Err(entry.wrong(unknown("key", entry.key, known, help)));
    };
    let key = entry.key;
    let values = match arg.get_action() {
        ArgAction::SetTrue => {
            let word = entry.bool()?.then(|| format!("--{key}").into());
            return Ok(word.into_iter().collect());
        }
        ArgAction::Append => entry.words()?,
        _ if is_number(arg.get_value_parser()) => vec![entry.number()?],
        _ => vec![entry.str()?.to_owned()],
    };
    let mut words = Vec::new();
    for value in values {
        let word = OsString::from(format!("--{key}={value}"));
        // Each by itself: the line is known here.
        let judged = command.try_get_matches_from_mut([OsString::from("guestnetd"), word.clone()]);
        judged.map_err(|e| entry.wrong(format!("{key} = {value:?}: {}", cause(&e))))?;
        words.push(word);
    }
    Ok(words)
}

fn is_number(parser: &ValueParser) -> bool {
    parser.type_id() == TypeId::of::<u32>() || parser.type_id() == TypeId::of::<u64>()
}

/// What is behind clap's words for the command line.
fn cause(error: &clap::Error) -> String {
    match error.source() {
        Some(cause) => cause.to_string(),
        None => error.kind().to_string(),
    }
}
