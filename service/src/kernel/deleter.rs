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

//! Deletes links on threads of its own. A delete is seen after 1 ms and acknowledged after 15 to
//! 20 (rcu_barrier in netdev_run_todo()); the owner must wait for neither.

use super::links;
use super::netlink::Netlink;
use crate::error::KernelError;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// What became of a delete.
#[derive(Debug)]
pub struct Deleted {
    /// Index of the link.
    pub index: u32,
    /// The kernel's word.
    pub result: Result<(), KernelError>,
}

/// The threads and what waits for them.
#[derive(Debug)]
pub struct Deleter {
    shared: Arc<Mutex<Queue>>,
    done: UnboundedSender<Deleted>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<u32>,
    threads: usize,
}

/// Most threads. Each sleeps through its delete, so they cost little; 16 make 100 deletes take a
/// fifth of one thread's time.
const THREADS: usize = 16;

impl Deleter {
    /// Results go to `done`, in the order in which the kernel answers.
    pub fn new(done: UnboundedSender<Deleted>) -> Self {
        Self { shared: Arc::default(), done }
    }

    /// Has a link deleted. Returns at once.
    pub fn delete(&self, index: u32) {
        let mut queue = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        queue.waiting.push_back(index);
        if queue.threads == THREADS {
            return;
        }
        queue.threads += 1;
        drop(queue);
        let (shared, done) = (self.shared.clone(), self.done.clone());
        let spawned =
            std::thread::Builder::new().name("delete".into()).spawn(move || run(&shared, &done));
        if let Err(e) = spawned {
            let mut queue = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            queue.threads -= 1;
            // Another thread may have it by now; if not, say that nobody will.
            if queue.waiting.iter().any(|i| *i == index) {
                queue.waiting.retain(|i| *i != index);
                let _ = self.done.send(Deleted { index, result: Err(e.into()) });
            }
        }
    }
}

/// Waits until a link whose delete is under way cannot be seen any more.
pub async fn invisible(netlink: &Netlink, index: u32) -> Result<(), KernelError> {
    for _ in 0..5000 {
        if links::by_index(netlink, index).await?.is_none() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(KernelError { errno: libc::ETIMEDOUT, text: Some("it is still there after 5 s".into()) })
}

/// One thread: until nothing waits. It ends then, so that an idle guestnetd has no such thread.
fn run(shared: &Mutex<Queue>, done: &UnboundedSender<Deleted>) {
    let next = || {
        let mut queue = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queue.threads -= 1;
        }
        next
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let netlink = runtime.as_ref().ok().map(|r| r.block_on(async { Netlink::open() }));
    while let Some(index) = next() {
        let result = match (&runtime, &netlink) {
            (Ok(runtime), Some(Ok(netlink))) => runtime.block_on(links::delete(netlink, index)),
            (Err(e), _) | (_, Some(Err(e))) => {
                Err(KernelError { errno: e.raw_os_error().unwrap_or(libc::EIO), text: None })
            }
            (Ok(_), None) => Err(KernelError { errno: libc::EIO, text: None }),
        };
        // A link that is gone already is what was asked for.
        let result = result.or_else(|e| if e.errno == libc::ENODEV { Ok(()) } else { Err(e) });
        if done.send(Deleted { index, result }).is_err() {
            return;
        }
    }
}
