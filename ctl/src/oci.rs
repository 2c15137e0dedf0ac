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

//! `guestnetctl oci-hook`: what an OCI runtime tells its hooks (runtime-spec, "State"), and what is done
//! about it: a container is attached before its first process runs, and detached after its end.

use crate::cli::{ConfigArgs, NamesArgs};
use crate::client;
use crate::exit::{Exit, Failure};
use crate::lxc::{self, Before};
use crate::output::Output;
use crate::resolv_conf::Which;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the container's name is, if its id is not to be the guest's.
const NAME: &str = "guestnet.name";
/// More than any runtime says.
const MOST: u64 = 1 << 20;

/// What is to be done.
#[derive(Debug, Eq, PartialEq)]
enum Hook {
    /// createRuntime: the namespaces are there, and nothing runs in them yet.
    Create { name: Name, pid: i32 },
    /// poststop: it has ended.
    Stop { name: Name },
}

/// A guest's name.
#[derive(Debug, Eq, PartialEq)]
enum Name {
    /// The container's id: nobody else has it.
    Id(String),
    /// One that was given to it; and to others, too, perhaps.
    Given(String),
}

impl Name {
    fn as_str(&self) -> &str {
        let (Self::Id(name) | Self::Given(name)) = self;
        name
    }
}

/// Does what the runtime asks for, by its state on standard input. It takes any exit code but 0 as the
/// hook's failure, and does not start the container.
pub fn run(
    connect: Option<&str>,
    output: &Output,
    config: &ConfigArgs,
    names: &NamesArgs,
) -> Result<Exit, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let mut state = String::new();
    let read = std::io::stdin().lock().take(MOST).read_to_string(&mut state);
    read.map_err(|e| usage(format!("the container's state cannot be read: {e}")))?;
    let hook = parse(&state).map_err(usage)?;
    let mut names = names.clone();
    if let (Some(Which::Auto), Hook::Create { .. }) = (&names.resolv_conf, &hook) {
        names.resolv_conf = Some(resolv_conf(&state).map_err(usage)?);
    }
    let guestnet = client::connect(connect)?;
    match hook {
        Hook::Create { name, pid } => {
            let before = match name {
                Name::Id(_) => Before::MakesWay,
                Name::Given(_) => Before::Stays,
            };
            lxc::start(&**guestnet, output, (config, &names), (name.as_str(), pid), before)
        }
        Hook::Stop { name: Name::Given(name) } if is_anothers(&**guestnet, &name, &state)? => {
            Ok(Exit::Ok)
        }
        Hook::Stop { name } => lxc::stop(&**guestnet, name.as_str()),
    }
}

/// Whether the guest of that name was attached before this container was made.
fn is_anothers(guestnet: &dyn IGuestNet, name: &str, state: &str) -> Result<bool, Failure> {
    let made = made(state).and_then(|at| Some(at.duration_since(UNIX_EPOCH).ok()?.as_millis()));
    let guest = guestnet.get(name)?;
    Ok(guest.zip(made).is_some_and(|(guest, made)| {
        u128::try_from(guest.attachedAtMillis).is_ok_and(|at| at < made)
    }))
}

/// When the container's configuration was written, if that is still there.
fn made(state: &str) -> Option<SystemTime> {
    let state: Value = serde_json::from_str(state).ok()?;
    let config = Path::new(state["bundle"].as_str()?).join("config.json");
    config.metadata().ok()?.modified().ok()
}

/// Reads the state.
fn parse(state: &str) -> Result<Hook, String> {
    let state: Value = serde_json::from_str(state).map_err(|e| {
        format!("standard input is no state of an OCI runtime ({e}): this command is for one to run, as --help shows")
    })?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let id = text(&state["id"]).ok_or("the container's state has no id")?;
    let given = text(&state["annotations"][NAME]).map(Name::Given);
    let name = given.unwrap_or_else(|| Name::Id(short(&id)));
    if state["status"] == "stopped" {
        return Ok(Hook::Stop { name });
    }
    let pid = state["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    match pid.filter(|pid| *pid > 0) {
        Some(pid) => Ok(Hook::Create { name, pid }),
        None => {
            Err("the container has no process: use the stages createRuntime and poststop"
                .to_owned())
        }
    }
}

/// Where the container will have its resolv.conf. Its process has the device's root until the hooks are done.
fn resolv_conf(state: &str) -> Result<Which, String> {
    let state: Value = serde_json::from_str(state).map_err(|e| e.to_string())?;
    let bundle = state["bundle"].as_str().ok_or("the container's state has no bundle")?;
    let path = Path::new(bundle).join("config.json");
    let mut config = String::new();
    File::open(&path)
        .and_then(|file| file.take(MOST).read_to_string(&mut config))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    place(Path::new(bundle), &config).map_err(|e| format!("{}: {e}", path.display()))
}

/// The same, by the container's configuration: what is mounted there, or its root's own.
fn place(bundle: &Path, config: &str) -> Result<Which, String> {
    let config: Value = serde_json::from_str(config).map_err(|e| e.to_string())?;
    let mounts = config["mounts"].as_array().map_or(&[][..], Vec::as_slice);
    // The last one hides the others.
    let mounted = mounts.iter().rev().find(|mount| mount["destination"] == "/etc/resolv.conf");
    if let Some(source) = mounted.and_then(|mount| mount["source"].as_str()) {
        return Ok(Which::Path(bundle.join(source)));
    }
    let root = config["root"]["path"].as_str().ok_or("it has no root")?;
    Ok(Which::In(bundle.join(root)))
}

/// An id of 64 digits is longer than a guest's name may be; podman and docker show its first 12.
fn short(id: &str) -> String {
    let is_hash = id.len() == 64 && id.bytes().all(|c| c.is_ascii_hexdigit());
    if is_hash {
        id.chars().take(12).collect()
    } else {
        id.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn what_runtimes_say() {
        let id = |name: &str| Name::Id(name.to_owned());
        let given = |name: &str| Name::Given(name.to_owned());
        let create = |name, pid| Ok(Hook::Create { name, pid });
        let stop = |name| Ok(Hook::Stop { name });
        let hash = "0123456789abcdef".repeat(4);
        let named =
            r#"{"id":"web","status":"created","pid":42,"annotations":{"guestnet.name":"box"}}"#;
        for (state, hook) in [
            (
                r#"{"ociVersion":"1.0.2","id":"web","status":"creating","pid":42,"bundle":"/b"}"#
                    .to_owned(),
                create(id("web"), 42),
            ),
            (named.to_owned(), create(given("box"), 42)),
            (
                format!(r#"{{"id":"{hash}","status":"created","pid":7}}"#),
                create(id("0123456789ab"), 7),
            ),
            (r#"{"id":"web","status":"stopped","bundle":"/b"}"#.to_owned(), stop(id("web"))),
            (named.replace("created", "stopped"), stop(given("box"))),
        ] {
            assert_eq!(parse(&state), hook, "{state}");
        }
    }

    #[test]
    fn names_are_answered_where_the_container_will_look() {
        let bundle = Path::new("/run/box");
        let root = |path: &str| Ok(Which::In(PathBuf::from(path)));
        let mounts = |source: &str| {
            let mount = format!(r#"{{"destination":"/etc/resolv.conf","source":"{source}"}}"#);
            format!(
                r#"{{"root":{{"path":"rootfs"}},"mounts":[{{"destination":"/proc"}},{mount}]}}"#
            )
        };
        let file = |path: &str| Ok(Which::Path(PathBuf::from(path)));
        assert_eq!(place(bundle, r#"{"root":{"path":"rootfs"}}"#), root("/run/box/rootfs"));
        assert_eq!(place(bundle, r#"{"root":{"path":"/var/merged"}}"#), root("/var/merged"));
        assert_eq!(place(bundle, &mounts("/var/resolv.conf")), file("/var/resolv.conf"));
        assert_eq!(place(bundle, &mounts("resolv.conf")), file("/run/box/resolv.conf"));
        assert_eq!(place(bundle, "{}"), Err("it has no root".to_owned()));
        assert!(resolv_conf("{}").unwrap_err().contains("no bundle"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (state, words) in [
            ("", "is no state of an OCI runtime"),
            ("{}", "has no id"),
            (r#"{"id":7}"#, "has no id"),
            (r#"{"id":"web","status":"created"}"#, "has no process"),
            (r#"{"id":"web","status":"created","pid":-1}"#, "has no process"),
            (r#"{"id":"web","status":"created","pid":99999999999}"#, "has no process"),
        ] {
            let said = parse(state).unwrap_err();
            assert!(said.contains(words), "{state}: {said}");
        }
    }
}
