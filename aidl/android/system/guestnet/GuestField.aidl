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

package android.system.guestnet;

/** A part of GuestConfig that guestnetd's file may say for guests of a name. */
@Backing(type="int")
enum GuestField {
    /** kind. */
    KIND = 0,
    /** interfaceName. */
    INTERFACE_NAME = 1,
    /** addresses. */
    ADDRESSES = 2,
    /** gateway. */
    GATEWAY = 3,
    /** prefixLength. */
    PREFIX_LENGTH = 4,
    /** mtu. */
    MTU = 5,
    /** vpnPolicy, with the uplink that belongs to it. */
    VPN_POLICY = 6,
    /** keep. */
    KEEP = 7,
    /** lifeline. */
    LIFELINE = 8,
    /** leaseMillis. */
    LEASE = 9,
    /** dhcp. */
    DHCP = 10,
    /** dns, with the dnsServers that belong to it. */
    DNS = 11,
    /** queues. */
    QUEUES = 12,
    /** segment; with it, a kind that has its default is BRIDGED. */
    SEGMENT = 13,
}
