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

//! The simulator held against Linux: the same random requests, byte for byte, to both; each answer, each
//! announcement, and what is there in the end have to be the same. A difference is a fault of the
//! simulator's. `SIMULATOR_HISTORIES` says how many (tests/soak/simulator), `SIMULATOR_SEED` which one.

mod carrier;
mod frames;
mod linux;
mod narrow;
mod random;
mod step;
mod view;

use guestnet_simulator::{Kernel, Listener, Netns, Queue, ROUTE};
use libc::*;
use linux::Linux;
use random::Random;
use std::collections::HashMap;
use std::fmt::Write;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use step::Step;

/// Links, neighbours, addresses, routes, rules, settings, ids of namespaces.
const GROUPS: [u32; 6] = [1, 5, 7, 8, 24, 28];
/// For what Linux does later. In milliseconds.
const PATIENCE: u64 = 5000;
const STEPS: usize = 30;
const WORKERS: usize = 8;
const DUMPS: [u16; 7] =
    [RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETRULE, RTM_GETNEIGH, RTM_GETNSID, RTM_GETQDISC];

const KEYS: [&str; 6] =
    ["forwarding", "rp_filter", "arp_ignore", "arp_filter", "accept_redirects", "send_redirects"];

/// A namespace of both.
struct Pair {
    linux: Linux,
    netns: Netns,
    listener: Listener,
    /// What was said of each link last, by both.
    said: [HashMap<u32, String>; 2],
    /// Its id where the watcher is.
    id: u32,
    /// Open files of /dev/net/tun.
    taps: Vec<(File, Queue)>,
}

/// Settings that a change of the default does not reach, with their values; a new namespace has that from
/// the machine's own (`devinet_init_net()`).
fn pinned() -> Vec<(String, String)> {
    let linux = Linux::new(&[]);
    let mut all = Vec::new();
    for key in KEYS.iter().filter(|key| **key != "forwarding") {
        let path = |whose| format!("/proc/sys/net/ipv4/conf/{whose}/{key}");
        let (default, lo) = (path("default"), path("lo"));
        let before = [linux.read(&default).unwrap(), linux.read(&lo).unwrap()];
        let other = if before[1].trim() == "1" { "0" } else { "1" };
        linux.write(&default, other).unwrap();
        if linux.read(&lo).unwrap().trim() != other {
            let [on_default, on_lo] = before;
            all.extend([(default, on_default), (lo, on_lo)]);
        }
    }
    all
}

fn pair(kernel: &mut Kernel, pinned: &[(String, String)], id: u32, watcher: &Linux) -> Pair {
    let linux = Linux::new(&GROUPS);
    let numbered = watcher.send(&step::number(linux.file.as_raw_fd(), id));
    assert_eq!(views(&numbered, false), ["ok"]);
    let netns = kernel.netns_add();
    kernel.fd_open(linux.file.as_raw_fd(), netns);
    for whose in ["all", "default"] {
        kernel
            .write(netns, &format!("/proc/sys/net/ipv6/conf/{whose}/disable_ipv6"), b"1")
            .unwrap();
    }
    // What a new namespace has is what the machine's own has.
    for whose in ["all", "default", "lo"] {
        for key in KEYS {
            let path = format!("/proc/sys/net/ipv4/conf/{whose}/{key}");
            let (theirs, ours) = (linux.read(&path).unwrap(), kernel.read(netns, &path).unwrap());
            if theirs.as_bytes() != ours {
                kernel.write(netns, &path, theirs.as_bytes()).unwrap();
            }
        }
    }
    // What somebody has set in the machine's own, no default changes any more.
    for (path, value) in pinned {
        kernel.write(netns, path, value.as_bytes()).unwrap();
    }
    Pair {
        linux,
        netns,
        listener: kernel.listen(netns, ROUTE, &GROUPS),
        said: Default::default(),
        id,
        taps: Vec::new(),
    }
}

fn views(datagrams: &[Vec<u8>], all: bool) -> Vec<String> {
    let messages = datagrams.iter().flat_map(|datagram| view::messages(datagram));
    messages.filter_map(|(kind, body)| view::view(kind, body, all)).collect()
}

/// Announcements, but for those that say again what was said of a link.
fn announced(datagrams: &[Vec<u8>], said: &mut HashMap<u32, String>) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, body) in datagrams.iter().flat_map(|datagram| view::messages(datagram)) {
        let Some(line) = view::view(kind, body, false) else { continue };
        if kind == RTM_NEWLINK || kind == RTM_DELLINK {
            // A bridge speaks of its ports in a family of its own.
            if body[0] != 0 {
                continue;
            }
            // While the namespace of its other end ends, a link may have to say that it has no carrier.
            if line.ends_with("netnsid -1") {
                continue;
            }
            let index = u32::from_ne_bytes(body[4..8].try_into().unwrap());
            if said.insert(index, line.clone()).is_some_and(|before| before == line) {
                continue;
            }
        }
        lines.push(line);
    }
    lines
}

/// What both say, or how they differ.
fn same(what: &str, linux: &[String], simulator: &[String]) -> Result<(), String> {
    if linux == simulator {
        return Ok(());
    }
    let mut words = format!("{what}\n");
    for line in linux.iter().filter(|line| !simulator.contains(line)) {
        let _ = writeln!(words, "  linux alone:     {line}");
    }
    for line in simulator.iter().filter(|line| !linux.contains(line)) {
        let _ = writeln!(words, "  simulator alone: {line}");
    }
    let _ = writeln!(words, "  linux: {linux:#?}\n  simulator: {simulator:#?}");
    Err(words)
}

/// Compares until both are the same, for what Linux does a little later.
fn soon(mut compare: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let since = Instant::now();
    loop {
        let result = compare();
        if result.is_ok() || since.elapsed() > Duration::from_millis(PATIENCE) {
            return result;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Both kernels, with the same namespaces in each.
struct Both {
    kernel: Kernel,
    pairs: Vec<Pair>,
    /// Of Linux alone: it asks for links in all of them.
    watcher: Linux,
}

impl Both {
    fn new(pinned: &[(String, String)]) -> Self {
        let mut kernel = Kernel::new();
        let watcher = Linux::new(&[]);
        let pairs = (0..3).map(|id| pair(&mut kernel, pinned, id, &watcher)).collect();
        Self { kernel, pairs, watcher }
    }

    /// The descriptors of the namespaces.
    fn files(&self) -> Vec<i32> {
        self.pairs.iter().map(|pair| pair.linux.file.as_raw_fd()).collect()
    }

    /// Does one step in a namespace, and compares what is answered and announced.
    fn step(&mut self, at: usize, step: &Step) -> Result<(), String> {
        let (kernel, pairs, watcher) = (&mut self.kernel, &mut self.pairs, &self.watcher);
        let what = format!("namespace {at}: {step:?}");
        let mut known: Vec<Vec<String>> = pairs.iter().map(|pair| links(kernel, pair)).collect();
        let one = &mut pairs[at];
        if std::env::var_os("SIMULATOR_STEPS").is_some() {
            eprintln!("{what}");
        }
        match step {
            Step::Send(bytes) => {
                let linux = views(&one.linux.send(bytes), false);
                let simulator = views(&kernel.send(one.netns, ROUTE, 1, bytes), false);
                same(&format!("{what}: the answer"), &linux, &simulator)?;
            }
            Step::Write(path, value) => {
                let linux = one.linux.write(path, value);
                let simulator = kernel.write(one.netns, path, value.as_bytes());
                let say = |result| vec![format!("{result:?}")];
                same(&format!("{what}: the answer"), &say(linux), &say(simulator))?;
            }
            Step::Tap(tap) => {
                let (file, linux) = one.linux.tap(tap);
                let (queue, simulator) = ask_for(kernel, one.netns, tap);
                let say = |result| vec![format!("{result:?}")];
                same(&format!("{what}: the answers"), &say(linux), &say(simulator))?;
                one.taps.push((file, queue));
            }
            Step::Close(nth) if one.taps.is_empty() || *nth > one.taps.len() => return Ok(()),
            Step::Close(nth) => {
                let (file, queue) = one.taps.remove(nth % one.taps.len());
                drop(file);
                kernel.tun_close(queue);
            }
            Step::End if at != 0 => {
                let mut gone = pairs.remove(at);
                // Each would hold it.
                for (file, queue) in gone.taps.drain(..) {
                    drop(file);
                    kernel.tun_close(queue);
                }
                kernel.fd_close(gone.linux.file.as_raw_fd());
                kernel.netns_del(gone.netns);
                drop(gone);
                let mut heard: Vec<[Vec<String>; 2]> =
                    pairs.iter().map(|_| Default::default()).collect();
                return soon(|| {
                    settle(watcher, kernel, pairs);
                    for (pair, heard) in pairs.iter_mut().zip(&mut heard) {
                        hear(kernel, pair, heard);
                        heard.iter_mut().for_each(|lines| lines.sort());
                        same(&format!("{what}: what was announced"), &heard[0], &heard[1])?;
                    }
                    Ok(())
                });
            }
            Step::End => return Ok(()),
        }
        settle(watcher, kernel, pairs);
        for (number, pair) in pairs.iter_mut().enumerate() {
            let mut heard = Default::default();
            hear(kernel, pair, &mut heard);
            let [mut linux, simulator] = heard;
            // How often the link watch speaks of a link depends on when it looks.
            known[number].extend(links(kernel, pair));
            linux.retain(|line| simulator.contains(line) || !known[number].contains(line));
            same(&format!("{what}: what was announced in {number}"), &linux, &simulator)?;
        }
        Ok(())
    }

    /// Compares what is there.
    fn compare(&mut self) -> Result<(), String> {
        let (kernel, pairs) = (&mut self.kernel, &self.pairs);
        for (number, pair) in pairs.iter().enumerate() {
            for kind in DUMPS {
                soon(|| {
                    let request = step::dump(kind);
                    let mut linux = views(&pair.linux.send(&request), true);
                    let mut simulator = views(&kernel.send(pair.netns, ROUTE, 1, &request), true);
                    if kind != RTM_GETRULE && kind != RTM_GETADDR && kind != RTM_GETLINK {
                        linux.sort();
                        simulator.sort();
                    }
                    same(&format!("in the end: dump {kind} of {number}"), &linux, &simulator)
                })?;
            }
            for request in frames::dumps() {
                let linux = views(&pair.linux.send(&request), true);
                let simulator = views(&kernel.send(pair.netns, ROUTE, 1, &request), true);
                same(&format!("in the end: {request:?} of {number}"), &linux, &simulator)?;
            }
        }
        Ok(())
    }
}

fn history(seed: u64, pinned: &[(String, String)]) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut both = Both::new(pinned);
    for _ in 0..STEPS {
        let all = both.pairs.len() as u32;
        let at = if random.once_in(3) { random.below(all) } else { 0 } as usize;
        let step = step::random(&mut random, &both.files(), seed % 2 == 1);
        both.step(at, &step)?;
    }
    both.compare()
}

/// Linux's link watch is up to a second late, unless somebody asks for a link (`linkwatch_sync_dev()`). What it finds
/// at a port it hands to its bridge, which may have been asked for before: so twice. Who asks is elsewhere, as the
/// answer gives the namespace of a link's other end an id.
fn settle(watcher: &Linux, kernel: &Kernel, pairs: &[Pair]) {
    for pair in pairs.iter().chain(pairs) {
        for (index, ..) in kernel.links(pair.netns) {
            watcher.send(&step::ask(index, pair.id));
        }
    }
}

/// The same of the simulator.
fn ask_for(kernel: &mut Kernel, netns: Netns, tap: &linux::Tap) -> (Queue, Vec<Result<(), i32>>) {
    let queue = kernel.tun_open(netns);
    let mut answers = vec![kernel.tun_set(queue, tap.name, tap.flags)];
    answers.extend(tap.owner.map(|owner| kernel.tun_own(queue, owner)));
    answers.extend(tap.header.map(|size| kernel.tun_set_header(queue, size)));
    (queue, answers)
}

/// Each link as it would be announced.
fn links(kernel: &Kernel, pair: &Pair) -> Vec<String> {
    // To list them gives namespaces their ids.
    let mut kernel = kernel.clone();
    views(&kernel.send(pair.netns, ROUTE, 1, &step::dump(RTM_GETLINK)), false)
}

fn hear(kernel: &mut Kernel, pair: &mut Pair, heard: &mut [Vec<String>; 2]) {
    let [linux, simulator] = &mut pair.said;
    heard[0].extend(announced(&pair.linux.take(), linux));
    heard[1].extend(announced(&kernel.take(pair.listener), simulator));
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|value| value.parse().ok())
}

/// Whether the two can be compared here.
fn here(test: &str) -> bool {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED {test}: it needs root");
        return false;
    }
    // What it is like is 6.18: the order of checks, and what is told, are not each kernel's.
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    if !release.starts_with("6.18.") {
        eprintln!("SKIPPED {test}: it is Linux 6.18, here is {release}");
        return false;
    }
    true
}

#[test]
fn the_simulator_does_what_linux_does() {
    if !here("the_simulator_does_what_linux_does") {
        return;
    }
    let pinned = pinned();
    if let Some(seed) = number("SIMULATOR_SEED") {
        history(seed, &pinned).unwrap_or_else(|words| panic!("seed {seed}: {words}"));
        return;
    }
    let all = number("SIMULATOR_HISTORIES").unwrap_or(200);
    let next = AtomicU64::new(0);
    let failed = AtomicU64::new(0);
    // Most of the time goes by in the kernel, which waits for all of its processors.
    let worker = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= all {
            return;
        }
        if let Err(words) = history(seed, &pinned) {
            eprintln!("seed {seed}: {words}");
            failed.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(worker))));
    assert_eq!(failed.into_inner(), 0, "histories of {all} that differ");
}
