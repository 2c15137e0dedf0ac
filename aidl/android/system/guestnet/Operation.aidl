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

/**
 * What is done, as a fact beside the words. Values from 100 on change nothing in a kernel: they are
 * entries of a timeline only. A later version adds values and renumbers none.
 */
@Backing(type="int")
enum Operation {
    /** A link is created. */
    ADD_LINK = 0,
    /** A link is deleted, with all that is on it. */
    DELETE_LINK = 1,
    /** A link is set up. */
    SET_LINK_UP = 2,
    /** A link is set down. */
    SET_LINK_DOWN = 3,
    /** A link gets another MTU. */
    SET_MTU = 4,
    /** A link gets its alias, which marks it as whole. */
    SET_ALIAS = 5,

    /** An address is added to a link. */
    ADD_ADDRESS = 10,
    /** An address is deleted from a link. */
    DELETE_ADDRESS = 11,

    /** A route is added. */
    ADD_ROUTE = 20,
    /** A route is deleted. */
    DELETE_ROUTE = 21,

    /** A policy-routing rule is added, with its route where that is guestnetd's. */
    ADD_RULE = 30,
    /** A policy-routing rule is deleted, with its route where that is guestnetd's. */
    DELETE_RULE = 31,

    /** A sysctl of a link is written. */
    SET_SYSCTL = 40,
    /** IPv4 forwarding is switched on or off, by the sysctl or by netd. */
    SET_FORWARDING = 41,

    /** The packet filter is set as a whole. */
    SET_PACKET_FILTER = 50,
    /** Tracked connections of an address are deleted. */
    FORGET_CONNECTIONS = 51,

    /** A guest gets its place in its segment, or loses it. */
    SET_SEGMENT = 60,

    /** The target was opened, and the call waited for its turn. */
    OPEN_TARGET = 100,
    /** Slot, address and MTU were chosen. */
    CHOOSE_SLOT = 101,
    /** A socket was opened in the guest's network namespace. */
    ENTER_NETNS = 102,
    /** What is there already was read. */
    OBSERVE = 103,
    /** What was set up was read back. */
    READ_BACK = 104,
    /** The guest was written to the state directory. */
    STORE = 105,
    /** The guest's network namespace was left: nothing of guestnetd's pins it. */
    LEAVE_NETNS = 106,
}
