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
import android.system.guestnet.Layer;
import android.system.guestnet.LayerState;

/** One layer of a guest's network. */
parcelable LayerStatus {
    /** Which layer. */
    Layer layer = Layer.LINK;
    /** How it is. */
    LayerState state = LayerState.OK;
    /** Why it is so; HEALTHY when nothing is wrong. With state OK, another cause costs the guest something, but not its internet. */
    Cause cause = Cause.HEALTHY;
    /** What is there, or what is wrong: one sentence for people, without a full stop. */
    @utf8InCpp String text;
    /** What to do about it, as a command where there is one; null: nothing is wrong, or nothing can be done but wait. */
    @nullable @utf8InCpp String nextStep;
    /** Milliseconds until guestnetd tries again by itself; -1: it does not, or it acts as soon as something changes. */
    int retryInMillis = -1;
}
