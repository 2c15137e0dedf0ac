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

//! Kernel Binder outside Android: rsbinder's driver and service manager.

use std::sync::mpsc::{channel, Sender};
use std::thread;
use std::time::Duration;

use binder::{DeathRecipient, FromIBinder, IBinder, SpIBinder, Strong};
use rsbinder::{hub, ProcessState};

use crate::name::wait_until_free;
use crate::{Endpoint, PlatformError};

/// What the service manager registers of its own: its death is told, that of handle 0 is not.
const MANAGER: &str = "manager";
/// How long to wait before a service manager is looked for again: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Opens the driver, once for the process, and starts the threads that serve callers.
fn open() -> Result<(), PlatformError> {
    ProcessState::init_default()
        .map_err(|e| PlatformError::NoDriver { why: e.to_string().trim().to_owned() })?;
    ProcessState::start_thread_pool();
    Ok(())
}

fn service_manager() -> Result<std::sync::Arc<hub::ServiceManager>, PlatformError> {
    hub::default().map_err(|e| PlatformError::NoServiceManager { why: e.to_string() })
}

/// Whether there is a driver and a service manager to register with, and nobody has the name.
pub(crate) fn reserve(name: &str) -> Result<(), PlatformError> {
    open()?;
    let manager = service_manager()?;
    wait_until_free(name, || manager.check_service(name).is_some())
}

/// Registers a service with the service manager, and with each that comes after it: on Android init
/// restarts who was registered with one that has died, here nobody does.
pub(crate) fn register(name: &str, service: SpIBinder) -> Result<(), PlatformError> {
    open()?;
    add(name, &service)?;
    let what = name.to_owned();
    let thread = thread::Builder::new().name("registrar".into());
    let spawned = thread.spawn(move || stay_registered(&what, &service));
    spawned.map(drop).map_err(|e| not_registrable(name, e))
}

/// Waits for the end of one service manager after another.
fn stay_registered(name: &str, service: &SpIBinder) {
    let (died, deaths) = channel();
    loop {
        // Kept until its death is told: dropped, it would not be.
        match watch(&died) {
            Some(_watched) => {
                let _ = deaths.recv();
            }
            // It died in between, or shows nothing of its own.
            None if add(name, service).is_ok() => {
                log::warn!("the service manager cannot be watched: restart guestnetd with it");
                return;
            }
            None => {}
        }
        log::warn!("the service manager is gone; registering with the next one");
        add_again(name, service);
    }
}

fn add(name: &str, service: &SpIBinder) -> Result<(), PlatformError> {
    let added = service_manager()?.add_service(name, service.clone());
    added.map_err(|e| not_registrable(name, e))
}

fn not_registrable(name: &str, why: impl ToString) -> PlatformError {
    PlatformError::NotRegistrable { name: name.to_owned(), why: why.to_string() }
}

/// Has the service manager's death told; nothing if it is dead already.
fn watch(died: &Sender<()>) -> Option<(SpIBinder, DeathRecipient)> {
    let mut manager = service_manager().ok()?.check_service(MANAGER)?;
    let died = died.clone();
    let mut recipient = DeathRecipient::new(move || {
        let _ = died.send(());
    });
    manager.link_to_death(&mut recipient).ok()?;
    Some((manager, recipient))
}

/// Asks until there is a service manager that takes the service.
fn add_again(name: &str, service: &SpIBinder) {
    let mut pause = PAUSES.0;
    while let Err(e) = add(name, service) {
        log::debug!("{e}");
        thread::sleep(pause);
        pause = PAUSES.1.min(pause * 2);
    }
    log::info!("registered as {name} again");
}

/// Finds a service that is registered now; never waits for one.
pub(crate) fn find<T: FromIBinder + ?Sized>(name: &str) -> Result<Strong<T>, PlatformError> {
    open()?;
    match service_manager()?.try_get_interface(name) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => {
            Err(PlatformError::NotRegistered { endpoint: Endpoint::Kernel, name: name.to_owned() })
        }
        Err(e) => Err(PlatformError::NotGuestnetd {
            endpoint: Endpoint::Kernel,
            why: format!("{name} is not of the interface asked for ({e})"),
        }),
    }
}
