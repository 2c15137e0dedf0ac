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

//! RPC Binder on a Unix socket: one thread that accepts, one for each connection.
//!
//! rsbinder's own accept loop wakes up every 5 ms and cannot tell a silent crowd from clients;
//! this one sleeps in accept(2) and knows its [`Places`].

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use binder::SpIBinder;
use nix::sys::socket::{getsockopt, shutdown, sockopt, Shutdown};
use nix::unistd::geteuid;
use rsbinder::rpc::transport::{RpcTransport, UnixTransport};
use rsbinder::rpc::{FileDescriptorTransportMode as Fd, RpcServer};

use crate::line::Line;
use crate::places::{Cut, Places};
use crate::socket::SocketFile;
use crate::{refusal, Limits, PlatformError};

/// The wire of Android 16; older clients are spoken to in theirs.
const WIRE: u32 = 2;

/// Connections on which one client may call at the same time.
const CALLS_PER_CLIENT: u32 = 4;

/// How long accepting rests after it failed: for want of descriptors or memory, say.
const REST: Duration = Duration::from_millis(100);

/// A user no connection has: that of a client whose user the kernel does not tell.
const NOBODY: u32 = u32::MAX;

/// Descriptors that a connection may take: its socket, a copy to cut it by, those of a message, and
/// what a call opens.
const DESCRIPTORS: u64 = 16;

/// A server with fewer places is none: a client takes two.
const FEWEST: usize = 8;

/// Refusals with less than this between them are one burst, and said once.
const BURST: Duration = Duration::from_secs(10);

/// A service on a Unix socket; dropping it ends serving.
pub(crate) struct UnixServer {
    listener: Arc<UnixListener>,
    places: Arc<Places>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    file: Option<SocketFile>,
    patience: Duration,
}

impl UnixServer {
    pub(crate) fn start(
        (listener, file): (UnixListener, SocketFile),
        path: &Path,
        name: &str,
        service: SpIBinder,
        limits: &Limits,
    ) -> Result<Self, PlatformError> {
        let listener = Arc::new(listener);
        let failed = |step, cause| PlatformError::Listen { step, path: path.to_owned(), cause };
        let rpc = rpc_server(path, limits).map_err(|e| failed("serve", e))?;
        rpc.add_service(name, service)
            .map_err(|e| failed("offer the service on", io::Error::other(e.to_string())))?;
        let places = Places::new(affordable(limits.connections), geteuid().as_raw());
        let stopping = Arc::new(AtomicBool::new(false));
        let mut accepting = Accepting {
            listener: Arc::clone(&listener),
            rpc,
            places: Arc::clone(&places),
            stopping: Arc::clone(&stopping),
            limits: limits.clone(),
            refused: BTreeSet::new(),
            last_refusal: None,
        };
        let thread = std::thread::Builder::new()
            .name("guestnet-accept".to_owned())
            .spawn(move || accepting.run())
            .map_err(|e| failed("start a thread for", e))?;
        let patience = limits.reply;
        Ok(Self { listener, places, stopping, thread: Some(thread), file: Some(file), patience })
    }
}

impl Drop for UnixServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes accept(2), and from now on the kernel refuses clients.
        if let Err(e) = shutdown(self.listener.as_raw_fd(), Shutdown::Both) {
            log::warn!("cannot shut the socket down: {e}");
        }
        if let Some(thread) = self.thread.take() {
            // It ends with a panic or without; both are the end.
            let _ = thread.join();
        }
        self.file = None;
        if !self.places.close(self.patience) {
            log::warn!("calls are still in progress after {:?}: not waited for", self.patience);
        }
    }
}

impl Cut for UnixTransport {
    fn cut(&self) {
        // It fails only on a connection that has ended already.
        let _ = self.shutdown();
    }
}

/// What the accepting thread needs.
struct Accepting {
    listener: Arc<UnixListener>,
    rpc: Arc<RpcServer>,
    places: Arc<Places>,
    stopping: Arc<AtomicBool>,
    limits: Limits,
    /// Users of whose refusal something was said in this burst.
    refused: BTreeSet<u32>,
    last_refusal: Option<Instant>,
}

impl Accepting {
    fn run(&mut self) {
        let mut failing = false;
        while !self.stopping.load(Ordering::SeqCst) {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    failing = false;
                    self.admit(stream);
                }
                Err(e) if passing(&e) => {}
                Err(_) if self.stopping.load(Ordering::SeqCst) => {}
                Err(e) => {
                    if !failing {
                        log::error!("cannot accept a connection: {e}; trying again until it works");
                    }
                    failing = true;
                    std::thread::sleep(REST);
                }
            }
        }
    }

    /// Serves the connection if its user may call and there is a place for it; else it is closed.
    fn admit(&mut self, stream: UnixStream) {
        // As the kernel noted it at connect(2).
        let uid = getsockopt(&stream, sockopt::PeerCredentials).map_or(NOBODY, |peer| peer.uid());
        if self.limits.callers.as_ref().is_some_and(|callers| !callers.contains(&uid)) {
            self.say_refused(uid);
            return refusal::tell(stream, uid);
        }
        let fd = stream.as_raw_fd();
        let socket = match UnixTransport::from_stream(stream) {
            Ok(socket) => Arc::new(socket),
            Err(e) => return log::warn!("connection closed: {e}"),
        };
        let weak: Weak<UnixTransport> = Arc::downgrade(&socket);
        if let Some(place) = self.places.take(uid, weak) {
            self.rpc.serve_connection(Box::new(Line::new(socket, fd, place, &self.limits)));
        }
    }

    fn say_refused(&mut self, uid: u32) {
        let now = Instant::now();
        if self.last_refusal.replace(now).is_some_and(|last| now - last >= BURST) {
            self.refused.clear();
        }
        // A user of namespaces has thousands of uids.
        if self.refused.len() < 32 && self.refused.insert(uid) {
            log::warn!("connection closed: {}", refusal::words(uid));
        }
    }
}

/// As many connections as the process has descriptors for, at most `wanted`.
fn affordable(wanted: usize) -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one `struct rlimit`, which `limit` is.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return wanted;
    }
    let descriptors = limit.rlim_cur;
    let most = usize::try_from(descriptors / DESCRIPTORS).unwrap_or(usize::MAX).max(FEWEST);
    if most < wanted {
        log::warn!("{most} connections, not {wanted}: RLIMIT_NOFILE is {descriptors}");
    }
    wanted.min(most)
}

/// Whether the failure was the one connection's, and the next may be well.
fn passing(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted)
}

/// rsbinder's server, which makes sessions of the connections it is handed.
fn rpc_server(path: &Path, limits: &Limits) -> io::Result<Arc<RpcServer>> {
    // It insists on a listener of its own. That one is never run, and nobody can reach it: its
    // file is removed before anybody is served.
    let unused = path.with_file_name(format!(".{}", std::process::id()));
    let rpc = RpcServer::setup_unix_server(&unused).map_err(|e| io::Error::other(e.to_string()))?;
    std::fs::remove_file(&unused)?;
    // Callbacks need this wire; the older one has none.
    rpc.set_android13plus(WIRE);
    rpc.set_max_threads(CALLS_PER_CLIENT);
    rpc.set_supported_fd_modes(&[Fd::None, Fd::Unix]);
    // Zero would mean no limit.
    let shortest = Duration::from_millis(1);
    rpc.set_handshake_timeout(Some(limits.handshake.max(shortest)));
    rpc.set_reply_timeout(Some(limits.reply.max(shortest)));
    Ok(rpc)
}
