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

/** Why a guest is gone. A later version may add values: take one that you do not know as "gone". */
@Backing(type="int")
enum EndCause {
    /** It is not gone. */
    NONE = 0,
    /** detach() or detachAll(). */
    DETACHED = 1,
    /** The process that attach() named has ended (Lifeline.TARGET). */
    PROCESS_EXITED = 2,
    /** Its network namespace has ended, with the last process in it. */
    NAMESPACE_GONE = 3,
    /** Somebody deleted its link. */
    LINK_DELETED = 4,
    /** The owner that was given to attach() has died. */
    OWNER_DIED = 5,
    /** Its lease has ended (GuestConfig.leaseMillis). */
    LEASE_ENDED = 6,
    /** The last descriptor of its TAP device was closed, as when its VM ends; or somebody deleted that device. */
    TAP_CLOSED = 7,
}
