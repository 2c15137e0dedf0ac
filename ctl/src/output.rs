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
use crate::render::look::Look;
use crate::render::plain::plain;
use crate::render::wrap;
use nix::libc;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// How the user wants to be answered.
#[derive(Clone)]
pub struct Output {
    json: bool,
    look: Look,
}

impl Output {
    /// Colour is for terminals whose user has not declined it; Android has no locales.
    pub fn new(json: bool) -> Self {
        let set = |key| std::env::var_os(key).filter(|value| !value.is_empty());
        let terminal = io::stdout().is_terminal();
        let plain = set("NO_COLOR").is_some() || set("TERM").as_deref() == Some(OsStr::new("dumb"));
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let ascii = cfg!(not(target_os = "android")) && Look::is_ascii(&locale.to_string_lossy());
        let look = Look { colour: terminal && !plain, ascii, ..Look::PLAIN };
        let said = set("COLUMNS").and_then(|text| text.to_str()?.parse().ok());
        let columns = said.or_else(|| columns().filter(|_| terminal));
        Self { json, look: columns.map_or(look, |columns| look.on_terminal(columns)) }
    }

    /// How text may look.
    pub fn look(&self) -> Look {
        self.look
    }

    /// Whether documents are wanted.
    #[cfg(not(target_os = "android"))]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A command's answer: the document or the text, which ends with a newline.
    pub fn answer(
        &self,
        document: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let fit = || wrap::fit(&text(), self.look.columns);
        write(&if self.json { format!("{:#}\n", document()) } else { fit() })
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

/// Columns of the terminal that stdout is.
fn columns() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `struct winsize`.
    let answered = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) } == 0;
    (answered && size.ws_col > 0).then(|| size.ws_col.into())
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
