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

//! The programs under test: built by cargo before the first of them is used, so that no test runs
//! against what an earlier build has left in the target directory.
//!
//! `cargo test` builds what the tests link, and guestnetd is none of that. Where there is no cargo, as in
//! the virtual device, a variable of the program's name in capitals says where it is: `GUESTNETD`.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Whose programs they are.
const PACKAGES: [&str; 3] = ["guestnetd", "guestnetctl", "guestnet_tests"];

/// Copies a program under test to where other users may run it. By a process of its own: a child that
/// another test forks meanwhile would have the copy open for writing, and exec() refuses such a file.
#[track_caller]
pub fn copy(name: &str, to: &Path) {
    let copied = Command::new("cp").arg(binary(name)).arg(to).status();
    assert!(copied.expect("cp").success(), "{name} cannot be copied to {}", to.display());
}

/// A program under test: where the variable of its name in capitals (`NETUTILS_WRAPPER`) says, else as cargo builds it now.
#[track_caller]
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<Result<Programs, String>> = OnceLock::new();
    let variable = name.to_uppercase().replace('-', "_");
    if let Some(path) = env::var_os(&variable) {
        return path.into();
    }
    let built = BUILT.get_or_init(|| {
        // Soong sets no such variable, and there nothing is built by tests.
        let tests = option_env!("CARGO_MANIFEST_DIR").filter(|dir| Path::new(dir).exists());
        let workspace = tests.and_then(|dir| Path::new(dir).parent());
        let workspace = workspace.ok_or("its source is not here, to build it from")?;
        build(workspace, &PACKAGES, &profile())
    });
    match built {
        Ok(programs) => programs.get(name).unwrap_or_else(|| panic!("{name} is not built")).clone(),
        Err(why) => panic!("no {name}: {why}\nset {variable} to a program to test that one"),
    }
}

/// Where each program is, by its name.
pub type Programs = BTreeMap<String, PathBuf>;

/// Builds the programs of these packages, unless they are up to date. Cargo lets one build at a time
/// into a target directory: other tests wait for it. An error is what the compiler said.
pub fn build(workspace: &Path, packages: &[&str], profile: &str) -> Result<Programs, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.args([
        "build",
        "--bins",
        "--examples",
        "--locked",
        "--message-format=json-render-diagnostics",
    ]);
    command.args(["--profile", profile]).current_dir(workspace).stdin(Stdio::null());
    for package in packages {
        command.args(["--package", package]);
    }
    let out = command.output().map_err(|e| format!("{}: {e}", cargo.display()))?;
    if !out.status.success() {
        return Err(format!("{command:?}\n{}", String::from_utf8_lossy(&out.stderr)));
    }
    let messages = String::from_utf8_lossy(&out.stdout);
    let programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let path = message["executable"].as_str()?;
        Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
    });
    Ok(programs.collect())
}

/// The profile that this program was built with: its directory in the target directory says.
fn profile() -> String {
    let this = env::current_exe().expect("the path of this program");
    let in_between = |dir: &&Path| dir.ends_with("deps") || dir.ends_with("examples");
    let dir = this.ancestors().skip(1).find(|dir| !in_between(dir));
    match dir.and_then(Path::file_name).and_then(|name| name.to_str()) {
        None | Some("debug") => "dev".to_owned(),
        Some(name) => name.to_owned(),
    }
}
