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

//! Makes a service reachable, whatever the endpoint.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use binder::SpIBinder;

use crate::accept::UnixServer;
use crate::socket::{self, SocketFile};
use crate::{kernel, Endpoint, Limits, PlatformError};

/// A service being served. Dropping it, or [`stop`](Server::stop), ends that.
pub struct Server {
    _transport: Transport,
}

/// What is to be dropped to end serving.
enum Transport {
    Unix {
        _server: UnixServer,
    },
    /// The driver forgets the service with the process, not earlier.
    Kernel,
}

/// A place to serve at, taken: nobody else gets it, and who connects already is kept waiting.
/// Dropping it gives it back.
pub struct Reserved {
    name: String,
    place: Place,
}

enum Place {
    Unix { socket: (UnixListener, SocketFile), path: PathBuf },
    Kernel,
}

/// Takes the place that `endpoint` names, for a service called `name`, or says why it cannot be had.
/// To be called before anything else is done that a second instance must not do.
pub fn reserve(endpoint: &Endpoint, name: &str) -> Result<Reserved, PlatformError> {
    let place = match endpoint {
        Endpoint::Unix(path) => Place::Unix { socket: socket::listen(path)?, path: path.clone() },
        Endpoint::Kernel => {
            kernel::reserve(name)?;
            Place::Kernel
        }
    };
    Ok(Reserved { name: name.to_owned(), place })
}

impl Reserved {
    /// Serves `service` on threads of its own; answers once clients can reach it.
    pub fn serve(self, service: SpIBinder, limits: &Limits) -> Result<Server, PlatformError> {
        let transport = match self.place {
            Place::Unix { socket, path } => Transport::Unix {
                _server: UnixServer::start(socket, &path, &self.name, service, limits)?,
            },
            Place::Kernel => {
                kernel::register(&self.name, service)?;
                Transport::Kernel
            }
        };
        Ok(Server { _transport: transport })
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
    /// Stops accepting, removes the socket if it is still this server's, and ends the
    /// connections; a call in progress is waited for no longer than `Limits::reply`.
    pub fn stop(self) {}
}
