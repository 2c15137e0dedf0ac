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

import android.content.BroadcastReceiver;
import android.content.Context;
import android.content.Intent;
import android.content.IntentFilter;
import android.net.ConnectivityManager;
import android.net.LinkProperties;
import android.net.Network;
import android.net.NetworkCapabilities;
import android.net.NetworkRequest;
import android.net.Uri;
import android.os.IBinder;
import android.os.PowerManager;
import android.os.RemoteException;
import android.os.ServiceManager;
import android.os.ServiceSpecificException;
import android.system.guestnet.DeviceState;
import android.system.guestnet.Guest;
import android.system.guestnet.IGuestNet;
import android.system.guestnet.IGuestNetListener;
import android.system.guestnet.Uplink;
import android.util.Log;

import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * Tells guestnetd what the framework knows and the kernel does not: which networks are metered, validated or behind a
 * captive portal, and whether the device is idle. For system_server, or a privileged app whose SELinux domain has the
 * attribute guestnet_client and which runs as uid system. The portal's URL needs android.permission.NETWORK_SETTINGS.
 *
 * <p>static_libs: ["android.system.guestnet-java"]. In system_server, once boot has completed:
 *
 * <pre>
 *     new GuestNetConnector(context, Executors.newSingleThreadScheduledExecutor(), false).start();
 * </pre>
 *
 * <p>Callbacks come on others' threads and only leave something to do here: all calls, and all that is known, are the
 * executor's, which has one thread. guestnetd may die at any moment, and knows nothing of what it was told when it
 * comes back: then all of it is told again.
 */
public final class GuestNetConnector {
    private static final String TAG = "GuestNetConnector";
    private static final String SERVICE = "android.system.guestnet.IGuestNet/default";
    /** How long until a call that failed, or a service that is not there, is tried again. */
    private static final long RETRY_MILLIS = 1000;

    private final Context mContext;
    private final ScheduledExecutorService mExecutor;

    // The executor's own.
    private final Uplinks<Network> mUplinks;
    private IGuestNet mService;
    private boolean mIdle;
    /** What the service was told; null: nothing. */
    private Boolean mToldIdle;
    private boolean mWaits;

    /**
     * @param executor has one thread.
     * @param namesResolvers as in {@link Uplinks}: false where netd resolves names.
     */
    public GuestNetConnector(Context context, ScheduledExecutorService executor, boolean namesResolvers) {
        mContext = context;
        mExecutor = executor;
        mUplinks = new Uplinks<>(namesResolvers);
    }

    /** Listens from now on, for as long as the process lives. */
    public void start() {
        // All that lead to the internet, not the default one alone: guestnetd's uplink may be another. VPNs, too.
        NetworkRequest request = new NetworkRequest.Builder()
                .addCapability(NetworkCapabilities.NET_CAPABILITY_INTERNET)
                .removeCapability(NetworkCapabilities.NET_CAPABILITY_NOT_VPN)
                .build();
        mContext.getSystemService(ConnectivityManager.class).registerNetworkCallback(request, mNetworks);
        mContext.registerReceiver(mIdleReceiver, new IntentFilter(PowerManager.ACTION_DEVICE_IDLE_MODE_CHANGED));
        post(this::readIdle);
    }

    private final ConnectivityManager.NetworkCallback mNetworks = new ConnectivityManager.NetworkCallback() {
        @Override
        public void onLinkPropertiesChanged(Network network, LinkProperties link) {
            Uri portal = link.getCaptivePortalApiUrl();
            String url = portal == null ? null : portal.toString();
            post(() -> mUplinks.linkProperties(network, link.getInterfaceName(), link.getDnsServers(), url));
        }

        @Override
        public void onCapabilitiesChanged(Network network, NetworkCapabilities has) {
            boolean metered = !has.hasCapability(NetworkCapabilities.NET_CAPABILITY_NOT_METERED);
            boolean validated = has.hasCapability(NetworkCapabilities.NET_CAPABILITY_VALIDATED);
            post(() -> mUplinks.capabilities(network, metered, validated));
        }

        @Override
        public void onLost(Network network) {
            post(() -> mUplinks.lost(network));
        }
    };

    private final BroadcastReceiver mIdleReceiver = new BroadcastReceiver() {
        @Override
        public void onReceive(Context context, Intent intent) {
            post(GuestNetConnector.this::readIdle);
        }
    };

    /** The broadcast does not say which it is. */
    private void readIdle() {
        mIdle = mContext.getSystemService(PowerManager.class).isDeviceIdleMode();
    }

    private final IGuestNetListener mListener = new IGuestNetListener.Stub() {
        @Override
        public void onGuest(int event, Guest guest) {
            Log.i(TAG, "guest " + guest.name + ": event " + event + ", state " + guest.state);
        }

        @Override
        public void onUplink(Uplink previous, Uplink current, long gapMicros) {
            Log.i(TAG, "uplink " + previous.interfaceName + " -> " + current.text + ", in " + gapMicros + " us");
        }
    };

    /** Has the executor take something in, and tell what is new. */
    private void post(Runnable work) {
        try {
            mExecutor.execute(() -> {
                work.run();
                tell();
            });
        } catch (RejectedExecutionException e) {
            Log.w(TAG, "the executor has ended: guestnetd is told nothing more");
        }
    }

    private void tell() {
        try {
            if (mService == null && !connect()) {
                retry("guestnetd is not there yet");
                return;
            }
            if (mToldIdle == null || mToldIdle != mIdle) {
                DeviceState state = new DeviceState();
                state.idle = mIdle;
                mService.setDeviceState(state);
                mToldIdle = mIdle;
            }
            for (Uplinks.Tale tale = mUplinks.next(); tale != null; tale = mUplinks.next()) {
                tell(tale);
            }
        } catch (RemoteException e) {
            // Whatever had come of it: a guestnetd that died has forgotten all.
            disconnected(mService);
            retry("guestnetd does not answer: " + e);
        } catch (ServiceSpecificException e) {
            retry("guestnetd could not do it: " + e.getMessage());
        } catch (RuntimeException e) {
            // EX_SECURITY and its like do not pass by themselves, and must not end system_server.
            Log.wtf(TAG, "guestnetd refuses", e);
        }
    }

    private void tell(Uplinks.Tale tale) throws RemoteException {
        try {
            mService.setUplinkInfo(tale.uplink, tale.info);
            if (tale.resolvers != null) {
                mService.setDns(tale.uplink, tale.resolvers);
            }
        } catch (ServiceSpecificException e) {
            if (e.errorCode >= IGuestNet.ERROR_KERNEL) {
                throw e;
            }
            // It is wrong in itself, and would be next time; others are told.
            Log.w(TAG, tale.uplink + ": " + e.getMessage());
        }
        mUplinks.told(tale);
    }

    /** Starts the service where it is not there: it is init's, and its name is declared. */
    private boolean connect() throws RemoteException {
        IBinder binder = ServiceManager.waitForService(SERVICE);
        if (binder == null) {
            return false;
        }
        IGuestNet service = IGuestNet.Stub.asInterface(binder);
        // Dead by now: this throws.
        binder.linkToDeath(() -> post(() -> disconnected(service)), 0);
        try {
            service.registerListener(mListener);
        } catch (ServiceSpecificException e) {
            // It is for the log alone.
            Log.w(TAG, "guestnetd's events are not heard: " + e.getMessage());
        }
        mService = service;
        return true;
    }

    /** Of an earlier one there may be word when the next has been told already. */
    private void disconnected(IGuestNet service) {
        if (mService == service) {
            mService = null;
            mToldIdle = null;
            mUplinks.forgotten();
        }
    }

    private void retry(String why) {
        if (!mWaits) {
            mWaits = true;
            Log.w(TAG, why + "; once more in " + RETRY_MILLIS + " ms");
            mExecutor.schedule(() -> {
                mWaits = false;
                tell();
            }, RETRY_MILLIS, TimeUnit.MILLISECONDS);
        }
    }
}
