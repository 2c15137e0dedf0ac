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
///////////////////////////////////////////////////////////////////////////////
// THIS FILE IS IMMUTABLE. DO NOT EDIT IN ANY CASE.                          //
///////////////////////////////////////////////////////////////////////////////

// This file is a snapshot of an AIDL file. Do not edit it manually. There are
// two cases:
// 1). this is a frozen version file - do not edit this in any case.
// 2). this is a 'current' file. If you make a backwards compatible change to
//     the interface (from the latest frozen version), the build system will
//     prompt you to update this file with `m <name>-update-api`.
//
// You must not make a backward incompatible change to any AIDL file built
// with the aidl_interface module type with versions property set. The module
// type is used to build AIDL files in a way that they can be used across
// independently updatable components of the system. If a device is shipped
// with such a backward incompatible change, it has a high risk of breaking
// later when a module using the interface is updated, e.g., Mainline modules.

package android.system.guestnet;
@SuppressWarnings(value={"redundant-name"})
interface IGuestNet {
  android.system.guestnet.Guest attach(in android.system.guestnet.GuestConfig config, in android.system.guestnet.GuestTarget target, @nullable IBinder owner);
  android.system.guestnet.Guest update(@utf8InCpp String name, in android.system.guestnet.GuestConfig config);
  void detach(@utf8InCpp String name);
  int detachAll();
  android.system.guestnet.Guest[] list();
  @nullable android.system.guestnet.Guest get(@utf8InCpp String name);
  android.system.guestnet.Change[] plan(in android.system.guestnet.GuestConfig config, in android.system.guestnet.GuestTarget target);
  android.system.guestnet.LayerStatus[] check(in android.system.guestnet.GuestConfig config, in android.system.guestnet.GuestTarget target);
  android.system.guestnet.Status status(@nullable @utf8InCpp String name);
  android.system.guestnet.ServiceInfo info();
  void registerListener(in android.system.guestnet.IGuestNetListener listener);
  void unregisterListener(in android.system.guestnet.IGuestNetListener listener);
  void dumpTo(in ParcelFileDescriptor fd, in @utf8InCpp String[] args);
  void setDns(@utf8InCpp String uplink, in @utf8InCpp String[] servers);
  android.system.guestnet.Diagnosis diagnose(@nullable @utf8InCpp String name, in android.system.guestnet.DiagnoseOptions options);
  android.system.guestnet.Guest repair(@utf8InCpp String name);
  void setUplinkInfo(@utf8InCpp String uplink, in android.system.guestnet.UplinkInfo info);
  android.system.guestnet.DnsState getDns();
  void setDeviceState(in android.system.guestnet.DeviceState state);
  android.system.guestnet.Reloaded reload();
  const int MTU_FOLLOW_UPLINK = (-1) /* -1 */;
  const int MAX_DNS_SERVERS = 8;
  const int MAX_PROBE_TARGETS = 4;
  const int ERROR_BAD_NAME = 100;
  const int ERROR_BAD_INTERFACE_NAME = 101;
  const int ERROR_BAD_ADDRESS = 102;
  const int ERROR_ADDRESS_OUTSIDE_SUBNET = 103;
  const int ERROR_ADDRESS_RESERVED = 104;
  const int ERROR_BAD_PREFIX = 105;
  const int ERROR_BAD_MTU = 106;
  const int ERROR_CONFIG_TOO_LARGE = 107;
  const int ERROR_BAD_ENUM = 108;
  const int ERROR_BAD_VPN_POLICY = 109;
  const int ERROR_FIELD_NOT_UPDATABLE = 110;
  const int ERROR_BAD_PROBE_TARGET = 120;
  const int ERROR_BAD_CAPTIVE_PORTAL = 121;
  const int ERROR_BAD_LEASE = 111;
  const int ERROR_BAD_DNS = 112;
  const int ERROR_BAD_QUEUES = 113;
  const int ERROR_BAD_SEGMENT = 114;
  const int ERROR_BAD_FILE = 122;
  const int ERROR_BAD_PID = 200;
  const int ERROR_NO_SUCH_PROCESS = 201;
  const int ERROR_KERNEL_THREAD = 202;
  const int ERROR_PROCESS_EXITED = 203;
  const int ERROR_NOT_A_NETNS = 204;
  const int ERROR_NOT_A_PIDFD = 205;
  const int ERROR_OWN_NETNS = 206;
  const int ERROR_INITIAL_NETNS = 207;
  const int ERROR_NETNS_NOT_ACCESSIBLE = 208;
  const int ERROR_TARGET_KIND = 209;
  const int ERROR_NAME_IN_USE = 300;
  const int ERROR_GUEST_INTERFACE_EXISTS = 301;
  const int ERROR_ADDRESS_IN_USE = 302;
  const int ERROR_SUBNET_OVERLAP = 303;
  const int ERROR_NO_SUCH_GUEST = 304;
  const int ERROR_NO_FREE_SLOT = 305;
  const int ERROR_HOST_INTERFACE_EXISTS = 306;
  const int ERROR_TOO_MANY_LISTENERS = 307;
  const int ERROR_GUEST_ROUTE_EXISTS = 308;
  const int ERROR_NO_SUCH_TUN = 309;
  const int ERROR_GUEST_LEAVING = 310;
  const int ERROR_UPDATE_RUNNING = 311;
  const int ERROR_GUEST_GONE = 312;
  const int ERROR_GUEST_INTERFACE_MOVED = 313;
  const int ERROR_SEGMENT_CLASH = 314;
  const int ERROR_KERNEL = 400;
  const int ERROR_NO_VETH = 401;
  const int ERROR_FIREWALL = 402;
  const int ERROR_NO_CAPABILITY = 403;
  const int ERROR_FORWARDING = 404;
  const int ERROR_VERIFY = 405;
  const int ERROR_STORE = 406;
  const int ERROR_UNAVAILABLE = 407;
  const int ERROR_NO_DESCRIPTORS = 408;
  const int ERROR_NO_TAP = 409;
  const int ERROR_NO_SEGMENTS = 410;
}
