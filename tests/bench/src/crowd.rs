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

//! Many guests that are nothing but network namespaces held by a descriptor, and one guestnetd or
//! one floor that attaches them by number.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use guestnet_tests::client::{by_netns, config};
use guestnet_tests::{Device, InNetns};
use nix::sched::{unshare, CloneFlags};

use crate::build::Build;
use crate::contract::Client;
use crate::error::{Doing, Error, Result};
use crate::floor::Floor;
use crate::in_use::InUse;
use crate::measure::Steps;
use crate::service::Service;
use crate::settle::go;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;

/// Makes so many network namespaces without names.
pub fn namespaces(count: usize) -> Result<Vec<OwnedFd>> {
    let make = || {
        let one = |_| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok(File::open("/proc/thread-self/ns/net")?.into())
        };
        (0..count).map(one).collect()
    };
    on_a_thread(make)
}

/// Runs something that changes its thread's network namespace.
pub fn on_a_thread<T: Send>(f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(f).join()).map_err(|_| Error::new("a panic, told above"))?
}

/// A guestnetd, its device and its clients.
pub struct Crowd {
    // In this order: clients leave before the service, and it before the device.
    clients: Vec<Client>,
    /// The service.
    pub service: Service,
    in_use: InUse,
    /// The device.
    pub device: Device,
}

impl Crowd {
    /// Starts one with so many clients.
    pub fn start(build: &Build, clients: usize) -> Result<Self> {
        Self::start_with(build, clients, &[])
    }

    /// The same, with further arguments for guestnetd.
    pub fn start_with(build: &Build, clients: usize, args: &[&str]) -> Result<Self> {
        let device = Device::options().forwarding().build();
        let service = Service::start(&build.bin, &device, args)?;
        let clients = (0..clients).map(|_| build.connect(&service)).collect::<Result<_>>()?;
        Ok(Self { clients, service, in_use: InUse::open(&device)?, device })
    }

    /// Its first client.
    pub fn client(&self) -> &Client {
        &self.clients[0]
    }

    /// Attaches guest `at`; gives the time of the call.
    pub fn attach(&self, at: usize, netns: &OwnedFd) -> Result<Duration> {
        let took = attach(&self.clients[0], at, netns)?;
        self.in_use.speak()?;
        Ok(took)
    }

    /// Detaches guest `at`; gives the time of the call.
    pub fn detach(&self, at: usize) -> Result<Duration> {
        detach(&self.clients[0], at)
    }

    /// Attaches a guest in each namespace, by the last so many clients at once; gives the time
    /// until all are attached.
    pub fn up(&self, netns: &[OwnedFd], clients: usize) -> Result<Duration> {
        let took = self.all(netns.len(), clients, |client, at| attach(client, at, &netns[at]))?;
        self.in_use.speak()?;
        Ok(took)
    }

    /// Detaches so many guests, by the last so many clients at once.
    pub fn down(&self, count: usize, clients: usize) -> Result<Duration> {
        self.all(count, clients, detach)
    }

    /// Detaches all guests by one call.
    pub fn down_at_once(&self) -> Result<Duration> {
        let client = self.clients.first().ok_or_else(|| Error::new("no client"))?;
        let began = Instant::now();
        client.net().detachAll().map_err(|e| Error::new(format!("detachAll: {e}")))?;
        Ok(began.elapsed())
    }

    fn all(
        &self,
        count: usize,
        clients: usize,
        act: impl Fn(&Client, usize) -> Result<Duration> + Sync,
    ) -> Result<Duration> {
        let began = Instant::now();
        thread::scope(|scope| {
            let act = &act;
            let one = |(first, client)| {
                let mine = (first..count).step_by(clients);
                scope.spawn(move || mine.map(|at| act(client, at)).try_for_each(|r| r.map(drop)))
            };
            let threads: Vec<_> =
                self.clients.iter().rev().take(clients).enumerate().map(one).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().map_err(|_| Error::new("a panic, told above"))?
            })
        })?;
        Ok(began.elapsed())
    }
}

/// The name of guest `at`.
pub fn name(at: usize) -> String {
    format!("guest{at:04}")
}

fn attach(client: &Client, at: usize, netns: &OwnedFd) -> Result<Duration> {
    let (config, target) = (config(&name(at)), by_netns(netns.try_clone()?));
    let began = Instant::now();
    let answer = client.attach(&config, &target);
    let took = began.elapsed();
    answer.doing(name(at)).map(|()| took)
}

fn detach(client: &Client, at: usize) -> Result<Duration> {
    let began = Instant::now();
    let answer = client.detach(&name(at));
    let took = began.elapsed();
    answer.doing(name(at)).map(|()| took)
}

/// The floor and its device.
pub struct Plain {
    /// The floor.
    pub floor: Floor,
    in_use: InUse,
    /// Its device.
    pub device: Device,
}

impl Plain {
    /// One in a device of its own, with this packet filter.
    pub fn new(filter: &str) -> Result<Self> {
        let device = Device::options().forwarding().build();
        crate::subject::load(&device, filter)?;
        let in_use = InUse::open(&device)?;
        Ok(Self { floor: device.enter(Floor::new)?, in_use, device })
    }

    /// Attaches guest `at`; gives the time. The calling thread is in the device afterwards.
    pub fn attach(&mut self, at: usize, netns: &OwnedFd) -> Result<Duration> {
        go(&self.device)?;
        let (began, mut steps) = (Instant::now(), Steps::begin());
        self.floor.attach(at as u32, netns.as_fd(), &mut steps).doing("the floor")?;
        let took = began.elapsed();
        self.in_use.speak()?;
        Ok(took)
    }
}
