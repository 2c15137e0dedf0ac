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

//! The options and commands that the documents list are those that the programs have.

use crate::text;
use guestnet_tests::must;
use guestnet_tests::program::binary;
use std::collections::BTreeSet;
use std::process::Command;

fn help(program: &str, words: &[&str]) -> String {
    must(Command::new(binary(program)).args(words).arg("--help"))
}

/// The long options in a text, but for those of every program.
fn options(text: &str) -> BTreeSet<String> {
    let ends = |c: char| !(c.is_ascii_lowercase() || c == '-');
    let found = text.split("--").skip(1).filter_map(|rest| rest.split(ends).next());
    let named = found.filter(|name| !name.is_empty() && !["help", "version"].contains(name));
    named.map(str::to_owned).collect()
}

#[test]
fn every_option_of_guestnetd_is_listed_and_no_other() {
    let page = text("docs/linux.md");
    let (_, listed) = page.split_once("## guestnetd's options").expect("the options");
    let rows = listed.lines().filter(|line| line.starts_with("| `--"));
    let first_cells: String = rows.filter_map(|row| row.split('|').nth(1)).collect();
    assert_eq!(options(&first_cells), options(&help("guestnetd", &[])));
}

/// What takes a value has one when it is not given.
#[test]
fn every_option_of_guestnetd_says_its_default() {
    let help = help("guestnetd", &[]);
    let (_, listed) = help.split_once("Options:\n").expect("the options");
    let mut count = 0;
    for option in listed.split("\n\n").filter(|text| text.trim_start().starts_with("--")) {
        let line = option.trim_start().lines().next().unwrap_or_default();
        if line.contains('<') {
            count += 1;
            assert!(option.contains("[default:"), "{option}");
        }
    }
    assert!(count > 8, "{help}");
}

#[test]
fn guestnetd_has_a_manual_page() {
    let page = must(&mut Command::new(binary("guestnetd-man")));
    assert!(page.contains("\\-\\-uplink"), "{page}");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), page).expect("the page");
    let mut man = Command::new("man");
    man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8"]).arg(file.path());
    // Without man and groff it is there all the same.
    if let Ok(out) = man.env("LC_ALL", "C.UTF-8").output() {
        assert!(out.status.success() && out.stderr.is_empty(), "{}", guestnet_tests::said(&out));
    }
}

#[test]
fn every_command_of_guestnetctl_is_in_readme() {
    let readme = text("README.md");
    let (_, table) = readme.split_once("\n## guestnetctl\n").expect("the commands");
    let (table, _) = table.split_once("\n## ").expect("what follows");
    let help = help("guestnetctl", &[]);
    let (_, commands) = help.split_once("Commands:\n").expect("the commands");
    let named = commands.lines().take_while(|line| !line.is_empty());
    let mut count = 0;
    for name in named.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()) {
        if name.is_empty() || name == "help" {
            continue;
        }
        count += 1;
        let there = ["`", " "].iter().any(|end| table.contains(&format!("`{name}{end}")));
        assert!(there, "{name} is not in README's table");
    }
    assert!(count > 12, "{help}");
}

/// `guestnetctl COMMAND ... --option` in a text of any page: the command has the option.
#[test]
fn what_pages_say_of_guestnetctl_it_has() {
    for document in crate::front_door() {
        let page = text(&document);
        for said in page.split("guestnetctl ").skip(1) {
            let said = said.split(['`', '\n', '#', '|']).next().unwrap_or_default();
            let mut words = said.split_whitespace();
            let command = words.next().unwrap_or_default();
            let is_command = command.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            if command.is_empty() || !is_command || !page.contains(&format!("`guestnetctl {said}"))
            {
                continue;
            }
            let help = if command.starts_with("--") {
                help("guestnetctl", &[])
            } else {
                help("guestnetctl", &[command])
            };
            for option in options(said) {
                assert!(options(&help).contains(&option), "{document}: guestnetctl {said}");
            }
        }
    }
}
