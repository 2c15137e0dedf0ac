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

//! How a client finds a service and keeps it.

use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use binder::{FromIBinder, Strong};
use nix::sys::socket::{self, sockopt, AddressFamily, SockFlag, SockType, UnixAddr};
use nix::sys::time::{TimeVal, TimeValLike};
use rsbinder::rpc::transport::UnixTransport;
use rsbinder::rpc::{FileDescriptorTransportMode as Fd, RpcClientConfig, RpcSession};
use rsbinder::StatusCode as Code;

use crate::{kernel, refusal, Endpoint, PlatformError};

/// The wire of Android 16: the server answers with the newest that both know.
const WIRE: u32 = 2;

/// How long a call may take unless it is said otherwise.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long each step of making the connection may take.
const SETUP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a full server is asked again: its strangers are gone after that.
const BUSY_PATIENCE: Duration = Duration::from_secs(4);

/// A service, and the connection to it, which is closed on drop: listeners given to the service
/// are dead then.
///
/// A call that takes longer than the timeout fails and ends the connection: connect again.
pub struct Connection<T: FromIBinder + ?Sized> {
    service: Strong<T>,
    session: Option<RpcSession>,
}

/// Connects to a service; calls time out after 30 s.
pub fn connect<T: FromIBinder + ?Sized>(
    endpoint: &Endpoint,
    name: &str,
) -> Result<Connection<T>, PlatformError> {
    connect_with_timeout(endpoint, name, CALL_TIMEOUT)
}

/// Connects to a service with another call timeout. Kernel Binder knows none.
pub fn connect_with_timeout<T: FromIBinder + ?Sized>(
    endpoint: &Endpoint,
    name: &str,
    timeout: Duration,
) -> Result<Connection<T>, PlatformError> {
    let path = match endpoint {
        Endpoint::Kernel => return Ok(Connection { service: kernel::find(name)?, session: None }),
        Endpoint::Unix(path) => path,
    };
    let deadline = Instant::now() + BUSY_PATIENCE;
    loop {
        match open(endpoint, path, name, timeout) {
            Err(PlatformError::Closed { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            done => return done,
        }
    }
}

impl<T: FromIBinder + ?Sized> Deref for Connection<T> {
    type Target = Strong<T>;

    fn deref(&self) -> &Strong<T> {
        &self.service
    }
}

impl<T: FromIBinder + ?Sized> Drop for Connection<T> {
    fn drop(&mut self) {
        // The session's threads keep it alive: it does not end by being dropped.
        if let Some(session) = &self.session {
            session.close_session();
        }
    }
}

/// Makes a session, callbacks and descriptors included, and finds the service.
fn open<T: FromIBinder + ?Sized>(
    endpoint: &Endpoint,
    path: &Path,
    name: &str,
    timeout: Duration,
) -> Result<Connection<T>, PlatformError> {
    let dial_error = Mutex::new(None);
    let config = RpcClientConfig::new(WIRE, || match dial(path) {
        Ok(transport) => Ok(Box::new(transport) as _),
        Err(e) => {
            let code = Code::from(io::Error::from(e.kind()));
            if let Ok(mut slot) = dial_error.lock() {
                *slot = Some(e);
            }
            Err(code)
        }
    });
    // The service can call back only on a connection that waits for it.
    let config = config.incoming_connections(1).fd_mode(Fd::Unix).timeout(SETUP_TIMEOUT);
    let session = RpcSession::setup_client_android13plus_with_config(config);
    let session = match (session, dial_error.into_inner().ok().flatten()) {
        (Ok(session), _) => session,
        (Err(_), Some(e)) => return Err(not_connected(path, e)),
        (Err(code), None) => return Err(closed_or_refused(endpoint, path, code)),
    };
    match session.get_interface(name) {
        Ok(service) => {
            session.set_timeout(Some(timeout));
            Ok(Connection { service, session: Some(session) })
        }
        Err(code) => {
            session.close_session();
            Err(match code {
                Code::NameNotFound => PlatformError::NotRegistered {
                    endpoint: endpoint.clone(),
                    name: name.to_owned(),
                },
                code => not_shaken(endpoint, code),
            })
        }
    }
}

/// Connects the socket; a server that does not accept keeps us no longer than SETUP_TIMEOUT.
fn dial(path: &Path) -> io::Result<UnixTransport> {
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let seconds = i64::try_from(SETUP_TIMEOUT.as_secs()).unwrap_or(i64::MAX);
    socket::setsockopt(&fd, sockopt::SendTimeout, &TimeVal::seconds(seconds))?;
    socket::connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    socket::setsockopt(&fd, sockopt::SendTimeout, &TimeVal::zero())?;
    UnixTransport::from_owned_fd(fd).map_err(|e| io::Error::other(e.to_string()))
}

/// Why the socket could not be connected to.
fn not_connected(path: &Path, cause: io::Error) -> PlatformError {
    let path = path.to_owned();
    match cause.kind() {
        io::ErrorKind::NotFound => PlatformError::NotRunning { path },
        io::ErrorKind::ConnectionRefused => PlatformError::Refused { path },
        io::ErrorKind::PermissionDenied => PlatformError::NotPermitted { path },
        io::ErrorKind::WouldBlock => {
            PlatformError::NoAnswer { endpoint: Endpoint::Unix(path), after: SETUP_TIMEOUT }
        }
        _ => PlatformError::Connect { path, cause },
    }
}

/// The same, when nothing was agreed on yet: it may take no calls of this user.
fn closed_or_refused(endpoint: &Endpoint, path: &Path, code: Code) -> PlatformError {
    match not_shaken(endpoint, code) {
        silent @ PlatformError::NoAnswer { .. } => silent,
        other => match refusal::hear(path) {
            Some(words) => PlatformError::NotAllowed { words },
            None => other,
        },
    }
}

/// Why the one that answers there is not usable.
fn not_shaken(endpoint: &Endpoint, code: Code) -> PlatformError {
    let endpoint = endpoint.clone();
    match code {
        Code::DeadObject => PlatformError::Closed { endpoint },
        Code::TimedOut | Code::WouldBlock => {
            PlatformError::NoAnswer { endpoint, after: SETUP_TIMEOUT }
        }
        code => PlatformError::NotGuestnetd {
            endpoint,
            why: format!("it does not speak RPC Binder ({code})"),
        },
    }
}
