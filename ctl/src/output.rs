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

//! Where answers go: documents or text on stdout, complaints on stderr.

use crate::exit::{Exit, Failure};
use crate::json;
use crate::render::plain::plain;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// How the user wants to be answered.
#[derive(Clone)]
pub struct Output {
    json: bool,
    colour: bool,
}

impl Output {
    /// Colour is for terminals whose user has not declined it.
    pub fn new(json: bool) -> Self {
        let set = |key| std::env::var_os(key).filter(|value| !value.is_empty());
        let plain = set("NO_COLOR").is_some() || set("TERM").as_deref() == Some(OsStr::new("dumb"));
        Self { json, colour: !plain && io::stdout().is_terminal() }
    }

    /// Whether text may be coloured.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// A command's answer: the document or the text, which ends with a newline.
    pub fn answer(
        &self,
        document: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        write(&if self.json { format!("{:#}\n", document()) } else { text() })
    }

    /// The same in one line, for one of many.
    pub fn line(&self, document: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> String {
        if self.json {
            format!("{}\n", document())
        } else {
            text()
        }
    }

    /// A failed command: its cause and the next step on stderr, and the document where one was asked for.
    pub fn failure(&self, failure: &Failure) {
        complain(&failure.advice());
        if self.json {
            // What could not be written has been complained about.
            let _ = write(&format!("{:#}\n", json::failure(failure)));
        }
    }
}

/// Writes to stdout, which may be anything.
pub fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // The reader has seen enough (`| head`): there is nobody to tell and nothing to do.
        Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(Exit::Ok as i32),
        other => {
            other.map_err(|e| Failure::new(Exit::Other, format!("cannot write to stdout: {e}")))
        }
    }
}

/// Says something on stderr, in one write, so that no log splits it; if that is closed there is
/// no better place.
pub fn complain(message: &str) {
    let _ = io::stderr().write_all(format!("guestnetctl: {}\n", plain(message, true)).as_bytes());
}
