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

//! One record of the log as a line: when, how bad, from where, what.

use log::Record;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A record with the time, UTC. What it says stays one record: further lines of it are indented.
pub(super) fn line(now: SystemTime, record: &Record<'_>) -> String {
    let mut line = String::from("[");
    push_time(&mut line, now.duration_since(UNIX_EPOCH).unwrap_or_default());
    let said = record.args().to_string().replace('\n', "\n    ");
    // A String takes everything.
    let _ = writeln!(line, " {:<5} {}] {said}", record.level(), record.target());
    line
}

/// Seconds in a day.
const DAY: u64 = 86_400;

/// A time since the epoch as RFC 3339 has it, to the millisecond.
fn push_time(line: &mut String, since: Duration) {
    let (days, second) = (since.as_secs() / DAY, since.as_secs() % DAY);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let millis = since.subsec_millis();
    let _ = write!(
        line,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
    );
}

/// Year, month and day of a day since the epoch. Years begin in March here, so that the leap day is
/// the last one, and all months but it have one pattern of lengths: 153 days for each five.
fn date(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01, in cycles of 400 years.
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    #[test]
    fn a_record_is_a_line_with_its_time() {
        let at = UNIX_EPOCH + Duration::from_millis(1_709_208_000_042);
        let mut builder = Record::builder();
        let record = builder.level(Level::Warn).target("guestnetd::run").args(format_args!("a\nb"));
        let expected = "[2024-02-29T12:00:00.042Z WARN  guestnetd::run] a\n    b\n";
        assert_eq!(line(at, &record.build()), expected);
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let length = |year: u64, month| match month {
            4 | 6 | 9 | 11 => 30,
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(date(days), expected);
            let (year, month, day) = expected;
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == length(year, month) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}
