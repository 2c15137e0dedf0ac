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

//! A user who may not call is told so in a line of text and closed, before anything of his is read; a
//! client that was closed asks once for that line. The socket says it to every client that connects, so it
//! tells nothing that `id` does not.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a server may take to say it: it does so when it accepts.
const PATIENCE: Duration = Duration::from_millis(500);

/// More than the line has.
const MOST: u64 = 200;

/// What is in every such line, and in no answer of RPC Binder.
const MARK: &str = "may not use guestnetd";

/// The line.
pub(crate) fn words(uid: u32) -> String {
    format!("uid {uid} {MARK}; start it with --allow-uid {uid}")
}

/// Says it, without ever waiting for the other side.
pub(crate) fn tell(mut stream: UnixStream, uid: u32) {
    // A fresh socket has room for it; a peer that is gone needs to hear nothing.
    let told = stream.set_nonblocking(true).and_then(|()| writeln!(stream, "{}", words(uid)));
    if let Err(e) = told {
        log::debug!("uid {uid} was closed without a word: {e}");
    }
}

/// What the server at `path` says to one who asks nothing, if that is a refusal.
pub(crate) fn hear(path: &Path) -> Option<String> {
    let stream = UnixStream::connect(path).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut said = Vec::new();
    // A server that closes with our connection in its queue resets it: what it said came before.
    let _ = stream.take(MOST).read_to_end(&mut said);
    let text = String::from_utf8(said).ok()?;
    let line = text.lines().next()?;
    let ours = line.starts_with("uid ") && line.contains(MARK) && !line.contains(char::is_control);
    ours.then(|| line.to_owned())
}
