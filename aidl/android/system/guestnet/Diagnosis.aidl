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

import android.system.guestnet.Cause;
import android.system.guestnet.ProbeReport;
import android.system.guestnet.Trace;
import android.system.guestnet.Verdict;

/** What diagnose() found: one cause, and the packets that tell it. */
parcelable Diagnosis {
    /** The guest's name; empty for the device alone. */
    @utf8InCpp String guest;
    /** What it comes to. UNSURE: packets do not flow, or could not be sent, and the cause is not known. */
    Verdict verdict = Verdict.INTERNET;
    /** Why; HEALTHY when all is well. */
    Cause cause = Cause.HEALTHY;
    /** The same in one sentence. */
    @utf8InCpp String text;
    /** What to do about it, as a command where there is one; null when nothing is to be done. */
    @nullable @utf8InCpp String nextStep;
    /** The probes, from the nearest to the farthest. */
    ProbeReport[] probes;
    /** Packets of guests that guestnetd's rules dropped meanwhile; -1: they cannot be counted. */
    long droppedPackets = -1;
    /** How long it took, in milliseconds. */
    int durationMillis = 0;
    /** DiagnoseOptions.trace: the first probe that fails, else a question for a name. Null: not asked for, or no guest. */
    @nullable Trace trace;
}
