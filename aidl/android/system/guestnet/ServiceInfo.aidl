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

import android.system.guestnet.FirewallBackend;

/** What this guestnetd is and how it runs. */
parcelable ServiceInfo {
    /** Version of guestnetd. */
    @utf8InCpp String version;
    /** Its process id. */
    int pid;
    /** Where it listens: "unix://PATH" or "binder://". */
    @utf8InCpp String listen;
    /** How the uplink is chosen: Uplink.choice. */
    @utf8InCpp String uplink;
    /** The packet filter in use. */
    FirewallBackend firewall = FirewallBackend.NFTABLES;
    /** Why this packet filter: "asked for", or what the probe found. */
    @utf8InCpp String firewallReason;
    /** Release of the running kernel. */
    @utf8InCpp String kernel;
    /** Directory of the state that survives a restart of guestnetd. */
    @utf8InCpp String stateDir;
    /** Number of attached guests. */
    int guests;
    /** Whether guestnetd switched IPv4 forwarding on and will switch it off again. */
    boolean ownsForwarding;
    /** What the configuration can ask for and this version does not do yet. */
    @utf8InCpp String[] unsupported;
    /** How the device routes: "main" (by table main), or "netd" (by rules and a table for each interface, as Android's netd). */
    @utf8InCpp String routing;
}
