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

//! guestnetctl, guestnetd's command-line client: it asks over the contract in `aidl/` and shows
//! the answer. It changes nothing by itself.

// json! takes a step for each word of an object, and a guest has many.
#![recursion_limit = "256"]

mod attached;
mod cli;
mod client;
mod commands;
#[cfg(not(target_os = "android"))]
mod complete;
mod dns_mode;
mod exit;
#[cfg(not(target_os = "android"))]
mod graph;
mod hold;
mod hook;
mod json;
mod lxc;
#[cfg(not(target_os = "android"))]
mod man;
mod names;
mod oci;
mod output;
mod reload;
mod render;
mod resolv_conf;
#[cfg(test)]
mod samples;
mod tap;
mod target;
mod uplink;
mod verdict;
mod vpn;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(not(target_os = "android"))]
    complete::answer(<cli::Cli as clap::CommandFactory>::command);
    let cli = cli::parse();
    let output = output::Output::new(cli.json);
    let exit = commands::run(&cli, &output).unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit
    });
    ExitCode::from(exit as u8)
}
