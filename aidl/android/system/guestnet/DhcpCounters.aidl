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

/** How often a guest's DHCP clients were answered, since its attach or the last start of guestnetd. */
parcelable DhcpCounters {
    /** Offers (DHCPOFFER). */
    long offers;
    /** Leases and answers to DHCPINFORM (DHCPACK). */
    long acks;
    /** Requests for another address (DHCPNAK). */
    long naks;
    /**
     * Messages that were not answered: malformed, not of the guest's own end, or more than a client ever
     * sends. Of a guest that sends far too many, not all are counted.
     */
    long refused;
}
