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

//! What a person sees while it runs: one line, written over again on a terminal.

use std::io::{stderr, IsTerminal, Write};

/// Says how far a table is.
pub fn show(table: &str, done: usize, of: usize) {
    let mut err = stderr();
    // Nobody reads it: that is no reason to stop.
    let _ = if err.is_terminal() {
        let end = if done == of { "\n" } else { "" };
        write!(err, "\r   {table}: {done} of {of}{end}").and_then(|()| err.flush())
    } else if done == of || done.is_multiple_of(10) {
        writeln!(err, "   {table}: {done} of {of}")
    } else {
        Ok(())
    };
}

/// Says something.
pub fn say(text: &str) {
    let _ = writeln!(stderr(), "   {text}");
}

/// Says something that must not be overlooked.
pub fn warn(text: &str) {
    let _ = writeln!(stderr(), "\n   NOT MEASURED: {text}");
}
