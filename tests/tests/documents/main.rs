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

//! The documents are true: every command that README and docs/ show is run as it stands there, every
//! output that they show is what comes out, every file and heading that they link to is there, and the
//! options they list are those of the programs.

mod blocks;
mod demo;
mod options;
mod package;
mod scene;
mod systemd;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use blocks::{blocks, Kind};
use scene::Scene;

/// The root of the repository.
fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the repository").to_path_buf()
}

fn text(document: &str) -> String {
    let path = root().join(document);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What who looks at the project sees first: README and a page for each reader.
fn front_door() -> Vec<String> {
    let pages = fs::read_dir(root().join("docs")).expect("docs").flatten();
    let names = pages.filter_map(|page| page.file_name().into_string().ok());
    let mut all: Vec<_> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    all.push("README.md".to_owned());
    all.sort();
    all
}

/// Commands that no scene runs, what runs them, and with which words it does.
const ELSEWHERE: [(&str, &str, &str); 2] = [
    (
        "cargo build --release",
        "tests/bench/run",
        "cargo build --release --locked -p guestnetd -p guestnetctl",
    ),
    (
        "cargo build -p guestnet_tests --example attach",
        "tests/lib/build.sh",
        "build --workspace --bins --tests --examples",
    ),
];

/// Whether a command is run by another suite; panics where it says so and does not.
fn is_run_elsewhere(command: &str) -> bool {
    if let Some((_, file, words)) = ELSEWHERE.iter().find(|(shown, ..)| *shown == command) {
        assert!(text(file).contains(words), "{file} does not run {command:?} any more");
        return true;
    }
    // What runs all tests: the script is there, and knows its arguments.
    let mut words = command.split_whitespace();
    let Some(script) = words.next().filter(|word| word.starts_with("tests/")) else {
        return false;
    };
    let usage = text(script);
    for word in words {
        assert!(usage.contains(word), "{script} knows no {word}");
    }
    true
}

#[test]
fn readme_is_short() {
    assert!(text("README.md").lines().count() < 200);
}

/// From wherever they are called, and without root.
#[test]
fn what_readme_shows_first_says_what_it_does() {
    for (script, words) in [("run", "Runs the tests"), ("demo", "a real LXC container")] {
        let help = Command::new(format!("./{script}"))
            .arg("--help")
            .current_dir(root().join("tests"))
            .output();
        let help = help.expect("a script");
        let text = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(help.status.success() && text.contains(words), "{script}: {help:?}");
        assert!(text.contains("--help") && text.lines().count() < 20, "{text}");
    }
}

/// The order of a page's blocks is the order in which a reader types them.
fn scene(document: &str, before: &str) {
    let mut scene = Scene::new(before);
    for block in blocks(&text(document)) {
        match block.kind {
            Kind::Commands => {
                for (line, command) in block.commands() {
                    if !is_run_elsewhere(&command) {
                        scene.run(&format!("{document}:{line}"), &command);
                    }
                }
            }
            Kind::Session => scene.session(&format!("{document}:{}", block.line), &block.lines),
            // systemd.rs plays them.
            Kind::Booted | Kind::Other => {}
        }
    }
    scene.play();
}

#[test]
fn readme_is_what_happens() {
    scene("README.md", "start");
}

#[test]
fn the_page_for_linux_is_what_happens() {
    // The hooks that the page shows are box's.
    let hooks: Vec<String> = blocks(&text("docs/linux.md"))
        .into_iter()
        .flat_map(|block| block.lines)
        .filter(|line| line.starts_with("lxc."))
        .collect();
    assert_eq!(hooks.len(), 3, "{hooks:?}");
    let hooks = hooks.join("\n");
    let before = format!("configure '{hooks}'\npodman_is_there\nguestnetd_runs");
    scene("docs/linux.md", &before);
}

#[test]
fn the_page_for_clients_is_what_happens() {
    scene("docs/client.md", "start\nguestnetd_runs");
}

#[test]
fn the_page_for_phones_is_what_happens() {
    scene("docs/phone.md", "start");
}

#[test]
fn the_page_for_who_has_no_internet_is_what_happens() {
    scene("docs/troubleshooting.md", "start\nguestnetd_runs\nattach");
}

/// A page with commands has its scene above, and nothing looks like a command that none is.
#[test]
fn every_command_is_run() {
    // However rustfmt breaks its lines.
    let played: String = include_str!("main.rs").split_whitespace().collect();
    let mut elsewhere = BTreeSet::new();
    for document in front_door() {
        for block in blocks(&text(&document)) {
            assert!(block.kind != Kind::Booted || document == systemd::PAGE, "{document}");
            for (line, command) in block.commands() {
                if is_run_elsewhere(&command) {
                    elsewhere.insert(command);
                } else {
                    let scene = format!("scene(\"{document}\",");
                    assert!(played.contains(&scene), "{document}:{line}: nobody runs {command}");
                }
            }
        }
    }
    for (command, ..) in ELSEWHERE {
        assert!(elsewhere.contains(command), "no document shows {command} any more");
    }
}

#[test]
fn every_block_says_what_it_is() {
    for document in front_door() {
        let text = text(&document);
        for block in blocks(&text) {
            let known = ["sh", "sh systemd", "console", "ini", "json", "text"];
            assert!(
                known.contains(&block.language.as_str()),
                "{document}:{}: {}",
                block.line,
                block.language
            );
        }
        let mut fenced = false;
        for (number, line) in text.lines().enumerate() {
            fenced ^= line.starts_with("```");
            let indented = !fenced && line.starts_with("    ") && !line.trim().is_empty();
            assert!(!indented, "{document}:{}: an indented block: fence it", number + 1);
        }
    }
}

#[test]
fn every_file_and_heading_that_a_document_links_to_is_there() {
    let root = root();
    let mut links = 0;
    for document in documents(&root) {
        let text = fs::read_to_string(&document).expect("a document");
        let folder = document.parent().expect("a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            links += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { document.clone() } else { folder.join(file) };
            assert!(target.exists(), "{} links to {link}", document.display());
            if !heading.is_empty() {
                let there = fs::read_to_string(&target).expect("a document");
                let has =
                    there.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
                assert!(has, "{} links to {link}", document.display());
            }
        }
    }
    assert!(links > 10, "only {links} links were found");
}

/// As GitHub makes one of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .collect::<String>()
        .replace(' ', "-")
}

/// All Markdown of the project.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let hidden = |name: &str| name.starts_with('.') || name == "target";
    entries
        .filter(|entry| !hidden(&entry.file_name().to_string_lossy()))
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => documents(&path),
            path if path.extension().is_some_and(|end| end == "md") => vec![path],
            _ => Vec::new(),
        })
        .collect()
}
