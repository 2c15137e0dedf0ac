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

import android.system.guestnet.ChangeKind;
import android.system.guestnet.Operation;
import android.system.guestnet.Place;

/** One change to a kernel. */
parcelable Change {
    /** Whether something is added, set or deleted. */
    ChangeKind kind = ChangeKind.ADD;
    /** Where. */
    Place place = Place.DEVICE;
    /** What is done. */
    Operation operation = Operation.ADD_LINK;
    /** The same with its details, in words for people. */
    @utf8InCpp String what;
    /** The same as a command for people to read; guestnetd runs no such command. */
    @utf8InCpp String command;
}
