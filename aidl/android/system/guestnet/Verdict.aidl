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

/** What the layers of a guest come to. */
@Backing(type="int")
enum Verdict {
    /** Every layer is as it should be. */
    INTERNET = 0,
    /** Addresses are reached, names are not resolved. */
    NO_NAMES = 1,
    /** Nothing is reached: a layer is BAD. */
    NO_INTERNET = 2,
    /** Nothing is reached yet: no layer is BAD, but traffic waits for something to appear. */
    WAITING = 3,
    /** Nothing is known to be wrong, but a layer is UNKNOWN. */
    UNSURE = 4,
    /** Every layer is as it should be, and the guest leaves via nothing: its VPN policy is NO_UPLINK. */
    NO_UPLINK = 5,
}
