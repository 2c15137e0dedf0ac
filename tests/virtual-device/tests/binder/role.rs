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

//! Clients that are processes of their own: this program again, as some user, in some role. The driver
//! names the process that opened it, not the thread that calls.

use std::env;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Command, Stdio};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_device_tests::process::Killed;
use guestnet_platform::{Connection, Endpoint};
use guestnet_tests::client::{by_pid, config, NAME};
use guestnet_tests::Guest;

use crate::garbage;

/// A client; killed when dropped.
pub struct Role {
    process: Killed,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Role {
    /// Starts a client as this user.
    pub fn start(uid: u32, role: &str) -> Self {
        let mut command = Command::new(env::current_exe().expect("our own path"));
        command.args(["--exact", "role::role", "--ignored", "--nocapture"]);
        command.env("GUESTNET_ROLE", role).uid(uid).gid(uid).stdout(Stdio::piped());
        let mut process = command.spawn().expect("ourselves");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        Self { process: Killed(process), lines }
    }

    /// The rest of the next line that begins with `role: `; nothing when it has ended.
    pub fn says(&mut self) -> Option<String> {
        let said = |line: std::io::Result<String>| {
            let line = line.ok()?;
            Some(line.split_once("role: ")?.1.to_owned())
        };
        self.lines.by_ref().find_map(said)
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// The service that is registered now.
pub fn connect() -> Connection<dyn IGuestNet> {
    guestnet_platform::connect(&Endpoint::Kernel, NAME).expect("connect")
}

/// No test: what the others start.
#[test]
#[ignore = "the others run it"]
fn role() {
    let Ok(role) = env::var("GUESTNET_ROLE") else { return };
    // Before the service does something: who was told that it is there.
    println!("role: here");
    match role.as_str() {
        "list" => match connect().list() {
            Ok(guests) => println!("role: {} guests", guests.len()),
            Err(status) => println!("role: {:?} {status}", status.exception_code()),
        },
        "attach" => attach_for_ever(),
        "garbage" => println!("role: {} sent", garbage::send()),
        other => panic!("no role {other}"),
    }
}

/// Attaches and detaches until it is killed.
fn attach_for_ever() {
    let (service, guest) = (connect(), Guest::new());
    loop {
        if let Err(e) = service.attach(&config("box"), &by_pid(guest.pid()), None) {
            println!("role: attach: {e}");
        }
        println!("role: attached");
        let _ = service.detach("box");
    }
}
