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

//! What a call changes in the file system and in `/proc/sys`.

use std::path::{Path, PathBuf};

use crate::strace::Call;

/// guestnetd's own places, which differ from test to test.
#[derive(Clone, Debug)]
pub struct Places {
    /// The directory of its state: `STATE`.
    pub state: PathBuf,
    /// Its socket: `SOCKET`.
    pub socket: PathBuf,
}

/// What a call by a path changes. None: the call is not known.
pub fn changed(call: &Call, places: &Places) -> Option<Vec<String>> {
    let texts = call.texts();
    let path = |nth: usize| places.name(texts.get(nth).map_or("", String::as_str));
    Some(match call.name.as_str() {
        "open" | "openat" | "creat" => opened(call, places),
        "mkdir" | "mkdirat" => vec![format!("mkdir {}", path(0))],
        "unlink" | "unlinkat" => vec![format!("unlink {}", path(0))],
        "chmod" | "fchmodat" => vec![format!("chmod {}", path(0))],
        // Of the socket before it has its name.
        "fchmod" if call.fd().is_some_and(|(_, what)| what.starts_with("UNIX")) => {
            vec!["chmod SOCKET".into()]
        }
        "rename" | "renameat" | "renameat2" => {
            let at = |nth: usize| texts.get(nth).map_or("", String::as_str);
            vec![renamed(at(0), at(1), places)]
        }
        "bind" if call.args.contains("AF_UNIX") => vec![format!("bind {}", path(0))],
        "bind" if call.args.contains("AF_NETLINK") => Vec::new(),
        // What they hear changes nothing: the servers', doctor's taps; and its probes, which are sent from any free port.
        "bind" if call.args.contains("AF_PACKET") => Vec::new(),
        "bind" if call.args.contains("AF_INET") && call.args.contains("htons(0)") => Vec::new(),
        "bind" if call.args.contains("AF_INET") && call.args.contains("htons(30053)") => {
            vec!["bind GATEWAY:30053".to_owned()]
        }
        _ => return None,
    })
}

/// A file was opened: to be changed or made, or only to be read.
fn opened(call: &Call, places: &Places) -> Vec<String> {
    let path = call.texts().first().cloned().unwrap_or_default();
    let flags = call.args.rsplit_once('"').map_or("", |(_, flags)| flags);
    let changes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|f| flags.contains(f));
    // What is done to a device, and written to a sysctl, is seen when it is.
    if !changes || path.starts_with("/dev/") || path.starts_with("/proc/") {
        return Vec::new();
    }
    vec![file(&places.name(&path))]
}

/// Bytes were written to a file, or a value to a sysctl.
pub fn written(path: &str, data: &[u8], places: &Places) -> Vec<String> {
    let Some(name) = path.strip_prefix("/proc/sys/") else { return vec![file(&places.name(path))] };
    let value = String::from_utf8_lossy(data);
    let parts: Vec<_> = name.split('/').collect();
    vec![match parts.as_slice() {
        // Of an interface, but for those that are not one's.
        ["net", family, "conf", interface, rest @ ..] if *interface != "all" => {
            let guests = interface.starts_with("vm_wlan");
            let interface = if guests { "vm_wlan*" } else { "*" };
            format!("net.{family}.conf.{interface}.{} = {value}", rest.join("."))
        }
        // Put back to what it was.
        ["net", "ipv4", "conf", "all", "accept_redirects"]
        | ["net", "netfilter", "nf_log", "2"] => parts.join("."),
        _ => format!("{} = {value}", parts.join(".")),
    }]
}

/// A file that takes another's name when it is whole is that one's new text.
fn file(name: &str) -> String {
    match name.strip_suffix(".tmp") {
        Some(name) => format!("replace {name}"),
        None => format!("write {name}"),
    }
}

fn renamed(from: &str, to: &str, places: &Places) -> String {
    let [old, new] = [from, to].map(|path| places.name(path));
    if from.strip_suffix(".tmp") == Some(to) {
        format!("replace {new}")
    } else if to.strip_suffix(".aside") == Some(from) && old.starts_with("STATE/") {
        "rename STATE/*.aside".into()
    } else {
        format!("rename {old} {new}")
    }
}

impl Places {
    /// A path as the catalogue has it.
    fn name(&self, path: &str) -> String {
        let path = Path::new(path);
        if path == self.socket {
            return "SOCKET".into();
        }
        // iptables', wherever it has it.
        if path.ends_with("xtables.lock") {
            return "xtables.lock".into();
        }
        let Ok(rest) = path.strip_prefix(&self.state) else { return path.display().to_string() };
        let rest = rest.display().to_string();
        match rest.as_str() {
            "" => "STATE".into(),
            // A guest's name, or guestnetd's process id.
            guest if guest.starts_with("guests/") => match guest.rsplit_once('.') {
                Some((_, suffix)) => format!("STATE/guests/*.{suffix}"),
                None => format!("STATE/{guest}"),
            },
            pid if pid.strip_prefix('.').is_some_and(|pid| pid.parse::<u32>().is_ok()) => {
                "STATE/.PID".into()
            }
            other => format!("STATE/{other}"),
        }
    }
}
