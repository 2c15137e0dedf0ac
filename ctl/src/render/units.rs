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

//! Durations, amounts and dates.

/// Microseconds in the unit that fits.
pub fn micros(micros: i64) -> String {
    let micros = micros.max(0);
    let tenths = |unit: i64| {
        let tenths = micros.saturating_add(unit / 20) / (unit / 10);
        (tenths, format!("{}.{}", tenths / 10, tenths % 10))
    };
    if micros < 1000 {
        return format!("{micros} us");
    }
    match tenths(1000) {
        (tenths, text) if tenths < 10_000 => format!("{text} ms"),
        _ => format!("{} s", tenths(1_000_000).1),
    }
}

/// Milliseconds as whole seconds, not sooner than it is.
pub fn seconds(millis: i32) -> String {
    format!("{} s", (i64::from(millis) + 999).div_euclid(1000).max(1))
}

/// Bytes in the unit that fits.
pub fn bytes(bytes: i64) -> String {
    let mut amount = bytes.max(0) as f64;
    if amount < 1024.0 {
        return format!("{amount} B");
    }
    let mut units = ["KiB", "MiB", "GiB", "TiB"].iter().peekable();
    while let Some(unit) = units.next() {
        amount /= 1024.0;
        if amount < 1023.95 || units.peek().is_none() {
            return format!("{amount:.1} {unit}");
        }
    }
    String::new()
}

/// A number of packets.
pub fn packets(packets: i64) -> String {
    counted(packets, "packet")
}

/// A number of guests.
pub fn guests(guests: i32) -> String {
    counted(guests.into(), "guest")
}

/// One or several of what takes an s.
pub fn counted(number: i64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// Milliseconds since the epoch as a date in UTC.
pub fn date(millis: i64) -> String {
    let seconds = millis.div_euclid(1000);
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    // Before the epoch and after the year 9999 a clock is wrong, not early or late.
    if !(0..2_932_897).contains(&day) {
        return "unknown".to_owned();
    }
    let (year, month, day) = calendar(day);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of the month of a day counted from 1 January 1970.
fn calendar(mut day: i64) -> (i64, usize, i64) {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let february = 28 + i64::from(leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in months {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (value, text) in [
            (-5, "0 us"),
            (0, "0 us"),
            (999, "999 us"),
            (1000, "1.0 ms"),
            (1249, "1.2 ms"),
            (1250, "1.3 ms"),
            (999_949, "999.9 ms"),
            (999_950, "1.0 s"),
            (12_340_000, "12.3 s"),
            (i64::MAX, "9223372036854.7 s"),
        ] {
            assert_eq!(micros(value), text);
        }
    }

    #[test]
    fn amounts() {
        for (value, text) in [
            (-1, "0 B"),
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_575, "1.0 MiB"),
            (5_368_709_120, "5.0 GiB"),
            (i64::MAX, "8388608.0 TiB"),
        ] {
            assert_eq!(bytes(value), text);
        }
    }

    #[test]
    fn one_and_several() {
        assert_eq!(
            (guests(0), guests(1), guests(2)),
            ("0 guests".into(), "1 guest".into(), "2 guests".into())
        );
        assert_eq!((packets(1), packets(-1)), ("1 packet".to_owned(), "-1 packets".to_owned()));
    }

    #[test]
    fn dates() {
        for (value, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399_999, "2000-02-28 23:59:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (951_868_800_000, "2000-03-01 00:00:00 UTC"),
            (1_795_458_119_123, "2026-11-23 18:21:59 UTC"),
            (4_107_542_399_000, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
            (253_402_300_799_999, "9999-12-31 23:59:59 UTC"),
            (253_402_300_800_000, "unknown"),
            (-1, "unknown"),
            (i64::MAX, "unknown"),
        ] {
            assert_eq!(date(value), text);
        }
    }
}
