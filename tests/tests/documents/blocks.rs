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

//! The fenced blocks of a Markdown file, and what is compared of an output that one shows.

/// What a reader does with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `sh`: types it.
    Commands,
    /// `sh systemd`: types it on a machine that systemd has booted.
    Booted,
    /// `console`: types what is behind each `$ `, and sees the rest.
    Session,
    /// Looks at it.
    Other,
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// Where its first line is, counted from 1.
    pub line: usize,
    /// What stands behind the fence.
    pub language: String,
    pub kind: Kind,
    pub lines: Vec<String>,
}

/// All of a document.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut all = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => all.extend(open.take()),
            (Some(language), None) => {
                let kind = match language {
                    "sh" => Kind::Commands,
                    "sh systemd" => Kind::Booted,
                    "console" => Kind::Session,
                    _ => Kind::Other,
                };
                let language = language.to_owned();
                open = Some(Block { line: number + 2, language, kind, lines: Vec::new() });
            }
            (None, Some(block)) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block without an end: {open:?}");
    all
}

impl Block {
    /// Its commands without comments, each with the line that it begins in.
    pub fn commands(&self) -> Vec<(usize, String)> {
        let at = |(number, line): (usize, &String)| (self.line + number, line.clone());
        let lines = self.lines.iter().enumerate().map(at);
        let typed = lines.filter_map(|(number, line)| match self.kind {
            Kind::Commands | Kind::Booted => Some((number, line)),
            Kind::Session => Some((number, line.strip_prefix("$ ")?.to_owned())),
            Kind::Other => None,
        });
        let bare = typed.map(|(number, line)| (number, without_comment(&line).to_owned()));
        bare.filter(|(_, command)| !command.is_empty()).collect()
    }
}

/// A comment begins with a `#` behind a blank, or with the line.
fn without_comment(line: &str) -> &str {
    let end = if line.starts_with('#') { Some(0) } else { line.find(" #") };
    line[..end.unwrap_or(line.len())].trim()
}

/// Whether an output is what is shown, by words: a line `...` stands for any lines, `...` at a line's
/// end for the rest of the line. How long something took and how much it was is another every time.
pub fn is_shown(shown: &[String], output: &[String]) -> bool {
    match shown.split_first() {
        None => output.is_empty(),
        Some((line, rest)) if line.trim() == "..." => {
            (0..=output.len()).any(|skipped| is_shown(rest, &output[skipped..]))
        }
        Some((line, rest)) => output
            .split_first()
            .is_some_and(|(first, others)| same_line(line, first) && is_shown(rest, others)),
    }
}

fn same_line(shown: &str, line: &str) -> bool {
    let (shown, line) = (words(shown), words(line));
    match shown.split_last() {
        Some((last, before)) if last == "..." => line.starts_with(before),
        _ => shown == line,
    }
}

/// The words of a line; a number before a unit is `#`.
fn words(line: &str) -> Vec<String> {
    let all: Vec<&str> = line.split_whitespace().collect();
    let unit = |word: &&str| {
        let word = word.trim_end_matches(',');
        ["us", "ms", "s", "B", "KiB", "MiB", "packet", "packets"].contains(&word)
    };
    let word = |(i, word): (usize, &&str)| match all.get(i + 1).filter(|next| unit(next)) {
        Some(_) if word.parse::<f64>().is_ok() => "#".to_owned(),
        _ if unit(word) => "unit".to_owned(),
        _ => (*word).to_owned(),
    };
    all.iter().enumerate().map(word).collect()
}

#[test]
fn an_output_is_compared_by_words_and_gaps() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let is = |shown: &str, output: &str| is_shown(&lines(shown), &lines(output));
    assert!(is("a  b\n...\nz", "a b\nc\nd\nz"));
    assert!(is("a took 5 us\n...", "a took 1.5 ms"));
    assert!(is("a: no ...", "a: no internet"));
    assert!(!is("a: no ...", "b: no internet"));
    assert!(!is("a\nz", "a\nb\nz"));
    assert!(!is("a", "a\nb"));
    assert!(!is("a\nb", "a"));
    assert!(!is("MTU 1500", "MTU 1400"));
}

#[test]
fn commands_have_no_comments() {
    let text =
        "x\n```sh\n# why\na \"#b\"  # c\n```\n```console\n$ d # e\nout\n```\n```text\nf\n```\n";
    let commands = |i: usize| blocks(text)[i].commands();
    assert_eq!(commands(0), [(4, "a \"#b\"".to_owned())]);
    assert_eq!(commands(1), [(7, "d".to_owned())]);
    assert_eq!(commands(2), []);
}
