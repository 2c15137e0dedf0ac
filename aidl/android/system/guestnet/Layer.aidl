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

/** What has to be right for a guest to have internet, from the bottom up. */
@Backing(type="int")
enum Layer {
    /** The link, both ends. */
    LINK = 0,
    /** The addresses of both ends. */
    ADDRESS = 1,
    /** The guest's default route and the device's route to the guest. */
    ROUTE = 2,
    /**
     * The policy-routing rule: it leads guests to the uplink, where the device routes as netd does; or a
     * guest to its VPN; or it stops one, as its VPN policy says.
     */
    RULE = 3,
    /** IPv4 forwarding on the device. */
    FORWARDING = 4,
    /** The forward and input rules. */
    FIREWALL = 5,
    /** The masquerade rule. */
    NAT = 6,
    /** The resolver that gets what guests ask their gateway. Only names fail without it. */
    DNS = 7,
    /** The guest's way out: the device's uplink, or the guest's own. */
    UPLINK = 8,
    /** The guest's place in its segment, if it is on one. Without it only others of the segment are lost. */
    SEGMENT = 9,
}
