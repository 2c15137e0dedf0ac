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

/** Why a Trace is what the rules say, and not what the kernel did with a packet. */
@Backing(type="int")
enum TraceGap {
    /** It is what the kernel did. */
    NONE = 0,
    /** The kernel cannot trace packets. */
    NOT_SUPPORTED = 1,
    /** guestnetd may not have them traced. */
    NOT_PERMITTED = 2,
    /** Another trace is running. */
    BUSY = 3,
    /** The probe could not be sent. */
    NOT_SENT = 4,
    /** The probe was sent, and met no rule: it did not come to the device. */
    UNSEEN = 5,
}
