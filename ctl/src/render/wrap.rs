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

/// A paragraph of so many columns behind `first`, with `indent` blanks before its further lines. Each line ends with
/// a newline. A word that is wider than a line stays whole: it is to be copied.
pub fn wrap(columns: usize, first: &str, indent: usize, text: &str) -> String {
    let mut lines = String::new();
    let mut line = first.to_owned();
    let mut used = width(first);
    let mut fresh = true;
    for word in text.split_whitespace() {
        let word = plain(word, false);
        let word = word.as_str();
        if !fresh && used + 1 + width(word) > columns {
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

/// A text whose lines fit so many columns: those that do not go on in the next line, further to the
/// right. Lines that do are as they were.
pub fn fit(text: &str, columns: usize) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.lines() {
        if width(line) <= columns {
            shown += line;
            shown.push('\n');
            continue;
        }
        let words = line.trim_start();
        let indent = line.len() - words.len();
        shown += &wrap(columns, &" ".repeat(indent), indent + 4, words);
    }
    shown
}

/// Columns that a text takes; colours take none.
pub fn width(text: &str) -> usize {
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
        let text = wrap(80, "  ok  ", 6, &words);
        let widths: Vec<usize> = text.lines().map(width).collect();
        // 15 words of 4 and the blanks between them are 74 columns, behind 6.
        assert_eq!(widths, [80, 80, 55]);
        assert!(text.lines().skip(1).all(|line| line.starts_with("      word")), "{text}");
        assert_eq!(wrap(80, "", 2, "a\n b"), "a b\n");
        assert_eq!(wrap(80, "  x  ", 2, ""), "  x\n");
    }

    #[test]
    fn lines_that_do_not_fit_go_on_further_to_the_right() {
        assert_eq!(fit("short\n", 10), "short\n");
        assert_eq!(fit("a b\n  one two three\nend\n", 10), "a b\n  one two\n      three\nend\n");
        assert_eq!(fit("a  b   c\n", usize::MAX), "a  b   c\n");
        assert_eq!(fit("", 10), "");
    }

    #[test]
    fn a_long_word_stays_whole_and_colours_take_no_room() {
        let long = "x".repeat(90);
        assert_eq!(
            wrap(80, "- ", 2, &format!("see {long} there")),
            format!("- see\n  {long}\n  there\n")
        );
        assert_eq!(width("\x1b[1;31mBAD\x1b[0m é"), 5);
    }
}
