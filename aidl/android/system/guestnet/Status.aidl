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

import android.system.guestnet.GuestStatus;
import android.system.guestnet.LayerStatus;
import android.system.guestnet.Uplink;
import android.system.guestnet.Verdict;

/** The whole service, or one guest of it, layer by layer. */
parcelable Status {
    /** The uplink now. */
    Uplink uplink;
    /** What the layers that all guests share come to. */
    Verdict verdict = Verdict.INTERNET;
    /** The layer that this verdict is due to; null when that is INTERNET. */
    @nullable LayerStatus reason;
    /** The layers that all guests share: RULE, FORWARDING, FIREWALL, NAT, DNS, UPLINK. */
    LayerStatus[] device;
    /** The guests asked for, by name. */
    GuestStatus[] guests;
    /**
     * Packets of guests that guestnetd's rules have dropped since they were last set; -1: the packet
     * filter cannot be read.
     */
    long droppedPackets = -1;
}
