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

package android.system.guestnet.examples;

import android.os.ParcelFileDescriptor;
import android.os.RemoteException;
import android.os.ServiceManager;
import android.os.ServiceSpecificException;
import android.system.guestnet.Guest;
import android.system.guestnet.GuestConfig;
import android.system.guestnet.GuestTarget;
import android.system.guestnet.IGuestNet;
import android.system.guestnet.TargetKind;

import java.io.File;
import java.io.IOException;

/**
 * A client in Java, in system_server: attaches the network namespace of a process.
 *
 * <p>static_libs: ["android.system.guestnet-java"]
 */
public final class Attach {
    private static final String SERVICE = "android.system.guestnet.IGuestNet/default";

    private Attach() {}

    /** Gives the namespace of a process its network. */
    public static Guest attach(String name, int pid) throws RemoteException, IOException {
        IGuestNet net = IGuestNet.Stub.asInterface(ServiceManager.waitForService(SERVICE));
        GuestConfig config = new GuestConfig();
        config.name = name;
        GuestTarget target = new GuestTarget();
        target.kind = TargetKind.NETNS;
        // Closed here: an open descriptor keeps the namespace, and with it the link.
        try (ParcelFileDescriptor netns = ParcelFileDescriptor.open(
                new File("/proc/" + pid + "/ns/net"), ParcelFileDescriptor.MODE_READ_ONLY)) {
            target.fd = netns;
            return net.attach(config, target, null);
        } catch (ServiceSpecificException e) {
            if (e.errorCode == IGuestNet.ERROR_NAME_IN_USE) {
                throw new IllegalStateException(name + " is attached already", e);
            }
            // Its message says the cause and the next step.
            throw e;
        }
    }
}
