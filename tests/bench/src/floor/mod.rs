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

//! The floor: the least that any program must do to give a guest the network that guestnetd
//! gives it, done by raw netlink with everything at hand that can be kept.
//!
//! It leaves what an attach leaves: the pair with its names, MACs, MTU, group and one queue; the
//! device's end without IPv6, with its address, up, with its alias; in the guest `lo` up, the
//! address, up, the default route; and both ends operationally up. The packet filter's table is
//! there before, with the guest in it, and forwarding is on. It keeps no record, writes no log, checks nothing and
//! answers nobody.
//!
//! What guestnetd is compared with may not be made slower: whoever changes this measures it.

mod deleter;
mod message;
mod plan;
mod request;
mod socket;

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::sched::{setns, CloneFlags};

use crate::measure::Steps;
pub use deleter::Deleter;
use message::Batch;
use plan::{Plan, GATEWAY, PREFIX};
use socket::{Answer, Socket};

/// `lo` has this index in every network namespace.
const LOOPBACK: u32 = 1;
/// IF_OPER_UP.
const RUNNING: u8 = 6;

/// A program that is ready to attach: in the network namespace of the thread that made it.
#[derive(Debug)]
pub struct Floor {
    here: fs::File,
    device: Socket,
    batch: Batch,
    deleter: Deleter,
    ipv6: bool,
}

impl Floor {
    /// Opens what is kept.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            here: fs::File::open("/proc/thread-self/ns/net")?,
            device: Socket::open()?,
            batch: Batch::default(),
            deleter: Deleter::start()?,
            ipv6: fs::metadata("/proc/sys/net/ipv6").is_ok(),
        })
    }

    /// Gives a guest its network. The thread must be in the floor's namespace; it enters the
    /// guest's for the time of one system call.
    pub fn attach(
        &mut self,
        slot: u32,
        netns: BorrowedFd<'_>,
        steps: &mut Steps,
    ) -> io::Result<()> {
        let plan = Plan::new(slot);
        let batch = &mut self.batch;

        batch.clear();
        request::create(batch, &plan.host, &plan.guest, netns);
        self.device.call(batch.answered())?;
        steps.done("create the pair");

        if self.ipv6 {
            // Before it is up: it would get a link-local address.
            let path = format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", plan.host.name);
            fs::write(path, "1")?;
            steps.done("no IPv6 on the device's end");
        }

        batch.clear();
        request::address(batch, plan.host.index, GATEWAY, plan.host_prefix);
        request::up_with_alias(batch, plan.host.index, &plan.alias);
        if let Some(address) = plan.host_route {
            request::host_route(batch, plan.host.index, address);
        }
        self.device.call(batch.answered())?;
        steps.done("the device's end: address, up, alias");

        setns(netns, CloneFlags::CLONE_NEWNET)?;
        let inside = Socket::open();
        setns(&self.here, CloneFlags::CLONE_NEWNET)?;
        let inside = inside?;
        steps.done("a socket in the guest");

        batch.clear();
        request::up(batch, LOOPBACK);
        request::address(batch, plan.guest.index, plan.address, PREFIX);
        request::up(batch, plan.guest.index);
        request::default_route(batch, plan.guest.index, GATEWAY);
        request::get(batch, plan.guest.index);
        running(&inside.call(batch)?)?;
        steps.done("the guest: lo, address, up, route");

        batch.clear();
        request::get(batch, plan.host.index);
        running(&self.device.call(batch)?)?;
        steps.done("both ends are running");
        drop(inside);
        steps.done("leave the guest");
        Ok(())
    }

    /// Index of the device's end of this guest.
    pub fn index(&self, slot: u32) -> u32 {
        Plan::new(slot).host.index
    }

    /// Takes it away: returns when the link cannot be seen any more.
    pub fn detach(&mut self, slot: u32) -> io::Result<()> {
        let index = self.index(slot);
        self.deleter.delete(index)?;
        self.batch.clear();
        request::get(&mut self.batch, index);
        loop {
            match self.device.call(&self.batch) {
                // The kernel may have woken the deleter on this very processor.
                Ok(_) => std::thread::yield_now(),
                Err(e) if e.raw_os_error() == Some(libc::ENODEV) => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }

    /// Waits for the kernel's answer to the last delete, and tells how long it took.
    pub fn deleted(&mut self) -> io::Result<Duration> {
        self.deleter.answer()
    }

    /// Takes a guest's network away in one plain call, until the kernel's answer.
    pub fn delete(&mut self, slot: u32) -> io::Result<Duration> {
        let index = self.index(slot);
        self.batch.clear();
        request::delete(&mut self.batch, index);
        let began = Instant::now();
        self.device.call(self.batch.answered())?;
        Ok(began.elapsed())
    }

    /// Takes the network of all guests away, until the kernel's answer.
    pub fn delete_all(&mut self) -> io::Result<()> {
        self.batch.clear();
        request::delete_group(&mut self.batch);
        self.device.call(self.batch.answered()).map(drop)
    }
}

fn running(link: &Answer) -> io::Result<()> {
    match link.link_attribute(libc::IFLA_OPERSTATE) {
        Some([RUNNING]) => Ok(()),
        state => Err(io::Error::other(format!("a link is not running: {state:?}"))),
    }
}
