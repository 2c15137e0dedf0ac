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

/** What came of reading guestnetd's file again. */
parcelable Reloaded {
    /** The file. */
    @utf8InCpp String path;
    /** What is otherwise from now on: keys, and "guest.NAME" for sections. */
    @utf8InCpp String[] changed;
    /** Keys whose new value counts when guestnetd is started again, and not before. */
    @utf8InCpp String[] needRestart;
    /**
     * Attached guests whose section is another one now: they stay as they are until they are attached again
     * or update() is called.
     */
    @utf8InCpp String[] unchangedGuests;
}
