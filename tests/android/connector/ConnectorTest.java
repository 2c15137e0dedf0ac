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


import android.content.Context;
import android.net.ConnectivityManager;
import android.net.LinkProperties;
import android.net.Network;
import android.net.NetworkCapabilities;
import android.net.Uri;
import android.os.Binder;
import android.os.IBinder;
import android.os.PowerManager;
import android.os.RemoteException;
import android.os.ServiceManager;
import android.os.ServiceSpecificException;
import android.system.guestnet.DeviceState;
import android.system.guestnet.Guest;
import android.system.guestnet.GuestEvent;
import android.system.guestnet.IGuestNet;
import android.system.guestnet.IGuestNetListener;
import android.system.guestnet.Uplink;
import android.system.guestnet.UplinkInfo;
import android.system.guestnet.examples.GuestNetConnector;
import android.util.Log;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * What examples/java's connector tells a stub of guestnetd, while a stub of the framework says what networks do. Each
 * method whose name begins with a small letter and that takes nothing is a test. Run by tests/android/check-examples.
 */
public final class ConnectorTest {
    private static final String FRESH = "idle=false";

    /** guestnetd, as the contract has it: it writes down what it is told. */
    private static final class Service extends IGuestNet.Default {
        final Binder binder = new Binder();
        final List<String> told = Collections.synchronizedList(new ArrayList<>());
        final List<IGuestNetListener> listeners = new ArrayList<>();
        /** Thrown by the next calls, one each; null: none. */
        final ArrayDeque<Object> failures = new ArrayDeque<>();
        /** It dies while it is at the call with this number. */
        int diesAt = Integer.MAX_VALUE;
        private int mCalls;

        Service() {
            binder.attachInterface(this, DESCRIPTOR);
        }

        @Override
        public IBinder asBinder() {
            return binder;
        }

        private void take(String what) throws RemoteException {
            mCalls++;
            if (mCalls >= diesAt) {
                binder.dead = true;
            }
            if (binder.dead) {
                throw new RemoteException();
            }
            Object failure = failures.poll();
            if (failure instanceof RemoteException) {
                throw (RemoteException) failure;
            } else if (failure instanceof RuntimeException) {
                throw (RuntimeException) failure;
            }
            told.add(what);
        }

        @Override
        public void setUplinkInfo(String uplink, UplinkInfo info) throws RemoteException {
            String portal = info.captivePortalUrl == null ? "" : " portal=" + info.captivePortalUrl;
            take(uplink + (info.metered ? " metered" : "") + (info.validated ? " validated" : "") + portal);
        }

        @Override
        public void setDns(String uplink, String[] servers) throws RemoteException {
            take(uplink + " dns=" + String.join(",", servers));
        }

        @Override
        public void setDeviceState(DeviceState state) throws RemoteException {
            take("idle=" + state.idle);
        }

        @Override
        public void registerListener(IGuestNetListener listener) throws RemoteException {
            if (binder.dead) {
                throw new RemoteException();
            }
            listeners.add(listener);
        }

        /** What it was told since this was asked last. */
        List<String> news() {
            synchronized (told) {
                List<String> all = List.copyOf(told);
                told.clear();
                return all;
            }
        }
    }

    /** The executor, by hand: a step at a time, and no clock. */
    private static final class Steps {
        final ArrayDeque<Runnable> now = new ArrayDeque<>();
        final ArrayDeque<Runnable> later = new ArrayDeque<>();

        ScheduledExecutorService executor() {
            return (ScheduledExecutorService) Proxy.newProxyInstance(getClass().getClassLoader(),
                    new Class<?>[] {ScheduledExecutorService.class}, (proxy, method, with) -> {
                        (method.getName().equals("execute") ? now : later).add((Runnable) with[0]);
                        return null;
                    });
        }

        void run() {
            while (!now.isEmpty()) {
                now.poll().run();
            }
        }

        /** As many seconds go by as somebody waits for. */
        void wait(String what, int times) {
            check(what, times, later.size());
            new ArrayDeque<>(later).forEach(one -> later.poll().run());
            run();
        }
    }

    private final ConnectivityManager mNetworks = new ConnectivityManager();
    private final PowerManager mPower = new PowerManager();
    private final Context mContext = new Context(mNetworks, mPower);
    private final Steps mSteps = new Steps();
    private Service mService = new Service();
    private final Network mWifi = new Network();
    private final Network mMobile = new Network();

    private void start(boolean namesResolvers) {
        ServiceManager.service = mService.binder;
        new GuestNetConnector(mContext, mSteps.executor(), namesResolvers).start();
        mSteps.run();
    }

    private void start() {
        start(false);
        told(FRESH);
    }

    private static LinkProperties link(String name, String portal, String... servers) {
        List<InetAddress> all = new ArrayList<>();
        try {
            for (String one : servers) {
                all.add(InetAddress.getByName(one));
            }
        } catch (java.net.UnknownHostException e) {
            throw new AssertionError(e);
        }
        return new LinkProperties(name, all, portal == null ? null : Uri.parse(portal));
    }

    private void has(Network network, Integer... capabilities) {
        mNetworks.callback.onCapabilitiesChanged(network, new NetworkCapabilities(capabilities));
    }

    private void is(Network network, LinkProperties link) {
        mNetworks.callback.onLinkPropertiesChanged(network, link);
    }

    private void told(String... expected) {
        mSteps.run();
        check("what guestnetd is told", List.of(expected), mService.news());
    }

    private void dies() {
        List<IBinder.DeathRecipient> recipients = new ArrayList<>(mService.binder.die());
        recipients.forEach(IBinder.DeathRecipient::binderDied);
    }

    private void comesBack() {
        mService = new Service();
        ServiceManager.service = mService.binder;
    }

    private static void check(String what, Object expected, Object found) {
        if (!expected.equals(found)) {
            throw new AssertionError(what + ": expected " + expected + ", found " + found);
        }
    }

    void asksForAllNetworksThatLeadToTheInternetAndForVpns() {
        start();
        check("capabilities", "[12, 13, 14]", mNetworks.request.wants.toString());
    }

    void aNetworkIsToldWhenBothOfItsCallbacksHaveComeInEitherOrder() {
        start();
        has(mWifi, 11, 12, 16);
        told();
        is(mWifi, link("wlan0", null));
        told("wlan0 validated");
        is(mMobile, link("rmnet0", null));
        told();
        has(mMobile, 12);
        told("rmnet0 metered");
    }

    void nothingIsToldTwice() {
        start();
        for (int n = 0; n < 3; n++) {
            has(mWifi, 11, 12);
            is(mWifi, link("wlan0", null, "192.0.2.1"));
        }
        told("wlan0");
    }

    void manyChangesWhileTheExecutorIsBusyAreToldAsTheyAreInTheEnd() {
        start();
        is(mWifi, link("wlan0", null));
        has(mWifi, 11, 12);
        told("wlan0");
        has(mWifi, 12);
        told("wlan0 metered");
        has(mWifi, 11, 12, 16);
        has(mWifi, 12, 16);
        told("wlan0 validated", "wlan0 metered validated");
    }

    void aCaptivePortalAppearsAndGoes() {
        start();
        has(mWifi, 11, 12);
        is(mWifi, link("wlan0", null));
        is(mWifi, link("wlan0", "https://portal.example/api"));
        told("wlan0", "wlan0 portal=https://portal.example/api");
        has(mWifi, 11, 12, 16);
        is(mWifi, link("wlan0", null));
        told("wlan0 validated portal=https://portal.example/api", "wlan0 validated");
    }

    void aUrlThatGuestnetdDoesNotTakeIsNone() {
        start();
        has(mWifi, 11, 12);
        String longest = "https://" + "p".repeat(247);
        for (String bad : new String[] {"ftp://portal", "https://", "https:///x", "https://a b", "https://\u00e4", "", longest + "p"}) {
            is(mWifi, link("wlan0", bad));
        }
        told("wlan0");
        is(mWifi, link("wlan0", longest));
        told("wlan0 portal=" + longest);
    }

    void aNetworkThatIsLostIsForgottenAndMaySignInAnew() {
        start();
        has(mWifi, 12, 16);
        is(mWifi, link("wlan0", "http://192.0.2.1"));
        told("wlan0 metered validated portal=http://192.0.2.1");
        mNetworks.callback.onLost(mWifi);
        told("wlan0 metered validated");
        Network again = new Network();
        is(again, link("wlan0", null));
        told();
        has(again, 12, 16);
        told("wlan0 metered validated");
        mNetworks.callback.onLost(new Network());
        told();
    }

    void theNextNetworkOfAnInterfaceCountsWhileTheOldOneIsStillThere() {
        start();
        has(mWifi, 11, 12);
        is(mWifi, link("wlan0", null));
        Network next = new Network();
        has(next, 12, 16);
        is(next, link("wlan0", null));
        told("wlan0", "wlan0 metered validated");
        has(mWifi, 11, 12, 16);
        mNetworks.callback.onLost(mWifi);
        told();
    }

    void aNetworkThatMovesToAnotherInterfaceLeavesTheOld() {
        start();
        has(mWifi, 11, 12, 16);
        is(mWifi, link("wlan0", null));
        is(mWifi, link("wlan1", null));
        told("wlan0 validated", "wlan1 validated", "wlan0 validated");
        is(mWifi, link(null, null));
        told("wlan1 validated");
    }

    void resolversAreNamedWhereThatIsAskedFor() {
        start(true);
        has(mWifi, 11, 12);
        is(mWifi, link("wlan0", null, "2001:db8::1", "192.0.2.1", "127.0.0.53", "192.0.2.2"));
        told(FRESH, "wlan0", "wlan0 dns=192.0.2.1,192.0.2.2");
        String[] many = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7",
                "192.0.2.8", "192.0.2.9"};
        is(mWifi, link("wlan0", null, many));
        told("wlan0", "wlan0 dns=" + String.join(",", Arrays.copyOf(many, 8)));
        is(mWifi, link("wlan0", null));
        told("wlan0", "wlan0 dns=");
        mNetworks.callback.onLost(mWifi);
        told("wlan0 validated");
    }

    void theDeviceBecomesIdleAndWakesUp() {
        start();
        mPower.idle = true;
        mContext.receiver.onReceive(mContext, null);
        told("idle=true");
        mContext.receiver.onReceive(mContext, null);
        told();
        mPower.idle = false;
        mContext.receiver.onReceive(mContext, null);
        told("idle=false");
    }

    void allIsToldAgainToAGuestnetdThatComesBack() {
        start();
        has(mWifi, 11, 12, 16);
        is(mWifi, link("wlan0", null));
        has(mMobile, 12);
        is(mMobile, link("rmnet0", null));
        mPower.idle = true;
        mContext.receiver.onReceive(mContext, null);
        told("wlan0 validated", "rmnet0 metered", "idle=true");
        dies();
        ServiceManager.service = null;
        mNetworks.callback.onLost(mMobile);
        told();
        mSteps.wait("once, though it was tried twice", 1);
        comesBack();
        mSteps.wait("and again", 1);
        told("idle=true", "wlan0 validated");
        check("listeners", 1, mService.listeners.size());
        mSteps.wait("and no more", 0);
    }

    void aGuestnetdThatComesBackBeforeTheWordOfItsDeathIsToldOnce() {
        start();
        has(mWifi, 11, 12);
        is(mWifi, link("wlan0", null));
        told("wlan0");
        List<IBinder.DeathRecipient> word = new ArrayList<>(mService.binder.die());
        comesBack();
        has(mWifi, 12);
        mSteps.run();
        mSteps.wait("the call that has failed", 1);
        told(FRESH, "wlan0 metered");
        word.forEach(IBinder.DeathRecipient::binderDied);
        told();
    }

    void aGuestnetdThatDiesInBetweenIsToldTheRestAndWhatItHadForgotten() {
        mService.diesAt = 2;
        start();
        has(mWifi, 11, 12);
        is(mWifi, link("wlan0", null));
        mSteps.run();
        comesBack();
        mSteps.wait("the call that has failed", 1);
        told(FRESH, "wlan0");
    }

    void aServiceThatIsDeadWhenItIsFoundIsTriedAgain() {
        mService.binder.dead = true;
        start(false);
        told();
        comesBack();
        mSteps.wait("it", 1);
        told(FRESH);
    }

    void whatIsRefusedForItsOwnSakeIsNotSaidAgainAndOthersAreTold() {
        start();
        has(mWifi, 11, 12);
        has(mMobile, 12);
        is(mWifi, link("lo", null));
        is(mMobile, link("rmnet0", null));
        mService.failures.add(new ServiceSpecificException(IGuestNet.ERROR_BAD_INTERFACE_NAME, "lo is no uplink"));
        told("rmnet0 metered");
        mSteps.wait("nothing", 0);
        check("the log has why", true, Log.LINES.contains("W lo: lo is no uplink"));
    }

    void whatGuestnetdCannotDoNowIsTriedAgain() {
        start();
        has(mWifi, 11, 12);
        is(mWifi, link("wlan0", null));
        mService.failures.add(new ServiceSpecificException(IGuestNet.ERROR_UNAVAILABLE, "it is ending"));
        told();
        mSteps.wait("once more", 1);
        told("wlan0");
        mService.failures.add(new RemoteException());
        has(mWifi, 12);
        told();
        mSteps.wait("once more", 1);
        told(FRESH, "wlan0 metered");
    }

    void whoMayNotCallGoesOnLiving() {
        mService.failures.add(new SecurityException("guestnetd does not serve uid 10123"));
        start(false);
        told();
        check("the log has it", true, Log.LINES.stream().anyMatch(line -> line.startsWith("F ") && line.contains("10123")));
        mSteps.wait("nothing", 0);
        has(mWifi, 11, 12);
        is(mWifi, link("wlan0", null));
        told(FRESH, "wlan0");
    }

    void whatGuestnetdSaysIsLogged() throws RemoteException {
        start();
        Guest guest = new Guest();
        guest.name = "box";
        Uplink uplink = new Uplink();
        uplink.interfaceName = "wlan0";
        uplink.text = "wlan0, 192.0.2.7";
        for (IGuestNetListener one : mService.listeners) {
            one.onGuest(GuestEvent.LOST, guest);
            one.onUplink(new Uplink(), uplink, 1200);
        }
        check("both", true, Log.LINES.toString().contains("guest box: event 3") && Log.LINES.toString().contains("wlan0, 192.0.2.7, in 1200 us"));
    }

    void callbacksOfManyThreadsEndInWhatWasSaidLast() throws InterruptedException {
        ServiceManager.service = mService.binder;
        ScheduledExecutorService executor = Executors.newSingleThreadScheduledExecutor();
        new GuestNetConnector(mContext, executor, false).start();
        ExecutorService threads = Executors.newFixedThreadPool(8);
        for (int of = 0; of < 8; of++) {
            Network network = new Network();
            String name = "eth" + of;
            threads.execute(() -> {
                for (int n = 0; n < 200; n++) {
                    is(network, link(name, null));
                    has(network, n % 2 == 0 ? 12 : 11);
                    if (n % 50 == 49) {
                        mNetworks.callback.onLost(network);
                    }
                }
                is(network, link(name, null));
                has(network, 11, 16);
            });
        }
        threads.shutdown();
        check("threads end", true, threads.awaitTermination(60, TimeUnit.SECONDS));
        executor.shutdown();
        check("the executor ends", true, executor.awaitTermination(60, TimeUnit.SECONDS));
        List<String> all = mService.news();
        for (int of = 0; of < 8; of++) {
            String name = "eth" + of;
            List<String> its = all.stream().filter(one -> one.startsWith(name)).toList();
            check(name, name + " validated", its.get(its.size() - 1));
        }
        // It has ended, and a callback that still comes is no crash.
        has(mWifi, 11);
    }

    public static void main(String[] none) throws ReflectiveOperationException {
        int count = 0;
        for (Method method : ConnectorTest.class.getDeclaredMethods()) {
            boolean isTest = method.getModifiers() == 0 && method.getParameterCount() == 0 && !method.isSynthetic();
            if (isTest && !Modifier.isStatic(method.getModifiers())) {
                Log.LINES.clear();
                try {
                    method.invoke(new ConnectorTest());
                } catch (InvocationTargetException e) {
                    System.err.println(method.getName() + ": " + e.getCause());
                    e.getCause().printStackTrace();
                    System.exit(1);
                }
                count++;
            }
        }
        System.out.println(count + " tests of the connector pass");
    }
}
