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

use binder::{FromIBinder, SpIBinder, Strong};
use rsbinder::{hub, ProcessState};

use crate::{Endpoint, PlatformError};

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

/// Whether there is a driver and a service manager to register with.
pub(crate) fn reserve() -> Result<(), PlatformError> {
    open()?;
    service_manager().map(drop)
}

/// Registers a service with the service manager.
pub(crate) fn register(name: &str, service: SpIBinder) -> Result<(), PlatformError> {
    open()?;
    service_manager()?
        .add_service(name, service)
        .map_err(|e| PlatformError::NotRegistrable { name: name.to_owned(), why: e.to_string() })
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
