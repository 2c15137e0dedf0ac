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

//! The rivals: programs that are started for each action, as `PROGRAM attach|detach PID`, and
//! measured from before the start until after the end.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use guestnet_tests::{Device, Guest};
use tempfile::TempDir;

use super::{Cost, Subject};
use crate::cpu;
use crate::error::{Doing, Error, Result};

/// A rival and its device.
struct Rival {
    name: String,
    program: PathBuf,
    env: Vec<(&'static str, PathBuf)>,
    scratch: PathBuf,
    device: Device,
}

/// A rival that cannot be had here, and why.
#[derive(Debug)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// What is not there.
    pub why: String,
}

/// All rivals, those that can be had and those that cannot; `home` is tests/bench, and what they
/// write goes into `scratch`. NETAVARK names a further netavark than Debian's.
pub fn rivals(
    home: &Path,
    scratch: &TempDir,
) -> Result<Vec<Result<Box<dyn Subject + Send>, Missing>>> {
    let original = original(home, scratch).map_err(|e| e.to_string());
    let script = |name: &str| Ok(home.join("rivals").join(name));
    let mut all = Vec::new();
    let mut add =
        |name: String, program: Result<PathBuf, String>, vars: &[(&'static str, &str)]| {
            let needs = vars.iter().map(|(_, value)| value);
            let gone =
                needs.filter(|path| path.starts_with('/')).find(|path| !Path::new(path).exists());
            let program = match gone {
                Some(path) => Err(format!("{path} is not installed")),
                None => program,
            };
            all.push(match program {
                Ok(program) => Ok(Box::new(Rival {
                    name,
                    program,
                    env: vars.iter().map(|(name, value)| (*name, PathBuf::from(value))).collect(),
                    scratch: scratch.path().to_owned(),
                    device: Device::new(),
                }) as Box<dyn Subject + Send>),
                Err(why) => Err(Missing { name, why }),
            });
        };
    for iptables in ["iptables-legacy", "iptables-nft"] {
        let path = format!("/usr/sbin/{iptables}");
        add(format!("the original, {iptables}"), original.clone(), &[("IPTABLES", &path)]);
    }
    let restore = "/usr/sbin/iptables-legacy-restore";
    add("ip -batch, iptables-legacy-restore".into(), script("batch.sh"), &[("RESTORE", restore)]);
    add("ip -batch, nft -f".into(), script("batch.sh"), &[("NFT", "/usr/sbin/nft")]);
    let cni = "CNI bridge and host-local (Debian)";
    add(cni.into(), script("cni.sh"), &[("CNI_PATH", "/usr/lib/cni")]);
    let debian = "/usr/lib/podman/netavark";
    add(format!("{} (Debian)", version(debian)), script("netavark.sh"), &[("NETAVARK", debian)]);
    if let Ok(other) = std::env::var("NETAVARK") {
        add(version(&other), script("netavark.sh"), &[("NETAVARK", &other)]);
    }
    Ok(all)
}

/// `netavark 1.4.0`.
fn version(netavark: &str) -> String {
    let said = Command::new(netavark).arg("--version").output();
    let said = said.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    said.unwrap_or_else(|_| "netavark".to_owned())
}

/// Compiles the original.
fn original(home: &Path, scratch: &TempDir) -> Result<PathBuf> {
    let (source, program) = (home.join("rivals/original.c"), scratch.path().join("original"));
    let out =
        Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source).output().doing("cc")?;
    let said = || Error::new(String::from_utf8_lossy(&out.stderr));
    out.status.success().then_some(program).ok_or_else(said)
}

impl Rival {
    fn run(&self, what: &str, guest: &Guest) -> Result<Cost> {
        let said = self.scratch.join("said");
        let mut command = Command::new(&self.program);
        command.args([what, &guest.pid().to_string()]).stdin(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.env("SCRATCH", &self.scratch).env("XTABLES_LOCKFILE", self.scratch.join("lock"));
        command.stdout(File::create(&said)?).stderr(Stdio::inherit());
        let (before, began) = (cpu::of_children()?, Instant::now());
        let status = command.status();
        let (wall, after) = (began.elapsed(), cpu::of_children()?);
        let status = status.doing(self.program.display())?;
        if !status.success() {
            return Err(Error::new(format!("{}, {what}: {status}", self.name)));
        }
        let mut text = String::new();
        File::open(&said)?.read_to_string(&mut text)?;
        Ok(Cost { wall, cpu: after - before, steps: steps(&text) })
    }
}

/// What a rival says of its steps: `MICROSECONDS COMMAND`, a line for each.
fn steps(text: &str) -> Vec<(String, f64)> {
    let step = |line: &str| {
        let (micros, command) = line.split_once(' ')?;
        Some((command.to_owned(), micros.parse().ok()?))
    };
    text.lines().filter_map(step).collect()
}

impl Subject for Rival {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn attach(&mut self, guest: &Guest) -> Result<Cost> {
        self.run("attach", guest)
    }

    fn detach(&mut self, guest: &Guest) -> Result<Cost> {
        self.run("detach", guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_and_other_words_are_not() {
        let text = "1200 ip link add\nnothing\nx y\n35 echo 1 > /proc\n";
        let wanted = [("ip link add".to_owned(), 1200.0), ("echo 1 > /proc".to_owned(), 35.0)];
        assert_eq!(steps(text), wanted);
    }
}
