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

/**
 * What diagnose() sends packets to. Its defaults are servers of the internet's, as Android's own
 * connectivity checks use them; on a network without internet name others.
 */
parcelable DiagnoseOptions {
    /**
     * IPv4 addresses that answer on TCP 443 or 80, and pings of any size; at most MAX_PROBE_TARGETS. None:
     * 1.1.1.1 and 8.8.8.8.
     */
    @utf8InCpp String[] targets = {};
    /**
     * A page that is answered with status 204: http://HOST[:PORT]/PATH, HOST a name or an IPv4 address.
     * Empty: http://connectivitycheck.gstatic.com/generate_204.
     */
    @utf8InCpp String url = "";
    /** The name that resolvers are asked for. Empty: url's host, if that is a name, else the default's. */
    @utf8InCpp String name = "";
    /**
     * Whether one probe is sent again, and followed through the packet filters. Its packets are marked by a
     * table of guestnetd's own for less than a second, or where there is no nf_tables by a chain of its own in
     * x_tables' raw; nothing else is changed, and nothing is left.
     */
    boolean trace = false;
}
