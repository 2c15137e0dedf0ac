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

//! What mac80211_hwsim takes by generic netlink: radios come and go.

use std::io;
use std::os::fd::AsFd;

use guestnet_tests::traffic::netlink::{attribute, u32_at, Socket};
use guestnet_tests::InNetns;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::SockProtocol;

// linux/genetlink.h
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// Length of `struct genlmsghdr`.
const GENERIC: usize = 4;
// drivers/net/wireless/mac80211_hwsim.h
const FAMILY: &[u8] = b"MAC80211_HWSIM\0";
const NEW_RADIO: u8 = 4;
const DEL_RADIO: u8 = 5;
const RADIO_NAME: u16 = 17;
const PERM_ADDR: u16 = 22;

/// Makes a radio, whose phy has this name, with an interface `wlan%d`.
pub fn new_radio(netns: &impl InNetns, name: &str, address: [u8; 6]) -> io::Result<()> {
    let attributes = [of(RADIO_NAME, &text(name)), of(PERM_ADDR, &address)].concat();
    order(netns, NEW_RADIO, &attributes)
}

/// Removes it. Radios are known in the namespace only that they are in.
pub fn delete_radio(netns: &impl InNetns, name: &str) -> io::Result<()> {
    order(netns, DEL_RADIO, &of(RADIO_NAME, &text(name)))
}

fn order(netns: &impl InNetns, command: u8, attributes: &[u8]) -> io::Result<()> {
    let mut socket = Socket::open(netns, SockProtocol::NetlinkGeneric)?;
    let name = of(CTRL_ATTR_FAMILY_NAME, FAMILY);
    let answer = ask(&mut socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, &name)?;
    let family = attribute(&answer, GENERIC, CTRL_ATTR_FAMILY_ID).and_then(|v| v.try_into().ok());
    let family = u16::from_ne_bytes(family.ok_or(io::ErrorKind::InvalidData)?);
    ask(&mut socket, family, command, attributes).map(drop)
}

/// Gives the answer's body, which is empty where there is only an acknowledgement.
fn ask(socket: &mut Socket, family: u16, command: u8, attributes: &[u8]) -> io::Result<Vec<u8>> {
    let body = [&[command, 1, 0, 0], attributes].concat();
    socket.send(family, libc::NLM_F_REQUEST | libc::NLM_F_ACK, &body)?;
    let mut answer = Vec::new();
    loop {
        poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
        for message in socket.next()?.into_iter().flatten() {
            if i32::from(message.kind) != libc::NLMSG_ERROR {
                answer = message.body.to_vec();
                continue;
            }
            // A new radio's number is "acknowledged", too: only less than 0 is an error.
            let error = u32_at(message.body, 0).ok_or(io::ErrorKind::InvalidData)? as i32;
            return if error < 0 { Err(io::Error::from_raw_os_error(-error)) } else { Ok(answer) };
        }
    }
}

fn of(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The kernel takes a radio's name with its length, and without a 0 at the end.
fn text(name: &str) -> Vec<u8> {
    name.as_bytes().to_vec()
}
