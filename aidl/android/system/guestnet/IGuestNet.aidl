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

import android.system.guestnet.Change;
import android.system.guestnet.DeviceState;
import android.system.guestnet.DiagnoseOptions;
import android.system.guestnet.Diagnosis;
import android.system.guestnet.DnsState;
import android.system.guestnet.Guest;
import android.system.guestnet.GuestConfig;
import android.system.guestnet.GuestTarget;
import android.system.guestnet.IGuestNetListener;
import android.system.guestnet.LayerStatus;
import android.system.guestnet.Reloaded;
import android.system.guestnet.ServiceInfo;
import android.system.guestnet.Status;
import android.system.guestnet.UplinkInfo;

/**
 * Gives a guest (an LXC-style container, or a VM) its network: a link named "wlan0" inside
 * the guest, or the descriptor of a TAP device, behind the device's own uplink.
 *
 * Every method may be called from any thread and any number of clients. The callers are root, on
 * Android also system, and the uids of guestnetd's --allow-uid. Anybody else gets EX_SECURITY, or, on a socket, no connection.
 *
 * A uid that is given as --allow-uid UID:own sees and changes only the guests that it attached: others
 * are as if they were not there. It may attach (plan, check) only what is its own: a process that runs
 * as it, a network namespace of a user namespace that it made, or a TAP, with addresses of the default
 * subnet and its gateway, on a segment of its own if on one; setDns(), setUplinkInfo(), setDeviceState(),
 * diagnose(), dumpTo() and reload() are EX_SECURITY.
 *
 * A failed call changes nothing: what was done before the failing step is undone.
 *
 * Failures are service specific: one ERROR_ code for each cause, and a message that names the
 * cause and, where there is one, the remedy. 1xx: the configuration is wrong. 2xx: the target is
 * wrong. 3xx: what was asked collides with what is there. 4xx: the system could not do it.
 */
@SuppressWarnings(value={"redundant-name"})
interface IGuestNet {
    /**
     * GuestConfig.mtu: the uplink's MTU, also when that changes later; 1500 until there is an uplink.
     */
    const int MTU_FOLLOW_UPLINK = -1;

    /** Most servers that setDns() takes for one uplink. */
    const int MAX_DNS_SERVERS = 8;

    /** Most targets that diagnose() takes. */
    const int MAX_PROBE_TARGETS = 4;

    /** GuestConfig.name is empty, over 63 bytes, or not [A-Za-z0-9][A-Za-z0-9._-]*. */
    const int ERROR_BAD_NAME = 100;
    /**
     * GuestConfig.interfaceName is not a name that the kernel takes, or is "lo". setDns(),
     * setUplinkInfo(): uplink is not a valid interface name, or is that of "lo" or of a guest's link.
     */
    const int ERROR_BAD_INTERFACE_NAME = 101;
    /**
     * One of GuestConfig.addresses is not the text of an address, or it or .gateway is not a usable IPv4
     * unicast address. setDns(): a server is not, or is a loopback address.
     */
    const int ERROR_BAD_ADDRESS = 102;
    /** One of GuestConfig.addresses is not in the gateway's subnet. */
    const int ERROR_ADDRESS_OUTSIDE_SUBNET = 103;
    /** One of GuestConfig.addresses, or .gateway, is the subnet's network or broadcast address, or both are the same. */
    const int ERROR_ADDRESS_RESERVED = 104;
    /** GuestConfig.prefixLength is not 1 to 30, or one of .addresses has another length. */
    const int ERROR_BAD_PREFIX = 105;
    /** GuestConfig.mtu is neither MTU_FOLLOW_UPLINK nor 68 to 65535; with TAP to 65521. */
    const int ERROR_BAD_MTU = 106;
    /** GuestConfig carries more text than any valid one can; setDns(), GuestConfig.dnsServers: more than MAX_DNS_SERVERS servers. */
    const int ERROR_CONFIG_TOO_LARGE = 107;
    /** GuestConfig or GuestTarget holds an enum value that this version does not know. */
    const int ERROR_BAD_ENUM = 108;
    /**
     * VpnPolicy.NAMED_TUN without GuestConfig.uplink, or with one that is not a valid interface name, is
     * "lo" or is a guest's link; or GuestConfig.uplink with another policy.
     */
    const int ERROR_BAD_VPN_POLICY = 109;
    /** update(): a field differs from what the guest has and cannot change while it is attached; the message names it. */
    const int ERROR_FIELD_NOT_UPDATABLE = 110;
    /**
     * DiagnoseOptions: a target is not an IPv4 address of a host, or there are too many; .url is not
     * http://HOST[:PORT]/PATH; .name is not a name.
     */
    const int ERROR_BAD_PROBE_TARGET = 120;
    /** UplinkInfo.captivePortalUrl is not an http or https URL of at most 255 printable ASCII characters. */
    const int ERROR_BAD_CAPTIVE_PORTAL = 121;
    /** GuestConfig.leaseMillis is neither 0 nor 1000 to 31536000000. */
    const int ERROR_BAD_LEASE = 111;
    /** GuestConfig.dns is SERVERS and dnsServers is empty, or the other way round. */
    const int ERROR_BAD_DNS = 112;
    /** GuestConfig.queues is not 1 to 16; or it is not 1 with another kind than TAP. */
    const int ERROR_BAD_QUEUES = 113;
    /** GuestConfig.segment is not a segment's name, is missing with BRIDGED, or is given with VETH. */
    const int ERROR_BAD_SEGMENT = 114;
    /** reload(): guestnetd's file is wrong, or cannot be read; the message has file, line and cause. */
    const int ERROR_BAD_FILE = 122;

    /** GuestTarget.pid is zero or negative. */
    const int ERROR_BAD_PID = 200;
    /** No process has GuestTarget.pid, or the pidfd's process has ended already. */
    const int ERROR_NO_SUCH_PROCESS = 201;
    /** GuestTarget.pid is a kernel thread: it has no network of its own. */
    const int ERROR_KERNEL_THREAD = 202;
    /** The process ended while it was being attached. */
    const int ERROR_PROCESS_EXITED = 203;
    /** GuestTarget.fd is missing or is not a network namespace (kind NETNS). */
    const int ERROR_NOT_A_NETNS = 204;
    /** GuestTarget.fd is missing or is not a pidfd (kind PIDFD). */
    const int ERROR_NOT_A_PIDFD = 205;
    /** The target's network namespace is guestnetd's own: it is the device, not a guest. */
    const int ERROR_OWN_NETNS = 206;
    /** The target's network namespace is that of the machine's init. */
    const int ERROR_INITIAL_NETNS = 207;
    /** guestnetd may not reach the target's network namespace; pass its netns fd instead. */
    const int ERROR_NETNS_NOT_ACCESSIBLE = 208;
    /** GuestTarget.kind is NONE, and GuestConfig.kind is not TAP; or that is TAP, and a target is named. */
    const int ERROR_TARGET_KIND = 209;

    /** A guest of that name is attached. */
    const int ERROR_NAME_IN_USE = 300;
    /** The guest's namespace has an interface of that name already. */
    const int ERROR_GUEST_INTERFACE_EXISTS = 301;
    /** Another guest has that address. */
    const int ERROR_ADDRESS_IN_USE = 302;
    /** The subnet overlaps an address or a route (not a default route) of the device, which the message names. */
    const int ERROR_SUBNET_OVERLAP = 303;
    /** No guest of that name is attached. */
    const int ERROR_NO_SUCH_GUEST = 304;
    /** All slots, or all addresses of the subnet, are taken; or a uid of --allow-uid UID:own has 128 guests. */
    const int ERROR_NO_FREE_SLOT = 305;
    /** The device has an interface with the host end's name that belongs to no attached guest. */
    const int ERROR_HOST_INTERFACE_EXISTS = 306;
    /** Too many listeners are registered. */
    const int ERROR_TOO_MANY_LISTENERS = 307;
    /** The guest has a default route already. */
    const int ERROR_GUEST_ROUTE_EXISTS = 308;
    /** GuestConfig.uplink (VpnPolicy.NAMED_TUN) names no interface of the device. */
    const int ERROR_NO_SUCH_TUN = 309;
    /** update(), repair(): the guest is being detached. */
    const int ERROR_GUEST_LEAVING = 310;
    /** update(), repair(): another update() or repair() of the same guest has not ended yet. */
    const int ERROR_UPDATE_RUNNING = 311;
    /** update(), repair(): the guest's network namespace ended meanwhile, and its link with it. */
    const int ERROR_GUEST_GONE = 312;
    /** update(), repair(): the guest's end is not where attach() put it: the guest renamed it, or moved it to another namespace. */
    const int ERROR_GUEST_INTERFACE_MOVED = 313;
    /**
     * The segment's name, or the guest's on that segment, cannot be told from another one that is attached:
     * both have one device, or one MAC; or, to a UID:own, the segment is another user's. Rename one. Or a
     * guest in the same network namespace is on that segment already: a guest may have links on several
     * segments, and one on each.
     */
    const int ERROR_SEGMENT_CLASH = 314;

    /** A kernel operation failed; the message names the step, the errno and the kernel's own words. */
    const int ERROR_KERNEL = 400;
    /** The kernel has no veth. */
    const int ERROR_NO_VETH = 401;
    /** The kernel has no NAT, or the firewall cannot be programmed. */
    const int ERROR_FIREWALL = 402;
    /** The kernel does not permit the step that the message names: guestnetd lacks a capability for it. */
    const int ERROR_NO_CAPABILITY = 403;
    /** IPv4 forwarding could not be switched on. */
    const int ERROR_FORWARDING = 404;
    /** What was set up was not there when it was read back. */
    const int ERROR_VERIFY = 405;
    /** The state could not be written. */
    const int ERROR_STORE = 406;
    /** guestnetd is ending. */
    const int ERROR_UNAVAILABLE = 407;
    /** guestnetd, or the machine, has no file descriptor left: nothing is known of what was asked for. */
    const int ERROR_NO_DESCRIPTORS = 408;
    /** TAP: the kernel has no TAP devices, or guestnetd may not open /dev/net/tun (on Android /dev/tun). */
    const int ERROR_NO_TAP = 409;
    /** A segment: the kernel has no bridges, or not the parts of traffic control that pass frames on. */
    const int ERROR_NO_SEGMENTS = 410;

    /**
     * Gives the target its network. When it answers, the guest can send.
     *
     * A missing uplink is not a failure: the guest is attached, Guest.state is WAITING_FOR_UPLINK,
     * and its traffic flows as soon as the uplink is there.
     *
     * @param config what the guest gets; a default-constructed config with a name is the original
     *        set-up.
     * @param target the guest's network namespace; TAP: of kind NONE.
     * @param owner if not null, the guest is detached when this object dies: with its process, and on a
     *        socket with the connection that this call came by. EX_ILLEGAL_ARGUMENT when its death would
     *        not be noticed. After a restart of guestnetd, which no object survives, the guest is
     *        detached when the process that made this call ends.
     * @return the guest as attached, with the time each step took.
     * @throws ServiceSpecificException any 1xx, 2xx, 3xx and 4xx that is not of another method alone.
     */
    Guest attach(in GuestConfig config, in GuestTarget target, @nullable IBinder owner);

    /**
     * Changes a live guest, while its link stays. Of fields that are not given (GuestConfig.given) its section of
     * guestnetd's file has its say, as with attach().
     *
     * These fields change: addresses, mtu, vpnPolicy, uplink, keep, dns, dnsServers and dhcp; leaseMillis begins a lease. The others
     * have to be as they are, or it is ERROR_FIELD_NOT_UPDATABLE: name, kind, interfaceName, gateway,
     * prefixLength, lifeline, queues and segment. Empty
     * addresses mean those that the guest has. As with attach(), all is done or nothing: after a
     * failure the guest has what it had before. A new address costs the connections of the old one, and
     * at most one ping, and another way out those of the old one; nothing else that changes costs a TCP stream.
     *
     * Of a TAP the device's end alone changes: a VM learns of another address when its DHCP client renews
     * its lease, within half an hour, or when the client is told to inside.
     *
     * Listeners are told once, by GuestEvent.STATE, where more changes than the lease. One call for a guest runs at a time. attach() of its
     * name, and detach(), are answered meanwhile. Routes that the guest itself made by its old address go
     * with that.
     *
     * @param name the guest.
     * @param config all of what it should have from now on, as attach() takes it.
     * @return the guest as it is then.
     * @throws ServiceSpecificException any 1xx; ERROR_NO_SUCH_GUEST, ERROR_ADDRESS_IN_USE,
     *         ERROR_NO_SUCH_TUN, ERROR_GUEST_LEAVING, ERROR_UPDATE_RUNNING, ERROR_GUEST_GONE,
     *         ERROR_GUEST_INTERFACE_MOVED, ERROR_GUEST_ROUTE_EXISTS; any 4xx.
     */
    Guest update(@utf8InCpp String name, in GuestConfig config);

    /**
     * Removes the guest's network. When it answers, the link is not visible any more and the
     * name can be attached again.
     *
     * @param name the guest.
     * @throws ServiceSpecificException ERROR_BAD_NAME, ERROR_NO_SUCH_GUEST; any 4xx.
     */
    void detach(@utf8InCpp String name);

    /**
     * Removes the network of all guests, much faster than one by one. When it answers, their
     * links are not visible any more. Guests that are attached meanwhile stay.
     *
     * @return how many there were.
     * @throws ServiceSpecificException any 4xx: of what could not be removed, the first.
     */
    int detachAll();

    /** The attached guests, by name. */
    Guest[] list();

    /**
     * One guest, or null when none of that name is attached.
     *
     * @param name the guest.
     * @throws ServiceSpecificException ERROR_BAD_NAME.
     */
    @nullable Guest get(@utf8InCpp String name);

    /**
     * What attach() would do now, in order; nothing is done.
     *
     * @param config as for attach().
     * @param target as for attach().
     * @return one entry for each kernel change.
     * @throws ServiceSpecificException as attach().
     */
    Change[] plan(in GuestConfig config, in GuestTarget target);

    /**
     * Whether attach() would succeed and the guest would then have internet; nothing is done.
     *
     * @param config as for attach().
     * @param target as for attach().
     * @return the layers as they would be.
     * @throws ServiceSpecificException as attach().
     */
    LayerStatus[] check(in GuestConfig config, in GuestTarget target);

    /**
     * Why guests have, or have not, internet: each layer read from the kernel now, also in the guests.
     * Where guests are attached and the resolvers' last answers are older than two seconds, they are asked
     * again, for which this waits little more than a second at most.
     *
     * @param name the guest to report on; null for all.
     * @throws ServiceSpecificException ERROR_BAD_NAME, ERROR_NO_SUCH_GUEST.
     */
    Status status(@nullable @utf8InCpp String name);

    /** What this guestnetd is and how it runs. */
    ServiceInfo info();

    /**
     * Tells a listener about guests and the uplink from now on. A listener that does not take
     * its events in time is dropped. Registering it again is not an error and has no effect.
     *
     * @param listener whom to tell.
     * @throws ServiceSpecificException ERROR_TOO_MANY_LISTENERS.
     */
    void registerListener(in IGuestNetListener listener);

    /**
     * Stops telling a listener. One that is not registered is not an error.
     *
     * @param listener whom to tell no more.
     */
    void unregisterListener(in IGuestNetListener listener);

    /**
     * Writes everything guestnetd knows, as text for people, and closes the descriptor.
     *
     * @param fd where to write; a pipe or a file.
     * @param args none are known yet; they are ignored.
     */
    void dumpTo(in ParcelFileDescriptor fd, in @utf8InCpp String[] args);

    /**
     * Names the resolvers behind an uplink: what guests ask their gateway goes to the first one,
     * from now on if that interface is the uplink, and whenever it is again. A later call for the
     * same interface replaces them. For a tun it names those that guests ask who leave by it: these never
     * ask what is named for the uplink, and nobody where none is known. They are kept for the 64
     * interfaces named last; those of the uplink are not forgotten for others.
     *
     * @param uplink the interface's name; it need not be there.
     * @param servers IPv4 addresses, at most MAX_DNS_SERVERS; the first is the one in use. None:
     *        forget those named before, so that guestnetd uses what it finds (its --dns; on Linux
     *        resolv.conf).
     * @throws ServiceSpecificException ERROR_BAD_INTERFACE_NAME, ERROR_BAD_ADDRESS,
     *         ERROR_CONFIG_TOO_LARGE, ERROR_STORE.
     */
    void setDns(@utf8InCpp String uplink, in @utf8InCpp String[] servers);

    /**
     * Sends packets to find out why a guest has, or has not, internet: probes are sent from the guest's network
     * namespace and, for comparison, from the device, all at once; what becomes of them is compared with
     * what status() reads. A TAP guest's side sends none: only the device's are. Answers within three seconds. Nothing is changed, and nothing but the probes is
     * sent; no other method sends any, but for status(), which asks the resolvers. While it runs, its sockets keep the guest's network namespace: a
     * guest that ends meanwhile loses its link when this returns.
     *
     * @param name the guest; null: the device alone.
     * @param options where to.
     * @return one cause, and the probes.
     * @throws ServiceSpecificException ERROR_BAD_NAME, ERROR_BAD_PROBE_TARGET, ERROR_NO_SUCH_GUEST,
     *         ERROR_GUEST_GONE: the guest ended meanwhile; ERROR_KERNEL: no probe could be made at all.
     */
    Diagnosis diagnose(@nullable @utf8InCpp String name, in DiagnoseOptions options);

    /**
     * Puts back what a guest has lost of its own side: its end is set up, and has its address and its
     * default route. What else is there stays, so that a default route of the guest's own which is in the
     * way is an error. A guest that has lost nothing is as it was. As with update(), all is done or
     * nothing, and one such call for a guest runs at a time. status() tells what is lost.
     *
     * guestnetd does so by itself only for guests with GuestConfig.keep. Of a TAP guest it is
     * EX_UNSUPPORTED_OPERATION: guestnetd does not see a VM's own side.
     *
     * @param name the guest.
     * @return the guest, with the time each step took.
     * @throws ServiceSpecificException ERROR_BAD_NAME, ERROR_NO_SUCH_GUEST, ERROR_GUEST_ROUTE_EXISTS,
     *         ERROR_GUEST_LEAVING, ERROR_UPDATE_RUNNING, ERROR_GUEST_GONE, ERROR_GUEST_INTERFACE_MOVED;
     *         any 4xx.
     */
    Guest repair(@utf8InCpp String name);

    /**
     * Says what the platform knows of an uplink, beyond what the kernel has: guests that ask by DHCP are
     * told whether it is metered (option 43, ANDROID_METERED) and of its captive portal (option 114). It
     * holds while guestnetd runs, for the 64 interfaces named last; what was never said of is neither. A
     * guest that has a lease, and whose uplink is metered now and was not, or the other way round, asks
     * again: its link loses its carrier, which is announced within a second, and has it back 20 ms after that.
     *
     * @param uplink the interface's name; it need not be there.
     * @param info what is known of it.
     * @throws ServiceSpecificException ERROR_BAD_INTERFACE_NAME, ERROR_BAD_CAPTIVE_PORTAL.
     */
    void setUplinkInfo(@utf8InCpp String uplink, in UplinkInfo info);

    /**
     * Who answers guests' questions for names now, and what setDns() has named for whichever interface. Nothing
     * is asked for it.
     *
     * @return what is named, and the guests that the caller sees.
     */
    DnsState getDns();

    /**
     * Says what the platform knows of the device. It holds until the next call, or until guestnetd ends.
     *
     * @param state what is known of it.
     */
    void setDeviceState(in DeviceState state);

    /**
     * Reads guestnetd's file again (guestnetd.toml, on Linux), as SIGHUP does. What can change at once does;
     * what cannot is named. If anything in it is wrong, nothing changes. Where a build has no file, as on
     * Android, it is EX_UNSUPPORTED_OPERATION; UID:own may not call it.
     *
     * @return what has changed and what has not.
     * @throws ServiceSpecificException ERROR_BAD_FILE.
     */
    Reloaded reload();
}
