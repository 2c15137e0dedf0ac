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

//! The programs iptables and ip6tables, of the old kind (legacy), and those that end with -restore: as much of
//! them as guestnetd and the tests' others ask for. They read a table as a whole, change it, and replace it.

mod rule;
mod table;

use crate::kernel::Kernel;
use crate::space::Netns;
use crate::xtables::Family;
use table::{Chain, Rule, Table};

/// Exit status, and what it said.
pub type Ended = (i32, String);

/// Why a command fails: exit status, and what is said of it.
type Failure = (i32, String);

const NO_CHAIN: &str = "No chain/target/match by that name.";
const NO_RULE: &str = "Bad rule (does a matching rule exist in that chain?).";

fn failure(text: &str) -> Failure {
    (1, text.to_owned())
}

/// What an errno of the kernel's is called.
fn refused(errno: i32) -> Failure {
    match errno {
        libc::EAGAIN => (4, "Resource temporarily unavailable.".to_owned()),
        libc::ENOENT => (3, "can't initialize iptables table: Table does not exist".to_owned()),
        libc::ENOMEM => (1, "Memory allocation problem.".to_owned()),
        errno => (1, format!("errno {errno}")),
    }
}

/// Runs one of them: its name, its arguments, and what it reads where it ends with `-restore`.
pub fn run(kernel: &mut Kernel, netns: Netns, name: &str, words: &[&str], input: &str) -> Ended {
    let family = if name.starts_with("ip6") { Family::V6 } else { Family::V4 };
    if words == ["-V"] {
        return (0, format!("{name} v1.8.9 (legacy)\n"));
    }
    let ended = match name.ends_with("-restore") {
        true => restore(kernel, netns, family, input),
        false => command(kernel, netns, family, words),
    };
    match ended {
        Ok(()) => (0, String::new()),
        Err((code, text)) => (code, format!("{name}: {text}\n")),
    }
}

/// `iptables -w -t TABLE COMMAND ...`
fn command(
    kernel: &mut Kernel,
    netns: Netns,
    family: Family,
    words: &[&str],
) -> Result<(), Failure> {
    let mut words = words.to_vec();
    words.retain(|word| *word != "-w");
    let name = match words.iter().position(|word| *word == "-t") {
        Some(at) if at + 1 < words.len() => words.drain(at..at + 2).nth(1).unwrap_or_default(),
        _ => "filter",
    };
    let mut table = Table::read(kernel, netns, family, name).map_err(refused)?;
    if change(&mut table, family, &words)? {
        table.write(kernel, netns).map_err(refused)?;
    }
    Ok(())
}

/// Lines of commands, each table's as a whole.
fn restore(kernel: &mut Kernel, netns: Netns, family: Family, input: &str) -> Result<(), Failure> {
    let mut table: Option<Table> = None;
    for (at, line) in input.lines().enumerate() {
        // What cannot be read ends it with another status than what is refused.
        let failed = |(code, _): Failure| (code, format!("line {} failed", at + 1));
        let words: Vec<&str> = line.split_whitespace().collect();
        match (line.strip_prefix('*'), table.as_mut()) {
            (Some(name), _) => {
                table = Some(Table::read(kernel, netns, family, name).map_err(refused)?);
            }
            (None, Some(open)) if line == "COMMIT" => {
                open.write(kernel, netns).map_err(refused).map_err(failed)?;
                table = None;
            }
            (None, Some(open)) if line.starts_with(':') => open.declare(&words),
            (None, Some(open)) => drop(change(open, family, &words).map_err(failed)?),
            (None, None) => return Err((2, format!("line {} failed", at + 1))),
        }
    }
    Ok(())
}

/// Does a command with a table; tells whether it is another one afterwards.
fn change(table: &mut Table, family: Family, words: &[&str]) -> Result<bool, Failure> {
    let (verb, rest) = words.split_first().ok_or((2, "no command specified".to_owned()))?;
    let (name, rest) = match rest.split_first() {
        Some((name, rest)) => (*name, rest),
        None => ("", rest),
    };
    let place = |words: &[&str]| words.first().and_then(|word| word.parse::<usize>().ok());
    match *verb {
        "-N" if table.chain(name).is_some() => return Err(failure("Chain already exists.")),
        "-N" => table.add(name),
        "-F" if name.is_empty() => table.chains.iter_mut().for_each(|chain| chain.rules.clear()),
        "-F" => table.chain_mut(name)?.rules.clear(),
        "-X" if name.is_empty() => {
            let all: Vec<String> = table.users().map(|chain| chain.name.clone()).collect();
            all.iter().try_for_each(|name| table.delete(name))?;
        }
        "-X" => table.delete(name)?,
        "-P" => {
            let policy = if rest == ["DROP"] { -1 } else { -2 };
            table.chain_mut(name).map_err(|_| failure("Bad built-in chain name."))?.policy = policy;
        }
        "-A" => {
            let rule = rule::read(table, family, rest)?;
            table.chain_mut(name)?.rules.push(rule);
        }
        "-I" => {
            let at = place(rest);
            let rule = rule::read(table, family, &rest[usize::from(at.is_some())..])?;
            let chain = table.chain_mut(name)?;
            let at = at.unwrap_or(1).wrapping_sub(1);
            if at > chain.rules.len() {
                return Err(failure("Index of insertion too big."));
            }
            chain.rules.insert(at, rule);
        }
        "-D" if place(rest).is_some() => {
            let at = place(rest).unwrap_or(0).wrapping_sub(1);
            let chain = table.chain_mut(name)?;
            if at >= chain.rules.len() {
                return Err(failure("Index of deletion too big."));
            }
            chain.rules.remove(at);
        }
        "-D" | "-C" => {
            let rule = rule::read(table, family, rest)?;
            let chain = table.chain_mut(name)?;
            let at = chain.rules.iter().position(|other| *other == rule);
            let at = at.ok_or_else(|| failure(NO_RULE))?;
            if *verb == "-C" {
                return Ok(false);
            }
            chain.rules.remove(at);
        }
        other => return Err((2, format!("unknown option \"{other}\""))),
    }
    Ok(true)
}

/// All tables of a family as lines: each rule with what of it can be compared, chains by their names.
pub fn lines(kernel: &mut Kernel, netns: Netns, family: Family) -> Vec<(String, Chains)> {
    let names = kernel.xtables_names(netns, family);
    let table = |name: &str| Some((name.to_owned(), chains(kernel, netns, family, name)?));
    names.lines().filter_map(table).collect()
}

/// The same of one table, where it is in use.
pub fn chains(kernel: &mut Kernel, netns: Netns, family: Family, name: &str) -> Option<Chains> {
    if !kernel.xtables_names(netns, family).lines().any(|other| other == name) {
        return None;
    }
    let table = Table::read(kernel, netns, family, name).ok()?;
    Some(table.chains.into_iter().map(Chain::told).collect())
}

/// What the first rule of each chain of a table leads to, if that is a chain, and whether it holds for every packet; where
/// the table is in use.
pub fn firsts(kernel: &mut Kernel, netns: Netns, family: Family, name: &str) -> Option<Firsts> {
    if !kernel.xtables_names(netns, family).lines().any(|other| other == name) {
        return None;
    }
    let table = Table::read(kernel, netns, family, name).ok()?;
    let first = |chain: Chain| {
        let first = chain.rules.into_iter().next();
        (chain.name, first.map(|rule| (rule.is_always(), rule.chain())))
    };
    Some(table.chains.into_iter().map(first).collect())
}

/// Names of chains, each with its first rule.
pub type Firsts = Vec<(String, Option<(bool, Option<String>)>)>;

/// Names of chains, policies, and rules.
pub type Chains = Vec<(String, i32, Vec<Told>)>;

/// A rule as it is compared: where it leads to, and a text that is the same for the same rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The chain that it leads to, where it leads to one.
    pub to: Option<String>,
    /// Whether it holds for every packet.
    pub always: bool,
    /// All else that it says.
    pub text: String,
}

impl Chain {
    fn told(self) -> (String, i32, Vec<Told>) {
        (self.name, self.policy, self.rules.iter().map(Rule::told).collect())
    }
}
