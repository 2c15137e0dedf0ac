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

//! The steps of an attach, drawn to scale.

use super::look::Look;
use super::table::{Align, Table};
use android_system_guestnet::aidl::android::system::guestnet::TimelineStep::TimelineStep;

/// Cells of the longest bar; a cell is drawn in eighths.
const WIDTH: i64 = 32;
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// From the arrival of the call to the end of the last step, in microseconds.
pub fn total(steps: &[TimelineStep]) -> i64 {
    steps.iter().map(|s| s.startMicros.saturating_add(s.durationMicros)).max().unwrap_or(0)
}

/// A line for each step: when it began, how long it took, what it was, and a bar where there is room.
pub fn text(steps: &[TimelineStep], look: Look) -> String {
    let drawn = lines(steps, Some(look.ascii));
    if drawn.lines().all(|line| line.chars().count() <= look.columns) {
        return drawn;
    }
    lines(steps, None)
}

/// `bars`: whether they are to be ASCII.
fn lines(steps: &[TimelineStep], bars: Option<bool>) -> String {
    let total = total(steps);
    let mut table = Table::new([Align::Right, Align::Right, Align::Left, Align::Left]);
    for step in steps {
        table.row([
            format!("  {} us", step.startMicros),
            format!("+{} us", step.durationMicros),
            step.what.clone(),
            match bars {
                Some(true) => ascii(&bar(step.startMicros, step.durationMicros, total)),
                Some(false) => bar(step.startMicros, step.durationMicros, total),
                None => String::new(),
            },
        ]);
    }
    table.text()
}

/// The same bar of whole cells.
fn ascii(bar: &str) -> String {
    bar.chars().map(|cell| if cell == ' ' { ' ' } else { '#' }).collect()
}

/// A bar that begins and is as long as the step within the whole; never too short to be seen.
fn bar(start: i64, duration: i64, total: i64) -> String {
    let scaled = |micros: i64, cells: i64| {
        let micros = i128::from(micros.clamp(0, total));
        let whole = i128::from(total.max(1));
        // Within 0..=cells, as micros is within 0..=total.
        i64::try_from((micros * i128::from(cells) + whole / 2) / whole).unwrap_or(cells)
    };
    let eighths = scaled(duration, WIDTH * 8).max(1);
    let (full, rest) = (eighths / 8, eighths % 8);
    let room = WIDTH - full - i64::from(rest > 0);
    let blanks = scaled(start, WIDTH).min(room);
    let repeat = |text: &str, n: i64| text.repeat(usize::try_from(n).unwrap_or(0));
    let rest = usize::try_from(rest).ok().and_then(|i| EIGHTHS.get(i)).unwrap_or(&"");
    format!("{}{}{rest}", repeat(" ", blanks), repeat("█", full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn drawn_to_scale() {
        let steps = samples::guest().timeline;
        assert_eq!(total(&steps), 1250);
        assert_eq!(
            text(&steps, Look::PLAIN),
            "     0 us  +200 us  open the guest's namespace  █████▏\n\
             \x20  200 us  +800 us  create the link                  ████████████████████▌\n\
             \x20 1000 us  +250 us  read back                                            ██████▍\n"
        );
    }

    #[test]
    fn in_ascii_and_where_there_is_no_room() {
        let steps = samples::guest().timeline;
        let shown = text(&steps, Look { ascii: true, ..Look::PLAIN });
        assert!(
            shown.is_ascii() && shown.contains("create the link                  ####"),
            "{shown}"
        );
        let narrow = text(&steps, Look::PLAIN.on_terminal(60));
        assert!(narrow.contains("\n   200 us  +800 us  create the link\n"), "{narrow}");
    }

    #[test]
    fn bars_stay_within_their_width() {
        assert_eq!(bar(0, 100, 100), "█".repeat(32));
        assert_eq!(bar(100, 0, 100), format!("{}▏", " ".repeat(31)));
        assert_eq!(bar(0, 0, 0), "▏");
        assert_eq!(bar(-5, -5, 100), "▏");
        assert_eq!(bar(i64::MAX, i64::MAX, i64::MAX), "█".repeat(32));
    }

    #[test]
    fn no_steps_no_lines() {
        assert_eq!((total(&[]), text(&[], Look::PLAIN)), (0, String::new()));
    }
}
