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
import android.system.guestnet.DhcpCounters;
import android.system.guestnet.DnsCounters;
import android.system.guestnet.DnsMode;
import android.system.guestnet.EndCause;
import android.system.guestnet.GuestKind;
import android.system.guestnet.GuestState;
import android.system.guestnet.Lifeline;
import android.system.guestnet.TimelineStep;
import android.system.guestnet.VpnPolicy;

/** A guest as it is attached. */
parcelable Guest {
    /** Its name. */
    @utf8InCpp String name;
    /** How it is connected. */
    GuestKind kind = GuestKind.VETH;
    /** Its state as a whole. */
    GuestState state = GuestState.ATTACHED;
    /**
     * Slot number from 0; slot 0 is the original's. Kept for the name while the device runs. State NOT_ADOPTED: -1
     * where others have given the link another name.
     */
    int slot;
    /** Name of the device's end of the link. */
    @utf8InCpp String hostInterface;
    /** Interface index of the device's end, in guestnetd's namespace. */
    int hostInterfaceIndex;
    /** Name of the guest's end. */
    @utf8InCpp String interfaceName;
    /** The guest's addresses with their prefix lengths, as "172.17.3.3/16". One, IPv4, in this version. */
    @utf8InCpp String[] addresses;
    /** The device's IPv4 address on the link, the guest's default route. */
    @utf8InCpp String gateway;
    /** MTU of both ends in bytes. */
    int mtu;
    /**
     * MAC address of the guest's end, as "02:00:00:00:00:00"; the same at every attach of this name. With TAP
     * the one that the VM is to be given: DHCP answers no other.
     */
    @utf8InCpp String mac;
    /** Uid that attached it. */
    int ownerUid;
    /** When it was attached: milliseconds since the epoch, by the device's clock. */
    long attachedAtMillis;
    /** What attach() spent its time on, in order. Empty in list() and in status() of all, and after a restart of guestnetd. */
    TimelineStep[] timeline;
    /** Which way its traffic leaves while the device uses a VPN. */
    VpnPolicy vpnPolicy = VpnPolicy.FOLLOW_UPLINK;
    /** NAMED_TUN: the tun that it leaves by. Otherwise null: it leaves by Status.uplink. */
    @nullable @utf8InCpp String uplink;
    /** GuestConfig.mtu as it was asked for: bytes, or MTU_FOLLOW_UPLINK (-1). */
    int configuredMtu = -1;
    /** GuestConfig.keep as it was asked for. */
    boolean keep = false;
    /** GuestConfig.lifeline as it was asked for. */
    Lifeline lifeline = Lifeline.TARGET;
    /** GuestConfig.leaseMillis as it was asked for last; 0: none. */
    long leaseMillis = 0;
    /** GuestConfig.dhcp as it was asked for. */
    Dhcp dhcp = Dhcp.AUTO;
    /** How often its DHCP clients were answered. */
    DhcpCounters dhcpCounters;
    /** State GONE: why. */
    EndCause endCause = EndCause.NONE;
    /**
     * attach(): the guest's own interface that takes its way to the gateway, where its names are resolved, as
     * Docker's docker0 does. Null: none, and in every other answer; status() has a layer for it.
     */
    @nullable @utf8InCpp String gatewayShadowedBy;
    /** list() and get(): bytes received from the guest; -1: unknown, and in every other answer. */
    long rxBytes = -1;
    /** The same of bytes sent to it. */
    long txBytes = -1;
    /** The same of packets received from it. */
    long rxPackets = -1;
    /** The same of packets sent to it. */
    long txPackets = -1;
    /**
     * list() and get(): packets from it or to it that guestnetd's rules have dropped, since it was attached or
     * they were last set; -1: unknown, and in every other answer. Only nf_tables tells whose they were: with
     * iptables, as on Android, it is always -1, and Status.droppedPackets has all guests' together.
     */
    long droppedPackets = -1;
    /** GuestConfig.dns as it was asked for. */
    DnsMode dns = DnsMode.AUTO;
    /** GuestConfig.dnsServers as they were asked for. */
    @utf8InCpp String[] dnsServers;
    /** What became of its questions for names. */
    DnsCounters dnsCounters;
    /** GuestConfig.queues as it was asked for. */
    int queues = 1;
    /**
     * attach() of a TAP: the device's descriptors, one for each queue (IFF_TAP, IFF_NO_PI, IFF_VNET_HDR with
     * headers of 12 bytes; no offload is on). guestnetd keeps none: when the last one is closed, here and
     * in whatever process it was passed to, the guest is gone. Empty in every other answer.
     */
    ParcelFileDescriptor[] tap;
    /**
     * endCause DETACHED: the uid that called detach() or detachAll(), as guestnetd's user namespace has it: 65534
     * where it has none for it. -1: nobody did.
     */
    int endedByUid = -1;
    /** The same of its process; 0: unknown, as when that is in another pid namespace. It may have ended since. */
    int endedByPid = 0;
    /** GuestConfig.segment as it was asked for. */
    @nullable @utf8InCpp String segment;
}
