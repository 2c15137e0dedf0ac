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

//! dumpTo(): everything that guestnetd knows goes into a descriptor, whatever that is and whoever
//! reads it or does not.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use binder::{ExceptionCode, ParcelFileDescriptor};
use guestnet_tests::bed::{assert_words, Bed, BOUND};
use guestnet_tests::client::config;
use guestnet_tests::poll;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::unistd::pipe;

/// What a dump says of the bed, in this order.
const SAYS: [&str; 6] = [
    "guestnetd ",
    "\nlisten ",
    "\nguest neighbour slot 0 vm_wlan ",
    "172.17.3.3/16",
    "rules",
    "masquerade",
];

#[track_caller]
fn assert_says(text: &str) {
    let mut rest = text;
    for word in SAYS {
        let at = rest.find(word).unwrap_or_else(|| panic!("{word:?} is not in its place:\n{text}"));
        rest = &rest[at + word.len()..];
    }
}

#[test]
fn a_pipe_gets_all_of_it_and_its_end() {
    let bed = Bed::with_neighbour();
    let (before, fds) = (bed.before(), bed.settled_fds());
    let (reader, writer) = pipe().expect("a pipe");
    for args in [vec![], vec!["--unknown".to_owned(), String::new()]] {
        let copy = ParcelFileDescriptor::new(writer.try_clone().expect("dup"));
        bed.service.dumpTo(&copy, &args).expect("dumpTo");
    }
    drop(writer);
    let text = read_to_end(&reader);
    assert_says(&text);
    assert_eq!(text.matches("\nguest neighbour").count(), 2, "{text}");
    bed.assert_fds_settle(fds);
    bed.assert_unchanged(&before, "dumpTo()");
}

#[test]
fn a_file_gets_it_where_it_stands() {
    let bed = Bed::with_neighbour();
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(b"my own line\n").expect("written");
    let fd = ParcelFileDescriptor::new(file.try_clone().expect("dup"));
    bed.service.dumpTo(&fd, &[]).expect("dumpTo");
    let mut text = String::new();
    file.rewind().expect("rewound");
    file.read_to_string(&mut text).expect("the dump");
    assert_says(text.strip_prefix("my own line\n").expect("what was there before"));
}

#[test]
fn a_full_pipe_that_nobody_reads_keeps_nobody_waiting() {
    let bed = Bed::with_neighbour();
    let fds = bed.settled_fds();
    let (reader, writer) = pipe().expect("a pipe");
    fill(&writer);
    std::thread::scope(|scope| {
        let stuck = scope.spawn(|| {
            let service = bed.daemon.connect();
            let start = Instant::now();
            let fd = ParcelFileDescriptor::new(writer.try_clone().expect("dup"));
            (service.dumpTo(&fd, &[]), start.elapsed())
        });
        let mut calls = 0;
        while !stuck.is_finished() {
            bed.service.attach(&config("b"), &bed.target(), None).expect("attach");
            bed.service.detach("b").expect("detach");
            calls += 1;
        }
        let (answer, took) = stuck.join().expect("the client");
        assert!(calls > 3, "no more than {calls} calls got by in {took:?}");
        let status = answer.expect_err("a dump into a full pipe");
        assert_eq!(status.exception_code(), ExceptionCode::ILLEGAL_ARGUMENT, "{status}");
        assert_words("dumpTo()", &status, &["cannot write", "nobody reads"]);
        assert!(took < BOUND / 2, "it took {took:?}");
    });
    drop(reader);
    bed.assert_fds_settle(fds);
    bed.assert_neighbour_talks("a full pipe");
}

#[test]
fn a_descriptor_that_cannot_be_written_to() {
    let bed = Bed::with_neighbour();
    let (before, fds) = (bed.before(), bed.settled_fds());
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let read_only = File::open("/dev/null").expect("/dev/null").into();
    let full = File::options().write(true).open("/dev/full").expect("/dev/full").into();
    for (what, fd) in [("nobody's pipe", writer), ("read-only", read_only), ("/dev/full", full)] {
        let status = bed.service.dumpTo(&ParcelFileDescriptor::new(fd), &[]).expect_err(what);
        assert_eq!(status.exception_code(), ExceptionCode::ILLEGAL_ARGUMENT, "{what}: {status}");
        assert_words(what, &status, &["cannot write"]);
        bed.assert_unchanged(&before, what);
    }
    bed.assert_fds_settle(fds);
}

/// All that comes before the end, which there is only when guestnetd has closed its own, too.
fn read_to_end(pipe: &OwnedFd) -> String {
    not_blocking(pipe);
    let mut file = File::from(pipe.try_clone().expect("dup"));
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    let mut more = || match file.read(&mut buffer) {
        Ok(0) => Some(()),
        Ok(count) => {
            text += std::str::from_utf8(&buffer[..count]).expect("ASCII");
            None
        }
        Err(e) if e.kind() == ErrorKind::WouldBlock => None,
        Err(e) => panic!("the dump: {e}"),
    };
    poll(BOUND, &mut more).expect("guestnetd closes its descriptor");
    text
}

/// Writes until not one byte more fits.
fn fill(pipe: &OwnedFd) {
    let flags = not_blocking(pipe);
    let mut file = File::from(pipe.try_clone().expect("dup"));
    while file.write(&[b'x'; 4096]).is_ok() {}
    while file.write(b"x").is_ok() {}
    fcntl(pipe.as_raw_fd(), FcntlArg::F_SETFL(flags)).expect("F_SETFL");
}

/// Sets O_NONBLOCK and gives the flags from before.
fn not_blocking(pipe: &OwnedFd) -> OFlag {
    let flags = fcntl(pipe.as_raw_fd(), FcntlArg::F_GETFL).expect("F_GETFL");
    let flags = OFlag::from_bits_retain(flags);
    fcntl(pipe.as_raw_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).expect("F_SETFL");
    flags
}
