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

//! What guest N costs when N-1 are there, a thousand guests up and down, and their memory.

use std::fs;
use std::time::{Duration, Instant};

use crate::build::Build;
use crate::crowd::{namespaces, on_a_thread, Crowd, Plain};
use crate::error::{Doing, Error, Result};
use crate::measure::Samples;
use crate::options::Options;
use crate::progress;
use crate::report::cells::{micros, ratio, text};
use crate::report::table::{Cell, Line, Lines, Picture, Table};
use crate::service::filter;
use crate::settle::{go, Settle};

/// Clients that call at once.
const CLIENTS: usize = 4;

/// Both tables in one.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

fn measure(options: &Options) -> Result<Table> {
    let sizes: &[usize] = if options.quick { &[1, 10, 100] } else { &[1, 10, 100, 1000] };
    let columns = ["", "median", "p99", "against guest 1", "against the floor"];
    let mut table = Table::new("scale", "Scale: guest N, and a thousand guests", &columns);
    let rounds = options.rounds(30);
    marginal(options, sizes, rounds, &mut table)?;
    masses(options, *sizes.last().unwrap_or(&1), (rounds / 6).max(1), &mut table)?;
    Ok(table)
}

/// Guest N with N-1 present.
fn marginal(options: &Options, sizes: &[usize], rounds: usize, table: &mut Table) -> Result<()> {
    let crowd = Crowd::start(&Build::now(options), 1)?;
    let mut plain = Plain::new(&filter(&options.bin)?)?;
    let mut settle = Settle::new()?;
    let most = sizes.last().copied().unwrap_or(1);
    let (ours, theirs) = (namespaces(most)?, namespaces(most)?);
    let mut there = 0;
    let mut lines = [line("guestnetd"), line("the floor")];
    let mut firsts: [Option<Samples>; 2] = [None, None];
    for (done, &size) in sizes.iter().enumerate() {
        for at in there..size - 1 {
            crowd.attach(at, &ours[at])?;
            plain.attach(at, &theirs[at])?;
        }
        there = size - 1;
        settle.settle()?;
        let mut samples = [Samples::default(), Samples::default()];
        // Two rounds are not counted.
        for round in 0..rounds + 2 {
            for who in [round % 2, (round + 1) % 2] {
                let took = if who == 0 {
                    let took = crowd.attach(there, &ours[there])?;
                    crowd.detach(there)?;
                    took
                } else {
                    let took = plain.attach(there, &theirs[there])?;
                    plain.floor.delete(there as u32)?;
                    took
                };
                if round >= 2 {
                    samples[who].push(took);
                }
                settle.settle()?;
            }
        }
        for (who, name) in ["guestnetd", "the floor"].iter().enumerate() {
            let first = firsts[who].get_or_insert_with(|| samples[who].clone());
            let growth = samples[who].ratio(first);
            let beside = if who == 0 { samples[0].ratio(&samples[1]) } else { None };
            table.row(
                format!("attach of guest {size}: {name}"),
                vec![
                    micros(samples[who].median()),
                    micros(samples[who].percentile(99.0)),
                    ratio(growth),
                    ratio(beside),
                ],
            );
            let median = samples[who].median().unwrap_or_default();
            lines[who].points.push((size as f64, median / 1000.0));
            if who == 0 && size == 1000 {
                let measured = growth.map(|times| (format!("{times:.2}x"), times <= 1.6));
                table.target("attach of guest 1000 against guest 1", "at most 1.6x", measured);
            }
        }
        progress::show("scale: guest N", done + 1, sizes.len());
    }
    table.method.push(format!(
        "Guest N: {rounds} rounds of attach and detach with N-1 guests there, guestnetd and the floor \
         in turn, each in a device of its own. Guests are network namespaces without processes."
    ));
    table.pictures.push(Picture::Lines(Lines {
        id: "scale".to_owned(),
        title: "Attach of guest N".to_owned(),
        x: "guests".to_owned(),
        y: "milliseconds, median".to_owned(),
        lines: lines.into(),
    }));
    plain.floor.delete_all().doing("the floor's group delete")?;
    Ok(())
}

fn line(label: &str) -> Line {
    Line { label: label.to_owned(), points: Vec::new() }
}

/// Which way of all up and all down is the floor's.
const FLOOR: usize = 3;

/// All up and all down, again and again.
fn masses(options: &Options, count: usize, rounds: usize, table: &mut Table) -> Result<()> {
    let crowd = Crowd::start(&Build::now(options), CLIENTS)?;
    let mut plain = Plain::new(&filter(&options.bin)?)?;
    let mut settle = Settle::new()?;
    let netns = namespaces(count)?;
    let idle = resident(crowd.service.pid())?;
    let mut full = idle;
    let mut up: [Samples; 4] = Default::default();
    let mut down = up.clone();
    for round in 0..rounds {
        for way in [0, 1, 2, FLOOR].map(|way| (way + round) % 4) {
            let (rise, fall) = if way == FLOOR {
                floor_mass(&mut plain, &netns)?
            } else {
                let clients = [1, CLIENTS, 1][way];
                let rise = crowd.up(&netns, clients)?;
                full = full.max(resident(crowd.service.pid())?);
                let at_once = way == 2;
                (rise, if at_once { crowd.down_at_once()? } else { crowd.down(count, clients)? })
            };
            up[way].push(rise);
            down[way].push(fall);
            settle.settle()?;
        }
        progress::show("scale: all up, all down", round + 1, rounds);
    }
    let clients = format!("guestnetd, {CLIENTS} clients");
    let ways = ["guestnetd, one client", &clients, "guestnetd, detachAll()", "the floor"];
    for (verb, samples) in [("up", &up), ("down", &down)] {
        for (way, name) in ways.iter().enumerate().filter(|(way, _)| verb == "down" || *way != 2) {
            let beside = samples[way].ratio(&samples[FLOOR]).filter(|_| way != FLOOR);
            let cells =
                [micros(samples[way].median()), micros(samples[way].percentile(99.0)), Cell::Empty];
            table.row(
                format!("{count} guests {verb}: {name}"),
                [&cells[..], &[ratio(beside)]].concat(),
            );
        }
        let best = samples[..FLOOR].iter().filter_map(Samples::median).min_by(f64::total_cmp);
        let measured = best.filter(|_| count == 1000);
        let measured = measured.map(|us| (text(&Cell::Micros(us)), us < 1e6));
        table.target(&format!("1000 guests {verb}"), "under 1 s", measured);
    }
    let each = (full - idle) / count as f64;
    for (what, kib) in [
        ("guestnetd without guests, resident".to_owned(), idle),
        (format!("guestnetd with {count} guests, resident"), full),
        ("guestnetd, for each guest".to_owned(), each),
    ] {
        let cells =
            vec![Cell::Number(kib, "KiB".to_owned()), Cell::Empty, Cell::Empty, Cell::Empty];
        table.row(what, cells);
    }
    table.method.push(format!(
        "{count} guests up and down: {rounds} rounds, the ways in changing order; from the first call \
         to the last answer. The floor goes down by one RTM_DELLINK for the whole link group."
    ));
    Ok(())
}

fn floor_mass(plain: &mut Plain, netns: &[std::os::fd::OwnedFd]) -> Result<(Duration, Duration)> {
    go(&plain.device)?;
    let began = Instant::now();
    for (at, netns) in netns.iter().enumerate() {
        plain.attach(at, netns)?;
    }
    let rise = began.elapsed();
    let began = Instant::now();
    plain.floor.delete_all().doing("the floor's group delete")?;
    Ok((rise, began.elapsed()))
}

/// Resident memory of a process, in KiB.
fn resident(pid: i32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.ok_or_else(|| Error::new("no VmRSS"))
}
