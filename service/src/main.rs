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

//! guestnetd's process: command line, log, run.

use clap::Parser;
use guestnetd::{cli, confine, logging, memory, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    memory::settle();
    let args = cli::Args::parse();
    #[cfg(not(target_os = "android"))]
    confine::modules::load(args.firewall);
    // Before there is a second thread, which would keep them.
    let confined = confine::capabilities::give_up(args.runs_wrappers());
    logging::start();
    let code = match confined.map_err(run::RunError::Confine).and_then(|()| run::run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log::error!("{e}");
            ExitCode::FAILURE
        }
    };
    logging::finish();
    code
}
