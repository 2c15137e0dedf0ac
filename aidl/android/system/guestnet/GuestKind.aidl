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

/** How a guest is connected. */
@Backing(type="int")
enum GuestKind {
    /** A veth pair routed by the device. */
    VETH = 0,
    /**
     * A veth pair routed by the device, as VETH, on a segment (GuestConfig.segment): the guests of one segment
     * see each other.
     */
    BRIDGED = 1,
    /**
     * A TAP device routed by the device, for a VM: attach() answers with its descriptors (Guest.tap), and
     * it goes with the last of them. What is on the VM's side is the VM's: it has its address by DHCP
     * (GuestConfig.dhcp), or sets it itself.
     */
    TAP = 2,
}
