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

//! The one way of every write to a kernel, and to the programs that write there: where a test, with
//! the feature `faults`, can make one fail. Without that feature it is nothing but the call.

use std::io;

/// Does a write.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(in crate::effects) fn through<T, E: From<io::Error>>(
    write: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    write()
}

/// Does a write, unless a test makes it fail.
#[cfg(feature = "faults")]
pub(in crate::effects) fn through<T, E: From<io::Error>>(
    write: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    match faults::due() {
        Some(faults::Fault::Before(errno)) => Err(io::Error::from_raw_os_error(errno).into()),
        Some(faults::Fault::After) => {
            let _ = write();
            Err(io::Error::from_raw_os_error(libc::ETIMEDOUT).into())
        }
        None => write(),
    }
}

/// Writes that fail, for tests.
#[cfg(feature = "faults")]
pub mod faults {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::thread::{self, ThreadId};

    /// How a write fails.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fault {
        /// It is not made; this errno.
        Before(i32),
        /// It is made, and its answer is lost: ETIMEDOUT, as when the kernel does not answer.
        After,
    }

    #[derive(Debug)]
    struct Plan {
        thread: Option<ThreadId>,
        nth: usize,
        fault: Fault,
        seen: AtomicUsize,
    }

    static PLANS: Mutex<Vec<Arc<Plan>>> = Mutex::new(Vec::new());

    /// A write that is to fail, until this is dropped.
    #[derive(Debug)]
    pub struct Planned(Arc<Plan>);

    /// The `nth` write of this thread from now on fails; the first one is 0.
    pub fn on_this_thread(nth: usize, fault: Fault) -> Planned {
        plan(Some(thread::current().id()), nth, fault)
    }

    /// The `nth` write of any thread from now on fails; the first one is 0.
    pub fn in_this_process(nth: usize, fault: Fault) -> Planned {
        plan(None, nth, fault)
    }

    fn plan(thread: Option<ThreadId>, nth: usize, fault: Fault) -> Planned {
        let plan = Arc::new(Plan { thread, nth, fault, seen: AtomicUsize::new(0) });
        PLANS.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&plan));
        Planned(plan)
    }

    impl Planned {
        /// How many writes there were, with those that failed.
        pub fn writes(&self) -> usize {
            self.0.seen.load(Ordering::SeqCst)
        }

        /// Whether the write came that was to fail.
        pub fn happened(&self) -> bool {
            self.writes() > self.0.nth
        }
    }

    impl Drop for Planned {
        fn drop(&mut self) {
            let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
            plans.retain(|plan| !Arc::ptr_eq(plan, &self.0));
        }
    }

    /// What happens to the write that comes now.
    pub(super) fn due() -> Option<Fault> {
        let here = thread::current().id();
        let plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = None;
        for plan in plans.iter().filter(|plan| plan.thread.map_or(true, |thread| thread == here)) {
            if plan.seen.fetch_add(1, Ordering::SeqCst) == plan.nth {
                due = due.or(Some(plan.fault));
            }
        }
        due
    }
}

#[cfg(all(test, feature = "faults"))]
mod tests {
    use super::faults::{on_this_thread, Fault};
    use super::*;

    fn write(done: &mut Vec<u8>, what: u8) -> io::Result<()> {
        through(|| {
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
        assert_eq!((done, planned.writes(), planned.happened()), (vec![0, 2], 3, true));
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
}
