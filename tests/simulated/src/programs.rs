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

//! Programs that guestnetd runs: iptables, of which the simulator has one that stands in for it. A program is
//! run as a whole between two moments of guestnetd's; what it says is read from a pipe, and how it has ended
//! is asked for. With them what else there is of x_tables: its socket options, and the lock that each run takes.

use crate::calls::{killed, step};
use crate::netd::ndc;
use crate::real::{call, fail};
use crate::schedule::{inside, is_simulated, own, schedule, wait, Wait};
use crate::world::{world, File, Then, World};
use guestnet_simulator::xtables::Family;
use guestnet_simulator::{iptables, Netns};
use libc::{c_char, c_int, c_void, pid_t, socklen_t};
use std::collections::BTreeMap;
use std::ffi::CStr;

/// What a run takes at the least, and how much more it may take.
const RUN: u64 = 1_000_000;
const MORE: usize = 4_000_000;
/// The number of the first one.
const FIRST: pid_t = 70_000;

/// A descriptor that has to do with programs.
pub enum Source {
    /// The end of a pipe that is read: what was said, and whether there is somebody who may say more.
    Said(Vec<u8>, bool),
    /// The end that is written to, of the pipe of this descriptor.
    Speaks(c_int),
    /// A watch of the lock: how often it was closed.
    Lock(usize),
}

impl Source {
    /// Whether a read does not wait.
    pub fn has_some(&self) -> bool {
        match self {
            Self::Said(said, open) => !said.is_empty() || !open,
            Self::Speaks(_) => false,
            Self::Lock(closed) => *closed > 0,
        }
    }

    /// Reads some.
    pub fn take(&mut self, room: usize) -> Result<Vec<u8>, i32> {
        match self {
            Self::Said(said, _) => Ok(said.drain(..said.len().min(room)).collect()),
            Self::Lock(0) => Err(libc::EAGAIN),
            Self::Lock(closed) => {
                // struct inotify_event without a name
                let count = (*closed).min(room / 16);
                *closed -= count;
                let event = [1, libc::IN_CLOSE_WRITE, 0, 0].map(u32::to_ne_bytes).concat();
                Ok(event.repeat(count))
            }
            Self::Speaks(_) => Err(libc::EBADF),
        }
    }
}

/// Those that have begun and were not waited for.
#[derive(Default)]
pub struct Programs {
    begun: pid_t,
    /// How they have ended, and where what they say is read; none: they hang.
    all: BTreeMap<pid_t, (Option<c_int>, Option<c_int>)>,
    /// What the next one is given: which descriptor as which.
    given: Vec<(c_int, c_int)>,
}

/// netd's helper, under which name programs are run where it is.
const WRAPPED: &str = "-wrapper-1.0";

/// Which command lines the real one lets through.
#[path = "../../standins/netutils_wrapper/allowed.rs"]
mod allowed;

/// The words of a program that changes nothing.
const READS: [&str; 2] = ["-V", "-C"];

impl World {
    /// Runs a program in a network namespace; gives its exit status and output.
    pub fn run(&mut self, netns: Netns, name: &str, words: &[&str], input: &str) -> (i32, String) {
        let ended = match name.strip_suffix(WRAPPED) {
            Some(name) if !allowed::is_allowed(13, &format!("{name} {}", words.join(" "))) => {
                (1, "NetUtilsWrapper: Unexpected command\n".to_owned())
            }
            wrapped => {
                let plain = wrapped.unwrap_or(name);
                iptables::run(&mut self.kernel, netns, plain, words, input)
            }
        };
        if self.trace {
            eprintln!("  {name} {} {ended:?}\n{input}", words.join(" "));
        }
        ended
    }

    /// A run has ended, which had the lock.
    pub fn unlock(&mut self) {
        let locks = self.files.iter_mut().filter_map(|(fd, file)| match file {
            File::Program(Source::Lock(closed)) => {
                *closed += 1;
                Some(*fd)
            }
            _ => None,
        });
        let locks: Vec<c_int> = locks.collect();
        locks.into_iter().for_each(|fd| self.ring(fd));
    }

    /// A program of guestnetd's, until it hangs or has ended. True: guestnetd is killed by that.
    fn spawn(&mut self, netns: Netns, name: &str, words: &[&str], input: &str) -> (pid_t, bool) {
        let reads = words.iter().any(|word| READS.contains(word));
        let then = if reads { Then::GoOn } else { self.plan() };
        if self.trace {
            eprintln!("  {then:?} {netns:?} {name}");
        }
        let failed = |code: i32, text: &str| Some((code << 8, format!("{name}: {text}\n")));
        let is_ndc = name.starts_with("ndc");
        let ended = match then {
            Then::DieFirst => return (0, true),
            // Somebody else has the lock, for ever.
            Then::Refuse(libc::EBUSY) => None,
            Then::Refuse(_) if is_ndc => Some(ndc::refusal()),
            Then::Refuse(libc::ENOMEM) => failed(1, "Memory allocation problem."),
            Then::Refuse(_) => failed(4, "Resource temporarily unavailable."),
            then => {
                let ended = match is_ndc {
                    true => ndc::run(words),
                    false => Some(self.run(netns, name, words, input)),
                };
                let killed = then == Then::LoseTheAnswer;
                ended.map(|(code, said)| (if killed { libc::SIGKILL } else { code << 8 }, said))
            }
        };
        let waits = ended.is_none() && then != Then::Refuse(libc::EBUSY);
        if ended.is_some() && !is_ndc {
            self.unlock();
        }
        let pid = FIRST + self.programs.begun;
        self.programs.begun += 1;
        let given = std::mem::take(&mut self.programs.given);
        let out = given.iter().find(|(_, to)| *to == 1).map(|(fd, _)| *fd);
        let pipe = match out.and_then(|fd| self.file(fd)) {
            Some(File::Program(Source::Speaks(pipe))) => Some(*pipe),
            _ => None,
        };
        if let Some(File::Program(Source::Said(text, open))) = pipe.and_then(|fd| self.file_mut(fd))
        {
            text.extend(ended.iter().flat_map(|(_, said)| said.bytes()));
            *open = ended.is_none();
        }
        pipe.into_iter().for_each(|fd| self.ring(fd));
        let status = ended.map(|(status, _)| status);
        self.programs.all.insert(pid, (status, pipe));
        if waits {
            ndc::waits(pid, words);
        }
        if !reads {
            self.pump();
            self.look();
        }
        (pid, then == Then::DieAfter)
    }

    /// Whether a program hangs.
    pub fn hangs(&self, pid: pid_t) -> bool {
        matches!(self.programs.all.get(&pid), Some((None, _)))
    }

    /// One that hung has come to its end.
    pub fn ends(&mut self, pid: pid_t, (code, said): &(i32, String)) {
        let Some((status, pipe)) = self.programs.all.get_mut(&pid) else { return };
        *status = Some(code << 8);
        let pipe = *pipe;
        if let Some(File::Program(Source::Said(text, open))) = pipe.and_then(|fd| self.file_mut(fd))
        {
            text.extend(said.bytes());
            *open = false;
        }
        pipe.into_iter().for_each(|fd| self.ring(fd));
    }

    /// A signal that ends it.
    fn end_program(&mut self, pid: pid_t) -> Result<(), i32> {
        let (status, pipe) = self.programs.all.get_mut(&pid).ok_or(libc::ESRCH)?;
        status.get_or_insert(libc::SIGKILL);
        let pipe = *pipe;
        if let Some(File::Program(Source::Said(_, open))) = pipe.and_then(|fd| self.file_mut(fd)) {
            *open = false;
        }
        pipe.into_iter().for_each(|fd| self.ring(fd));
        Ok(())
    }
}

// ---- libc's functions ------------------------------------------------------------------------

/// libc's own function of a name.
fn libcs(name: &CStr) -> *mut c_void {
    // SAFETY: the name ends with NUL.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}

#[no_mangle]
unsafe extern "C" fn pipe2(ends: *mut c_int, flags: c_int) -> c_int {
    if !is_simulated() {
        return call(libc::SYS_pipe2, ends as usize, flags as usize, 0, 0, 0, 0) as c_int;
    }
    inside(|| {
        if let Some(errno) = world().unopened() {
            return fail(errno) as c_int;
        }
        let reads = world().made(File::Program(Source::Said(Vec::new(), true)));
        let writes = world().made(File::Program(Source::Speaks(reads)));
        // SAFETY: the caller has room for two.
        unsafe {
            *ends = reads;
            *ends.add(1) = writes;
        }
        0
    })
}

#[no_mangle]
unsafe extern "C" fn posix_spawn_file_actions_adddup2(
    actions: *mut libc::posix_spawn_file_actions_t,
    from: c_int,
    to: c_int,
) -> c_int {
    type Add = unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, c_int, c_int) -> c_int;
    if is_simulated() {
        // No other thread goes on before the program is run.
        inside(|| world().programs.given.push((from, to)));
        return 0;
    }
    // SAFETY: this is the type of libc's function, and the caller's own arguments.
    unsafe {
        let real: Add = std::mem::transmute(libcs(c"posix_spawn_file_actions_adddup2"));
        real(actions, from, to)
    }
}

/// What is in a real file.
fn text_of(fd: c_int) -> String {
    let mut bytes = Vec::with_capacity(1 << 16);
    let (room, to) = (bytes.capacity(), bytes.as_mut_ptr() as usize);
    let read = crate::real::raw(libc::SYS_pread64, fd as usize, to, room, 0, 0, 0);
    // SAFETY: the kernel has written so many.
    unsafe { bytes.set_len(read.max(0) as usize) };
    String::from_utf8_lossy(&bytes).into_owned()
}

#[no_mangle]
unsafe extern "C" fn posix_spawnp(
    pid: *mut pid_t,
    path: *const c_char,
    actions: *const libc::posix_spawn_file_actions_t,
    attributes: *const libc::posix_spawnattr_t,
    words: *const *mut c_char,
    environment: *const *mut c_char,
) -> c_int {
    type Spawn = unsafe extern "C" fn(
        *mut pid_t,
        *const c_char,
        *const libc::posix_spawn_file_actions_t,
        *const libc::posix_spawnattr_t,
        *const *mut c_char,
        *const *mut c_char,
    ) -> c_int;
    if !is_simulated() {
        // SAFETY: this is the type of libc's function, and the caller's own arguments.
        return unsafe {
            let real: Spawn = std::mem::transmute(libcs(c"posix_spawnp"));
            real(pid, path, actions, attributes, words, environment)
        };
    }
    let given = inside(|| std::mem::take(&mut world().programs.given));
    step();
    let until = schedule().now() + RUN + schedule().seed.below(MORE) as u64;
    wait(Wait::Time, Some(until));
    let (begun, dies) = inside(|| {
        // SAFETY: the caller's words, each of which ends with NUL, as their list does with null.
        let words: Vec<&str> = unsafe {
            let all = (1..).map(|at| *words.add(at)).take_while(|word| !word.is_null());
            all.map(|word| CStr::from_ptr(word).to_str().unwrap_or_default()).collect()
        };
        // SAFETY: the caller's path ends with NUL.
        let path = unsafe { CStr::from_ptr(path) }.to_str().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        let input = given.iter().find(|(_, to)| *to == 0).map(|(fd, _)| text_of(*fd));
        world().programs.given = given;
        let netns = world().place(own());
        world().spawn(netns, name, &words, &input.unwrap_or_default())
    });
    if dies {
        killed();
    }
    // SAFETY: the caller has room for it.
    unsafe { *pid = begun };
    0
}

#[no_mangle]
unsafe extern "C" fn waitpid(pid: pid_t, to: *mut c_int, flags: c_int) -> pid_t {
    if !is_simulated() {
        return call(libc::SYS_wait4, pid as usize, to as usize, flags as usize, 0, 0, 0) as pid_t;
    }
    step();
    inside(|| match world().programs.all.get(&pid) {
        None => fail(libc::ECHILD) as pid_t,
        Some((None, _)) if flags & libc::WNOHANG != 0 => 0,
        Some((None, _)) => panic!("somebody waits for ever for a program that hangs"),
        Some((Some(status), _)) => {
            // SAFETY: the caller has room for it.
            unsafe { *to = *status };
            world().programs.all.remove(&pid);
            pid
        }
    })
}

#[no_mangle]
extern "C" fn killpg(group: pid_t, signal: c_int) -> c_int {
    if !is_simulated() {
        return call(libc::SYS_kill, -group as usize, signal as usize, 0, 0, 0, 0) as c_int;
    }
    inside(|| match world().end_program(group) {
        Ok(()) => 0,
        Err(errno) => fail(errno) as c_int,
    })
}

#[no_mangle]
extern "C" fn inotify_init1(flags: c_int) -> c_int {
    if !is_simulated() {
        return call(libc::SYS_inotify_init1, flags as usize, 0, 0, 0, 0, 0) as c_int;
    }
    inside(|| match world().unopened() {
        Some(errno) => fail(errno) as c_int,
        None => world().made(File::Program(Source::Lock(0))),
    })
}

/// Nothing else is watched: no file of resolvers is known.
#[no_mangle]
extern "C" fn inotify_add_watch(fd: c_int, path: *const c_char, mask: u32) -> c_int {
    match is_simulated() {
        true => 1,
        false => {
            let (fd, path) = (fd as usize, path as usize);
            call(libc::SYS_inotify_add_watch, fd, path, mask as usize, 0, 0, 0) as c_int
        }
    }
}

#[no_mangle]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    let family = match level {
        libc::SOL_IP => Some(Family::V4),
        libc::SOL_IPV6 => Some(Family::V6),
        _ => None,
    };
    let Some(family) = family.filter(|_| is_simulated() && (64..70).contains(&option)) else {
        let (level, option) = (level as usize, option as usize);
        return call(
            libc::SYS_getsockopt,
            fd as usize,
            level,
            option,
            value as usize,
            length as usize,
            0,
        ) as c_int;
    };
    inside(|| {
        // SAFETY: the caller has so many bytes there.
        let room = unsafe { std::slice::from_raw_parts_mut(value.cast::<u8>(), *length as usize) };
        let netns = world().place(own());
        match world().kernel.xtables_get(netns, family, option, room) {
            Ok(answer) => {
                room[..answer.len()].copy_from_slice(&answer);
                // SAFETY: the caller's.
                unsafe { *length = answer.len() as socklen_t };
                0
            }
            Err(errno) => fail(errno) as c_int,
        }
    })
}
