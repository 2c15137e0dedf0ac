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

/** Declared for tests/android/check-examples. */
public final class Parcel {
    public static native Parcel obtain();

    public static native Parcel obtain(IBinder binder);

    public native void recycle();

    public native int dataPosition();

    public native void setDataPosition(int position);

    public native void enforceInterface(String descriptor);

    public native void enforceNoDataAvail();

    public native void writeInterfaceToken(String descriptor);

    public native void readException();

    public native void writeNoException();

    public native boolean readBoolean();

    public native void writeBoolean(boolean value);

    public native int readInt();

    public native void writeInt(int value);

    public native int[] createIntArray();

    public native void writeIntArray(int[] value);

    public native long readLong();

    public native void writeLong(long value);

    public native String readString();

    public native void writeString(String value);

    public native String[] createStringArray();

    public native void writeStringArray(String[] value);

    public native IBinder readStrongBinder();

    public native void writeStrongBinder(IBinder value);

    public native void writeStrongInterface(IInterface value);

    public native <T> T readTypedObject(Parcelable.Creator<T> creator);

    public native <T extends Parcelable> void writeTypedObject(T value, int flags);

    public native <T> T[] createTypedArray(Parcelable.Creator<T> creator);

    public native <T extends Parcelable> void writeTypedArray(T[] value, int flags);
}
