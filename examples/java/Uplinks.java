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

import android.system.guestnet.UplinkInfo;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * What the framework has said of networks, by their interfaces, and what of that guestnetd has been told. No call is
 * made from here: a caller takes the next {@link Tale}, tells it, and says how that went. Not for several threads.
 *
 * @param <N> what a network is known by: android.net.Network
 */
public final class Uplinks<N> {
    /** IGuestNet.MAX_DNS_SERVERS. */
    private static final int MOST_RESOLVERS = 8;
    /** The longest that guestnetd takes. */
    private static final int LONGEST_URL = 255;

    /** What there is to tell of an interface. */
    public static final class Tale {
        /** The interface's name. */
        public final String uplink;
        /** For setUplinkInfo(). */
        public final UplinkInfo info;
        /** For setDns(); null: it is not to be told. */
        public final String[] resolvers;

        private Tale(String uplink, UplinkInfo info, String[] resolvers) {
            this.uplink = uplink;
            this.info = info;
            this.resolvers = resolvers;
        }
    }

    /** A network, as far as its callbacks have come: both come behind onAvailable(), in either order. */
    private static final class Known {
        String uplink;
        List<String> resolvers = Collections.emptyList();
        String portal;
        Boolean metered;
        boolean validated;

        boolean isWhole() {
            return uplink != null && metered != null;
        }
    }

    private final boolean mNamesResolvers;
    /** In the order of their coming: where two have one interface for a moment, the later one counts. */
    private final Map<N, Known> mNetworks = new LinkedHashMap<>();
    /** What guestnetd knows. */
    private final Map<String, Tale> mTold = new HashMap<>();

    /**
     * @param namesResolvers whether setDns() is to be told, too. Not where guestnetd asks netd's resolver: what is named
     *        counts more, and netd has Private DNS and a VPN's resolvers.
     */
    public Uplinks(boolean namesResolvers) {
        mNamesResolvers = namesResolvers;
    }

    /** onLinkPropertiesChanged(). */
    public void linkProperties(N network, String uplink, List<InetAddress> resolvers, String portal) {
        Known known = of(network);
        known.uplink = uplink;
        known.portal = isTaken(portal) ? portal : null;
        known.resolvers = new ArrayList<>();
        for (InetAddress one : resolvers) {
            if (one instanceof Inet4Address && !one.isLoopbackAddress() && known.resolvers.size() < MOST_RESOLVERS) {
                known.resolvers.add(one.getHostAddress());
            }
        }
    }

    /** onCapabilitiesChanged(). */
    public void capabilities(N network, boolean metered, boolean validated) {
        Known known = of(network);
        known.metered = metered;
        known.validated = validated;
    }

    /** onLost(). What was told of its interface does not hold for the next network that has it. */
    public void lost(N network) {
        mNetworks.remove(network);
    }

    /** guestnetd has begun anew, and knows nothing of what was told. */
    public void forgotten() {
        mTold.clear();
    }

    /** What guestnetd does not know yet; null: it knows all. */
    public Tale next() {
        Map<String, Tale> all = tales();
        for (Tale tale : all.values()) {
            Tale told = mTold.get(tale.uplink);
            if (told == null || !text(tale).equals(text(told))) {
                return tale;
            }
        }
        for (Tale told : mTold.values()) {
            if (!all.containsKey(told.uplink)) {
                // Guests that have a lease would ask again for another meteredness; and the next network of
                // that interface names resolvers of its own.
                UplinkInfo info = new UplinkInfo();
                info.metered = told.info.metered;
                return new Tale(told.uplink, info, null);
            }
        }
        return null;
    }

    /** It has been told, or has been refused for what it is, which will not be otherwise next time. */
    public void told(Tale tale) {
        if (tales().containsKey(tale.uplink)) {
            mTold.put(tale.uplink, tale);
        } else {
            mTold.remove(tale.uplink);
        }
    }

    private Known of(N network) {
        return mNetworks.computeIfAbsent(network, n -> new Known());
    }

    private Map<String, Tale> tales() {
        Map<String, Tale> all = new LinkedHashMap<>();
        for (Known known : mNetworks.values()) {
            if (known.isWhole()) {
                UplinkInfo info = new UplinkInfo();
                info.metered = known.metered;
                info.captivePortalUrl = known.portal;
                info.validated = known.validated;
                String[] resolvers = mNamesResolvers ? known.resolvers.toArray(new String[0]) : null;
                all.put(known.uplink, new Tale(known.uplink, info, resolvers));
            }
        }
        return all;
    }

    private static String text(Tale tale) {
        List<String> resolvers = tale.resolvers == null ? null : List.of(tale.resolvers);
        UplinkInfo info = tale.info;
        return info.metered + " " + info.validated + " " + Objects.toString(info.captivePortalUrl) + " " + resolvers;
    }

    /** Whether guestnetd takes this URL: IGuestNet.ERROR_BAD_CAPTIVE_PORTAL. A network's DHCP server has said it. */
    private static boolean isTaken(String portal) {
        return portal != null
                && portal.length() <= LONGEST_URL
                && portal.matches("https?://[\\x21-\\x7e&&[^/?#]][\\x21-\\x7e]*");
    }
}
