/*
 * Copyright (C) 2026 The Android Open Source Project
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at
 *
 *      http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */
///////////////////////////////////////////////////////////////////////////////
// THIS FILE IS IMMUTABLE. DO NOT EDIT IN ANY CASE.                          //
///////////////////////////////////////////////////////////////////////////////

// This file is a snapshot of an AIDL file. Do not edit it manually. There are
// two cases:
// 1). this is a frozen version file - do not edit this in any case.
// 2). this is a 'current' file. If you make a backwards compatible change to
//     the interface (from the latest frozen version), the build system will
//     prompt you to update this file with `m <name>-update-api`.
//
// You must not make a backward incompatible change to any AIDL file built
// with the aidl_interface module type with versions property set. The module
// type is used to build AIDL files in a way that they can be used across
// independently updatable components of the system. If a device is shipped
// with such a backward incompatible change, it has a high risk of breaking
// later when a module using the interface is updated, e.g., Mainline modules.

package android.system.guestnet;
@Backing(type="int")
enum Cause {
  HEALTHY = 0,
  UNREADABLE = 1,
  LINK_GONE = 100,
  LINK_DOWN = 101,
  GUEST_LINK_DOWN = 102,
  LINK_CHANGED = 103,
  NEIGHBOUR_WRONG = 104,
  ADDRESS_MISSING = 200,
  SUBNET_CONFLICT = 201,
  GUEST_ROUTE_MISSING = 300,
  VPN_CAPTURES = 301,
  ANSWERS_ELSEWHERE = 302,
  KILL_SWITCH = 303,
  RP_FILTER = 304,
  RULE_MISSING = 400,
  RULE_SHADOWED = 402,
  LOCKDOWN = 401,
  FORWARDING_OFF = 500,
  FORWARDING_NOT_OURS = 501,
  NETD_UNANSWERED = 502,
  FILTER_PROGRAM_FAILED = 600,
  FILTER_PROGRAM_STUCK = 601,
  FILTER_CHANGED = 602,
  FORWARD_DROPPED = 603,
  NETD_TETHERCTRL_DROP = 604,
  INPUT_DROPPED = 605,
  MASQUERADE_MISSING = 700,
  WRONG_SOURCE = 701,
  NOT_TRACKED = 702,
  CONNTRACK_FULL = 703,
  DNS_NONE = 800,
  DNS_SILENT = 801,
  DNS_REFUSED = 802,
  DNS_ELSEWHERE = 803,
  DNS_PORT_TAKEN = 804,
  UPLINK_MISSING = 900,
  NO_CARRIER = 901,
  UPLINK_NO_ADDRESS = 902,
  NO_DEFAULT_ROUTE = 903,
  DEFAULT_ROUTE_ELSEWHERE = 904,
  TUN_MISSING = 905,
  TUN_DOWN = 906,
  UPLINK_IPV6_ONLY = 907,
  CAPTIVE_PORTAL = 908,
  MTU_BLACKHOLE = 909,
  UPSTREAM_DOWN = 910,
  NOT_VALIDATED = 911,
  GUEST_ADDRESS_LOST = 1000,
  GUEST_ROUTE_LOST = 1001,
  GUEST_RESOLVER = 1002,
  GUEST_FIREWALL = 1003,
  TX_CHECKSUM = 1004,
  SEGMENT_BROKEN = 1100,
}
