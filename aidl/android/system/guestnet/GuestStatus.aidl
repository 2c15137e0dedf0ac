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

import android.system.guestnet.Guest;
import android.system.guestnet.LayerStatus;
import android.system.guestnet.Verdict;

/** One guest, layer by layer. */
parcelable GuestStatus {
    /** The guest. */
    Guest guest;
    /** What its layers come to. */
    Verdict verdict = Verdict.INTERNET;
    /** The layer that the verdict is due to; null when that is INTERNET. */
    @nullable LayerStatus reason;
    /** Its layers, from LINK up to UPLINK. */
    LayerStatus[] layers;
    /** Bytes received from the guest. */
    long rxBytes;
    /** Bytes sent to the guest. */
    long txBytes;
    /** Packets received from the guest. */
    long rxPackets;
    /** Packets sent to the guest. */
    long txPackets;
    /** As Guest.droppedPackets: packets from it or to it that were dropped; -1: it cannot be told whose they were. */
    long droppedPackets = -1;
}
