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

/** The ways to name a guest's network namespace, best first; and none. */
@Backing(type="int")
enum TargetKind {
    /** By a descriptor of the namespace itself: no race, and the only one that needs no rights over the guest's processes. */
    NETNS = 0,
    /** By a pidfd of a process in it: no pid can be reused under it. */
    PIDFD = 1,
    /** By the pid of a process in it: held by a pidfd during the call. */
    PID = 2,
    /** None: GuestKind.TAP, whose network is where its descriptors are passed to. For no other kind. */
    NONE = 3,
}
