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


package android.os;

import java.util.ArrayList;
import java.util.List;

/** One that can die. Calls are made by its local interface: nothing is written to a parcel. */
public class Binder implements IBinder {
    private IInterface mOwner;
    private final List<DeathRecipient> mRecipients = new ArrayList<>();
    public boolean dead;

    public void attachInterface(IInterface owner, String descriptor) {
        mOwner = owner;
    }

    @Override
    public IInterface queryLocalInterface(String descriptor) {
        return mOwner;
    }

    @Override
    public void linkToDeath(DeathRecipient recipient, int flags) throws RemoteException {
        if (dead) {
            throw new RemoteException();
        }
        mRecipients.add(recipient);
    }

    /** Its process ends; the word of it may come later. */
    public List<DeathRecipient> die() {
        dead = true;
        return mRecipients;
    }

    protected boolean onTransact(int code, Parcel data, Parcel reply, int flags) throws RemoteException {
        throw new RemoteException();
    }

    @Override
    public final boolean transact(int code, Parcel data, Parcel reply, int flags) throws RemoteException {
        throw new RemoteException();
    }
}
