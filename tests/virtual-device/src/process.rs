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

//! A program that runs beside a test, with its output in a file.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A child; killed when dropped.
#[derive(Debug)]
pub struct Killed(pub Child);

impl Killed {
    /// Kills it, as a power cut would, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Killed,
    dir: TempDir,
}

impl Process {
    /// Starts it.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let dir = tempfile::Builder::new().prefix("gnt-process-").tempdir().expect("a directory");
        let log = File::create(dir.path().join("log")).expect("a log");
        let both = (log.try_clone().expect("dup"), log);
        command.stdin(Stdio::null()).stdout(both.0).stderr(both.1);
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Self { child: Killed(child), dir }
    }

    /// What it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Kills it, as a power cut would, and waits for its end.
    pub fn kill(&mut self) {
        self.child.kill();
    }
}
