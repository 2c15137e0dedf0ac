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

/** The device's way out. */
parcelable Uplink {
    /**
     * How it is chosen: an interface's name; names and beginnings of names with a '*', of which the
     * first that carries a default route is taken ("wlan0,rmnet*"); or "default" for whatever the
     * kernel routes packets to the internet through. A clat comes with its network ("v4-wlan0").
     */
    @utf8InCpp String choice;
    /** The interface's name; empty when "default" or a list finds none. */
    @utf8InCpp String interfaceName;
    /** Its interface index; 0 when there is no such interface. */
    int interfaceIndex;
    /** Whether it is there, up, and has carrier. */
    boolean up;
    /** Its first IPv4 address; empty when it has none. */
    @utf8InCpp String address;
    /** Its MTU in bytes; 0 when there is no such interface. */
    int mtu;
    /** Interface that packets to the internet leave by, the first of several; empty when there is none. */
    @utf8InCpp String defaultRouteInterface;
    /** IPv4 addresses of the resolvers behind it; the first is the one in use. Empty when none is known. */
    @utf8InCpp String[] dnsServers;
    /** Number of the routing table that leads to it: 254 (main) mostly, or its own where ServiceInfo.routing is "netd". */
    int routeTable;
    /** What keeps guests from leaving by it, or makes it doubtful that they reach the internet. */
    Cause cause = Cause.HEALTHY;
    /** The same in words, as the layer UPLINK has it; the interface, its address and MTU when nothing does. */
    @utf8InCpp String text;
}
