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

//! Text in lines no wider than a terminal.

use super::plain::plain;

/// Columns of the narrowest terminal that people use.
pub const WIDTH: usize = 80;

/// A paragraph behind `first`, with `indent` blanks before its further lines. Each line ends with
/// a newline. A word that is wider than a line stays whole: it is to be copied.
pub fn wrap(first: &str, indent: usize, text: &str) -> String {
    let mut lines = String::new();
    let mut line = first.to_owned();
    let mut used = width(first);
    let mut fresh = true;
    for word in text.split_whitespace() {
        let word = plain(word, false);
        let word = word.as_str();
        if !fresh && used + 1 + width(word) > WIDTH {
            lines += line.trim_end();
            lines.push('\n');
            line = " ".repeat(indent);
            used = indent;
            fresh = true;
        }
        if !fresh {
            line.push(' ');
            used += 1;
        }
        line += word;
        used += width(word);
        fresh = false;
    }
    lines += line.trim_end();
    lines.push('\n');
    lines
}

/// Columns that a text takes; colours take none.
fn width(text: &str) -> usize {
    let mut coloured = false;
    let visible = |c: &char| {
        let hidden = coloured || *c == '\x1b';
        coloured = hidden && *c != 'm';
        !hidden
    };
    text.chars().filter(visible).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_full_and_no_wider() {
        let words = ["word"; 40].join(" ");
        let text = wrap("  ok  ", 6, &words);
        let widths: Vec<usize> = text.lines().map(width).collect();
        // 15 words of 4 and the blanks between them are 74 columns, behind 6.
        assert_eq!(widths, [80, 80, 55]);
        assert!(text.lines().skip(1).all(|line| line.starts_with("      word")), "{text}");
        assert_eq!(wrap("", 2, "a\n b"), "a b\n");
        assert_eq!(wrap("  x  ", 2, ""), "  x\n");
    }

    #[test]
    fn a_long_word_stays_whole_and_colours_take_no_room() {
        let long = "x".repeat(90);
        assert_eq!(
            wrap("- ", 2, &format!("see {long} there")),
            format!("- see\n  {long}\n  there\n")
        );
        assert_eq!(width("\x1b[1;31mBAD\x1b[0m é"), 5);
    }
}
