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

//! The text form of an endpoint, and the words of an error.

use std::path::PathBuf;

use guestnet_platform::{Endpoint, PlatformError};

// Only Android's build uses it; what it takes apart is text.
#[path = "../../../service/platform/message.rs"]
mod message;

fn why(text: &str) -> &'static str {
    match text.parse::<Endpoint>() {
        Err(PlatformError::BadEndpoint { text: said, why }) => {
            assert_eq!(said, text);
            why
        }
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn endpoints_are_read_and_written_alike() {
    let longest = format!("unix:///{}", "x".repeat(106));
    for text in ["unix:///run/guestnet/guestnet.sock", "unix:///a", "binder://", &longest] {
        let endpoint: Endpoint = text.parse().expect(text);
        assert_eq!(endpoint.to_string(), text);
    }
    let unix: Endpoint = "unix:///run/x y".parse().expect("a space is no matter");
    assert_eq!(unix, Endpoint::Unix(PathBuf::from("/run/x y")));
    assert_eq!("binder://".parse::<Endpoint>().expect("the driver"), Endpoint::Kernel);
}

#[test]
fn what_is_no_endpoint_is_told_why() {
    let no_scheme = "it starts with neither unix:// nor binder://";
    assert_eq!(why(""), no_scheme);
    assert_eq!(why("/run/guestnet.sock"), no_scheme);
    assert_eq!(why("tcp://127.0.0.1:1"), no_scheme);
    assert_eq!(why("UNIX:///x"), no_scheme);
    assert_eq!(why("unix://"), "the path is empty");
    assert_eq!(why("unix://run/x"), "the path does not start with /");
    assert_eq!(why("unix:///run/"), "the path names a directory");
    assert_eq!(why("unix:///"), "the path names a directory");
    assert_eq!(why("unix:///run/.."), "the path names a directory");
    assert_eq!(why("unix:///a\0b"), "the path holds a NUL");
    assert_eq!(why("binder://default"), "binder:// takes nothing after it");
    let long = format!("unix:///{}", "x".repeat(107));
    assert_eq!(why(&long), "the path is longer than the 107 bytes that a socket's may have");
}

#[test]
fn the_default_is_the_embedded_one() {
    let default = Endpoint::platform_default();
    assert_eq!(default.to_string(), "unix:///run/guestnet/guestnet.sock");
}

#[test]
fn errors_name_cause_and_next_step() {
    let error = "x".parse::<Endpoint>().expect_err("no endpoint");
    assert_eq!(
        error.to_string(),
        "\"x\" is no endpoint: it starts with neither unix:// nor binder://; \
         say unix:///ABSOLUTE/PATH or binder://"
    );
    let error = PlatformError::AlreadyListening { path: "/run/g.sock".into() };
    assert_eq!(
        error.to_string(),
        "another guestnetd is listening on /run/g.sock: stop it, or listen elsewhere"
    );
}

#[test]
fn words_are_found_in_a_description() {
    for (description, words) in [
        ("Status(-8, EX_SERVICE_SPECIFIC): '304: no guest: \"a\"'", Some("no guest: \"a\"")),
        ("Status(-8, EX_SERVICE_SPECIFIC): '304: '", Some("")),
        ("Status(-1, EX_SECURITY): 'uid 10: not allowed'", Some("uid 10: not allowed")),
        ("Status(-129, EX_TRANSACTION_FAILED): 'DEAD_OBJECT: '", Some("")),
        ("Status(-1, EX_SECURITY): 'it's'", Some("it's")),
        ("No error", None),
        ("", None),
    ] {
        assert_eq!(message::words(description), words, "{description}");
    }
}
