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

//! Why a server could not be reached or could not be made reachable. Every message names the
//! cause and the next step.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::Endpoint;

/// Why a server could not be reached or could not be made reachable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlatformError {
    /// The text of an endpoint is not one.
    #[error("{text:?} is no endpoint: {why}; say unix:///ABSOLUTE/PATH or binder://")]
    BadEndpoint {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },

    /// This build does not serve that kind of endpoint.
    #[error("{endpoint}: not on Android; say binder://")]
    NotOnAndroid {
        /// What was asked for.
        endpoint: Endpoint,
    },

    /// The socket's directory cannot be used.
    #[error("cannot keep a socket in {}: {why}", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it, and the remedy.
        why: String,
    },

    /// Something that is not a socket has the socket's name.
    #[error(
        "{} exists and is not a socket: it was left alone; remove it, or listen elsewhere",
        path.display()
    )]
    NotASocket {
        /// The name.
        path: PathBuf,
    },

    /// A live server has the socket's name.
    #[error(
        "another guestnetd is listening on {}: stop it, or listen elsewhere",
        path.display()
    )]
    AlreadyListening {
        /// The socket.
        path: PathBuf,
    },

    /// A live server has the name.
    #[error("another guestnetd is registered as {name}: stop it")]
    AlreadyRegistered {
        /// The service's name.
        name: String,
    },

    /// The socket could not be made.
    #[error("cannot {step} {}: {cause}", path.display())]
    Listen {
        /// What failed: "bind".
        step: &'static str,
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },

    /// There is no socket of that name.
    #[error(
        "no socket {}: is guestnetd running? Start it, or name the endpoint it listens on",
        path.display()
    )]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },

    /// The socket is there, and nobody listens on it.
    #[error(
        "nobody listens on {}: guestnetd was killed; start it again",
        path.display()
    )]
    Refused {
        /// The socket.
        path: PathBuf,
    },

    /// This user may not connect to the socket.
    #[error(
        "no permission to connect to {}: run this as root, or as a user who may write to the \
         socket and enter its directory",
        path.display()
    )]
    NotPermitted {
        /// The socket.
        path: PathBuf,
    },

    /// The server takes no calls of this user.
    #[error("{words}")]
    NotAllowed {
        /// What it says: "uid 4242 may not use guestnetd; start it with --allow-uid 4242".
        words: String,
    },

    /// The socket cannot be connected to for another reason.
    #[error("cannot connect to {}: {cause}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },

    /// The server closed every connection at once.
    #[error(
        "{endpoint} closes its connections at once: guestnetd has no free place, or it is \
         another program's; try again, or look who listens there"
    )]
    Closed {
        /// Where.
        endpoint: Endpoint,
    },

    /// The server takes the connection and then says nothing.
    #[error(
        "{endpoint} says nothing for {} s: guestnetd hangs, or it is another program's; look who \
         listens there",
        after.as_secs()
    )]
    NoAnswer {
        /// Where.
        endpoint: Endpoint,
        /// How long it was given.
        after: Duration,
    },

    /// What answers there does not speak as guestnetd does.
    #[error("{endpoint} is not guestnetd's: {why}; name the endpoint guestnetd listens on")]
    NotGuestnetd {
        /// Where.
        endpoint: Endpoint,
        /// What it did.
        why: String,
    },

    /// There is no Binder driver to talk to.
    #[error(
        "no Binder driver: {why}; load binder_linux and mount binderfs on /dev/binderfs, or say \
         unix:///ABSOLUTE/PATH"
    )]
    NoDriver {
        /// What was tried.
        why: String,
    },

    /// The driver is there, and no service manager.
    #[error(
        "the Binder driver has no service manager ({why}): start one (rsb_hub on Linux), or say \
         unix:///ABSOLUTE/PATH"
    )]
    NoServiceManager {
        /// What was tried.
        why: String,
    },

    /// The service manager does not take the service.
    #[error(
        "the service manager refuses {name}: {why}; on Android, see service_contexts and the \
         log for \"avc: denied\""
    )]
    NotRegistrable {
        /// The service.
        name: String,
        /// Its reason.
        why: String,
    },

    /// Nobody has registered the service.
    #[error("{endpoint} has no service {name}: is guestnetd running? Start it")]
    NotRegistered {
        /// Where it was looked for.
        endpoint: Endpoint,
        /// The service.
        name: String,
    },
}
