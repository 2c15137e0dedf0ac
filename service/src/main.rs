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

use guestnetd::{cli, confine, logging, memory, run};
use std::process::ExitCode;

#[cfg(not(target_os = "android"))]
fn main() -> ExitCode {
    use guestnetd::api::{sections::Sections, OfFile};
    use guestnetd::config::{self, ConfigError, Reloader};
    /// sysexits.h: systemd does not start it again then (the unit's RestartPreventExitStatus).
    const EX_CONFIG: u8 = 78;

    memory::settle();
    let words: Vec<_> = std::env::args_os().collect();
    let mut settings = match config::load(&words) {
        Ok(settings) => settings,
        Err(ConfigError::Usage(e)) => e.exit(),
        Err(ConfigError::File(e)) => {
            eprintln!("error: {e}");
            return ExitCode::from(EX_CONFIG);
        }
    };
    if settings.args.check_config.is_some() {
        println!("{}", config::praise(&settings));
        return ExitCode::SUCCESS;
    }
    confine::modules::load(settings.args.firewall);
    let sections = Sections::new(std::mem::take(&mut settings.sections));
    served(&settings.args, |daemon| {
        let reloader = Reloader::new(words, &settings, sections.clone(), daemon.clone());
        OfFile { sections, reload: Some(std::sync::Arc::new(reloader)) }
    })
}

#[cfg(target_os = "android")]
fn main() -> ExitCode {
    use clap::Parser;
    memory::settle();
    served(&cli::Args::parse(), |_| guestnetd::api::OfFile::default())
}

/// Runs until its end.
fn served(
    args: &cli::Args,
    of_file: impl FnOnce(&guestnetd::daemon::Handle) -> guestnetd::api::OfFile,
) -> ExitCode {
    // Before there is a second thread, which would keep them.
    let confined = confine::capabilities::give_up(args.runs_wrappers());
    logging::start();
    let run = |()| run::run(args, of_file);
    let code = match confined.map_err(run::RunError::Confine).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log::error!("{e}");
            ExitCode::FAILURE
        }
    };
    logging::finish();
    code
}
