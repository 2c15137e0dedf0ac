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

/** What a guest lives by, beside its network namespace, its owner and its lease: when one ends, it is detached. */
@Backing(type="int")
enum Lifeline {
    /**
     * What the target names. PID, PIDFD: that process; its children do not keep the guest, even those
     * that keep its namespace. What it executes, and who becomes its parent, does not matter. NETNS: the
     * namespace alone.
     */
    TARGET = 0,
    /** The namespace alone, however it was named: the guest stays for as long as a process is in it. */
    NAMESPACE = 1,
}
