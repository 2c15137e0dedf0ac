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

//! The one way of every write to a kernel, to the state's directory, and to the programs that write
//! there: where a test, with the feature `faults`, can make one fail, or be the last one. Without that
//! feature it is nothing but the call.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// What is written to: for the rows of tests/faults.md.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "faults"), allow(dead_code))]
pub(crate) enum What<'a> {
    /// A message to rtnetlink or to connection tracking: its type, and whether it is to make something.
    Message(u16, bool),
    /// A file of the kernel's.
    Sysctl(&'a Path),
    /// A TAP's descriptor, by this request.
    Tap(&'static str),
    /// A program that is run.
    Program(&'a OsStr),
    /// A transaction of nf_tables.
    Batch,
    /// A file of the state.
    State(&'a Path),
    /// The same: it takes its name.
    Rename(&'a Path),
    /// The same: it goes.
    Removal(&'a Path),
}

/// Does a write.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn through<T, E: From<io::Error>>(
    _: What<'_>,
    write: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    write()
}

/// Writes bytes, all of them.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn bytes(
    _: What<'_>,
    bytes: &[u8],
    write: impl FnOnce(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    write(bytes)
}

/// Does a write, unless a test makes it fail.
#[cfg(feature = "faults")]
pub(crate) fn through<T, E: From<io::Error>>(
    what: What<'_>,
    write: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    suffer(faults::due(what), write)
}

/// Writes bytes, unless a test makes it fail; a torn write is half of one.
#[cfg(feature = "faults")]
pub(crate) fn bytes(
    what: What<'_>,
    bytes: &[u8],
    write: impl FnOnce(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    match faults::due(what) {
        Some(faults::Fault::Torn) => {
            let _ = write(bytes.split_at(bytes.len() / 2).0);
            Err(io::Error::from_raw_os_error(libc::EIO))
        }
        other => suffer(other, || write(bytes)),
    }
}

#[cfg(feature = "faults")]
fn suffer<T, E: From<io::Error>>(
    fault: Option<faults::Fault>,
    write: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    use faults::Fault;
    let failed = |errno| Err(io::Error::from_raw_os_error(errno).into());
    match fault {
        None => write(),
        Some(Fault::Before(errno)) => failed(errno),
        Some(Fault::Timeout) => failed(libc::ETIMEDOUT),
        Some(Fault::After) => {
            let _ = write();
            failed(libc::ETIMEDOUT)
        }
        Some(Fault::Torn) => {
            let _ = write();
            failed(libc::EBADMSG)
        }
        Some(Fault::KillBefore) => faults::die(),
        Some(Fault::KillAfter) => {
            let _ = write();
            faults::die()
        }
    }
}

/// Writes that fail, for tests.
#[cfg(feature = "faults")]
pub mod faults {
    use super::What;
    use std::fmt;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    /// How a write fails.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fault {
        /// It is not made; this errno.
        Before(i32),
        /// It is not made, and nobody answers: ETIMEDOUT.
        Timeout,
        /// It is made, and its answer is lost: ETIMEDOUT, as when the kernel does not answer.
        After,
        /// It is made, and its answer cannot be read: EBADMSG.
        Torn,
        /// The process dies before it.
        KillBefore,
        /// The process dies after it.
        KillAfter,
    }

    /// A write: the `nth` of those to the same thing, or of all. The first one is 0.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct At {
        what: Option<String>,
        nth: usize,
    }

    #[derive(Debug)]
    struct Plan {
        thread: Option<ThreadId>,
        fault: Option<(At, Fault)>,
        /// Those that the plan is about.
        seen: AtomicUsize,
        /// All of them.
        names: Mutex<Vec<String>>,
    }

    static PLANS: Mutex<Vec<Arc<Plan>>> = Mutex::new(Vec::new());

    /// A write that is to fail, until this is dropped.
    #[derive(Debug)]
    pub struct Planned(Arc<Plan>);

    /// The `nth` write of this thread from now on fails; the first one is 0.
    pub fn on_this_thread(nth: usize, fault: Fault) -> Planned {
        plan(Some(thread::current().id()), Some((At { what: None, nth }, fault)))
    }

    /// The `nth` write of any thread from now on fails; the first one is 0.
    pub fn in_this_process(nth: usize, fault: Fault) -> Planned {
        plan(None, Some((At { what: None, nth }, fault)))
    }

    /// The same of the writes to `what`.
    pub fn to(what: &str, nth: usize, fault: Fault) -> Planned {
        plan(None, Some((At { what: Some(what.to_owned()), nth }, fault)))
    }

    /// No write fails: they are only written down.
    pub fn none() -> Planned {
        plan(None, None)
    }

    fn plan(thread: Option<ThreadId>, fault: Option<(At, Fault)>) -> Planned {
        let plan =
            Arc::new(Plan { thread, fault, seen: AtomicUsize::new(0), names: Mutex::default() });
        PLANS.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&plan));
        Planned(plan)
    }

    impl Planned {
        /// What was written to, with what failed.
        pub fn names(&self) -> Vec<String> {
            self.0.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        /// Whether the write came that was to fail.
        pub fn happened(&self) -> bool {
            let seen = self.0.seen.load(Ordering::SeqCst);
            self.0.fault.as_ref().is_some_and(|(at, _)| seen > at.nth)
        }
    }

    impl Drop for Planned {
        fn drop(&mut self) {
            let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
            plans.retain(|plan| !Arc::ptr_eq(plan, &self.0));
        }
    }

    /// What happens to the write that comes now.
    pub(super) fn due(what: What<'_>) -> Option<Fault> {
        let here = thread::current().id();
        let plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.is_empty() {
            return None;
        }
        let name = what.to_string();
        let mut due = None;
        for plan in plans.iter().filter(|plan| plan.thread.into_iter().all(|thread| thread == here))
        {
            plan.names.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
            let Some((at, fault)) = &plan.fault else { continue };
            let same = at.what.iter().all(|what| *what == name);
            if same && plan.seen.fetch_add(1, Ordering::SeqCst) == at.nth {
                due = due.or(Some(*fault));
            }
        }
        due
    }

    /// The process dies as by a crash, with all its threads and without a word.
    pub(super) fn die() -> ! {
        // SAFETY: neither takes a pointer, and a process may always send a signal to itself.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        loop {
            thread::sleep(Duration::from_secs(1));
        }
    }

    impl fmt::Display for What<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let last = |path: &std::path::Path| {
                path.file_name().unwrap_or_default().to_string_lossy().into_owned()
            };
            match self {
                Self::Message(number, creates) => {
                    match number {
                        16 => write!(f, "RTM_NEWLINK"),
                        17 => write!(f, "RTM_DELLINK"),
                        19 => write!(f, "RTM_SETLINK"),
                        20 => write!(f, "RTM_NEWADDR"),
                        21 => write!(f, "RTM_DELADDR"),
                        24 => write!(f, "RTM_NEWROUTE"),
                        25 => write!(f, "RTM_DELROUTE"),
                        28 => write!(f, "RTM_NEWNEIGH"),
                        29 => write!(f, "RTM_DELNEIGH"),
                        32 => write!(f, "RTM_NEWRULE"),
                        33 => write!(f, "RTM_DELRULE"),
                        36 => write!(f, "RTM_NEWQDISC"),
                        37 => write!(f, "RTM_DELQDISC"),
                        44 => write!(f, "RTM_NEWTFILTER"),
                        45 => write!(f, "RTM_DELTFILTER"),
                        88 => write!(f, "RTM_NEWNSID"),
                        0x102 => write!(f, "IPCTNL_MSG_CT_DELETE"),
                        0x401 => write!(f, "NFULNL_MSG_CONFIG"),
                        other => write!(f, "message {other:#x}"),
                    }?;
                    f.write_str(if *creates { ", new" } else { "" })
                }
                Self::Sysctl(path) => write!(f, "sysctl {}", last(path)),
                Self::Tap(request) => f.write_str(request),
                Self::Program(program) => f.write_str(&last(program.as_ref())),
                Self::Batch => f.write_str("nf_tables batch"),
                Self::State(path) => write!(f, "state {}", last(path)),
                Self::Rename(path) => write!(f, "state {}, renamed", last(path)),
                Self::Removal(path) => write!(f, "state {}, removed", last(path)),
            }
        }
    }
}

#[cfg(all(test, feature = "faults"))]
mod tests {
    use super::faults::{on_this_thread, to, Fault};
    use super::*;

    fn write(done: &mut Vec<u8>, what: u8) -> io::Result<()> {
        through(What::Tap("test"), || {
            done.push(what);
            Ok(())
        })
    }

    #[test]
    fn the_nth_write_fails_before_it_is_made() {
        let planned = on_this_thread(1, Fault::Before(libc::EPERM));
        let mut done = Vec::new();
        let results = [0, 1, 2].map(|what| write(&mut done, what).map_err(|e| e.raw_os_error()));
        assert_eq!(results, [Ok(()), Err(Some(libc::EPERM)), Ok(())]);
        assert_eq!((done, planned.names().len(), planned.happened()), (vec![0, 2], 3, true));
    }

    #[test]
    fn the_nth_write_is_made_and_its_answer_is_lost() {
        let planned = on_this_thread(0, Fault::After);
        let mut done = Vec::new();
        assert!(!planned.happened());
        let lost = write(&mut done, 7).unwrap_err();
        assert_eq!((lost.raw_os_error(), done), (Some(libc::ETIMEDOUT), vec![7]));
    }

    #[test]
    fn another_thread_and_what_comes_after_the_test_are_left_alone() {
        let planned = on_this_thread(0, Fault::Before(libc::EPERM));
        let elsewhere = std::thread::spawn(|| write(&mut Vec::new(), 0));
        elsewhere.join().unwrap().unwrap();
        assert!(!planned.happened());
        drop(planned);
        write(&mut Vec::new(), 0).unwrap();
    }

    #[test]
    fn writes_to_other_things_are_not_counted() {
        let planned = to("nf_tables batch", 0, Fault::Torn);
        write(&mut Vec::new(), 0).unwrap();
        assert!(!planned.happened());
        let torn = through(What::Batch, || io::Result::Ok(())).unwrap_err();
        assert_eq!((torn.raw_os_error(), planned.happened()), (Some(libc::EBADMSG), true));
    }
}
