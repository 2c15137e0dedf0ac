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

/** What became of a guest's questions for names, since its attach or the last start of guestnetd, where guestnetd's forwarder has them. */
parcelable DnsCounters {
    /** Questions. */
    long asked;
    /** Those that were answered by who was asked. */
    long answered;
    /** Those that nobody answered, or that there was nobody for: the guest was told SERVFAIL. */
    long failed;
    /**
     * Those beyond the 64 of a guest, or 1024 of all, that may be on their way: SERVFAIL. Of a guest that sends
     * far too many, not all are counted.
     */
    long refused;
    /** What was no question, or had another's address. */
    long odd;
}
