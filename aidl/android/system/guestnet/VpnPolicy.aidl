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

/** What becomes of a guest's traffic while the device uses a VPN. */
@Backing(type="int")
enum VpnPolicy {
    /** It leaves via the uplink, as tethered traffic does in AOSP. */
    FOLLOW_UPLINK = 0,
    /** It leaves via the tun that GuestConfig.uplink names, and waits while that is down. */
    NAMED_TUN = 1,
    /** It leaves via the uplink, and is stopped while a lockdown VPN is up. */
    BLOCK_UNDER_LOCKDOWN = 2,
    /**
     * It leaves via nothing, whatever uplinks there are, and gets no default route: the guests of its
     * segment and its gateway are all that it reaches, and names from outside are not resolved.
     */
    NO_UPLINK = 3,
}
