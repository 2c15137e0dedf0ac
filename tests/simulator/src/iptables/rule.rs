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

//! A rule's words as the bytes that iptables makes of them.

use super::table::{Rule, Table, To};
use super::Failure;
use crate::xtables::{extension, Family, Layout};
use std::net::IpAddr;

/// The words that are left, and whether a `!` was before the next one.
struct Words<'a> {
    left: std::slice::Iter<'a, &'a str>,
    inverted: bool,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = *self.left.next()?;
        self.inverted = word == "!";
        match self.inverted {
            true => self.left.next().copied(),
            false => Some(word),
        }
    }

    fn value(&mut self) -> Result<&'a str, Failure> {
        self.left.next().copied().ok_or_else(|| unknown("an option without a value"))
    }

    fn number(&mut self) -> Result<u32, Failure> {
        number(self.value()?)
    }
}

fn unknown(what: &str) -> Failure {
    (2, format!("{what} is not simulated"))
}

fn number(text: &str) -> Result<u32, Failure> {
    text.parse().map_err(|_| unknown(text))
}

/// A match that is being read.
struct Match {
    name: &'static str,
    revision: u8,
    data: Vec<u8>,
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn raise(bytes: &mut [u8], at: usize, bits: u16) {
    let is = u16::from_ne_bytes([bytes[at], bytes[at + 1]]) | bits;
    put(bytes, at, &is.to_ne_bytes());
}

/// Reads it: `-s NETWORK -i NAME -p PROTOCOL -m MATCH ... -j TARGET ...`
pub(super) fn read(table: &Table, family: Family, words: &[&str]) -> Result<Rule, Failure> {
    let layout = Layout::of(family);
    let mut conditions = vec![0; layout.conditions];
    let mut matches: Vec<Match> = Vec::new();
    let mut to = To::Next;
    let mut words = Words { left: words.iter(), inverted: false };
    while let Some(word) = words.next() {
        let inverted = words.inverted;
        let invert = |bit: u8, conditions: &mut [u8]| {
            conditions[layout.inverted] |= if inverted { bit } else { 0 };
        };
        match word {
            "-s" | "-d" => {
                let (address, mask) = network(words.value()?)?;
                let at = if word == "-s" { 0 } else { layout.address };
                put(&mut conditions, at, &address);
                put(&mut conditions, at + 2 * layout.address, &mask);
                invert(if word == "-s" { 0x08 } else { 0x10 }, &mut conditions);
            }
            "-i" | "-o" => {
                let name = words.value()?;
                let at = layout.interfaces + if word == "-i" { 0 } else { 16 };
                put(&mut conditions, at, name.as_bytes());
                // With the NUL behind it, unless all that begins so is meant.
                let compared = name.len() + 1 - 2 * usize::from(name.ends_with('+'));
                conditions[at + 32..at + 32 + compared].fill(0xff);
                invert(if word == "-i" { 0x01 } else { 0x02 }, &mut conditions);
            }
            "-p" => {
                let protocol: u16 = match words.value()? {
                    "tcp" => 6,
                    "udp" => 17,
                    "icmp" => 1,
                    "ipv6-icmp" | "icmpv6" => 58,
                    other => return Err(unknown(other)),
                };
                put(&mut conditions, layout.protocol, &protocol.to_ne_bytes());
                if family == Family::V6 {
                    conditions[layout.flags] |= 0x01;
                }
                invert(0x40, &mut conditions);
            }
            "-m" => matches.push(begin(words.value()?, family)?),
            "-j" => to = target(table, family, &mut words)?,
            option => {
                let last = matches.last_mut().ok_or_else(|| unknown(option))?;
                last.option(option, inverted, &mut words)?;
            }
        }
    }
    let matches = matches.iter().flat_map(|one| extension(one.name, one.revision, &one.data));
    Ok(Rule { conditions, matches: matches.collect(), to })
}

/// An address and a mask.
fn network(text: &str) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let bytes = match address.parse().map_err(|_| unknown(text))? {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let length = length.parse().unwrap_or(bytes.len() * 8);
    let mask = |at: usize| !(0xffu32 >> length.saturating_sub(at * 8).min(8)) as u8;
    let mask: Vec<u8> = (0..bytes.len()).map(mask).collect();
    let bytes = bytes.iter().zip(&mask).map(|(byte, mask)| byte & mask).collect();
    Ok((bytes, mask))
}

fn begin(name: &str, family: Family) -> Result<Match, Failure> {
    let (name, revision, length) = match name {
        "conntrack" => ("conntrack", 3, 168),
        "connlimit" => ("connlimit", 1, 32),
        "hashlimit" => ("hashlimit", 3, 312),
        "statistic" => ("statistic", 0, 24),
        "owner" => ("owner", 1, 24),
        "tcp" => ("tcp", 0, 16),
        "udp" => ("udp", 0, 16),
        "icmp" => ("icmp", 0, 8),
        "icmp6" => ("icmp6", 0, 8),
        other => return Err(unknown(other)),
    };
    let mut data = vec![0; length];
    match name {
        "tcp" | "udp" => [2, 6].into_iter().for_each(|at| data[at..at + 2].fill(0xff)),
        "hashlimit" => {
            let widest = if family == Family::V6 { 128 } else { 32 };
            put(&mut data, 284, &1000u32.to_ne_bytes());
            data[296..298].fill(widest);
        }
        _ => {}
    }
    Ok(Match { name, revision, data })
}

impl Match {
    fn option(
        &mut self,
        option: &str,
        inverted: bool,
        words: &mut Words<'_>,
    ) -> Result<(), Failure> {
        let data = &mut self.data;
        let word = |data: &mut [u8], at, value: u32| put(data, at, &value.to_ne_bytes());
        let mut connection = |bit: u16| {
            raise(data, 146, bit);
            raise(data, 148, if inverted { bit } else { 0 });
        };
        match option {
            "--ctstate" => {
                connection(1);
                for state in words.value()?.split(',') {
                    let bit = match state {
                        "INVALID" => 1 << 0,
                        "ESTABLISHED" => 1 << 1,
                        "RELATED" => 1 << 2,
                        "NEW" => 1 << 3,
                        "SNAT" => 1 << 6,
                        "DNAT" => 1 << 7,
                        other => return Err(unknown(other)),
                    };
                    raise(data, 150, bit);
                }
            }
            "--ctstatus" if words.value()? == "CONFIRMED" => {
                connection(1 << 6);
                raise(data, 152, 1 << 3);
            }
            "--ctorigsrc" => {
                connection(1 << 2);
                let (address, mask) = network(words.value()?)?;
                put(data, 0, &address);
                put(data, 16, &mask);
            }
            "--ctorigdstport" | "--ctreplsrcport" => {
                let (bit, at) = if option == "--ctorigdstport" { (9, 140) } else { (10, 142) };
                connection(1 << bit);
                let port = words.number()? as u16;
                put(data, at, &port.to_ne_bytes());
                put(data, at + 16, &port.to_ne_bytes());
            }
            "--connlimit-above" => word(data, 16, words.number()?),
            "--connlimit-mask" => {
                data[..4].copy_from_slice(&network(&format!("0.0.0.0/{}", words.value()?))?.1)
            }
            "--connlimit-saddr" => {}
            "--hashlimit-above" => {
                let rate = words.value()?.strip_suffix("/sec").ok_or_else(|| unknown(option))?;
                let avg = 1_000_000 / u64::from(number(rate)?.max(1));
                put(data, 256, &avg.to_ne_bytes());
                data[272] |= 1 << 4;
            }
            "--hashlimit-burst" => put(data, 264, &u64::from(words.number()?).to_ne_bytes()),
            "--hashlimit-mode" if words.value()? == "srcip" => data[272] |= 1 << 2,
            "--hashlimit-name" => put(data, 0, words.value()?.as_bytes()),
            "--hashlimit-htable-expire" => word(data, 288, words.number()?),
            // XT_OWNER_SOCKET and XT_OWNER_UID.
            "--socket-exists" => data[16] |= 4,
            "--uid-owner" => {
                let user = words.number()?;
                word(data, 0, user);
                word(data, 4, user);
                data[16] |= 1;
                data[17] |= u8::from(inverted);
            }
            "--mode" if words.value()? == "nth" => put(data, 0, &1u16.to_ne_bytes()),
            "--every" => word(data, 4, words.number()?.saturating_sub(1)),
            "--packet" => {
                let packet = words.number()?;
                let every = u32::from_ne_bytes([data[4], data[5], data[6], data[7]]);
                word(data, 8, packet);
                word(data, 12, every.saturating_sub(packet));
            }
            "--dport" => {
                let text = words.value()?;
                let (first, last) = text.split_once(':').unwrap_or((text, text));
                put(data, 4, &(number(first)? as u16).to_ne_bytes());
                put(data, 6, &(number(last)? as u16).to_ne_bytes());
            }
            "--icmp-type" | "--icmpv6-type" => {
                let text = words.value()?;
                let (kind, code) = text.split_once('/').unwrap_or((text, ""));
                let codes =
                    if code.is_empty() { (0, 0xff) } else { (number(code)?, number(code)?) };
                let [kind, least, most] = [number(kind)?, codes.0, codes.1].map(|n| n as u8);
                put(data, 0, &[kind, least, most, u8::from(inverted)]);
            }
            other => return Err(unknown(other)),
        }
        Ok(())
    }
}

fn target(table: &Table, family: Family, words: &mut Words<'_>) -> Result<To, Failure> {
    let name = words.value()?;
    Ok(match name {
        "ACCEPT" => To::Verdict(-2),
        "DROP" => To::Verdict(-1),
        "RETURN" => To::Verdict(-5),
        "NFLOG" => {
            let mut data = vec![0; 80];
            if words.next() == Some("--nflog-group") {
                put(&mut data, 4, &(words.number()? as u16).to_ne_bytes());
            }
            To::Module(extension(name, 0, &data))
        }
        "MASQUERADE" => {
            let ports = match words.next() {
                Some("--to-ports") => {
                    let text = words.value()?;
                    let (first, last) = text.split_once('-').unwrap_or((text, text));
                    Some((number(first)? as u16, number(last)? as u16))
                }
                Some(other) => return Err(unknown(other)),
                None => None,
            };
            let (length, flags, at) = if family == Family::V6 { (40, 0, 36) } else { (24, 4, 16) };
            let mut data = vec![0; length];
            if family == Family::V4 {
                put(&mut data, 0, &1u32.to_ne_bytes());
            }
            if let Some((first, last)) = ports {
                put(&mut data, flags, &2u32.to_ne_bytes());
                put(&mut data, at, &first.to_be_bytes());
                put(&mut data, at + 2, &last.to_be_bytes());
            }
            To::Module(extension(name, 0, &data))
        }
        name if table.chain(name).is_some() => To::Chain(name.to_owned()),
        name if name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()) => {
            return Err((2, format!("Couldn't load target `{name}':No such file or directory")));
        }
        other => return Err(unknown(other)),
    })
}
