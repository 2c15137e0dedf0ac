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

/** The state of a guest as a whole. */
@Backing(type="int")
enum GuestState {
    /** Attached and forwarded to its way out. */
    ATTACHED = 0,
    /**
     * Attached; traffic waits: until the uplink is there, or the tun that the guest leaves by, or until a lockdown
     * that stops it is over. status() says for what.
     */
    WAITING_FOR_UPLINK = 1,
    /** No longer attached. */
    GONE = 2,
    /**
     * list() only: a link with guestnetd's marks that belongs to no guest it knows. It has a name, which is the
     * link's, and hostInterface and hostInterfaceIndex; detach() takes that name and removes it.
     */
    NOT_ADOPTED = 3,
}
