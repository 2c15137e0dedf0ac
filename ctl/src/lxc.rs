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

//! `guestnetctl lxc-hook`: attaches a container before its init runs, detaches it after its end.

use crate::cli::{ConfigArgs, NamesArgs};
use crate::exit::{Exit, Failure};
use crate::hook::{self, Hook};
use crate::output::Output;
use crate::{attached, client, target};
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::{
    IGuestNet, ERROR_NAME_IN_USE, ERROR_NO_SUCH_GUEST,
};
use std::time::{Duration, Instant};

/// Does what LXC asks for. LXC takes any exit code but 0 as the hook's failure.
pub fn run(
    connect: Option<&str>,
    output: &Output,
    config: &ConfigArgs,
    names: &NamesArgs,
    args: &[String],
) -> Result<Exit, Failure> {
    let hook = hook::parse(args, |key| std::env::var(key).ok())
        .map_err(|message| Failure::new(Exit::Usage, message))?;
    let guestnet = client::connect(connect)?;
    match hook {
        Hook::StartHost { name, pid } => {
            start(&**guestnet, output, (config, names), (&name, pid), Before::MakesWay)
        }
        Hook::PostStop { name } => stop(&**guestnet, &name),
    }
}

/// What becomes of a guest that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// It can only be the container's last run, whose namespace has not ended yet (a reboot from inside is that
    /// fast): it makes way.
    MakesWay,
    /// It may be another container's. It is waited for, should it be about to end.
    Stays,
}

/// How long the last run of a container may take to end.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// Attaches a container.
pub fn start(
    guestnet: &dyn IGuestNet,
    output: &Output,
    (args, names): (&ConfigArgs, &NamesArgs),
    (name, pid): (&str, i32),
    before: Before,
) -> Result<Exit, Failure> {
    let config = target::config(name, args);
    let target = target::of_pid(pid);
    let file = attached::file(names, Some(pid))?;
    let attach = || guestnet.attach(&config, &target, None).map_err(Failure::from);
    let until = Instant::now() + PATIENCE;
    let guest = loop {
        match attach() {
            Err(failure) if failure.is(ERROR_NAME_IN_USE) => match before {
                Before::MakesWay => {
                    stop(guestnet, name)?;
                    break attach()?;
                }
                Before::Stays if Instant::now() < until => std::thread::sleep(PAUSE),
                Before::Stays => return Err(failure),
            },
            other => break other?,
        }
    };
    // A container may start without an uplink: its traffic flows as soon as there is one.
    attached::tell_new(guestnet, output, &guest, false, file).map(|_| Exit::Ok)
}

/// The kernel may have been faster: the link goes with its namespace.
pub fn stop(guestnet: &dyn IGuestNet, name: &str) -> Result<Exit, Failure> {
    match guestnet.detach(name).map_err(Failure::from) {
        Err(failure) if !failure.is(ERROR_NO_SUCH_GUEST) => Err(failure),
        _ => Ok(Exit::Ok),
    }
}
