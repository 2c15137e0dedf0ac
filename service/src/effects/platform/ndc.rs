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

//! netd's forwarding switch, which counts who needs it (`TetherController::enableForwarding()`).
//! Asked through `ndc`: netd's Binder service may not even be looked up by a domain of an OEM's.

use crate::effects::platform::process;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Under which name it is asked.
const REQUESTER: &str = "guestnetd";
/// While netd starts, `ndc` waits for it, for 5 s.
const PATIENT: Duration = Duration::from_secs(10);
/// How long others may have to wait meanwhile.
const BRIEF: Duration = Duration::from_secs(2);

/// The program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ndc(pub PathBuf);

impl Ndc {
    /// netd's wrapper, which those may run who may not run `ndc`; on a rooted device `ndc` itself.
    pub fn of_the_platform() -> Option<Self> {
        let found = ["/system/bin/ndc-wrapper-1.0", "/system/bin/ndc"].iter().map(Path::new);
        found.into_iter().find(|path| path.exists()).map(|path| Self(path.to_owned()))
    }

    /// Whether it is there and may be run; netd is not asked.
    pub fn check(&self) -> io::Result<()> {
        let program = self.0.display();
        nix::unistd::access(&self.0, nix::unistd::AccessFlags::X_OK)
            .map_err(|e| io::Error::new(io::Error::from(e).kind(), format!("{program}: {e}")))
    }

    /// Asks for forwarding; again is no failure.
    pub(in crate::effects) fn enable(&self) -> io::Result<()> {
        self.ask("enable", BRIEF)
    }

    /// The same, also while netd starts: for a thread that nobody waits for.
    pub(in crate::effects) fn enable_patiently(&self) -> io::Result<()> {
        self.ask("enable", PATIENT)
    }

    /// Needs it no more.
    pub(in crate::effects) fn disable(&self) -> io::Result<()> {
        self.ask("disable", BRIEF)
    }

    /// What is asked, as it would be typed.
    pub fn text(verb: &str) -> String {
        format!("ndc ipfwd {verb} {REQUESTER}")
    }

    fn ask(&self, verb: &str, limit: Duration) -> io::Result<()> {
        let mut command = Command::new(&self.0);
        command.args(["ipfwd", verb, REQUESTER]).stdin(Stdio::null());
        let failed = |kind, why| {
            let program = self.0.display();
            io::Error::new(kind, format!("`{program} ipfwd {verb} {REQUESTER}`: {why}"))
        };
        let unanswered = |why: &str| failed(io::ErrorKind::Interrupted, why.to_owned());
        let (status, said) = process::run(command, limit).map_err(|e| match e.kind() {
            kind @ (io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                failed(kind, format!("{e}: netd does not answer, or has not started yet"))
            }
            _ if e.raw_os_error() == Some(libc::EBADMSG) => unanswered("its answer cannot be read"),
            _ => e,
        })?;
        // Whether netd had heard of it by then, nobody knows.
        if let Some(signal) = status.signal() {
            return Err(unanswered(&format!("it was ended by signal {signal}")));
        }
        log::debug!("{}: {}", Self::text(verb), said.trim());
        understood(&said).map_err(|why| failed(io::ErrorKind::Other, format!("{why} ({status})")))
    }
}

/// `ndc` ends with 0 whatever netd says: what it prints counts. `200 0 ...` is yes; a wrapper that
/// refuses the words prints nothing.
pub(crate) fn understood(said: &str) -> Result<(), String> {
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    if said.trim().is_empty() {
        return Err("it says nothing: it may not be run, or refuses these words".into());
    }
    match lines.any(|line| line.starts_with("200 ")) {
        true => Ok(()),
        false => Err(said.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_200_is_a_yes() {
        assert_eq!(understood("200 0 ipfwd operation succeeded\n"), Ok(()));
        assert_eq!(understood("100 0 x\n200 0 ok\n"), Ok(()));
        for no in ["", "\n", "400 0 ipfwd operation failed", "500 0 Unknown", "2000", "error"] {
            assert!(understood(no).is_err(), "{no:?}");
        }
    }

    #[test]
    fn what_crashes_may_have_been_heard() {
        let path = std::env::temp_dir().join(format!("guestnet-ndc-{}", std::process::id()));
        // By another process: a copy of our descriptor in a child of another thread's would make it busy.
        let script =
            format!("printf '#!/bin/sh\\nkill -SEGV $$\\n' >{0}; chmod 755 {0}", path.display());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let error = Ndc(path.clone()).enable().unwrap_err();
        std::fs::remove_file(path).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted, "{error}");
        assert!(error.to_string().contains("ended by signal 11"), "{error}");
    }

    #[test]
    fn what_does_not_run_is_named() {
        let error = Ndc("/nonexistent/ndc".into()).enable().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let error = Ndc("/bin/true".into()).enable().unwrap_err().to_string();
        assert!(error.contains("/bin/true ipfwd enable guestnetd"), "{error}");
    }
}
