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

//! What another user of the device does.

use std::thread;

/// An ordinary user. No account needs to exist for it.
pub const STRANGER: u32 = 4242;

/// Runs `f` on a thread that has become another user, its connections with it. libc's functions
/// would take all threads along; the system calls change the calling one.
pub fn as_user<T: Send>(uid: u32, f: impl FnOnce() -> T + Send) -> T {
    let become_it = move || {
        let none: *const libc::gid_t = std::ptr::null();
        // SAFETY: no groups are read; the ids are plain integers.
        let results = unsafe {
            [
                libc::syscall(libc::SYS_setgroups, 0, none),
                libc::syscall(libc::SYS_setresgid, uid, uid, uid),
                libc::syscall(libc::SYS_setresuid, uid, uid, uid),
            ]
        };
        assert_eq!(results, [0; 3], "{}", std::io::Error::last_os_error());
        f()
    };
    let done = thread::scope(|scope| scope.spawn(become_it).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
