#!/bin/bash
# Copyright (C) 2026 The Android Open Source Project
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
#
# The rules whose tables are kept here. Run it in a network namespace of its own, then take each
# table by getsockopt: the answer to IPT_SO_GET_INFO, and behind it the entries (without their
# header) that IPT_SO_GET_ENTRIES gives. From x86_64; the same on every 64-bit machine with the low
# byte first. The .txt files say what has to be read in them.
set -euo pipefail
i=iptables-legacy
j=ip6tables-legacy
$i -P FORWARD DROP
$i -N oem_fwd
$i -N empty
$i -N bw_FORWARD
$i -N tetherctrl_FORWARD
$i -A FORWARD -j oem_fwd
$i -A FORWARD -j bw_FORWARD
$i -A FORWARD -g tetherctrl_FORWARD
$i -A bw_FORWARD -m limit --limit 5/min -m comment --comment "a foreign rule" -j LOG
$i -A bw_FORWARD ! -s 192.0.2.0/24 -p tcp -m multiport --dports 80,443
$i -A bw_FORWARD -f -i w+ -j RETURN
$i -A tetherctrl_FORWARD -j DROP
$i -A INPUT -m mark --mark 0x1/0xff -j ACCEPT
$i -N oem_guestnet_fwd
$i -A oem_guestnet_fwd -s 172.17.0.0/16 -i vm_wlan+ -o wlan0 -m conntrack --ctstate ESTABLISHED -j ACCEPT
$i -A oem_guestnet_fwd -i wlan0 -o vm_wlan+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
$i -A oem_guestnet_fwd -s 172.17.0.0/16 -i vm_wlan+ -o wlan0 -m conntrack --ctstate NEW -j ACCEPT
$i -A oem_guestnet_fwd -s 172.17.0.0/16 -i vm_wlan+ -o wlan0 -m conntrack --ctstate RELATED --ctorigsrc 172.17.0.0/16 -j ACCEPT
$i -A oem_guestnet_fwd -i vm_wlan+ -j DROP
$i -A oem_guestnet_fwd -o vm_wlan+ -j DROP
$i -I oem_fwd 1 -j oem_guestnet_fwd
$i -t nat -A POSTROUTING -o eth0 -j SNAT --to-source 192.0.2.7
$i -t nat -A POSTROUTING -o eth1 -j MASQUERADE --random
$i -t nat -N oem_guestnet_pre
$i -t nat -A oem_guestnet_pre -s 172.17.0.0/16 -d 172.17.3.2/32 -i vm_wlan+ -p udp -m udp --dport 53 -j DNAT --to-destination 192.0.2.53
$i -t nat -A oem_guestnet_pre -s 172.17.0.0/16 -d 172.17.3.2/32 -i vm_wlan+ -p tcp -m tcp --dport 53 -j DNAT --to-destination 192.0.2.53
$i -t nat -I PREROUTING 1 -j oem_guestnet_pre
$j -A INPUT -s fe80::/64 -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT
$j -N oem_guestnet_in
$j -A oem_guestnet_in -i vm_wlan+ -j DROP
$j -I INPUT 1 -j oem_guestnet_in
