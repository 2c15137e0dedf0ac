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

//! The log as systemd's journal has it: the journal knows the time and the program, and is told how
//! serious a line is by `<N>` before it (sd-daemon(3)).

use log::{Level, Record};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};

/// How serious it is that records were lost.
pub(super) const LOST: &str = "<4>";

/// Whether what is written there goes to the journal: `stream` is JOURNAL_STREAM, which names the socket that
/// systemd gave us (systemd.exec(5)); standard error may be another one by now.
pub(super) fn is_behind(fd: impl AsFd, stream: Option<&str>) -> bool {
    let named = || {
        let (device, inode) = stream?.split_once(':')?;
        Some((device.parse::<u64>().ok()?, inode.parse::<u64>().ok()?))
    };
    let is = nix::sys::stat::fstat(fd.as_fd().as_raw_fd()).map(|is| (is.st_dev, is.st_ino));
    named().is_some_and(|named| is == Ok(named))
}

/// A record, each of whose lines says how serious it is. Where it is from is of use only to who looks for more
/// than the usual.
pub(super) fn write(to: &mut dyn Write, record: &Record<'_>) -> io::Result<()> {
    let priority = priority(record.level());
    let from = match record.level() {
        Level::Debug | Level::Trace => format!("{}: ", record.target()),
        _ => String::new(),
    };
    let text = format!("{from}{}", record.args());
    text.lines().try_for_each(|line| writeln!(to, "<{priority}>{line}"))
}

/// Of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_journal_is_the_socket_that_is_named() {
        let (ours, other) = UnixStream::pair().unwrap();
        let named = |socket: &UnixStream| {
            let is = nix::sys::stat::fstat(socket.as_raw_fd()).unwrap();
            format!("{}:{}", is.st_dev, is.st_ino)
        };
        assert!(is_behind(&ours, Some(&named(&ours))));
        // As when the shell that we were started by has sent standard error elsewhere.
        assert!(!is_behind(&ours, Some(&named(&other))));
        for bad in [None, Some(""), Some(":"), Some("9"), Some("x:y"), Some("9:-1")] {
            assert!(!is_behind(&ours, bad), "{bad:?}");
        }
    }

    #[test]
    fn each_line_says_how_serious_it_is_and_no_time() {
        let shown = |level, text: &str| {
            let mut line = Vec::new();
            let args = format_args!("{text}");
            let record = Record::builder().level(level).target("guestnetd::x").args(args).build();
            write(&mut line, &record).unwrap();
            String::from_utf8(line).unwrap()
        };
        assert_eq!(shown(Level::Info, "demo: attached"), "<6>demo: attached\n");
        assert_eq!(shown(Level::Error, "one\ntwo"), "<3>one\n<3>two\n");
        assert_eq!(shown(Level::Warn, "w"), "<4>w\n");
        assert_eq!(shown(Level::Debug, "d"), "<7>guestnetd::x: d\n");
    }
}
