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

//! Where log lines go: logd on Android, standard error elsewhere, with the time unless that is systemd's
//! journal. Which lines: `RUST_LOG` says it on Linux, the property `log.tag.guestnetd` on Android.

#[cfg(not(target_os = "android"))]
mod journal;
#[cfg(not(target_os = "android"))]
mod stderr;

#[cfg(not(target_os = "android"))]
use std::{sync::OnceLock, time::Duration};

/// How long the end of the process waits for who reads the log.
#[cfg(not(target_os = "android"))]
const LONGEST: Duration = Duration::from_millis(500);

/// Where it goes, once it is started.
#[cfg(not(target_os = "android"))]
static STDERR: OnceLock<stderr::Stderr> = OnceLock::new();

/// What is logged when nobody says otherwise. rsbinder warns of every stranger on the socket.
#[cfg(not(target_os = "android"))]
const FILTER: &str = "info,rsbinder=error";

/// Starts logging. Nothing that is logged before is seen.
#[cfg(not(target_os = "android"))]
pub fn start() {
    let filter = env_logger::Env::default().default_filter_or(FILTER);
    let mut builder = env_logger::Builder::from_env(filter);
    builder.format_timestamp_millis();
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let in_journal = journal::is_behind(std::io::stderr(), stream.as_deref());
    if in_journal {
        builder.format(|to, record| journal::write(to, record));
    }
    if let Ok(stderr) = stderr::Stderr::open(if in_journal { journal::LOST } else { "" }) {
        let stderr = STDERR.get_or_init(|| stderr);
        builder.target(env_logger::Target::Pipe(Box::new(stderr.clone())));
    }
    builder.init();
}

/// To be called before the process ends: what was logged is written, if somebody reads it.
pub fn finish() {
    #[cfg(not(target_os = "android"))]
    if let Some(stderr) = STDERR.get() {
        stderr.finish(LONGEST);
    }
}

/// Starts logging. Nothing that is logged before is seen.
#[cfg(target_os = "android")]
pub fn start() {
    let level = level_of(&property(c"log.tag.guestnetd")).unwrap_or(log::LevelFilter::Info);
    android_logger::init_once(
        android_logger::Config::default().with_tag("guestnetd").with_max_level(level),
    );
}

/// The value of a system property; empty when it is not set. Every domain may read `log.tag.*`.
#[cfg(target_os = "android")]
fn property(name: &std::ffi::CStr) -> String {
    let mut value = [0u8; libc::PROP_VALUE_MAX as usize];
    // SAFETY: the name ends with a zero, and the value has room for the longest there is
    // (PROP_VALUE_MAX, with its zero).
    let length = unsafe { libc::__system_property_get(name.as_ptr(), value.as_mut_ptr().cast()) };
    let length = usize::try_from(length).unwrap_or(0);
    String::from_utf8_lossy(value.get(..length).unwrap_or_default()).into_owned()
}

/// The level that a letter of `log.tag.*` means (android/log.h).
#[cfg(any(target_os = "android", test))]
fn level_of(property: &str) -> Option<log::LevelFilter> {
    use log::LevelFilter::*;
    match property.trim().get(..1)? {
        "V" | "v" => Some(Trace),
        "D" | "d" => Some(Debug),
        "I" | "i" => Some(Info),
        "W" | "w" => Some(Warn),
        "E" | "e" | "F" | "f" => Some(Error),
        "S" | "s" => Some(Off),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::level_of;
    use log::LevelFilter;

    #[test]
    fn a_letter_or_a_word_of_androids_is_a_level() {
        for (text, level) in [
            ("V", Some(LevelFilter::Trace)),
            ("DEBUG", Some(LevelFilter::Debug)),
            ("d", Some(LevelFilter::Debug)),
            ("SUPPRESS", Some(LevelFilter::Off)),
            ("", None),
            ("7", None),
            ("\u{e9}", None),
        ] {
            assert_eq!(level_of(text), level, "{text:?}");
        }
    }
}
