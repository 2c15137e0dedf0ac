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

//! The requests that both kernels get.

use libc::*;

const ACK: u16 = 4;
const CREATE: u16 = 0x600;

fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(((4 + value.len()) as u16).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A request with its header.
pub fn whole(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags | 1).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// A pair whose other end is in the namespace of a descriptor.
pub fn veth(name: &str, other: &str, fd: i32, group: u32) -> Vec<u8> {
    let mut peer = vec![0; 16];
    put(&mut peer, IFLA_IFNAME, &[other.as_bytes(), b"\0"].concat());
    put(&mut peer, IFLA_NET_NS_FD, &fd.to_ne_bytes());
    let (mut data, mut info, mut body) = (Vec::new(), Vec::new(), vec![0; 16]);
    put(&mut data, 1, &peer);
    put(&mut info, 1, b"veth\0");
    put(&mut info, 2, &data);
    put(&mut body, IFLA_IFNAME, &[name.as_bytes(), b"\0"].concat());
    put(&mut body, IFLA_GROUP, &group.to_ne_bytes());
    put(&mut body, IFLA_LINKINFO, &info);
    whole(RTM_NEWLINK, ACK | CREATE, &body)
}

/// A link is set up.
pub fn up(index: u32) -> Vec<u8> {
    let mut body = vec![0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    (body[8], body[12]) = (1, 1);
    whole(RTM_NEWLINK, ACK, &body)
}

/// A link gets an address.
pub fn address(index: u32, address: [u8; 4], prefix: u8) -> Vec<u8> {
    let mut body = vec![AF_INET as u8, prefix, 0, 0];
    body.extend(index.to_ne_bytes());
    put(&mut body, IFA_LOCAL, &address);
    put(&mut body, IFA_ADDRESS, &address);
    whole(RTM_NEWADDR, ACK | CREATE, &body)
}

/// A route by a link, in table main.
pub fn route(index: u32, to: [u8; 4], length: u8, via: Option<[u8; 4]>) -> Vec<u8> {
    let scope = if via.is_some() { 0 } else { 253 };
    let mut body = vec![AF_INET as u8, length, 0, 0, 254, 4, scope, 1, 0, 0, 0, 0];
    if length != 0 {
        put(&mut body, RTA_DST, &to);
    }
    put(&mut body, RTA_OIF, &index.to_ne_bytes());
    if let Some(via) = via {
        put(&mut body, RTA_GATEWAY, &via);
    }
    whole(RTM_NEWROUTE, ACK | CREATE, &body)
}
