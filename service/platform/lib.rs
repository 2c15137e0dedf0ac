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

//! How a service is reached: on Android by kernel Binder and the service manager.
//!
//! The one crate that a service's source needs beside `binder`; `host/guestnet_platform` has the
//! same API for builds outside the Android tree. It decides how a caller's bytes arrive and never
//! what a caller may do: that is the service's own check.

mod endpoint;
mod error;
mod limits;
mod message;
mod name;

use std::ops::Deref;
use std::time::Duration;

use binder::{FromIBinder, LazyServiceGuard, ProcessState, SpIBinder, Status, StatusCode, Strong};

pub use endpoint::Endpoint;
pub use error::PlatformError;
pub use limits::Limits;

/// A service being served.
pub struct Server {
    // A service of this kind keeps kernel state and follows it, whether or not a client is there:
    // it is started when it is first asked for, and the service manager does not end it.
    _stay: LazyServiceGuard,
}

/// A place to serve at: a name that nobody had.
pub struct Reserved {
    name: String,
}

/// Takes the place that `endpoint` names, for a service called `name`, or says why it cannot be had.
/// To be called before anything else is done that a second instance must not do: init starts one,
/// but a shell may start another, and the service manager gives the name to whoever comes last.
pub fn reserve(endpoint: &Endpoint, name: &str) -> Result<Reserved, PlatformError> {
    on_android(endpoint)?;
    // check_service() starts nobody.
    name::wait_until_free(name, || binder::check_service(name).is_some())?;
    Ok(Reserved { name: name.to_owned() })
}

impl Reserved {
    /// Registers `service`; the process's Binder threads serve it.
    pub fn serve(self, service: SpIBinder, _limits: &Limits) -> Result<Server, PlatformError> {
        let Self { name } = self;
        // libbinder_rs panics on it.
        if name.contains('\0') {
            return Err(PlatformError::NotRegistrable { name, why: "it holds a NUL".to_owned() });
        }
        let stay = LazyServiceGuard::new();
        ProcessState::start_thread_pool();
        match binder::register_lazy_service(&name, service) {
            Ok(()) => Ok(Server { _stay: stay }),
            Err(code) => Err(PlatformError::NotRegistrable { name, why: code.to_string() }),
        }
    }
}

/// [`reserve`] and [`Reserved::serve`] in one.
pub fn serve(
    endpoint: &Endpoint,
    name: &str,
    service: SpIBinder,
    limits: &Limits,
) -> Result<Server, PlatformError> {
    reserve(endpoint, name)?.serve(service, limits)
}

impl Server {
    /// Ends serving: from now on the service manager may end the process when it is not in use.
    pub fn stop(self) {}
}

/// A service, and the connection to it.
pub struct Connection<T: FromIBinder + ?Sized> {
    service: Strong<T>,
}

/// Finds a service, which the service manager starts if it is not running.
pub fn connect<T: FromIBinder + ?Sized>(
    endpoint: &Endpoint,
    name: &str,
) -> Result<Connection<T>, PlatformError> {
    on_android(endpoint)?;
    // Listeners and death notices arrive on these threads.
    ProcessState::start_thread_pool();
    // Its successor, wait_for_interface, never gives up: a device without guestnetd would hang.
    #[allow(deprecated)]
    let found = binder::get_interface(name);
    match found {
        Ok(service) => Ok(Connection { service }),
        Err(StatusCode::NAME_NOT_FOUND) => {
            Err(PlatformError::NotRegistered { endpoint: endpoint.clone(), name: name.to_owned() })
        }
        Err(code) => Err(PlatformError::NotGuestnetd {
            endpoint: endpoint.clone(),
            why: format!("{name} is not of the interface asked for ({code})"),
        }),
    }
}

/// Finds a service; kernel Binder knows no call timeout.
pub fn connect_with_timeout<T: FromIBinder + ?Sized>(
    endpoint: &Endpoint,
    name: &str,
    _timeout: Duration,
) -> Result<Connection<T>, PlatformError> {
    connect(endpoint, name)
}

impl<T: FromIBinder + ?Sized> Deref for Connection<T> {
    type Target = Strong<T>;

    fn deref(&self) -> &Strong<T> {
        &self.service
    }
}

/// The words of a failed call, without the codes: `no guest of that name: "box"`.
pub fn status_message(status: &Status) -> String {
    let description = status.get_description();
    match message::words(&description) {
        Some(words) if !words.is_empty() => words.to_owned(),
        _ => description,
    }
}

fn on_android(endpoint: &Endpoint) -> Result<(), PlatformError> {
    match endpoint {
        Endpoint::Kernel => Ok(()),
        Endpoint::Unix(_) => Err(PlatformError::NotOnAndroid { endpoint: endpoint.clone() }),
    }
}

/// `impl Interface` with a dump, the one signature that differs between libbinder_rs and rsbinder.
///
/// The type has `fn dump_text(&self, w: &mut dyn std::io::Write, args: &[&str]) ->
/// std::io::Result<()>`.
#[macro_export]
macro_rules! impl_interface {
    ($t:ty) => {
        impl binder::Interface for $t {
            fn dump(
                &self,
                w: &mut dyn std::io::Write,
                args: &[&std::ffi::CStr],
            ) -> std::result::Result<(), binder::StatusCode> {
                let args: Vec<&str> = args.iter().filter_map(|a| a.to_str().ok()).collect();
                self.dump_text(w, &args).map_err(|_| binder::StatusCode::UNKNOWN_ERROR)
            }
        }
    };
}
