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

//! One operation with one packet filter: which writes it makes, and what becomes of it when one of them
//! fails. A cell is right when
//!
//! * its fault was reached;
//! * the call says why it failed, with a code of its own, and all is as before; or it has done what it was
//!   asked for all the same;
//! * the same call succeeds afterwards, and so does the way back, of which nothing is left;
//! * what is not guestnetd's is at each of these as it was, and so are the records.

use crate::bed::{difference, Bed, Failed, Operation, Seen, Shape};
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::ERROR_GUEST_ROUTE_EXISTS;
use guestnetd::write::faults::{none, to, Fault, Planned};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// In the order of the table's columns.
pub const FAULTS: [(&str, Fault); 11] = [
    ("ENOMEM", Fault::Before(libc::ENOMEM)),
    ("EBUSY", Fault::Before(libc::EBUSY)),
    ("EEXIST", Fault::Before(libc::EEXIST)),
    ("ENOENT", Fault::Before(libc::ENOENT)),
    ("EPERM", Fault::Before(libc::EPERM)),
    ("ENOBUFS", Fault::Before(libc::ENOBUFS)),
    ("lost", Fault::After),
    ("torn", Fault::Torn),
    ("timeout", Fault::Timeout),
    ("killed before", Fault::KillBefore),
    ("killed after", Fault::KillAfter),
];

/// What is no fault.
pub fn is_an_answer(what: &str, fault: &str) -> bool {
    // What is to go is gone: there is no better word for that than the kernel's.
    what == "RTM_DELRULE" && fault == "ENOENT"
}

pub fn fault(name: &str) -> Fault {
    FAULTS.iter().find(|(one, _)| *one == name).expect("a fault").1
}

/// How long what is tried again may take: it is tried after 1 s, 2 s, 4 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long after an operation its last write may come.
const AFTER: Duration = Duration::from_millis(700);
/// How long a write may take to come that comes after the answer.
const LATER: Duration = Duration::from_secs(5);

/// How it looks when all goes well.
struct Reference {
    /// Without the guest.
    clean: Seen,
    /// Before the operation.
    begun: Seen,
    /// After it.
    done: Seen,
}

impl Reference {
    /// What is another one each time would be taken for a fault's.
    fn same_as(&self, other: &Self) -> Result<(), String> {
        let pairs =
            [(&self.clean, &other.clean), (&self.begun, &other.begun), (&self.done, &other.done)];
        let device = |(one, two): &(&Seen, &Seen)| difference(&one.device, &two.device);
        let differing = pairs.iter().map(device).collect::<String>()
            + &difference(&self.done.inside, &other.done.inside);
        if differing.is_empty() {
            Ok(())
        } else {
            Err(format!("each time another one: {differing}"))
        }
    }
}

pub struct Table {
    bed: Bed,
    reference: Reference,
    /// Which writes the operation makes, in their order, and how many of each.
    pub rows: Vec<(String, usize)>,
}

/// Until nothing is written any more.
fn quiet() {
    loop {
        let planned = none();
        sleep(Duration::from_millis(15));
        if planned.names().is_empty() {
            return;
        }
    }
}

/// Until it is so, or not any more in time.
fn until<T>(limit: Duration, look: impl Fn() -> Result<T, String>) -> Result<T, String> {
    let until = Instant::now() + limit;
    loop {
        match look() {
            Err(e) if Instant::now() >= until => return Err(e),
            Err(_) => sleep(Duration::from_millis(10)),
            found => return found,
        }
    }
}

impl Table {
    /// Does it without a fault.
    pub fn new(operation: Operation, shape: Shape, dir: &Path) -> Result<Self, String> {
        let mut bed = Bed::new(operation, shape, dir);
        bed.start().map_err(|e| e.1)?;
        let mut last: Option<(Vec<String>, Reference)> = None;
        for again in [false, false, true] {
            bed.another_guest();
            quiet();
            sleep(Duration::from_millis(100));
            let clean = bed.seen();
            let failed = |e: Failed| format!("without a fault: {}", e.1);
            // Of what is damaged the state before is the one that it is to be brought to.
            let begun = if operation.attaches() {
                clean.clone()
            } else {
                bed.attach().map_err(failed)?;
                quiet();
                sleep(Duration::from_millis(100));
                let seen = bed.seen();
                bed.damage();
                seen
            };
            quiet();
            let planned = none();
            bed.act().map_err(failed)?;
            if operation == Operation::UplinkChange {
                let come = || if planned.names().is_empty() { Err(String::new()) } else { Ok(()) };
                until(LATER, come)
                    .map_err(|_| format!("it writes nothing: {}", bed.seen().device))?;
            }
            sleep(AFTER);
            quiet();
            let mut writes = planned.names();
            drop(planned);
            let done = bed.seen();
            bed.put_back();
            quiet();
            writes.sort();
            let reference = Reference { clean, begun, done };
            // The first time leaves what is remembered.
            if let Some((_, last)) = last.as_ref().filter(|_| again) {
                last.same_as(&reference)?;
            }
            last = Some((writes, reference));
        }
        let (writes, reference) = last.ok_or("not done")?;
        let mut rows = BTreeMap::new();
        for what in writes {
            *rows.entry(what).or_insert(0) += 1;
        }
        Ok(Self { bed, reference, rows: rows.into_iter().collect() })
    }

    /// One cell; an error is what is wrong with it.
    pub fn cell(&mut self, what: &str, nth: usize, fault: Fault) -> Result<(), String> {
        self.bed.another_guest();
        let result = match fault {
            Fault::KillBefore | Fault::KillAfter => self.killed(what, nth, fault),
            _ => self.failing(what, nth, fault),
        };
        let cleaned =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.bed.put_back()));
        let clean = || self.is(&self.reference.clean, false);
        let cleaned = match cleaned {
            Ok(()) => until(PATIENCE, clean).map_err(|e| format!("at the end: {e}")),
            Err(_) => Err("it cannot be put back".into()),
        };
        quiet();
        result.and(cleaned)
    }

    fn failing(&mut self, what: &str, nth: usize, fault: Fault) -> Result<(), String> {
        let prepared = self.bed.prepare();
        prepared.map_err(|e| format!("cannot begin: {}", e.1))?;
        quiet();
        let planned = to(what, nth, fault);
        let result = self.bed.act();
        let reached = reached(&planned);
        drop(planned);
        reached?;
        let Err((code, text)) = result else {
            return until(PATIENCE, || self.is(&self.reference.done, true));
        };
        if code == 0 || text.is_empty() || text.contains("putting it back failed") {
            return Err(format!("code {code}: {text}"));
        }
        // What a repair adds may be there already. Of a route that is another one.
        let routed = fault == Fault::Before(libc::EEXIST) && what == "RTM_NEWROUTE, new";
        if self.bed.operation == Operation::Repair && routed != (code == ERROR_GUEST_ROUTE_EXISTS) {
            return Err(format!("not what has happened: {text}"));
        }
        let after = |e: String| format!("after {text:?}: {e}");
        match self.bed.operation {
            // What can be put back is put back.
            Operation::Repair | Operation::Restart => {}
            Operation::Detach if !self.bed.is_attached() => {
                until(PATIENCE, || self.is(&self.reference.clean, false)).map_err(after)?;
                return Ok(());
            }
            _ => until(PATIENCE, || self.is(&self.reference.begun, true)).map_err(after)?,
        }
        self.again().map_err(after)
    }

    /// The same call once more.
    fn again(&mut self) -> Result<(), String> {
        self.bed.act().map_err(|e| format!("then {}", e.1))?;
        until(PATIENCE, || self.is(&self.reference.done, true)).map_err(|e| format!("then: {e}"))
    }

    fn killed(&mut self, what: &str, nth: usize, fault: Fault) -> Result<(), String> {
        self.bed.end();
        let when = if fault == Fault::KillBefore { "before" } else { "after" };
        let victim = Command::new(std::env::current_exe().map_err(|e| e.to_string())?)
            .args([
                "victim",
                self.bed.operation.name(),
                self.bed.shape.name(),
                what,
                &nth.to_string(),
                when,
            ])
            .arg(&self.bed.dir)
            .arg(self.bed.netns())
            .output()
            .map_err(|e| e.to_string())?;
        if victim.status.signal() != Some(libc::SIGKILL) {
            let said = String::from_utf8_lossy(&victim.stderr);
            return Err(format!("its fault was not reached: {} {said}", victim.status));
        }
        self.bed.start().map_err(|e| format!("no start: {}", e.1))?;
        // All of it or nothing.
        let Reference { begun, done, .. } = &self.reference;
        let look = || {
            // A repair may be anywhere in between, and the next one goes on.
            if self.bed.operation == Operation::Repair {
                return Ok(());
            }
            let seen = self.bed.seen();
            let same = |one: &Seen| {
                // A descriptor that was nobody's any more has taken its device with it.
                one.device == seen.device && (one.inside == seen.inside || self.partial())
            };
            if same(done) || same(begun) {
                return Ok(());
            }
            let differs = |one: &Seen| {
                difference(&one.device, &seen.device)
                    + " | "
                    + &difference(&one.inside, &seen.inside)
            };
            Err(format!("neither done: {}; nor as before: {}", differs(done), differs(begun)))
        };
        until(PATIENCE, look).map_err(|e| format!("after the restart: {e}"))?;
        match self.bed.operation {
            Operation::Restart | Operation::UplinkChange => Ok(()),
            operation if operation.attaches() && self.bed.is_attached() => Ok(()),
            Operation::Detach if !self.bed.is_attached() => Ok(()),
            _ => self.again(),
        }
    }

    /// Whether the guest's own side may be another one after a crash: a namespace that had no network keeps
    /// its loopback up.
    fn partial(&self) -> bool {
        self.bed.operation.attaches()
    }

    fn is(&self, wanted: &Seen, inside: bool) -> Result<(), String> {
        let seen = self.bed.seen();
        let mut differing = difference(&wanted.device, &seen.device);
        if inside {
            differing += &difference(&wanted.inside, &seen.inside);
        }
        let same = wanted.device == seen.device && (!inside || wanted.inside == seen.inside);
        if same {
            Ok(())
        } else {
            Err(differing)
        }
    }
}

fn reached(planned: &Planned) -> Result<(), String> {
    let look = || if planned.happened() { Ok(()) } else { Err(String::new()) };
    until(LATER, look).map_err(|_| "its fault was not reached".into())
}

/// Does an operation and dies at one of its writes.
pub fn victim(mut bed: Bed, what: &str, nth: usize, fault: Fault) {
    // No answer, no crash: it is not a fault that was reached.
    bed.start().expect("a start");
    bed.prepare().expect("a beginning");
    quiet();
    let planned = to(what, nth, fault);
    let result = bed.act();
    sleep(LATER);
    eprintln!("{result:?}; {:?}", planned.names());
}
