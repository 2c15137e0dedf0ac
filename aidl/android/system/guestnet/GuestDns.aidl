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

import android.system.guestnet.DnsMode;

/** Who answers one guest's questions for names now. */
parcelable GuestDns {
    /** The guest. */
    @utf8InCpp String guest;
    /** How: DNAT, FORWARD or SERVERS; what AUTO has come to. */
    DnsMode mode = DnsMode.DNAT;
    /** Whether it is netd's resolver that is asked, which knows the servers; there are none here then. */
    boolean netd = false;
    /**
     * Addresses of those that are asked, in that order, such as did not answer last at the end; with DNAT it is one.
     * Empty: nobody can be asked now, or netd is.
     */
    @utf8InCpp String[] servers;
}
