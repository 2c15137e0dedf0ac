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

//! ctnetlink's numbers (linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h, nf_conntrack_common.h), for
//! the files that read or forget connections.

/// `struct nfgenmsg` of IPv4.
pub(super) const NFGENMSG: [u8; 4] = [libc::AF_INET as u8, 0, 0, 0];
/// NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET.
pub(super) const CT_GET: u16 = 1 << 8 | 1;
pub(super) const CT_DELETE: u16 = CT_GET + 1;
pub(super) const CTA_TUPLE_ORIG: u16 = 1;
pub(super) const CTA_TUPLE_REPLY: u16 = 2;
pub(super) const CTA_STATUS: u16 = 3;
pub(super) const CTA_PROTOINFO: u16 = 4;
pub(super) const CTA_TIMEOUT: u16 = 7;
pub(super) const CTA_ID: u16 = 12;
pub(super) const CTA_ZONE: u16 = 18;
pub(super) const CTA_FILTER: u16 = 25;
pub(super) const CTA_TUPLE_IP: u16 = 1;
pub(super) const CTA_TUPLE_PROTO: u16 = 2;
pub(super) const CTA_IP_V4_SRC: u16 = 1;
pub(super) const CTA_IP_V4_DST: u16 = 2;
pub(super) const CTA_PROTO_NUM: u16 = 1;
pub(super) const CTA_PROTO_SRC_PORT: u16 = 2;
pub(super) const CTA_PROTO_DST_PORT: u16 = 3;
pub(super) const CTA_PROTOINFO_TCP: u16 = 1;
pub(super) const CTA_PROTOINFO_TCP_STATE: u16 = 1;
/// `TCP_CONNTRACK_TIME_WAIT` and `TCP_CONNTRACK_CLOSE` (nf_conntrack_tcp.h).
pub(super) const CLOSED: [u8; 2] = [7, 8];
pub(super) const CTA_FILTER_ORIG_FLAGS: u16 = 1;
pub(super) const CTA_FILTER_REPLY_FLAGS: u16 = 2;
pub(super) const CTA_FILTER_F_CTA_IP_SRC: u32 = 1;
pub(super) const CTA_FILTER_F_CTA_IP_DST: u32 = 1 << 1;
pub(super) const IPS_SEEN_REPLY: u32 = 1 << 1;
