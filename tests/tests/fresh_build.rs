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

//! No test runs against a program of yesterday: what is under test is built before it is used, and
//! what cannot be built is not tested.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use guestnet_tests::must;
use guestnet_tests::program::build;
use tempfile::TempDir;

/// A package with one program, which says a word.
fn package(word: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("src")).expect("src");
    let manifest =
        "[package]\nname = \"said\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n";
    fs::write(dir.path().join("Cargo.toml"), manifest).expect("Cargo.toml");
    let lock = "version = 4\n\n[[package]]\nname = \"said\"\nversion = \"0.0.0\"\n";
    fs::write(dir.path().join("Cargo.lock"), lock).expect("Cargo.lock");
    says(&dir, &format!("fn main() {{ print!(\"{word}\") }}\n"));
    dir
}

fn says(dir: &TempDir, source: &str) {
    fs::write(dir.path().join("src/main.rs"), source).expect("main.rs");
}

/// Built as guestnetd is, though not into its directory.
fn built(dir: &TempDir) -> Result<PathBuf, String> {
    Ok(build(dir.path(), &["said"], "dev")?["said"].clone())
}

#[test]
fn a_changed_source_is_built_before_it_is_tested() {
    let dir = package("one");
    let said = || must(&mut Command::new(built(&dir).expect("a program")));
    assert_eq!(said(), "one");
    says(&dir, "fn main() { print!(\"two\") }\n");
    assert_eq!(said(), "two");
}

#[test]
fn a_source_that_does_not_compile_is_not_tested_as_it_was_before() {
    let dir = package("one");
    built(&dir).expect("a program");
    says(&dir, "compile_error!(\"as planted\");\nfn main() {}\n");
    let why = built(&dir).expect_err("nothing to test");
    assert!(why.contains("as planted"), "{why}");
}
