#!/bin/sh
# What busybox's DHCP client calls with a lease: the address and the default route, which is better than
# rmnet0's. Nothing is touched when the lease is the one that is there.
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
case $(ip -4 -o addr show dev "$interface") in *" $ip/$mask "*) exit 0 ;; esac
set -e
ip addr flush dev "$interface"
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router" dev "$interface" metric 100
