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

/** What the platform knows of a network beyond its interface. */
parcelable UplinkInfo {
    /** Whether its traffic costs money (NET_CAPABILITY_NOT_METERED is missing). */
    boolean metered = false;
    /**
     * URL of the captive portal's API (LinkProperties.getCaptivePortalApiUrl()), http or https, at most 255
     * bytes; null: it is behind none that has one.
     */
    @nullable @utf8InCpp String captivePortalUrl;
    /**
     * False: the internet was not reached by it (no NET_CAPABILITY_VALIDATED). That is named by status() and
     * diagnose(), and keeps no packet back.
     */
    boolean validated = true;
}
