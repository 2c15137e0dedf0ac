#!/bin/sh
# Few processes: one ip -batch for each side, and one iptables-legacy-restore (RESTORE) or nft (NFT).
# batch.sh attach|detach PID
set -e

rules() {
    if [ -n "${NFT-}" ]; then
        "$NFT" -f -
    else
        "$RESTORE" -w --noflush
    fi <<END
$1
END
}

if [ -n "${NFT-}" ]; then
    add='table ip bench {
        chain post { type nat hook postrouting priority 100; ip saddr 172.17.0.0/16 oifname "wlan0" masquerade; }
        chain forward { type filter hook forward priority 0; iifname "wlan0" oifname "vm_wlan" accept; oifname "wlan0" iifname "vm_wlan" accept; }
    }'
    delete='delete table ip bench'
else
    add='*nat
-A POSTROUTING -s 172.17.0.0/16 -o wlan0 -j MASQUERADE
COMMIT
*filter
-A FORWARD -i wlan0 -o vm_wlan -j ACCEPT
-A FORWARD -o wlan0 -i vm_wlan -j ACCEPT
COMMIT'
    delete='*nat
-D POSTROUTING -s 172.17.0.0/16 -o wlan0 -j MASQUERADE
COMMIT
*filter
-D FORWARD -i wlan0 -o vm_wlan -j ACCEPT
-D FORWARD -o wlan0 -i vm_wlan -j ACCEPT
COMMIT'
fi

if [ "$1" = detach ]; then
    rules "$delete"
    exec ip link del vm_wlan
fi
ip -batch - <<END
link add name vm_wlan type veth peer name wlan0 netns $2
addr add 172.17.3.2/16 dev vm_wlan
link set vm_wlan up
END
echo 1 >/proc/sys/net/ipv4/ip_forward
rules "$add"
exec nsenter --net="/proc/$2/ns/net" ip -batch - <<END
addr add 172.17.3.3/16 dev wlan0
link set wlan0 up
route add default via 172.17.3.2
END
