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

//! One rtnetlink socket: a request and what the kernel answers, its errno and its own words.
//! Knows no message's meaning. (Room for what differs between rtnetlink's versions.)

use crate::error::KernelError;
use futures_util::StreamExt;
use netlink_packet_core::{
    ErrorMessage, NetlinkMessage, NetlinkPayload, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST,
};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::packet_core as netlink_packet_core;
use rtnetlink::sys::AsyncSocket;
use std::io;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A socket in the network namespace of the thread that opened it.
///
/// rtnetlink is async on paper only: the kernel does its work inside `sendmsg()`, on the thread
/// that polls the connection. So what may sleep long (RTM_DELLINK: 15 ms in rcu_barrier) has a
/// socket of its own on a thread of its own (`deleter.rs`).
#[derive(Debug)]
pub struct Netlink {
    handle: rtnetlink::Handle,
    connection: JoinHandle<()>,
}

impl Netlink {
    /// Opens a socket. The calling thread must be inside a tokio runtime.
    pub fn open() -> io::Result<Self> {
        let (mut connection, handle, unsolicited) = rtnetlink::new_connection()?;
        drop(unsolicited); // No groups are joined: nothing comes that was not asked for.
        connection.set_forward_done(true);
        let socket = connection.socket_mut().socket_mut();
        socket.set_ext_ack(true)?;
        // Kernels before 4.20 lack it: their dumps are not filtered, so every reader filters too.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self { handle, connection: tokio::spawn(connection) })
    }

    /// Closes the socket; it is closed when this returns.
    pub async fn close(self) {
        drop(self.handle);
        let _ = self.connection.await;
    }

    /// Sends a change and waits for the kernel's word. `flags`: `NLM_F_CREATE` and the like.
    pub async fn change(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), KernelError> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK | flags).await.map(drop)
    }

    /// Asks for one object.
    pub async fn get(
        &self,
        message: RouteNetlinkMessage,
    ) -> Result<RouteNetlinkMessage, KernelError> {
        // With an acknowledgement there is an end to wait for also when the answer is one that
        // netlink-packet-route cannot read: such a message never comes out of it.
        let answer = self.exchange(message, NLM_F_REQUEST | NLM_F_ACK).await?;
        let unreadable = || KernelError {
            errno: libc::EBADMSG,
            text: Some("an attribute of the answer cannot be read".into()),
        };
        answer.objects.into_iter().next().ok_or_else(unreadable)
    }

    /// Asks for all objects of a kind; again when they changed meanwhile.
    pub async fn dump(
        &self,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, KernelError> {
        let mut tries = 0;
        loop {
            let answer = self.exchange(message.clone(), NLM_F_REQUEST | NLM_F_DUMP).await?;
            tries += 1;
            if !answer.interrupted || tries == DUMPS {
                return Ok(answer.objects);
            }
        }
    }

    async fn exchange(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Answer, KernelError> {
        let failed = |errno, text: &str| KernelError { errno, text: Some(text.into()) };
        tokio::time::timeout(PATIENCE, self.ask(message, flags))
            .await
            .unwrap_or_else(|_| Err(failed(libc::ETIMEDOUT, "the kernel did not answer")))
    }

    async fn ask(&self, message: RouteNetlinkMessage, flags: u16) -> Result<Answer, KernelError> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        let closed =
            || KernelError { errno: libc::EPIPE, text: Some("the socket is closed".into()) };
        let mut answers = self.handle.clone().request(request).map_err(|_| closed())?;
        let mut answer = Answer::default();
        while let Some(message) = answers.next().await {
            answer.interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
            match message.payload {
                NetlinkPayload::Error(e) if e.code.is_some() => return Err(refusal(&e)),
                // Where a dump fails, its end says so.
                NetlinkPayload::Done(end) if end.code < 0 => {
                    return Err(KernelError { errno: end.code.saturating_abs(), text: None });
                }
                NetlinkPayload::InnerMessage(object) => answer.objects.push(object),
                _ => {}
            }
        }
        Ok(answer)
    }
}

/// What the kernel answered.
#[derive(Default)]
struct Answer {
    objects: Vec<RouteNetlinkMessage>,
    /// The objects changed while they were read.
    interrupted: bool,
}

/// How often a dump is repeated that is interrupted every time.
const DUMPS: usize = 8;
/// The kernel answers at once; this is for what nobody thought of.
const PATIENCE: Duration = Duration::from_secs(10);
/// linux/netlink.h
const NLM_F_DUMP_INTR: u16 = 0x10;

/// errno and, where the kernel gave one, its text.
pub fn refusal(error: &ErrorMessage) -> KernelError {
    KernelError { errno: error.raw_code().saturating_abs(), text: extended_ack(&error.header) }
}

/// The text of an extended acknowledgement (`NLMSGERR_ATTR_MSG`), which follows the echoed
/// request in an error message (linux/netlink.h, `struct nlmsgerr`).
fn extended_ack(echo: &[u8]) -> Option<String> {
    const NLMSGERR_ATTR_MSG: u16 = 1;
    let field = |at: usize| Some(u16::from_ne_bytes(echo.get(at..at + 2)?.try_into().ok()?));
    let request = u32::from_ne_bytes(echo.get(..4)?.try_into().ok()?) as usize;
    let mut at = request.checked_add(3)? & !3;
    loop {
        let (length, kind) = (usize::from(field(at)?), field(at + 2)?);
        let value = echo.get(at + 4..at.checked_add(length)?)?;
        if kind == NLMSGERR_ATTR_MSG {
            let text = value.split(|b| *b == 0).next()?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        at += length.max(4).checked_add(3)? & !3;
    }
}

#[cfg(test)]
mod tests {
    use super::extended_ack;

    /// A request of 18 bytes, padded; an attribute that is skipped; the text; a broken tail.
    fn answer() -> Vec<u8> {
        let mut bytes = 18u32.to_ne_bytes().to_vec();
        bytes.resize(20, 0xaa);
        for (kind, value) in [(2u16, &b"\x10\0\0\0"[..]), (1, &b"Unknown device type\0"[..])] {
            bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
        }
        bytes
    }

    #[test]
    fn the_kernels_words_are_found() {
        assert_eq!(extended_ack(&answer()).as_deref(), Some("Unknown device type"));
    }

    #[test]
    fn no_length_makes_it_panic() {
        let whole = answer();
        for end in 0..whole.len() {
            assert!(extended_ack(&whole[..end]).is_none(), "{end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 3, 0x7f, 0xff] {
                let mut bent = whole.clone();
                bent[at] = byte;
                let _ = extended_ack(&bent);
            }
        }
    }
}
