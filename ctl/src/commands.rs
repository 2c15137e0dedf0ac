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

//! The commands: each asks guestnetd and renders the answer.

use crate::cli::{Cli, Command, ProbeArgs};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::vpn::Vpn;
use crate::{
    attached, client, hold, json, lxc, oci, reload, render, tap, target, uplink, verdict, watch,
};
use android_system_guestnet::aidl::android::system::guestnet::{
    DeviceState::DeviceState,
    DiagnoseOptions::DiagnoseOptions,
    Diagnosis::Diagnosis,
    GuestState::GuestState,
    IGuestNet::{IGuestNet, ERROR_GUEST_GONE, ERROR_NO_SUCH_GUEST},
    Layer::Layer,
    LayerState::LayerState,
    LayerStatus::LayerStatus,
};
use binder::ParcelFileDescriptor;
use nix::fcntl::OFlag;
use std::fs::File;
use std::io::Read;

/// Runs the command.
pub fn run(cli: &Cli, output: &Output) -> Result<Exit, Failure> {
    let uri = cli.connect.as_deref();
    match &cli.command {
        #[cfg(not(target_os = "android"))]
        Command::Completions { shell } => completions(*shell),
        #[cfg(not(target_os = "android"))]
        Command::Man { directory } => man(directory),
        Command::OciHook { config, names } => oci::run(uri, output, config, names),
        Command::LxcHook { config, names, lxc } => lxc::run(uri, output, config, names, lxc),
        Command::Attach { guest, names, timeline, hold: true, .. } => {
            hold::run(uri, output, guest, names, *timeline)
        }
        Command::Attach { guest, timeline, exec, .. } if guest.target.tap => {
            tap::run(uri, output, guest, *timeline, exec)
        }
        Command::Watch { count } => watch::run(uri, output, *count),
        asking => ask(&**client::connect(uri)?, output, asking),
    }
}

/// The commands that are one question to guestnetd.
fn ask(guestnet: &dyn IGuestNet, output: &Output, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Attach { guest, names, timeline, .. } => {
            let (config, target) = target::asked(guest)?;
            let file = attached::file(names, guest.target.pid)?;
            let guest = guestnet.attach(&config, &target, None)?;
            return attached::tell_new(guestnet, output, &guest, *timeline, file);
        }
        Command::Update {
            name,
            address,
            mtu,
            vpn,
            no_uplink,
            dns_mode,
            lease,
            dhcp,
            section,
            timeline,
        } => {
            let has = guestnet.get(name)?.ok_or_else(|| no_such_guest(name))?;
            let vpn = Vpn::said(vpn.as_ref(), *no_uplink);
            let (address, vpn, dns) = (address.as_deref(), vpn.as_ref(), dns_mode.as_ref());
            let config = target::updated(&has, address, *mtu, vpn, dns, *lease, *dhcp);
            let config = if *section { target::left_to_section(config, command) } else { config };
            let guest = guestnet.update(name, &config)?;
            return attached::tell(guestnet, output, &guest, *timeline);
        }
        Command::Repair { name, timeline } => {
            let guest = guestnet.repair(name)?;
            return attached::tell(guestnet, output, &guest, *timeline);
        }
        Command::Detach { name: Some(name), .. } => {
            guestnet.detach(name)?;
            output.answer(|| json::detached(name), || format!("{name}: detached\n"))?;
        }
        Command::Detach { name: None, .. } => {
            let guests = guestnet.detachAll()?;
            let text = || format!("{} detached\n", render::units::guests(guests));
            output.answer(|| json::all_detached(guests), text)?;
        }
        Command::List => {
            let guests = guestnet.list()?;
            output.answer(
                || json::guests(&guests),
                || render::guest::table(&guests, output.look()),
            )?;
        }
        Command::Show { name } => {
            let guest = guestnet.get(name)?.ok_or_else(|| no_such_guest(name))?;
            output
                .answer(|| json::guest(&guest), || render::guest::details(&guest, output.look()))?;
        }
        Command::Plan { guest } => {
            let (config, target) = target::asked(guest)?;
            let changes = guestnet.plan(&config, &target)?;
            output.answer(|| json::changes(&changes), || render::plan::text(&changes))?;
        }
        Command::Check { guest } => {
            let (config, target) = target::asked(guest)?;
            let layers = guestnet.check(&config, &target)?;
            output
                .answer(|| json::check(&layers), || render::layers::text(&layers, output.look()))?;
            return Ok(checked(&layers));
        }
        Command::Status { name } => {
            let status = guestnet.status(name.as_deref())?;
            output.answer(
                || json::status(&status),
                || render::status::text(&status, output.look()),
            )?;
            return Ok(verdict::exit(&status));
        }
        Command::Doctor { guest, trace, targets } => {
            let found = diagnoses(guestnet, guest.as_deref(), targets, *trace)?;
            let text = || found.iter().map(|of| render::doctor::text(of, output.look())).collect();
            output.answer(|| json::diagnoses(&found), text)?;
            return Ok(verdict::exit_of_all(&found));
        }
        Command::Dns { uplink, servers } => match uplink {
            Some(uplink) => uplink::name_resolvers(guestnet, output, uplink, servers)?,
            None => uplink::resolvers(guestnet, output)?,
        },
        Command::UplinkInfo(args) => uplink::info(guestnet, output, args)?,
        Command::DeviceState { idle } => {
            guestnet.setDeviceState(&DeviceState { idle: *idle })?;
            output.answer(|| json::device_state(*idle), || render::uplink::device(*idle))?;
        }
        Command::Reload => reload::run(guestnet, output)?,
        Command::Info => {
            let info = guestnet.info()?;
            output.answer(|| json::info(&info), || render::info::text(&info))?;
        }
        #[cfg(not(target_os = "android"))]
        Command::Graph { format } => return crate::graph::run(guestnet, output, format.get()),
        Command::Dump => {
            let text = dump(guestnet)?;
            output.answer(|| json::dump(&text), || render::plain::plain(&text, true))?;
        }
        // Not questions: run() has seen to them.
        _ => {}
    }
    Ok(Exit::Ok)
}

/// Of the guest; without one, of each, one after another; of the device where there is none.
fn diagnoses(
    guestnet: &dyn IGuestNet,
    guest: Option<&str>,
    targets: &ProbeArgs,
    trace: bool,
) -> Result<Vec<Diagnosis>, Failure> {
    let options = DiagnoseOptions {
        targets: targets.targets.clone(),
        url: targets.url.clone().unwrap_or_default(),
        name: targets.name.clone().unwrap_or_default(),
        trace,
    };
    let all = match guest {
        Some(_) => Vec::new(),
        None => guestnet.list()?,
    };
    // A link that belongs to no guest sends nothing.
    let all: Vec<_> =
        all.into_iter().filter(|guest| guest.state != GuestState::NOT_ADOPTED).collect();
    let mut found = Vec::new();
    for guest in &all {
        match guestnet.diagnose(Some(&guest.name), &options).map_err(Failure::from) {
            // It left meanwhile.
            Err(e) if e.is(ERROR_NO_SUCH_GUEST) || e.is(ERROR_GUEST_GONE) => {}
            other => found.push(other?),
        }
    }
    if found.is_empty() {
        found.push(guestnet.diagnose(guest, &options)?);
    }
    Ok(found)
}

fn no_such_guest(name: &str) -> Failure {
    Failure {
        exit: Exit::Conflict,
        code: Some(ERROR_NO_SUCH_GUEST),
        message: format!("no guest named {name} is attached"),
    }
}

/// What `check` tells a script.
fn checked(layers: &[LayerStatus]) -> Exit {
    let wrong = |state| state != LayerState::OK && state != LayerState::WAITING;
    let others = || layers.iter().filter(|layer| layer.layer != Layer::DNS);
    if others().any(|layer| wrong(layer.state)) {
        Exit::System
    } else if others().any(|layer| layer.state == LayerState::WAITING) {
        Exit::NoUplink
    } else if layers
        .iter()
        .any(|layer| [LayerState::BAD, LayerState::WAITING].contains(&layer.state))
    {
        Exit::NoNames
    } else if layers.iter().any(verdict::is_doubtful) {
        Exit::Unsure
    } else {
        Exit::Ok
    }
}

/// guestnetd writes into a pipe while we read: the text may be longer than the pipe.
fn dump(guestnet: &dyn IGuestNet) -> Result<String, Failure> {
    let failed = |e: &dyn std::fmt::Display| Failure::new(Exit::Other, format!("dump: {e}"));
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| failed(&e))?;
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        File::from(read).read_to_end(&mut bytes).map(|_| bytes)
    });
    let write = ParcelFileDescriptor::new(write);
    let called = guestnet.dumpTo(&write, &[]);
    // The end of the text is when nobody can write any more.
    drop(write);
    called?;
    let bytes = reader.join().map_err(|_| failed(&"the reader died"))?.map_err(|e| failed(&e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(not(target_os = "android"))]
fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    crate::complete::script(shell, &mut script)
        .map_err(|e| Failure::new(Exit::Other, format!("no completions for {shell}: {e}")))?;
    crate::output::write(&String::from_utf8_lossy(&script)).map(|()| Exit::Ok)
}

#[cfg(not(target_os = "android"))]
fn man(directory: &std::path::Path) -> Result<Exit, Failure> {
    use clap::CommandFactory;
    crate::man::write(Cli::command(), directory).map(|()| Exit::Ok).map_err(|e| {
        Failure::new(
            Exit::Other,
            format!("{}: {e}; name a directory that is there", directory.display()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_layer_decides() {
        use LayerState as S;
        for (states, exit) in [
            (&[][..], Exit::Ok),
            (&[S::OK, S::OK], Exit::Ok),
            (&[S::OK, S::WAITING], Exit::NoUplink),
            (&[S::WAITING, S::BAD, S::OK], Exit::System),
            (&[S::UNKNOWN, S::WAITING], Exit::System),
        ] {
            let layer = |state: &S| LayerStatus { state: *state, ..LayerStatus::default() };
            assert_eq!(checked(&states.iter().map(layer).collect::<Vec<_>>()), exit);
            let dns = LayerStatus { layer: Layer::DNS, state: S::BAD, ..LayerStatus::default() };
            let with_dns: Vec<_> = states.iter().map(layer).chain([dns]).collect();
            let without_names = if exit == Exit::Ok { Exit::NoNames } else { exit };
            assert_eq!(checked(&with_dns), without_names);
        }
    }
}
