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

//! A guest that is a VM: this command becomes the program that runs it, which has the TAP device's
//! descriptors from it. When that ends, however it does, they are closed, and the guest is gone.

use crate::cli::GuestArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::{attached, client, target};
use nix::libc;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Attaches, says so, and becomes the program.
pub fn run(
    uri: Option<&str>,
    output: &Output,
    args: &GuestArgs,
    timeline: bool,
    command: &[String],
) -> Result<Exit, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        let why = "--tap needs --exec CMD: the guest would be gone with this command's end";
        return Err(Failure::new(Exit::Usage, why));
    };
    let (config, nowhere) = target::asked(args)?;
    let guestnet = client::connect(uri)?;
    let guest = guestnet.attach(&config, &nowhere, None)?;
    // Without an uplink it is attached, and said to wait.
    attached::tell(&**guestnet, output, &guest, timeline)?;
    let descriptors: Vec<RawFd> = guest.tap.iter().map(AsRawFd::as_raw_fd).collect();
    for descriptor in &descriptors {
        // SAFETY: the descriptor is open, as `guest` is, and F_SETFD takes no pointer. No flag: not FD_CLOEXEC.
        if unsafe { libc::fcntl(*descriptor, libc::F_SETFD, 0) } == -1 {
            let e = io::Error::last_os_error();
            let why = format!("descriptor {descriptor} cannot be passed on: {e}");
            return Err(Failure::new(Exit::Other, why));
        }
    }
    let put = |text: &String| with(text, &descriptors, &guest.mac);
    let failed = Command::new(put(program)).args(arguments.iter().map(put)).exec();
    Err(Failure::new(Exit::Other, format!("{program} cannot be run: {failed}")))
}

/// An argument with what stands for the descriptors and the MAC.
fn with(argument: &str, descriptors: &[RawFd], mac: &str) -> String {
    let numbers: Vec<_> = descriptors.iter().map(ToString::to_string).collect();
    let (commas, colons) = (numbers.join(","), numbers.join(":"));
    argument.replace("{fds}", &colons).replace("{fd}", &commas).replace("{mac}", mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_descriptors_is_replaced_wherever_it_stands() {
        for (argument, descriptors, expected) in [
            ("tap,fd={fd},vhost=off", &[7][..], "tap,fd=7,vhost=off"),
            ("tap-fd={fd},mac={mac}", &[7, 9], "tap-fd=7,9,mac=06:67:00:00:00:01"),
            ("fds={fds}", &[7, 9, 12], "fds=7:9:12"),
            ("{fd}{fd}", &[3], "33"),
            ("{FD} {f} fd", &[3], "{FD} {f} fd"),
        ] {
            assert_eq!(with(argument, descriptors, "06:67:00:00:00:01"), expected);
        }
    }
}
