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

//! What SELinux has denied and granted, as the kernel's log has it, and the policy that it goes by.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Command;

/// One denial: who, whom, of which class, what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denial {
    /// The type of who asked.
    pub source: String,
    /// The type of what was asked for.
    pub target: String,
    /// Its class.
    pub class: String,
    /// What was asked for.
    pub what: String,
    /// The number of the ioctl, or a name.
    pub more: String,
}

/// What was granted by a rule that has it logged (`auditallow`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    source: String,
    target: String,
    class: String,
    what: String,
}

/// All denials since the log was cleared, which it is again.
pub fn denials() -> BTreeSet<Denial> {
    log().lines().filter_map(denial).collect()
}

/// Both, since the log was cleared, which it is again.
pub fn decisions() -> (BTreeSet<Denial>, BTreeSet<Grant>) {
    let text = log();
    (text.lines().filter_map(denial).collect(), text.lines().flat_map(grants).collect())
}

fn log() -> String {
    let out = Command::new("dmesg").arg("-c").output().expect("dmesg");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// `avc:  denied  { read } for ... scontext=u:r:a:s0 tcontext=u:object_r:b:s0 tclass=file permissive=0`
fn denial(line: &str) -> Option<Denial> {
    let (_, rest) = line.split_once("avc:  denied  { ")?;
    let (what, rest) = rest.split_once(" }")?;
    let word = |name: &str| word_of(rest, name);
    let kind = |context: &str| context.split(':').nth(2).map(str::to_owned);
    let more = word("ioctlcmd=").or_else(|| word("kmod=")).or_else(|| word("name="));
    Some(Denial {
        source: kind(word("scontext=")?)?,
        target: kind(word("tcontext=")?)?,
        class: word("tclass=")?.to_owned(),
        what: what.to_owned(),
        more: more.unwrap_or_default().to_owned(),
    })
}

/// `avc:  granted  { read write } for ... scontext=u:r:a:s0 tcontext=u:object_r:b:s0 tclass=file`
fn grants(line: &str) -> Vec<Grant> {
    let found = || {
        let (_, rest) = line.split_once("avc:  granted  { ")?;
        let (all, rest) = rest.split_once(" }")?;
        let word = |name: &str| word_of(rest, name).map(str::to_owned);
        let (source, target) = (word("scontext=")?, word("tcontext=")?);
        let of = Grant { source, target, class: word("tclass=")?, what: String::new() };
        let each = |what: &str| Grant { what: what.to_owned(), ..of.clone() };
        Some(all.split_whitespace().map(each).collect())
    };
    found().unwrap_or_default()
}

/// `NAME=WORD`: the word.
fn word_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_whitespace().find_map(|word| word.strip_prefix(name))
}

impl Grant {
    /// Whether the policy of now would grant it.
    pub fn stands(&self) -> io::Result<bool> {
        allows(&self.source, &self.target, &self.class, &self.what)
    }
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { source, target, class, what } = self;
        write!(f, "{source} {target}:{class} {{ {what} }}")
    }
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { source, target, class, what, more } = self;
        write!(f, "{source} {target}:{class} {{ {what} }} {more}")
    }
}

/// What the kernel says when a service manager asks it (security_compute_av()): whether one context may do
/// this to another. A permissive domain is not let off.
pub fn allows(source: &str, target: &str, class: &str, what: &str) -> io::Result<bool> {
    let number = |file: String| -> io::Result<u32> {
        let text = fs::read_to_string(format!("/sys/fs/selinux/class/{class}/{file}"))?;
        text.trim().parse().map_err(io::Error::other)
    };
    let (class, bit) = (number("index".into())?, number(format!("perms/{what}"))?);
    let mut access = File::options().read(true).write(true).open("/sys/fs/selinux/access")?;
    access.write_all(format!("{source} {target} {class}").as_bytes())?;
    let mut answer = String::new();
    access.read_to_string(&mut answer)?;
    let allowed = answer.split_whitespace().next().unwrap_or_default();
    let allowed = u32::from_str_radix(allowed, 16).map_err(io::Error::other)?;
    Ok(allowed >> (bit - 1) & 1 == 1)
}

/// Has the kernel go by another policy: one write() has to hold all of it.
pub fn load(policy: &Path) -> io::Result<()> {
    let policy = fs::read(policy)?;
    let written = File::options().write(true).open("/sys/fs/selinux/load")?.write(&policy)?;
    match written == policy.len() {
        true => Ok(()),
        false => Err(io::Error::other("not all of it was taken")),
    }
}

impl Denial {
    /// Whether it is another one of that kind.
    pub fn is_like(&self, other: &Self) -> bool {
        let kind = |d: &Self| [&d.source, &d.target, &d.class, &d.what].map(String::clone);
        kind(self) == kind(other)
    }
}
