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

//! Descriptors that are the simulation's alone: their numbers, which are ready, and who waits for them by
//! epoll. No system call is made for one.

use crate::world::{File, World};
use libc::{epoll_event, pollfd};

/// The first number: real descriptors are below it.
pub const FIRST: i32 = 1000;

const IN: u32 = libc::EPOLLIN as u32;
const OUT: u32 = libc::EPOLLOUT as u32;
const EDGE: u32 = libc::EPOLLET as u32;

/// What an instance of epoll waits for.
pub struct Interest {
    fd: i32,
    events: u32,
    data: u64,
    /// When what was told last had happened.
    told: Option<u64>,
}

impl World {
    /// A descriptor for something, which is the running thread's process's: the lowest number that is free.
    pub fn made(&mut self, file: File) -> i32 {
        let fd = (FIRST..).find(|fd| !self.files.contains_key(fd)).expect("a number");
        self.files.insert(fd, file);
        self.own(fd);
        self.ring(fd);
        fd
    }

    /// The descriptor that has what this one is of.
    pub fn same(&self, fd: i32) -> i32 {
        match self.files.get(&fd) {
            Some(File::Same(other)) => *other,
            _ => fd,
        }
    }

    /// One of the others of what this descriptor has.
    pub fn others_of(&self, fd: i32) -> Option<i32> {
        let is = |(_, file): &(&i32, &File)| matches!(file, File::Same(of) if *of == fd);
        self.files.iter().find(is).map(|(other, _)| *other)
    }

    /// Gives what a descriptor has to another one of the same.
    pub fn bequeath(&mut self, fd: i32, heir: i32) {
        if let Some(file) = self.files.remove(&fd) {
            self.files.insert(heir, file);
        }
        if let Some(when) = self.rung.remove(&fd) {
            self.rung.insert(heir, when);
        }
        for file in self.files.values_mut() {
            match file {
                File::Same(of) if *of == fd => *of = heir,
                File::Epoll(all) => {
                    all.iter_mut().filter(|one| one.fd == fd).for_each(|one| one.fd = heir);
                }
                _ => {}
            }
        }
    }

    /// Something has come to a descriptor.
    pub fn ring(&mut self, fd: i32) {
        self.rings += 1;
        self.rung.insert(self.same(fd), self.rings);
    }

    /// When something came last.
    fn rung(&self, fd: i32) -> u64 {
        let own = self.rung.get(&self.same(fd)).copied().unwrap_or(0);
        match self.file(fd) {
            Some(File::Epoll(all)) => all.iter().map(|one| self.rung(one.fd)).fold(own, u64::max),
            _ => own,
        }
    }

    /// What of this can be done without a wait: EPOLLIN, EPOLLOUT.
    fn ready(&self, fd: i32) -> u32 {
        let is = |readable: bool, rest: u32| if readable { IN | rest } else { rest };
        match self.file(fd) {
            Some(File::Netlink(socket)) => is(socket.has_some(), OUT),
            Some(File::Pidfd(pid)) => is(!self.lives(*pid), 0),
            Some(File::Counter(count)) => is(*count > 0, OUT),
            Some(File::Program(source)) => is(source.has_some(), 0),
            Some(File::Epoll(all)) => is(all.iter().any(|one| self.tells(one) != 0), 0),
            // To a server's socket nobody sends; nor to a real one.
            Some(File::Deaf) | None => 0,
            Some(_) => IN | OUT,
        }
    }

    /// What is to be told of an interest now.
    fn tells(&self, one: &Interest) -> u32 {
        let ready = self.ready(one.fd) & one.events;
        let heard = one.events & EDGE != 0 && one.told == Some(self.rung(one.fd));
        if heard {
            0
        } else {
            ready
        }
    }

    /// Whether one of these is ready.
    pub fn is_ready(&self, fds: &[pollfd]) -> bool {
        fds.iter().any(|one| self.ready(one.fd) & one.events as u32 != 0)
    }

    /// `poll()` without a wait.
    pub fn poll(&self, fds: &mut [pollfd]) -> i32 {
        for one in fds.iter_mut() {
            one.revents = (self.ready(one.fd) & one.events as u32) as i16;
        }
        fds.iter().filter(|one| one.revents != 0).count() as i32
    }

    /// `epoll_ctl()`.
    pub fn interest(&mut self, epoll: i32, op: i32, fd: i32, event: Option<epoll_event>) -> i32 {
        let fd = self.same(fd);
        let Some(File::Epoll(all)) = self.file_mut(epoll) else { return libc::EINVAL };
        let at = all.iter().position(|one| one.fd == fd);
        let (events, data) = event.map_or((0, 0), |event| (event.events, event.u64));
        let made = Interest { fd, events, data, told: None };
        match (op, at) {
            (libc::EPOLL_CTL_ADD, Some(_)) => return libc::EEXIST,
            (libc::EPOLL_CTL_ADD, None) => all.push(made),
            (libc::EPOLL_CTL_MOD, Some(at)) => all[at] = made,
            (libc::EPOLL_CTL_DEL, Some(at)) => drop(all.remove(at)),
            _ => return libc::ENOENT,
        }
        // Who waits for this one hears of what is ready already.
        self.ring(epoll);
        0
    }

    /// `epoll_wait()` without a wait.
    pub fn events(&mut self, epoll: i32, room: &mut [epoll_event]) -> Option<usize> {
        let Some(File::Epoll(all)) = self.file(epoll) else { return None };
        let found: Vec<_> = (0..all.len())
            .map(|at| (at, self.tells(&all[at]), self.rung(all[at].fd)))
            .filter(|(_, events, _)| *events != 0)
            .collect();
        // What there is no room for is first the next time: by chance, as one order is as good as another.
        let first = crate::schedule::schedule().seed.below(found.len());
        let found = found[first..].iter().chain(&found[..first]).take(room.len());
        let Some(File::Epoll(all)) = self.file_mut(epoll) else { return None };
        let mut count = 0;
        for (&(at, events, rung), to) in found.zip(room) {
            all[at].told = Some(rung);
            *to = epoll_event { events, u64: all[at].data };
            count += 1;
        }
        Some(count)
    }

    /// A closed descriptor is waited for no more.
    pub fn uninterest(&mut self, fd: i32) {
        self.rung.remove(&fd);
        for file in self.files.values_mut() {
            if let File::Epoll(all) = file {
                all.retain(|one| one.fd != fd);
            }
        }
    }
}
