#!/bin/sh
# netavark with one bridge network, as podman calls it.
# netavark.sh attach|detach PID, with NETAVARK as the program and SCRATCH for what it keeps
[ "$1" = attach ] && action=setup || action=teardown
exec "$NETAVARK" --config "$SCRATCH" --rootless false "$action" "/proc/$2/ns/net" >/dev/null <<END
{"container_id": "bench", "container_name": "bench",
 "networks": {"bench": {"interface_name": "eth0", "static_ips": ["10.88.0.5"]}},
 "network_info": {"bench": {"name": "bench", "driver": "bridge", "network_interface": "bench0",
  "id": "53ce4390f2adb1681eb1a90ec8b48c49c015e0a8d336c197637e7f65e365fa9e",
  "subnets": [{"subnet": "10.88.0.0/16", "gateway": "10.88.0.1"}], "ipv6_enabled": false,
  "internal": false, "dns_enabled": false, "ipam_options": {"driver": "host-local"}}}}
END
