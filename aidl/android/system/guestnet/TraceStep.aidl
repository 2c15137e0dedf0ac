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

/** A rule that held for a packet, or the policy behind a chain's rules. */
parcelable TraceStep {
    /** Whether it is the answer that met it; else the guest's packet. */
    boolean answer = false;
    /** Where: "prerouting", "input", "forward", "output", "postrouting". */
    @utf8InCpp String hook;
    /** The table, "inet guestnet" of nf_tables or "filter" of x_tables. */
    @utf8InCpp String table;
    /** The chain. */
    @utf8InCpp String chain;
    /** The rule as its own tool prints it; empty for a policy, and where it cannot be read. */
    @utf8InCpp String rule;
    /** Its handle in nf_tables; -1: unknown, or a policy. */
    long handle = -1;
    /** Its number in the chain, from 1; -1: unknown, or a policy. */
    int number = -1;
    /** What it decided, in its tool's words: "accept", "drop", "jump tetherctrl_FORWARD", "ACCEPT". */
    @utf8InCpp String verdict;
    /** The interface that the packet came in by; empty: none, or unknown. */
    @utf8InCpp String inputInterface;
    /** The interface that it leaves by; empty: none, or not known yet. */
    @utf8InCpp String outputInterface;
}
