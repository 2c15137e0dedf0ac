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

import android.system.guestnet.Dhcp;
import android.system.guestnet.DnsMode;
import android.system.guestnet.GuestField;
import android.system.guestnet.GuestKind;
import android.system.guestnet.Lifeline;
import android.system.guestnet.VpnPolicy;

/**
 * What a guest gets. All defaults together are the original set-up: vm_wlan 172.17.3.2/16 on the
 * device, wlan0 172.17.3.3/16 in the guest, default route via 172.17.3.2.
 */
parcelable GuestConfig {
    /** The guest's stable name: 1 to 63 bytes of [A-Za-z0-9._-], the first one a letter or digit. */
    @utf8InCpp String name;
    /** How the guest is connected. */
    GuestKind kind = GuestKind.VETH;
    /** The interface's name inside the guest: 1 to 15 bytes, as the kernel takes it. TAP: for people only. */
    @utf8InCpp String interfaceName = "wlan0";
    /**
     * The guest's addresses, IPv4 or IPv6, as "172.17.3.9" or "172.17.3.9/16"; a length given here has
     * to be the subnet's, so that Guest.addresses can be passed back. Empty: its slot's IPv4 address,
     * counted from the gateway's (172.17.3.3 for the first guest). In this version at most one, IPv4;
     * an IPv6 address, or a second one, is EX_UNSUPPORTED_OPERATION.
     */
    @utf8InCpp String[] addresses;
    /** IPv4 address of the device on the guest's link, and the guest's default route unless it has NO_UPLINK. */
    @utf8InCpp String gateway = "172.17.3.2";
    /** Length of the subnet's prefix in bits, 1 to 30. */
    int prefixLength = 16;
    /** MTU in bytes, 68 to 65535, with TAP to 65521; MTU_FOLLOW_UPLINK (-1): the uplink's. */
    int mtu = -1;
    /** Which way the guest's traffic leaves while the device uses a VPN. */
    VpnPolicy vpnPolicy = VpnPolicy.FOLLOW_UPLINK;
    /** NAMED_TUN: name of the tun that the guest leaves by, and by nothing else; it must be there. Any other policy: null. */
    @nullable @utf8InCpp String uplink;
    /**
     * Whether guestnetd puts back by itself, within some seconds, what the guest loses of its own side:
     * its end up, its address, its default route. Else that is for repair(): a guest may do there what it
     * likes. With TAP it is EX_UNSUPPORTED_OPERATION: guestnetd does not see a VM's own side.
     */
    boolean keep = false;
    /** What the guest lives by. It cannot change while it is attached. TAP: its descriptors, whatever this says. */
    Lifeline lifeline = Lifeline.TARGET;
    /**
     * Length of its lease in milliseconds, 1000 to 31536000000 (a year); 0: none. The guest is detached
     * when that time has passed since attach() or the last update(), each of which begins a lease, or
     * ends it with 0. While the device sleeps (CLOCK_MONOTONIC) it does not pass.
     */
    long leaseMillis = 0;
    /** Whether its DHCP clients are answered. */
    Dhcp dhcp = Dhcp.AUTO;
    /** Who answers its questions for names. */
    DnsMode dns = DnsMode.AUTO;
    /**
     * SERVERS: whom guestnetd asks, IPv4 or IPv6, in this order, by the guest's way out and by no other: 1
     * to MAX_DNS_SERVERS. Any other mode: empty.
     */
    @utf8InCpp String[] dnsServers;
    /**
     * TAP: how many queues the device has, 1 to 16, each with a descriptor of its own (IFF_MULTI_QUEUE with
     * more than one). Other kinds: 1.
     */
    int queues = 1;
    /**
     * What counts as said here though it has its default. Where guestnetd's file has a section for guests of
     * this name (on Linux), a field is the section's if it has its default here and is not in this list. What
     * is not its default is always the caller's.
     */
    GuestField[] given;
    /**
     * BRIDGED, and TAP if wanted: the segment that the guest is on, by its name, made as a guest's name. It is
     * there while guests are. Guests of one segment reach each other by IPv4 and ARP, unicast and broadcast;
     * each with its own MAC and address alone, and none answers for leases there. IPv6 and other frames do
     * not pass. Other guests are out of reach, as with VETH. Null with VETH, and with a TAP on none. A second
     * link of a guest is a second attach() to its namespace, with another name, interfaceName, subnet and
     * segment, and vpnPolicy NO_UPLINK.
     */
    @nullable @utf8InCpp String segment;
}
