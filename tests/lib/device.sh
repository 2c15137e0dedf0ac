# shellcheck shell=bash
# A device and the internet behind its wlan0, in two network namespaces: $device and $internet. The
# internet has no route to any guest. Needs ui.sh.

device=gnt-$$-device internet=gnt-$$-internet

# Unlike `ip netns exec` these leave the mounts alone: that command's fresh /sys has no cgroups in
# it, and LXC does not start without.
in_device() { nsenter --net="/run/netns/$device" -- "$@"; }
in_internet() { nsenter --net="/run/netns/$internet" -- "$@"; }

make_device() {
    local namespace
    for namespace in "$device" "$internet"; do
        ip netns add "$namespace"
        ip -n "$namespace" link set lo up
        # shellcheck disable=SC2016 # it is the inner shell's variable
        # Forwarding is taken over from the machine; the probing of IPv6 addresses takes a second.
        nsenter --net="/run/netns/$namespace" -- sh -c '
            echo 0 >/proc/sys/net/ipv4/ip_forward
            f=/proc/sys/net/ipv6/conf/default/accept_dad; [ ! -e $f ] || echo 0 >$f'
    done
    ip -n "$device" link add wlan0 type veth peer name device netns "$internet"
    ip -n "$internet" addr add 192.0.2.1/24 dev device
    ip -n "$device" addr add 192.0.2.2/24 dev wlan0
    ip -n "$internet" link set device up
    ip -n "$device" link set wlan0 up
    ip -n "$device" route add default via 192.0.2.1
    within 5 is_up "$internet" device
    within 5 is_up "$device" wlan0
}

# is_up NAMESPACE LINK: whether it has found its carrier. Asked for one link, the kernel first works
# off what has changed; in a list of all, that can be a second late.
is_up() { ip -n "$1" link show dev "$2" | grep -q 'state UP'; }

remove_device() {
    ip netns del "$device" 2>/dev/null || true
    ip netns del "$internet" 2>/dev/null || true
}
