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

/** What became of a probe. A later version adds values and renumbers none. */
@Backing(type="int")
enum ProbeOutcome {
    /** It was not made: there is nowhere to send it to, or another probe has to be answered first. */
    NOT_MADE = 0,
    /** It was answered as it should be. */
    OK = 1,
    /** It was not answered in time. */
    SILENT = 2,
    /** It was refused: a reset, an ICMP error, or a resolver that refuses. */
    REFUSED = 3,
    /** It could not be sent: no route, or a packet filter on the sender's own side. */
    NOT_SENT = 4,
    /** It is larger than the way takes, and the sender was told so. */
    TOO_LARGE = 5,
    /** Something else answered: a sign-in page. */
    PORTAL = 6,
    /** The answer cannot be read. */
    ODD = 7,
}
