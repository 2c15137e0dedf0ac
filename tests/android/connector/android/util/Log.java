// Copyright (C) 2026 The Android Open Source Project
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
//     http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.


package android.util;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Keeps what is logged. */
public final class Log {
    public static final List<String> LINES = Collections.synchronizedList(new ArrayList<>());

    public static int i(String tag, String text) {
        LINES.add("I " + text);
        return 0;
    }

    public static int w(String tag, String text) {
        LINES.add("W " + text);
        return 0;
    }

    public static int wtf(String tag, String text, Throwable why) {
        LINES.add("F " + text + ": " + why);
        return 0;
    }
}
