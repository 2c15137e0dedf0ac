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

import android.system.guestnet.TraceGap;
import android.system.guestnet.TraceStep;

/** One probe of diagnose(), sent once more from the guest, hook by hook. */
parcelable Trace {
    /** The probe, as in ProbeReport.name. */
    @utf8InCpp String probe;
    /** NONE: the steps are what the kernel did. Else what its rules say, as far as they can be read. */
    TraceGap gap = TraceGap.NONE;
    /** The gap in words; empty if there is none. */
    @utf8InCpp String text;
    /** What the guest's packet met, in order, and then its answer. The last one of either decided. */
    TraceStep[] steps;
}
