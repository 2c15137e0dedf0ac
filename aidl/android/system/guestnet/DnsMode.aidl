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

/** Who answers a guest's questions for names, which it asks port 53 of its gateway by UDP and TCP. */
@Backing(type="int")
enum DnsMode {
    /**
     * As FORWARD where netd resolves names, and where DNAT cannot do it: behind the uplink are several
     * resolvers, or none of IPv4, or the device's own on the loopback; or one was named (setDns) for the tun
     * that the guest leaves by. Else as DNAT.
     */
    AUTO = 0,
    /** The first resolver behind the uplink that answers: the questions' destination is changed on the way. */
    DNAT = 1,
    /**
     * guestnetd asks for the guest: netd's resolver, with Private DNS and all else that apps have, or all
     * resolvers behind the guest's way out, in their order. While there is none it answers SERVFAIL at once.
     */
    FORWARD = 2,
    /** The same, but it asks GuestConfig.dnsServers. */
    SERVERS = 3,
}
