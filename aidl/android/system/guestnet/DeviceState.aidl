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

/** What the platform knows of the device. */
parcelable DeviceState {
    /**
     * Whether nobody uses the device, so that it is to rest (PowerManager.isDeviceIdleMode()). Meanwhile guestnetd looks
     * by itself once in an hour, not each --check-every, whether other programs have changed what is its own; what the
     * kernel announces it acts on as ever. With the end of it, it looks at once.
     */
    boolean idle = false;
}
