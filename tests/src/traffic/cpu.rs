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

//! Which core a thread runs on, and before whom.

use std::io;

use nix::errno::Errno;
use nix::sched::{sched_setaffinity, CpuSet};
use nix::unistd::Pid;

/// Keeps the calling thread, and those that it starts, on these cores.
pub fn keep_to(cores: impl IntoIterator<Item = usize>) -> io::Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(core)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Keeps the calling thread on one core.
pub fn pin(core: usize) -> io::Result<()> {
    keep_to([core])
}

/// Runs the calling thread before all that are not told so: for those that note when something happens.
pub fn first() -> io::Result<()> {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: the kernel reads the parameter, which lives until the call returns.
    let done = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &lowest) };
    Ok(Errno::result(done).map(drop)?)
}
