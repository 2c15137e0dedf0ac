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

//! One accepted connection, and the place it takes for exactly as long as its socket is open.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rsbinder::rpc::transport::{PeerIdentity, RpcTransport, UnixTransport};
use rsbinder::rpc::RpcResult;

use crate::places::Place;

/// A Unix socket transport that holds a place. Everything but the place is the transport's own.
pub(crate) struct Line {
    // Closed before the place is given back.
    socket: Arc<UnixTransport>,
    place: Place,
}

impl Line {
    pub(crate) fn new(socket: Arc<UnixTransport>, place: Place) -> Self {
        Self { socket, place }
    }
}

impl RpcTransport for Line {
    /// The server arms a read timeout for the handshake and lifts it when that has succeeded:
    /// the one sign from outside that a connection is no stranger's any more.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> RpcResult<()> {
        if timeout.is_none() {
            self.place.keep();
        }
        self.socket.set_read_timeout(timeout)
    }

    fn send_frame(&self, buf: &[u8]) -> RpcResult<()> {
        self.socket.send_frame(buf)
    }

    fn recv_frame(&self) -> RpcResult<Vec<u8>> {
        self.socket.recv_frame()
    }

    fn peer_identity(&self) -> PeerIdentity {
        self.socket.peer_identity()
    }

    fn describe(&self) -> &str {
        self.socket.describe()
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> RpcResult<()> {
        self.socket.set_write_timeout(timeout)
    }

    fn set_liveness(&self, timeout: Option<Duration>) -> RpcResult<()> {
        self.socket.set_liveness(timeout)
    }

    fn peer_closed(&self) -> Option<bool> {
        self.socket.peer_closed()
    }

    fn shutdown_handle(&self) -> Option<Box<dyn FnOnce() + Send>> {
        self.socket.shutdown_handle()
    }

    fn shutdown(&self) -> RpcResult<()> {
        self.socket.shutdown()
    }

    fn supports_fd_passing(&self) -> bool {
        self.socket.supports_fd_passing()
    }

    fn send_frame_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> RpcResult<()> {
        self.socket.send_frame_with_fds(buf, fds)
    }

    fn recv_frame_with_fds(&self) -> RpcResult<(Vec<u8>, Vec<OwnedFd>)> {
        self.socket.recv_frame_with_fds()
    }

    fn send_raw(&self, buf: &[u8]) -> RpcResult<()> {
        self.socket.send_raw(buf)
    }

    fn recv_raw(&self, buf: &mut [u8]) -> RpcResult<usize> {
        self.socket.recv_raw(buf)
    }

    fn send_raw_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> RpcResult<()> {
        self.socket.send_raw_with_fds(buf, fds)
    }

    fn recv_raw_with_fds(&self, buf: &mut [u8]) -> RpcResult<(usize, Vec<OwnedFd>)> {
        self.socket.recv_raw_with_fds(buf)
    }

    fn send_raw_draining(
        &self,
        buf: &[u8],
        fds: &[BorrowedFd<'_>],
        drain: &mut dyn FnMut() -> RpcResult<()>,
    ) -> RpcResult<()> {
        self.socket.send_raw_draining(buf, fds, drain)
    }
}
