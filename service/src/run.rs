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

//! From the command line to a service that answers, and to its end.

use crate::api::{GuestNet, Listeners, OfFile, Owners, NAME};
use crate::cli::Args;
use crate::confine::descriptors;
use crate::daemon::{Daemon, Handle, StartError};
use crate::effects::kernel::capabilities;
use crate::effects::kernel::netns::claim::{Claim, ClaimError};
use crate::effects::platform::process;
use guestnet_platform::{Limits, PlatformError};
use nix::sys::signal::{SigSet, Signal};
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long a program may hold up the end. Then it is killed, and whoever waits for it goes on.
const GRACE: Duration = Duration::from_secs(1);
/// Between two looks at whether one does.
const LOOK: Duration = Duration::from_millis(100);
/// How long the end may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why guestnetd ends with a failure.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something that it cannot do without.
    #[error(transparent)]
    Missing(#[from] capabilities::Missing),
    /// Another guestnetd is here.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// It keeps more than it needs.
    #[error("the capabilities that guestnetd does not need cannot be given up: {0}")]
    Confine(std::io::Error),
    /// It could do more than it needs.
    #[error("system calls cannot be filtered: {0}")]
    Filter(std::io::Error),
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It could not listen.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// Something keeps it from ending in order.
    #[error("the work in hand did not end within {} s; guests stay as they are", PATIENCE.as_secs())]
    Stuck,
    /// Signals.
    #[error("signals cannot be waited for: {0}")]
    Signals(#[from] nix::Error),
}

/// Serves until SIGTERM or SIGINT. To be called on the main thread, before any other is there.
pub fn run(args: &Args, of_file: impl FnOnce(&Handle) -> OfFile) -> Result<(), RunError> {
    // Blocked in every thread that starts from here on; std unblocks them in children.
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGTERM);
    ends.add(Signal::SIGINT);
    let mut signals = ends;
    signals.add(Signal::SIGHUP);
    signals.thread_block()?;

    if let Err(e) = descriptors::raise() {
        log::warn!("RLIMIT_NOFILE cannot be raised: {e}");
    }
    capabilities::probe()?;
    filter_calls()?;
    // Before all that changes something: a second guestnetd must not touch what the first one has set up.
    let place = guestnet_platform::reserve(&args.listen, NAME)?;
    let _here = Claim::take()?;
    let listeners = Listeners::default();
    let owners = Owners::default();
    let told = (listeners.clone(), owners.clone());
    let (owner, thread) = Daemon::spawn(args.config(), move |notice| {
        told.0.tell(&notice);
        told.1.tell(&notice);
    })?;
    let allowed = args.allowed();
    let limits = Limits { callers: Some(allowed.uids()), ..Limits::default() };
    let of_file = of_file(&owner);
    let service = GuestNet::new_binder(
        owner.clone(),
        (listeners, owners),
        allowed,
        args.listen.to_string(),
        of_file.clone(),
    );
    let server = place.serve(service.as_binder(), &limits)?;
    log::info!("guestnetd: ready on {}", args.listen);
    tell_init("READY=1");

    let signal = loop {
        match signals.wait()? {
            Signal::SIGHUP => reload(&of_file),
            signal => break signal,
        }
    };
    log::info!("{signal}: ending");
    tell_init("STOPPING=1");
    // From here on a second signal ends the process at once.
    ends.thread_unblock()?;
    server.stop();
    let (ended, end) = channel();
    std::thread::spawn(move || {
        owner.end();
        let _ = thread.join();
        let _ = ended.send(());
    });
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match end.recv_timeout(LOOK) {
            Ok(()) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => process::interrupt(GRACE),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Err(RunError::Stuck)
}

/// Nobody is told but the log.
fn reload(of_file: &OfFile) {
    match of_file.reload.as_ref().map(|file| file.reload()) {
        Some(Ok(reloaded)) => log::info!("SIGHUP: {reloaded}"),
        Some(Err(e)) => log::error!("SIGHUP: {e}"),
        None => log::info!("SIGHUP: this guestnetd has no configuration file"),
    }
}

/// Behind the probe: without SYS_ADMIN it could not be set, and what is missing is said there.
#[cfg(not(target_os = "android"))]
fn filter_calls() -> Result<(), RunError> {
    if !crate::confine::seccomp::filter().map_err(RunError::Filter)? {
        log::warn!("system calls are not filtered: the kernel has no CONFIG_SECCOMP_FILTER");
    }
    Ok(())
}

/// init and SELinux confine it there: the policy says which ioctls and sockets it may have, and a list of
/// calls is minijail's, by the .rc, of bionic's own.
#[cfg(target_os = "android")]
fn filter_calls() -> Result<(), RunError> {
    Ok(())
}

/// systemd, where it asked to be told (sd_notify(3)).
#[cfg(not(target_os = "android"))]
fn tell_init(state: &str) {
    if let Err(e) = sd_notify::notify(false, &[sd_notify::NotifyState::Custom(state)]) {
        log::warn!("systemd cannot be told {state}: {e}");
    }
}

/// Android's init needs no word: the service manager knows.
#[cfg(target_os = "android")]
fn tell_init(_state: &str) {}
