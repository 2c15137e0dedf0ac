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

import android.system.guestnet.ProbeOutcome;

/** One probe of diagnose(): made in the guest, and the same from the device. */
parcelable ProbeReport {
    /** What was asked, for people: "tcp 1.1.1.1:443", "dns A udp". */
    @utf8InCpp String name;
    /** What became of the guest's. */
    ProbeOutcome guest = ProbeOutcome.NOT_MADE;
    /** How long its answer took in microseconds; -1: there was none. */
    long guestMicros = -1;
    /** What became of the device's. */
    ProbeOutcome device = ProbeOutcome.NOT_MADE;
    /** How long its answer took in microseconds; -1: there was none. */
    long deviceMicros = -1;
    /** What was seen of the guest's packet on its way, of the answer, and of the failure; may be empty. */
    @utf8InCpp String detail;
}
