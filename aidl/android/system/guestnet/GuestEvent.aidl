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

/** What happened to a guest. */
@Backing(type="int")
enum GuestEvent {
    /** attach() succeeded. */
    ATTACHED = 0,
    /** Guest.state or Guest.mtu has changed, or update() has changed the guest. */
    STATE = 1,
    /** detach() succeeded. */
    DETACHED = 2,
    /** The guest is gone, and nobody detached it: Guest.endCause says why. */
    LOST = 3,
}
