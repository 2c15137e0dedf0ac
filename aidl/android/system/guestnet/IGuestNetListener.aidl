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
import android.system.guestnet.GuestEvent;
import android.system.guestnet.Uplink;

/** Told about guests and the uplink, in order; never blocks guestnetd. */
oneway interface IGuestNetListener {
    /**
     * A guest was attached, has changed, or is gone.
     *
     * @param event what happened.
     * @param guest the guest after it; its last state when it is gone.
     */
    void onGuest(GuestEvent event, in Guest guest);

    /**
     * The uplink changed.
     *
     * @param previous the uplink before.
     * @param current the uplink now.
     * @param gapMicros microseconds from the kernel's notice to the rules being in place.
     */
    void onUplink(in Uplink previous, in Uplink current, long gapMicros);
}
