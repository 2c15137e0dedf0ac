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

//! What an .rc file of Android's init says, of one service. What is not known here is an error: a
//! test must not pass because a line was skipped.

use std::path::PathBuf;

/// An .rc file with one service.
#[derive(Debug, Default)]
pub struct Rc {
    /// What `on post-fs-data` makes.
    pub directories: Vec<Directory>,
    /// The service.
    pub service: Service,
}

/// `mkdir PATH MODE USER GROUP`
#[derive(Debug)]
pub struct Directory {
    /// Where.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// `service NAME PROGRAM ARGUMENT...`. What is not said is 0 and none, as init has it.
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// `user`
    pub uid: u32,
    /// The first of `group`.
    pub gid: u32,
    /// The others.
    pub groups: Vec<u32>,
    /// `capabilities`, by their numbers; none: what the user has.
    pub capabilities: Option<Vec<u32>>,
}

impl Rc {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rc = Self::default();
        let mut in_service = false;
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            match (words[..].as_ref(), in_service) {
                ([], _) => {}
                (["on", "post-fs-data"], _) => in_service = false,
                (["service", _, command @ ..], _) => {
                    rc.service.command = command.iter().map(|&word| word.to_owned()).collect();
                    in_service = true;
                }
                (words, true) => rc.service.option(words)?,
                (["mkdir", path, mode, user, group], false) => {
                    let mode = u32::from_str_radix(mode, 8).map_err(|e| format!("{mode}: {e}"))?;
                    let (path, uid, gid) = (path.into(), id(user)?, id(group)?);
                    rc.directories.push(Directory { path, mode, uid, gid });
                }
                (words, false) => return Err(format!("not known here: {}", words.join(" "))),
            }
        }
        Ok(rc)
    }
}

impl Service {
    fn option(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["user", user] => self.uid = id(user)?,
            ["group", first, others @ ..] => {
                self.gid = id(first)?;
                self.groups = others.iter().map(|name| id(name)).collect::<Result<_, _>>()?;
            }
            ["capabilities", names @ ..] => {
                let numbers = names.iter().map(|name| capability(name));
                self.capabilities = Some(numbers.collect::<Result<_, _>>()?);
            }
            // When it is started and ended, and how it is scheduled: nothing that it may do.
            ["class" | "interface" | "disabled" | "oneshot" | "gentle_kill" | "task_profiles", ..] =>
                {}
            _ => return Err(format!("not known here: {}", words.join(" "))),
        }
        Ok(())
    }
}

/// android_filesystem_config.h
fn id(name: &str) -> Result<u32, String> {
    let ids = [("root", 0), ("system", 1000), ("inet", 3003), ("net_raw", 3004)];
    let ids = ids.iter().chain(&[("net_admin", 3005), ("readproc", 3009)]);
    let id = ids.into_iter().find(|(known, _)| *known == name);
    id.map(|(_, id)| *id).ok_or_else(|| format!("a user or group not known here: {name}"))
}

/// linux/capability.h
fn capability(name: &str) -> Result<u32, String> {
    let known = [("NET_ADMIN", 12), ("NET_RAW", 13), ("SYS_PTRACE", 19), ("SYS_ADMIN", 21)];
    let number = known.iter().find(|(known, _)| *known == name);
    number.map(|(_, number)| *number).ok_or_else(|| format!("a capability not known here: {name}"))
}
