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

import android.system.guestnet.TargetKind;

/** Where the guest is: exactly one of the ways to name a network namespace, or NONE for a TAP. */
parcelable GuestTarget {
    /** Which of the fields below counts. */
    TargetKind kind = TargetKind.NETNS;
    /** NETNS: an open network namespace. PIDFD: a pidfd of a process in it. PID: ignored. */
    @nullable ParcelFileDescriptor fd;
    /** PID: a process in it, as guestnetd sees its number, 1 or more. Otherwise ignored. */
    int pid = 0;
}
