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

//! Text from outside, such as an interface's name, as a terminal may have it: what would move its
//! cursor, colour it or turn its direction is shown by its number.

/// The text with its control characters escaped; a line end stays one where `lines` says so.
pub fn plain(text: &str, lines: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // Cc, and the characters of Unicode's bidirectional algorithm that have no width.
        let odd = c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if odd && !(lines && c == '\n') {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(plain("wlan0 é ▏", false), "wlan0 é ▏");
        assert_eq!(plain("\x1b[2Ja\u{9b}\x7f", false), "\\u{1b}[2Ja\\u{9b}\\u{7f}");
        assert_eq!(plain("a\u{202e}b\u{2066}", false), "a\\u{202e}b\\u{2066}");
        assert_eq!(plain("a\nb\r", false), "a\\nb\\r");
        assert_eq!(plain("a\nb\r\n", true), "a\nb\\r\n");
    }
}
