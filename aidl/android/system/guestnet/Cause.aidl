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
 * Why a layer is as it is. The values are grouped by layer, with room in each group: a later version
 * adds values and renumbers none. Take one that you do not know as "something is wrong here", and go by
 * LayerState.
 */
@Backing(type="int")
enum Cause {
    /** Nothing is wrong. */
    HEALTHY = 0,
    /** The layer could not be read. */
    UNREADABLE = 1,

    /** The link to the guest does not exist any more. */
    LINK_GONE = 100,
    /** The device's end of the link is down. */
    LINK_DOWN = 101,
    /** The guest's end of the link is down. */
    GUEST_LINK_DOWN = 102,
    /** Somebody else has renamed the device's end, put it into a bridge or changed it otherwise, and it cannot be put back. */
    LINK_CHANGED = 103,
    /** The device and the guest, or the device and its router, do not find one another by ARP, or have wrong link-layer addresses. */
    NEIGHBOUR_WRONG = 104,

    /** The device's end of the link has lost its address. */
    ADDRESS_MISSING = 200,
    /** A network that the device is in, or has a route to, has addresses in common with the guest's subnet. */
    SUBNET_CONFLICT = 201,

    /** The device has no route to the guest. */
    GUEST_ROUTE_MISSING = 300,
    /** The device's rules and routes send the guest's packets by an interface that it may not leave by: a VPN, as a rule. */
    VPN_CAPTURES = 301,
    /** A route or rule that is not guestnetd's sends the answers to the guest elsewhere. */
    ANSWERS_ELSEWHERE = 302,
    /** The device's default route leads into an interface that leads nowhere: a VPN's kill switch. */
    KILL_SWITCH = 303,
    /** The kernel's reverse-path filter drops what comes back for the guest, or what it sends. */
    RP_FILTER = 304,

    /** A policy-routing rule of guestnetd's is missing. */
    RULE_MISSING = 400,
    /** A policy-routing rule that is not guestnetd's comes before guestnetd's and decides. */
    RULE_SHADOWED = 402,
    /** A lockdown VPN is up, and the guest's VpnPolicy stops it meanwhile. */
    LOCKDOWN = 401,

    /** IPv4 forwarding is off. */
    FORWARDING_OFF = 500,
    /** IPv4 forwarding is on, but only for as long as others need it. */
    FORWARDING_NOT_OURS = 501,
    /** netd has been asked and has not answered yet; it may be starting. */
    NETD_UNANSWERED = 502,

    /** The packet filter could not be set: iptables or the kernel refused, or could not be run. */
    FILTER_PROGRAM_FAILED = 600,
    /** iptables hangs, or waits for another holder of its lock. */
    FILTER_PROGRAM_STUCK = 601,
    /** guestnetd's rules in the packet filter were changed by another program. */
    FILTER_CHANGED = 602,
    /** What is not guestnetd's drops what guests send, or are answered: a chain, a policy of IPsec, a queue or filter of tc. */
    FORWARD_DROPPED = 603,
    /** netd's chain tetherctrl_FORWARD drops what guests send. */
    NETD_TETHERCTRL_DROP = 604,
    /** A chain or policy that is not guestnetd's drops what guests ask of the device, such as names. */
    INPUT_DROPPED = 605,

    /** guestnetd's source NAT is not in place. */
    MASQUERADE_MISSING = 700,
    /** The guest's packets leave with an address that is not the uplink's: another rule decided before guestnetd's. */
    WRONG_SOURCE = 701,
    /** Somebody else's rule switches connection tracking off for the guest's packets, so they are not translated. */
    NOT_TRACKED = 702,
    /** The table of connections is full, or nearly so. */
    CONNTRACK_FULL = 703,

    /** No resolver is known for the uplink. */
    DNS_NONE = 800,
    /** No resolver answers. */
    DNS_SILENT = 801,
    /** The resolver refuses. */
    DNS_REFUSED = 802,
    /** The resolver is reached by another interface than the guest leaves by. */
    DNS_ELSEWHERE = 803,
    /** guestnetd's forwarder cannot listen: another program has its port, 30053. */
    DNS_PORT_TAKEN = 804,

    /** None of the interfaces that may be the uplink exists. */
    UPLINK_MISSING = 900,
    /** The uplink is down or has no carrier. */
    NO_CARRIER = 901,
    /** The uplink has no IPv4 address, and no other interface lends it one. */
    UPLINK_NO_ADDRESS = 902,
    /** The device has no default route, or the uplink's routing table has none. */
    NO_DEFAULT_ROUTE = 903,
    /** The uplink is up, but the device's default route leaves by another interface. */
    DEFAULT_ROUTE_ELSEWHERE = 904,
    /** The tun that the guest leaves by does not exist. */
    TUN_MISSING = 905,
    /** The tun that the guest leaves by is down. */
    TUN_DOWN = 906,
    /** The uplink has IPv6 alone. */
    UPLINK_IPV6_ONLY = 907,
    /** The network wants a sign-in first. */
    CAPTIVE_PORTAL = 908,
    /** Large packets are lost on the way. */
    MTU_BLACKHOLE = 909,
    /** The uplink's network has no internet: the device itself gets no answer. */
    UPSTREAM_DOWN = 910,
    /** The platform has not reached the internet by the uplink, or not without a sign-in: setUplinkInfo() says so. */
    NOT_VALIDATED = 911,

    /** The guest has lost the address that it was given. */
    GUEST_ADDRESS_LOST = 1000,
    /** The guest has lost its default route, or has another one before it. */
    GUEST_ROUTE_LOST = 1001,
    /** The guest asks another resolver than its gateway, or reaches its gateway by another interface. */
    GUEST_RESOLVER = 1002,
    /** The guest's own packet filter, or a setting of its own, drops. */
    GUEST_FIREWALL = 1003,
    /** Packets with checksums left to the hardware are lost: checksum offload of the link. */
    TX_CHECKSUM = 1004,

    /** The device of the guest's segment, or a filter of its place there, is missing. */
    SEGMENT_BROKEN = 1100,
}
