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

import android.system.guestnet.Operation;

/** One step of an attach. */
parcelable TimelineStep {
    /** What was done. */
    Operation operation = Operation.ADD_LINK;
    /** The same with its details, in words for people. */
    @utf8InCpp String what;
    /** Microseconds from the arrival of the call to the start of this step. */
    long startMicros;
    /** Microseconds that it took. */
    long durationMicros;
}
